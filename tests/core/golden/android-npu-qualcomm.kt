// m.tflite, SHA-256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
// Needs com.google.ai.edge.litert:litert:2.x.
package org.fastscnn

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment

object FastScnnModel {
  const val ASSET = "m.tflite"

  /** Close it after use. */
  fun open(context: Context): CompiledModel {
    val options = CompiledModel.Options(Accelerator.NPU, Accelerator.CPU)
    options.cpuOptions = CompiledModel.CpuOptions(
      numThreads = 4,
    )
    val environment = Environment.create(
      context,
      mapOf(
        Environment.Option.DispatchLibraryDir to "/vendor/lib64",
        Environment.Option.CompilerPluginLibraryDir to context.applicationInfo.nativeLibraryDir,
      ),
    )
    options.qualcommOptions = CompiledModel.QualcommOptions(
      htpPerformanceMode = CompiledModel.QualcommOptions.HtpPerformanceMode.BURST,
      optimizationLevel = CompiledModel.QualcommOptions.OptimizationLevel.HTP_OPTIMIZE_FOR_INFERENCE_O3,
    )
    return CompiledModel.create(context.assets, ASSET, options, environment)
  }
}

// Options that this API has no place for:
//   npu.qualcomm.graph_priority = high
//   npu.compiler_cache_dir = compiled
