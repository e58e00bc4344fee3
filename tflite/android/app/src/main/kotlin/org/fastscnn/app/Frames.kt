package org.fastscnn.app

import androidx.camera.core.ImageProxy
import org.fastscnn.core.Box
import org.fastscnn.core.YuvFrame

/** Copies camera frames; the memory is kept while the camera gives frames of one kind. */
class Frames {
  private var frame: YuvFrame? = null

  fun copy(image: ImageProxy): YuvFrame {
    val area = image.cropRect
    val crop = Box(area.top, area.left, area.height(), area.width())
    val ready =
      frame?.takeIf { it.width == image.width && it.height == image.height && it.crop == crop }
        ?: YuvFrame(image.width, image.height, crop)
    frame = ready
    return ready.fill(image.planes.map { YuvFrame.Source(it.buffer, it.rowStride, it.pixelStride) })
  }
}
