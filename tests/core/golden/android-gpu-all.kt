// m.tflite, SHA-256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
// Needs com.google.ai.edge.litert:litert:2.x and com.google.ai.edge.litert:litert-gpu:2.x.
package org.fastscnn

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import java.io.File

object FastScnnModel {
  const val ASSET = "m.tflite"

  /** Close it after use. */
  fun open(context: Context): CompiledModel {
    val options = CompiledModel.Options(Accelerator.GPU, Accelerator.CPU)
    options.cpuOptions = CompiledModel.CpuOptions(
      numThreads = 4,
      xnnPackWeightCachePath = "/data/app/xnn/m-0123456789abcdef.xnnpack",
    )
    options.gpuOptions = CompiledModel.GpuOptions(
      precision = CompiledModel.GpuOptions.Precision.FP16,
      bufferStorageType = CompiledModel.GpuOptions.BufferStorageType.TEXTURE_2D,
      serializeProgramCache = true,
      priority = CompiledModel.GpuOptions.Priority.LOW,
      numStepsOfCommandBufferPreparations = 2,
      backend = CompiledModel.GpuOptions.Backend.OPENCL,
      serializationDir = File(context.codeCacheDir, "gpu").apply { mkdirs() }.path,
      modelCacheKey = "m-0123456789abcdef",
      externalTensorPattern = "state_",
    )
    return CompiledModel.create(context.assets, ASSET, options, null)
  }
}

// Options that this API has no place for:
//   gpu.wait_type = active
