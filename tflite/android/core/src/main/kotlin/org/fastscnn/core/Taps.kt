package org.fastscnn.core

/**
 * Interpolation of one axis: pixel i reads `count[i]` cells from `first[i]` on.
 *
 * Weights are float32, as every runtime has them; two interpolations one after the other (logits to
 * the input's size, that to a picture's) are one, of at most four cells.
 */
class Taps private constructor(private val rows: List<Row>) {
  private class Row(val first: Int, val weights: FloatArray)

  val size: Int
    get() = rows.size

  fun first(pixel: Int): Int = rows[pixel].first

  fun weights(pixel: Int): FloatArray = rows[pixel].weights

  /** The part of the axis from [origin] on. */
  fun slice(origin: Int, size: Int): Taps = Taps(rows.subList(origin, origin + size))

  /** These cells interpolated, and the result interpolated by [next]. */
  fun then(next: Taps): Taps =
    Taps(
      next.rows.map { row ->
        val parts = row.weights.indices.map { rows[row.first + it] }
        val first = parts.minOf { it.first }
        val sum = FloatArray(parts.maxOf { it.first + it.weights.size } - first)
        parts.forEachIndexed { i, part ->
          part.weights.forEachIndexed { j, w -> sum[part.first - first + j] += row.weights[i] * w }
        }
        Row(first, sum)
      }
    )

  companion object {
    fun same(size: Int): Taps = Taps(List(size) { Row(it, floatArrayOf(1f)) })

    const val HALF_PIXEL = "half_pixel"
    const val ALIGNED = "aligned"
    const val NEAREST = "nearest"

    /**
     * @param sampling linear between half-pixel centres, or where the first and last cells' centres
     *   fall onto each other (`align_corners`); or the nearest of half-pixel centres.
     */
    fun of(source: Int, target: Int, sampling: String = HALF_PIXEL): Taps =
      Taps(
        List(target) {
          val position =
            when (sampling) {
              ALIGNED ->
                (it.toFloat() * ((source - 1).toFloat() / maxOf(target - 1, 1).toFloat()))
                  .toDouble()
              NEAREST -> Math.floor(((it + 0.5f) * (source.toFloat() / target.toFloat())).toDouble())
              else -> (it + 0.5) * source / target - 0.5
            }
          row(position, source)
        }
      )

    private fun row(position: Double, source: Int): Row {
      val low = Math.floor(position)
      val weight = (position - low).toFloat()
      val first = low.toInt()
      if (first < 0 || first + 1 >= source) {
        return Row(first.coerceIn(0, source - 1), floatArrayOf(1f)) // the edge, repeated
      }
      return if (weight == 0f) Row(first, floatArrayOf(1f))
      else Row(first, floatArrayOf(1 - weight, weight))
    }
  }
}
