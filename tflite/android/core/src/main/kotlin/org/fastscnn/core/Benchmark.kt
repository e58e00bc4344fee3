package org.fastscnn.core

import java.nio.ByteBuffer
import java.util.Locale

/** Times of each step on frames that are the same on every device. */
object Benchmark {
  const val WARM_UP = 10
  const val FRAMES = 50
  private const val HEIGHT = 480
  private const val WIDTH = 640

  /**
   * Segments [WARM_UP] frames and then [FRAMES] timed ones.
   *
   * @param onProgress frames done, of how many.
   */
  fun run(segmenter: Segmenter, onProgress: (Int, Int) -> Unit): Map<String, StepTimes.Summary> {
    val frame = frame()
    repeat(WARM_UP + FRAMES) {
      segmenter.segment(frame, 90, false, Fit.LETTERBOX) // a phone held upright
      onProgress(it + 1, WARM_UP + FRAMES)
    }
    segmenter.times.keep(FRAMES)
    return segmenter.times.summary()
  }

  /** A frame as most cameras give it (NV21), of fixed contents: slopes with edges. */
  fun frame(): YuvFrame {
    val luma = ByteBuffer.allocate(HEIGHT * WIDTH)
    for (i in 0 until HEIGHT * WIDTH) {
      val (row, column) = Pair(i / WIDTH, i % WIDTH)
      luma.put((row * 255 / HEIGHT + (column / 80 + row / 60) % 2 * 60 and 0xff).toByte())
    }
    val chroma = ByteBuffer.allocate(HEIGHT * WIDTH / 2)
    for (i in 0 until HEIGHT * WIDTH / 2) chroma.put((96 + i / WIDTH % 64).toByte())
    chroma.position(1)
    val u = YuvFrame.Source(chroma.slice(), WIDTH, 2)
    chroma.position(0)
    return YuvFrame(WIDTH, HEIGHT)
      .fill(listOf(YuvFrame.Source(luma, WIDTH, 1), u, YuvFrame.Source(chroma, WIDTH, 2)))
  }

  /** What a person can send back. */
  fun report(
    segmenter: Segmenter,
    times: Map<String, StepTimes.Summary>,
    notes: List<String>,
    device: Map<String, Any>,
  ): Map<String, Any> =
    mapOf(
      "format" to 1,
      "device" to device,
      "model" to segmenter.info.file.name,
      "sha256" to segmenter.info.file.sha256,
      "runs" to segmenter.network.runs,
      "notes" to notes,
      "frame" to "${WIDTH}x$HEIGHT",
      "warm_up" to WARM_UP,
      "steps" to times.mapValues { it.value.toMap() },
    )

  /** For people. */
  fun table(
    segmenter: Segmenter,
    times: Map<String, StepTimes.Summary>,
    notes: List<String>,
  ): String {
    val rows =
      times.map { (step, it) ->
        String.format(Locale.ROOT, "%-8s median %7.1f  p90 %7.1f ms", step, it.median, it.p90)
      }
    val head = listOf(segmenter.info.file.name, segmenter.network.runs)
    return (head + rows + notes).joinToString("\n")
  }
}
