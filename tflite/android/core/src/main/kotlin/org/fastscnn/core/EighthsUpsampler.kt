package org.fastscnn.core

/**
 * The label map at the input's size from logits at 1/8 of it, exactly, without upsampling them all.
 *
 * Bilinear upsampling by 8 with half-pixel centres lays an 8x8 block of pixels between every four
 * neighbouring logits (at the edges the outermost count twice). Every pixel of a block is a
 * weighted mean of its four corners, so a class that wins all four corners wins the whole block.
 * Only blocks on borders of classes are interpolated, and of them only the classes that may win
 * somewhere inside: those whose greatest corner reaches the best of the classes' least corners. A
 * class that wins no corner may be among them.
 *
 * The weights are products of odd sixteenths, in 256ths here: with logits of bytes the sums are
 * integers that a double holds exactly, with floats they are those of float64.
 */
object EighthsUpsampler {
  const val FACTOR = 8
  private const val HALF = FACTOR / 2

  /** What each of the four corners weighs in each pixel of a block, in 256ths. */
  private val WEIGHTS =
    DoubleArray(4 * FACTOR * FACTOR) {
      val (pixel, corner) = Pair(it / 4, it % 4)
      val below = axisWeight(pixel / FACTOR)
      val beside = axisWeight(pixel % FACTOR)
      val vertical = if (corner >= 2) below else 2 * FACTOR - below
      val horizontal = if (corner % 2 == 1) beside else 2 * FACTOR - beside
      (vertical * horizontal).toDouble()
    }

  private fun axisWeight(pixel: Int): Int = 2 * pixel + 1 // sixteenths of the farther corner

  /** (8 h, 8 w) class indices; the lowest index wins a tie. */
  fun labels(logits: Logits): ByteArray {
    val winners = logits.winners()
    val labels = filled(logits, winners)
    val block = Block(logits)
    for (row in 0..logits.height) {
      for (column in 0..logits.width) {
        block.place(row, column)
        if (!block.isOneClass(winners)) block.write(labels, row, column)
      }
    }
    return labels
  }

  /** Where four corners agree, so does the nearest cell. */
  private fun filled(logits: Logits, winners: ByteArray): ByteArray {
    val stride = logits.width * FACTOR
    val labels = ByteArray(logits.height * FACTOR * stride)
    for (y in 0 until logits.height) {
      val start = y * FACTOR * stride
      for (x in 0 until logits.width) {
        val from = start + x * FACTOR
        labels.fill(winners[y * logits.width + x], from, from + FACTOR)
      }
      for (line in 1 until FACTOR) {
        labels.copyInto(labels, start + line * stride, start, start + stride)
      }
    }
    return labels
  }

  /** The block whose lower right corner is cell (row, column). */
  private class Block(private val logits: Logits) {
    private val values = logits.values
    private val cells = IntArray(4)
    private val starts = IntArray(4) // of the cells, among the values
    private val candidates = IntArray(logits.classes)
    private val corners = DoubleArray(4 * logits.classes) // of the candidates

    fun place(row: Int, column: Int) {
      val width = logits.width
      val above = maxOf(row - 1, 0) * width
      val below = minOf(row, logits.height - 1) * width
      val left = maxOf(column - 1, 0)
      val right = minOf(column, width - 1)
      cells[0] = above + left
      cells[1] = above + right
      cells[2] = below + left
      cells[3] = below + right
    }

    fun isOneClass(winners: ByteArray): Boolean {
      val first = winners[cells[0]]
      return first == winners[cells[1]] && first == winners[cells[2]] && first == winners[cells[3]]
    }

    /** The classes that may win somewhere inside, ascending, with their corners; how many. */
    private fun findCandidates(): Int {
      for (corner in 0 until 4) starts[corner] = cells[corner] * logits.classes
      var least = Float.NEGATIVE_INFINITY
      for (c in 0 until logits.classes) least = maxOf(least, starts.minOf { values[it + c] })
      var count = 0
      for (c in 0 until logits.classes) {
        if (starts.none { values[it + c] >= least }) continue
        candidates[count] = c
        for (i in 0 until 4) corners[4 * count + i] = values[starts[i] + c].toDouble()
        count++
      }
      return count
    }

    /** Half of a block at an edge lies outside and is left out. */
    fun write(labels: ByteArray, row: Int, column: Int) {
      val count = findCandidates()
      val stride = logits.width * FACTOR
      for (y in 0 until FACTOR) {
        val line = row * FACTOR - HALF + y
        if (line < 0 || line >= logits.height * FACTOR) continue
        for (x in 0 until FACTOR) {
          val place = column * FACTOR - HALF + x
          if (place in 0 until stride) {
            labels[line * stride + place] = winner(y * FACTOR + x, count)
          }
        }
      }
    }

    private fun winner(pixel: Int, count: Int): Byte {
      val first = WEIGHTS[4 * pixel]
      val second = WEIGHTS[4 * pixel + 1]
      val third = WEIGHTS[4 * pixel + 2]
      val fourth = WEIGHTS[4 * pixel + 3]
      var best = Double.NEGATIVE_INFINITY
      var label = 0
      for (i in 0 until count) {
        val at = 4 * i
        val value =
          first * corners[at] + second * corners[at + 1] + third * corners[at + 2] +
            fourth * corners[at + 3]
        if (value > best) {
          best = value
          label = candidates[i]
        }
      }
      return label.toByte()
    }
  }
}
