package org.fastscnn.core

/** Brings RGB bytes into a model's input type; what it gives is overwritten by the next picture. */
class InputWriter(private val info: ModelInfo) {
  private val type = info.file.input.type
  private val signed = ByteArray(if (type == ElementType.INT8) info.file.input.elements else 0)
  private val floats = FloatArray(if (type == ElementType.FLOAT32) info.file.input.elements else 0)
  private val levels =
    List(3) { channel ->
      FloatArray(256) {
        (it - info.mean[channel].toFloat()) / info.std[channel].toFloat()
      }
    }

  /** (height, width, 3) RGB of the model's size as its input. */
  fun write(rgb: ByteArray): Values =
    when (type) {
      ElementType.UINT8 -> Values.Bytes(rgb) // the normalisation is inside the file
      ElementType.INT8 -> {
        for (i in rgb.indices) signed[i] = (rgb[i].toInt() xor 0x80).toByte()
        Values.Bytes(signed)
      }
      ElementType.FLOAT32 -> {
        for (i in rgb.indices step 3) {
          for (c in 0 until 3) floats[i + c] = levels[c][rgb[i + c].toInt() and 0xff]
        }
        Values.Floats(floats)
      }
    }
}
