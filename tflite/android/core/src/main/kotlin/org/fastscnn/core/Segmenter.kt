package org.fastscnn.core

/** One frame's result. */
class Segmentation(val map: LabelMap, val pixels: IntArray, val shares: DoubleArray)

/**
 * From a camera's frame to colours over it: convert, network, labels, draw, each timed.
 *
 * Not for several threads; a delegate wants the thread that made it.
 */
class Segmenter(val info: ModelInfo, val network: Network, opacity: Double = 0.5) : AutoCloseable {
  private val file = info.file
  private val converter = YuvConverter(file.height, file.width, info.mean)
  private val writer = InputWriter(info)
  private val overlay = Overlay(info.colors, opacity)

  /** Times of the steps [STEPS]. */
  val times = StepTimes()

  /** @throws Failure the network fails, or its output is not what the file says. */
  fun segment(frame: YuvFrame, rotation: Int, mirrored: Boolean, fit: Fit): Segmentation {
    val start = System.nanoTime()
    lateinit var box: Box
    val input =
      times.measure(STEPS[0]) {
        box = converter.convert(frame, rotation, mirrored, fit)
        writer.write(converter.rgb)
      }
    val output = times.measure(STEPS[1]) { ran(input) }
    val map =
      times.measure(STEPS[2]) {
        val logits = Logits.of(file.output, output)
        LabelMap.of(logits, file.height, file.width, info.sampling, box)
      }
    val result =
      times.measure(STEPS[3]) {
        Segmentation(map, overlay.paint(map), map.shares(info.names.size))
      }
    times.add(TOTAL, System.nanoTime() - start)
    return result
  }

  private fun ran(input: Values): Values =
    try {
      network.run(input)
    } catch (error: Exception) {
      throw Failure(
        "${network.runs} failed on ${file.name} (${reasonOf(error)}): choose another accelerator " +
          "(fastscnn settings ${file.name} --for DEVICE)"
      )
    }

  override fun close() = network.close()

  companion object {
    val STEPS = listOf("convert", "network", "labels", "draw")
    const val TOTAL = "total"
  }
}
