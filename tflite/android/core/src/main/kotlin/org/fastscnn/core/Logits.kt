package org.fastscnn.core

/**
 * Class scores (height, width, classes), row by row, all on one scale.
 *
 * Bytes become floats without loss, and the scale of quantized logits changes no winner, so that
 * one form serves both.
 */
class Logits(val height: Int, val width: Int, val classes: Int, val values: FloatArray) {
  init {
    require(values.size == height * width * classes) { "${values.size} values" }
  }

  /** The winner of every cell; the lowest index wins a tie. */
  fun winners(): ByteArray {
    val winners = ByteArray(height * width)
    for (cell in winners.indices) {
      val start = cell * classes
      var best = 0
      for (c in 1 until classes) if (values[start + c] > values[start + best]) best = c
      winners[cell] = best.toByte()
    }
    return winners
  }

  companion object {
    /**
     * The logits of a model's output.
     *
     * @throws Failure another number of values than the file says, or a logit that is NaN or
     *   infinite.
     */
    fun of(spec: TensorSpec, output: Values): Logits {
      if (output.size != spec.elements) {
        throw Failure(
          "the network gave ${output.size} values, the file says ${spec.shape}: the delegate and " +
            "the file disagree, choose another accelerator"
        )
      }
      val values =
        when (output) {
          is Values.Floats -> output.data
          is Values.Bytes -> {
            val mask = if (spec.type == ElementType.UINT8) 0xff else -1
            FloatArray(output.size) { (output.data[it].toInt() and mask).toFloat() }
          }
        }
      if (output is Values.Floats && values.any { !it.isFinite() }) {
        throw Failure(
          "the network's logits are NaN or infinite: forbid the GPU float16 " +
            "(gpu.precision_loss_allowed=false), or train the model again"
        )
      }
      return Logits(spec.shape[1], spec.shape[2], spec.shape[3], values)
    }
  }
}
