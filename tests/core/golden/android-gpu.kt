// m.tflite, SHA-256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
// Needs com.google.ai.edge.litert:litert:2.x and com.google.ai.edge.litert:litert-gpu:2.x.
package org.fastscnn

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel

object FastScnnModel {
  const val ASSET = "m.tflite"

  /** Close it after use. */
  fun open(context: Context): CompiledModel {
    val options = CompiledModel.Options(Accelerator.GPU)
    options.gpuOptions = CompiledModel.GpuOptions(
      precision = CompiledModel.GpuOptions.Precision.FP16,
    )
    return CompiledModel.create(context.assets, ASSET, options, null)
  }
}
