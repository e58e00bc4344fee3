package org.fastscnn.core

/** How a picture comes to a model's size: [STRETCH] fills it, [LETTERBOX] keeps its proportions. */
enum class Fit {
  STRETCH,
  LETTERBOX,
}

/** Where a picture lies in another, in pixels. */
data class Box(val top: Int, val left: Int, val height: Int, val width: Int) {
  companion object {
    /** All of it. */
    fun whole(height: Int, width: Int): Box = Box(0, 0, height, width)

    /**
     * The largest box of a picture's proportions in the middle of another; sides are rounded (half
     * to even) to whole pixels, at least one; an odd rest is larger below and on the right.
     */
    fun letterbox(height: Int, width: Int, intoHeight: Int, intoWidth: Int): Box {
      // Whole numbers decide which side fills it: a float ratio may miss it by a pixel.
      val isTall = height.toLong() * intoWidth >= width.toLong() * intoHeight
      val high = if (isTall) intoHeight else side(height.toLong() * intoWidth, width)
      val wide = if (isTall) side(width.toLong() * intoHeight, height) else intoWidth
      return Box((intoHeight - high) / 2, (intoWidth - wide) / 2, high, wide)
    }

    private fun side(product: Long, divisor: Int): Int =
      maxOf(1, Math.rint(product.toDouble() / divisor).toInt())

    /** Where a picture of this size lies in a model's input. */
    fun of(fit: Fit, height: Int, width: Int, modelHeight: Int, modelWidth: Int): Box =
      when (fit) {
        Fit.STRETCH -> whole(modelHeight, modelWidth)
        Fit.LETTERBOX -> letterbox(height, width, modelHeight, modelWidth)
      }
  }
}
