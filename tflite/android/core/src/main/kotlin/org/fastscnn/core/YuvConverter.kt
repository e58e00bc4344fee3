package org.fastscnn.core

/**
 * YUV_420_888 to RGB directly at a model's size: turned, mirrored, fitted and resized in one pass.
 *
 * Bilinear with half-pixel centres, the edge repeated; U and V lie in the middle of their four
 * pixels. The colours are those of JFIF: BT.601, full range, which is what Android's cameras give
 * (`DataSpace.DATASPACE_JFIF` where a phone says so): R = Y + 1.402 (V - 128), G = Y - 0.344136
 * (U - 128) - 0.714136 (V - 128), B = Y + 1.772 (U - 128), in fixed point: within one of exact
 * arithmetic.
 *
 * It reads four pixels for each one it makes: of a picture more than twice the model's size some are
 * passed over, so let the camera give one near it.
 *
 * @param fill RGB beside a letterboxed picture: the model's mean.
 */
class YuvConverter(private val height: Int, private val width: Int, fill: List<Double>) {
  /** (height, width, 3) RGB, overwritten by each [convert]. */
  val rgb = ByteArray(height * width * 3)

  private val background = fill.map { Math.rint(it).toInt().coerceIn(0, 255).toByte() }
  private var plan: Plan? = null

  /**
   * Brings a frame into [rgb].
   *
   * @param rotation degrees clockwise that make it upright: 0, 90, 180 or 270.
   * @param mirrored turn the upright picture's left and right round, as in a mirror.
   * @return where the upright picture lies in [rgb].
   */
  fun convert(frame: YuvFrame, rotation: Int, mirrored: Boolean, fit: Fit): Box {
    if (rotation !in listOf(0, 90, 180, 270)) {
      throw Failure("a frame's rotation must be 0, 90, 180 or 270 degrees, got $rotation")
    }
    val (high, wide) = frame.uprightSize(rotation)
    val box = Box.of(fit, high, wide, height, width)
    val key = Plan.Key(frame, rotation, mirrored, box)
    val ready = plan?.takeIf { it.key == key } ?: Plan(key, frame, rotation, mirrored, box)
    if (ready !== plan) paint()
    plan = ready
    for (row in 0 until box.height) convertRow(frame, ready, box, row)
    return box
  }

  private fun paint() {
    for (i in rgb.indices) rgb[i] = background[i % 3]
  }

  private fun convertRow(frame: YuvFrame, plan: Plan, box: Box, row: Int) {
    val y = frame.y.data
    val u = frame.u.data
    val v = frame.v.data
    val rows = plan.rows
    val columns = plan.columns
    var at = ((box.top + row) * width + box.left) * 3
    for (column in 0 until box.width) {
      val luma = rows.luma.mixed(y, row, columns.luma, column)
      val blue = rows.u.mixed(u, row, columns.u, column) - NEUTRAL
      val red = rows.v.mixed(v, row, columns.v, column) - NEUTRAL
      rgb[at] = level(luma * ONE + RED_V * red)
      rgb[at + 1] = level(luma * ONE - GREEN_U * blue - GREEN_V * red)
      rgb[at + 2] = level(luma * ONE + BLUE_U * blue)
      at += 3
    }
  }

  private fun level(value: Int): Byte = ((value + ROUND) shr SHIFT).coerceIn(0, 255).toByte()

  /** Where one axis of a plane is read: offsets of two neighbours and the second one's share. */
  private class Axis(size: Int) {
    val low = IntArray(size)
    val high = IntArray(size)
    val share = IntArray(size)

    /** Of this axis' pixel [i] and the other's [j]: four bytes mixed, in 256ths. */
    fun mixed(data: ByteArray, i: Int, other: Axis, j: Int): Int {
      val above = low[i]
      val below = high[i]
      val left = other.low[j]
      val right = other.high[j]
      val beside = other.share[j]
      val top = byte(data, above + left) * (WHOLE - beside) + byte(data, above + right) * beside
      val end = byte(data, below + left) * (WHOLE - beside) + byte(data, below + right) * beside
      return (top * (WHOLE - share[i]) + end * share[i] + HALF) shr DROPPED
    }

    private fun byte(data: ByteArray, at: Int): Int = data[at].toInt() and 0xff
  }

  /** The axes of all planes along one axis of the model's input. */
  private class Axes(val luma: Axis, val u: Axis, val v: Axis)

  /** Where each pixel is read from; the same for all frames of a camera. */
  private class Plan(
    val key: Key,
    frame: YuvFrame,
    rotation: Int,
    mirrored: Boolean,
    box: Box,
  ) {
    data class Key(val strides: List<Int>, val rotation: Int, val mirrored: Boolean, val box: Box) {
      constructor(
        frame: YuvFrame,
        rotation: Int,
        mirrored: Boolean,
        box: Box,
      ) : this(
        listOf(frame.y, frame.u, frame.v).flatMap { listOf(it.rowStride, it.pixelStride) } +
          frame.crop.run { listOf(top, left, height, width) },
        rotation,
        mirrored,
        box,
      )
    }

    private val isTurned = rotation % 180 != 0
    // Upright (x, y) is the frame's (x, y), (y, H - 1 - x), (W - 1 - x, H - 1 - y), (W - 1 - y, x).
    val columns =
      axes(frame, isTurned, (rotation == 90 || rotation == 180) != mirrored, box.width)
    val rows = axes(frame, !isTurned, rotation == 180 || rotation == 270, box.height)

    private fun axes(frame: YuvFrame, isVertical: Boolean, isReversed: Boolean, size: Int): Axes {
      val crop = frame.crop
      val start = if (isVertical) crop.top else crop.left
      val count = if (isVertical) crop.height else crop.width
      val positions =
        DoubleArray(size) {
          val position = (it + 0.5) * count / size - 0.5
          (if (isReversed) count - 1 - position else position) + start
        }
      fun axis(plane: YuvFrame.Plane, places: DoubleArray, first: Int, last: Int): Axis {
        val step = if (isVertical) plane.rowStride else plane.pixelStride
        val axis = Axis(places.size)
        places.forEachIndexed { i, place ->
          val low = Math.floor(place).toInt()
          axis.low[i] = low.coerceIn(first, last) * step
          axis.high[i] = (low + 1).coerceIn(first, last) * step
          axis.share[i] = Math.rint((place - low) * WHOLE).toInt()
        }
        return axis
      }
      val last = start + count - 1
      val halves = DoubleArray(size) { (positions[it] + 0.5) / 2 - 0.5 }
      return Axes(
        axis(frame.y, positions, start, last),
        axis(frame.u, halves, start / 2, last / 2),
        axis(frame.v, halves, start / 2, last / 2),
      )
    }
  }

  private companion object {
    const val WHOLE = 2048 // the sum of two shares: 255 * WHOLE * WHOLE fits 31 bits
    const val DROPPED = 14 // bits, so that 8 of a mixture's 22 are left
    const val HALF = 1 shl (DROPPED - 1)
    const val NEUTRAL = 128 shl 8
    const val ONE = 1024
    const val RED_V = 1436 // 1.402
    const val GREEN_U = 352 // 0.344136
    const val GREEN_V = 731 // 0.714136
    const val BLUE_U = 1815 // 1.772
    const val SHIFT = 18 // 256ths times 1024ths
    const val ROUND = 1 shl (SHIFT - 1)
  }
}
