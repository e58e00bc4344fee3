package org.fastscnn.app

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.fastscnn.core.ElementType
import org.fastscnn.core.ModelInfo
import org.fastscnn.core.Network
import org.fastscnn.core.TensorSpec
import org.fastscnn.core.Values
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter

/** An `Interpreter`, its delegate and the memory of its ends. */
class InterpreterNetwork(
  private val interpreter: Interpreter,
  private val delegate: Delegate?,
  private val info: ModelInfo,
  override val runs: String,
) : Network {
  private val input = buffer(info.file.input)
  private val output = buffer(info.file.output)

  override fun run(input: Values): Values {
    this.input.rewind()
    when (input) {
      is Values.Bytes -> this.input.put(input.data)
      is Values.Floats -> this.input.asFloatBuffer().put(input.data)
    }
    this.input.rewind()
    output.rewind()
    interpreter.run(this.input, output)
    output.rewind()
    return if (info.file.output.type == ElementType.FLOAT32) {
      Values.Floats(FloatArray(info.file.output.elements).also { output.asFloatBuffer().get(it) })
    } else {
      Values.Bytes(ByteArray(info.file.output.elements).also { output.get(it) })
    }
  }

  override fun close() {
    interpreter.close()
    delegate?.close()
  }

  private companion object {
    fun buffer(spec: TensorSpec): ByteBuffer {
      val width = if (spec.type == ElementType.FLOAT32) Float.SIZE_BYTES else 1
      return ByteBuffer.allocateDirect(spec.elements * width).order(ByteOrder.nativeOrder())
    }
  }
}
