package org.fastscnn.app

import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment
import org.fastscnn.core.ElementType
import org.fastscnn.core.ModelInfo
import org.fastscnn.core.Network
import org.fastscnn.core.Values

/** A `CompiledModel` with its buffers. */
class CompiledNetwork(
  private val model: CompiledModel,
  private val environment: Environment?,
  private val info: ModelInfo,
  override val runs: String,
) : Network {
  private val inputs = model.createInputBuffers()
  private val outputs = model.createOutputBuffers()

  override fun run(input: Values): Values {
    when (input) {
      // `writeInt8` copies bytes and asks for no sign: uint8 tensors go the same way.
      is Values.Bytes -> inputs[0].writeInt8(input.data)
      is Values.Floats -> inputs[0].writeFloat(input.data)
    }
    model.run(inputs, outputs)
    return if (info.file.output.type == ElementType.FLOAT32) {
      Values.Floats(outputs[0].readFloat())
    } else {
      Values.Bytes(outputs[0].readInt8())
    }
  }

  override fun close() {
    (inputs + outputs).forEach { it.close() }
    model.close()
    environment?.close()
  }
}
