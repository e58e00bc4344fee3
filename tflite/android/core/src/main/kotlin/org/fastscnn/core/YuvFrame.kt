package org.fastscnn.core

import java.nio.ByteBuffer

/**
 * A camera's picture as Android gives it (`ImageFormat.YUV_420_888`): a plane of luma, and U and V
 * at half its width and height. Rows may be longer than the picture, and U and V may alternate in
 * one piece of memory (pixel stride 2).
 *
 * Copied out of the camera's buffers, where single bytes are slow to read.
 *
 * @property width of the luma plane.
 * @property height of the luma plane.
 * @property crop the part that counts.
 */
class YuvFrame(val width: Int, val height: Int, crop: Box? = null) {
  val crop: Box = crop ?: Box.whole(height, width)
  val y = Plane()
  val u = Plane()
  val v = Plane()

  init {
    val area = this.crop
    val isInside = area.top >= 0 && area.left >= 0 && area.height > 0 && area.width > 0
    if (!isInside || area.top + area.height > height || area.left + area.width > width) {
      throw Failure("a frame of ${width}x$height was to be cropped to $area")
    }
  }

  /** Height and width of the picture once it is turned by [rotation] degrees. */
  fun uprightSize(rotation: Int): Pair<Int, Int> =
    if (rotation % 180 == 0) Pair(crop.height, crop.width) else Pair(crop.width, crop.height)

  /** Copies the planes. @throws Failure a plane is too short for the picture. */
  fun fill(planes: List<Source>): YuvFrame {
    if (planes.size != 3) throw Failure("expected a YUV_420_888 frame, got ${planes.size} planes")
    y.fill(planes[0], width, height)
    u.fill(planes[1], (width + 1) / 2, (height + 1) / 2)
    v.fill(planes[2], (width + 1) / 2, (height + 1) / 2)
    return this
  }

  /** A plane in the camera's memory; [buffer] is read from its beginning. */
  class Source(val buffer: ByteBuffer, val rowStride: Int, val pixelStride: Int)

  /** A plane's bytes; kept from frame to frame. */
  class Plane {
    var data = ByteArray(0)
      private set

    var rowStride = 0
      private set

    var pixelStride = 1
      private set

    internal fun fill(source: Source, width: Int, height: Int) {
      rowStride = source.rowStride
      pixelStride = source.pixelStride
      val from = source.buffer.duplicate()
      from.rewind()
      // The last row ends with its last pixel.
      val needed = (height - 1) * rowStride + (width - 1) * pixelStride + 1
      if (from.remaining() < needed) {
        throw Failure("a camera's plane has ${from.remaining()} bytes, expected $needed")
      }
      if (data.size < needed) data = ByteArray(needed)
      from.get(data, 0, needed)
    }
  }
}
