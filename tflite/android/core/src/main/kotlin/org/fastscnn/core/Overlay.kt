package org.fastscnn.core

/** Colours for a label map, as ARGB pixels (0xAARRGGBB) that lie over a picture. */
class Overlay(colors: List<Int>, opacity: Double = 0.5) {
  private val table = IntArray(256) // what is no class stays transparent

  init {
    require(opacity in 0.0..1.0) { "opacity must be 0..1, got $opacity" }
    val alpha = Math.rint(opacity * 255).toInt() shl 24
    colors.forEachIndexed { i, color -> table[i] = alpha or (color and 0xffffff) }
  }

  /** One pixel for each label, into [pixels] if it has room. */
  fun paint(map: LabelMap, pixels: IntArray = IntArray(map.labels.size)): IntArray {
    for (i in map.labels.indices) pixels[i] = table[map.labels[i].toInt() and 0xff]
    return pixels
  }
}
