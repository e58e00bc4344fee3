// m.tflite, SHA-256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
// Needs com.google.ai.edge.litert:litert:1.4.x.
package org.fastscnn

import android.content.Context
import java.io.File
import java.io.FileInputStream
import java.nio.MappedByteBuffer
import java.nio.channels.FileChannel
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.nnapi.NnApiDelegate

/** m.tflite with its settings; close it after use. */
class FastScnnModel(context: Context) : AutoCloseable {
  @Suppress("DEPRECATION")  // NNAPI: deprecated since Android 15
  private val delegate = NnApiDelegate(
    NnApiDelegate.Options()
      .setExecutionPreference(NnApiDelegate.Options.EXECUTION_PREFERENCE_SUSTAINED_SPEED)
      .setUseNnapiCpu(false)
      .setAcceleratorName("google-edgetpu")
      .setMaxNumberOfDelegatedPartitions(3)
      .setAllowFp16(false)
      .setCacheDir(File(context.codeCacheDir, "nn").apply { mkdirs() }.path)
      .setModelToken("m-0123456789abcdef")
  )
  private val options = Interpreter.Options()
    .setNumThreads(4)
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
//   nnapi.execution_priority = high
//   nnapi.max_execution_timeout_ns = 1000000
//   nnapi.use_burst_computation = True
