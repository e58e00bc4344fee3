package org.fastscnn.core

/** Class indices (height, width), row by row, as bytes. */
class LabelMap(val height: Int, val width: Int, val labels: ByteArray) {
  /** Share of the pixels that each of the classes has, 0..1. */
  fun shares(classes: Int): DoubleArray {
    val counts = IntArray(256)
    for (label in labels) counts[label.toInt() and 0xff]++
    return DoubleArray(classes) { counts[it].toDouble() / labels.size }
  }

  companion object {
    private const val STRIDE = 32 // a network pads its input to multiples of it

    /**
     * The label map of the picture that lies in [box] of a model's input.
     *
     * @param logits at 1/8 of the input (padded to multiples of 32), or of its size.
     * @param height of the input.
     * @param width of the input.
     * @param sampling how they are upsampled, see [Taps.of].
     * @param toHeight of the label map; by default the box's own, where the result is exact.
     * @param toWidth of the label map.
     */
    fun of(
      logits: Logits,
      height: Int,
      width: Int,
      sampling: String = Taps.HALF_PIXEL,
      box: Box = Box.whole(height, width),
      toHeight: Int = box.height,
      toWidth: Int = box.width,
    ): LabelMap {
      val isOwnSize = toHeight == box.height && toWidth == box.width
      val isFull = logits.height == height && logits.width == width
      if (isOwnSize && sampling == Taps.HALF_PIXEL && !isFull && isEighth(logits, height, width)) {
        val whole = EighthsUpsampler.labels(logits)
        return cut(whole, logits.width * EighthsUpsampler.FACTOR, box)
      }
      val rows = axis(logits.height, height, isFull, sampling, box.top, box.height, toHeight)
      val columns = axis(logits.width, width, isFull, sampling, box.left, box.width, toWidth)
      return LabelMap(toHeight, toWidth, interpolated(logits, rows, columns))
    }

    private fun padded(side: Int): Int = (side + STRIDE - 1) / STRIDE * STRIDE

    private fun isEighth(logits: Logits, height: Int, width: Int): Boolean {
      val factor = EighthsUpsampler.FACTOR
      return logits.height * factor == padded(height) && logits.width * factor == padded(width)
    }

    private fun cut(labels: ByteArray, stride: Int, box: Box): LabelMap {
      if (box.left == 0 && box.width == stride && box.height * stride == labels.size) {
        return LabelMap(box.height, box.width, labels)
      }
      val inner = ByteArray(box.height * box.width)
      for (y in 0 until box.height) {
        val from = (box.top + y) * stride + box.left
        labels.copyInto(inner, y * box.width, from, from + box.width)
      }
      return LabelMap(box.height, box.width, inner)
    }

    /** Logits to the padded size, cut to the picture, then to the target. */
    private fun axis(
      source: Int,
      side: Int,
      isFull: Boolean,
      sampling: String,
      origin: Int,
      inner: Int,
      target: Int,
    ): Taps {
      val first = if (isFull) Taps.same(side) else Taps.of(source, padded(side), sampling)
      val cut = first.slice(origin, inner)
      return if (inner == target) cut else cut.then(Taps.of(inner, target))
    }

    /** The argmax of interpolated logits; where all cells that a pixel reads agree, so does it. */
    private fun interpolated(logits: Logits, rows: Taps, columns: Taps): ByteArray {
      val winners = logits.winners()
      val labels = ByteArray(rows.size * columns.size)
      val agreed = IntArray(logits.width) // the winner of a column's cells, -1 where they differ
      for (y in 0 until rows.size) {
        val first = rows.first(y)
        val vertical = rows.weights(y)
        for (x in agreed.indices) {
          val top = winners[first * logits.width + x]
          val same = vertical.indices.all { winners[(first + it) * logits.width + x] == top }
          agreed[x] = if (same) top.toInt() and 0xff else -1
        }
        for (x in 0 until columns.size) {
          val left = columns.first(x)
          val horizontal = columns.weights(x)
          val one = agreed[left]
          val same = one >= 0 && horizontal.indices.all { agreed[left + it] == one }
          val label = if (same) one else best(logits, first, vertical, left, horizontal)
          labels[y * columns.size + x] = label.toByte()
        }
      }
      return labels
    }

    private fun best(
      logits: Logits,
      top: Int,
      vertical: FloatArray,
      left: Int,
      horizontal: FloatArray,
    ): Int {
      var best = Double.NEGATIVE_INFINITY
      var label = 0
      for (c in 0 until logits.classes) {
        var value = 0.0
        for (i in vertical.indices) {
          val row = (top + i) * logits.width + left
          for (j in horizontal.indices) {
            val weight = vertical[i].toDouble() * horizontal[j]
            value += weight * logits.values[(row + j) * logits.classes + c]
          }
        }
        if (value > best) {
          best = value
          label = c
        }
      }
      return label
    }
  }
}
