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
        Environment.Option.DispatchLibraryDir to context.applicationInfo.nativeLibraryDir,
        Environment.Option.CompilerPluginLibraryDir to context.applicationInfo.nativeLibraryDir,
      ),
    )
    return CompiledModel.create(context.assets, ASSET, options, environment)
  }
}

// Options that this API has no place for:
//   npu.mediatek.sdk_version = version9
//   npu.mediatek.performance_mode = turbo_boost
