// m.tflite, SHA-256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
// Needs com.google.ai.edge.litert:litert:1.4.x and com.google.ai.edge.litert:litert-gpu:1.4.x.
package org.fastscnn

import android.content.Context
import java.io.File
import java.io.FileInputStream
import java.nio.MappedByteBuffer
import java.nio.channels.FileChannel
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.gpu.GpuDelegateFactory

/** m.tflite with its settings; close it after use. */
class FastScnnModel(context: Context) : AutoCloseable {
  private val delegate = GpuDelegate(
    GpuDelegateFactory.Options()
      .setPrecisionLossAllowed(true)
      .setQuantizedModelsAllowed(true)
      .setInferencePreference(GpuDelegateFactory.Options.INFERENCE_PREFERENCE_SUSTAINED_SPEED)
      .setSerializationParams(File(context.codeCacheDir, "gpu").apply { mkdirs() }.path, "street")
  )
  private val options = Interpreter.Options()
    .setNumThreads(4)
    .setUseXNNPACK(true)
    .addDelegate(delegate)
  val interpreter = Interpreter(asset(context, "m.tflite"), options)

  override fun close() {
    interpreter.close()
    delegate.close()
  }

  private fun asset(context: Context, name: String): MappedByteBuffer =
    context.assets.openFd(name).use { file ->
      FileInputStream(file.fileDescriptor).channel.use {
        it.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
      }
    }
}

// Options that this API has no place for:
//   gpu.inference_priority1 = min_latency
//   gpu.inference_priority2 = min_memory_usage
//   gpu.inference_priority3 = max_precision
//   gpu.backend = opencl
//   gpu.max_delegated_partitions = 1
