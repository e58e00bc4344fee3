package org.fastscnn.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Rect
import android.view.View
import org.fastscnn.core.Box
import org.fastscnn.core.Segmentation

/** The colours of a label map over the preview, which shows the same picture as large as fits. */
class OverlayView(context: Context) : View(context) {
  private val paint = Paint()
  private val area = Rect()
  private var bitmap: Bitmap? = null
  private var picture = Pair(1, 1)

  /** 0 shows the picture, 1 the colours. */
  var opacity = 0.5f
    set(value) {
      field = value
      invalidate()
    }

  /**
   * Shows a result, on the main thread.
   *
   * @param size (height, width) of the upright picture, whose proportions a stretched label map has
   *   lost.
   */
  fun show(result: Segmentation, size: Pair<Int, Int>) {
    val (high, wide) = Pair(result.map.height, result.map.width)
    val ready =
      bitmap?.takeIf { it.width == wide && it.height == high }
        ?: Bitmap.createBitmap(wide, high, Bitmap.Config.ARGB_8888)
    ready.setPixels(result.pixels, 0, wide, 0, 0, wide, high)
    bitmap = ready
    picture = size
    invalidate()
  }

  override fun onDraw(canvas: Canvas) {
    super.onDraw(canvas)
    val shown = bitmap ?: return
    if (width == 0 || height == 0) return
    val box = Box.letterbox(picture.first, picture.second, height, width)
    area.set(box.left, box.top, box.left + box.width, box.top + box.height)
    paint.alpha = Math.round(opacity * 255)
    canvas.drawBitmap(shown, null, area, paint) // unfiltered: a mixture of two classes is none
  }
}
