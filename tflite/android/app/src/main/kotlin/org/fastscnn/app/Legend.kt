package org.fastscnn.app

import android.text.SpannableStringBuilder
import android.text.Spanned
import android.text.style.ForegroundColorSpan
import java.util.Locale
import org.fastscnn.core.ModelInfo

/** The classes in a picture with their colours and shares, the largest first. */
object Legend {
  private const val SMALLEST = 0.001

  fun text(info: ModelInfo, shares: DoubleArray): CharSequence {
    val text = SpannableStringBuilder()
    for (index in shares.indices.sortedByDescending { shares[it] }) {
      if (shares[index] < SMALLEST) break
      val start = text.length
      text.append("\u25A0")
      val color = ForegroundColorSpan(info.colors[index] or (0xff shl 24))
      text.setSpan(color, start, text.length, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
      val share = String.format(Locale.getDefault(), "%.1f", 100 * shares[index])
      text.append("\u00a0${info.names[index]}\u00a0$share\u00a0%   ")
    }
    return text
  }
}
