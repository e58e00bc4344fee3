package org.fastscnn.core

/**
 * What an app must know to use a model.
 *
 * @property names of the classes, in index order.
 * @property colors RGB of the classes, 0xRRGGBB.
 * @property mean RGB, 0..255: what the model takes as zero.
 * @property std RGB: what is one unit of a float input.
 * @property sampling how logits are upsampled, see [Taps.of].
 * @property source where these come from, for people.
 */
class ModelInfo(
  val file: ModelFile,
  val names: List<String>,
  val colors: List<Int>,
  val mean: List<Double>,
  val std: List<Double>,
  val sampling: String,
  val source: String,
  private val metadata: Map<String, Any?>,
) {
  /** The settings that came inside the metadata, or null. */
  val settings: Any?
    get() = metadata["settings"]

  companion object {
    private const val LABELS = "labels.txt"
    private const val COLORS = "colors.csv"
    private val GREY = listOf(128.0, 128.0, 128.0)

    /**
     * Reads it from the file itself, else from `<model>.json`, else from the labels behind it.
     *
     * @param sidecar the text of `<model>.json`, or null where there is none.
     * @throws Failure the file is no segmentation model, the sidecar is another file's, or nothing
     *   says what must be known.
     */
    fun read(name: String, content: ByteArray, sidecar: String?): ModelInfo {
      val file = ModelFile.read(name, content)
      if (file.metadata.isNotEmpty()) return fromMetadata(file, file.metadata, "inside the file")
      if (sidecar != null) {
        val beside = Json.parseObject(sidecar, "$name.json")
        val other = beside["sha256"] as? String
        if (other != null && other != file.sha256) {
          throw Failure(
            "$name.json belongs to another model: it names SHA-256 ${other.take(12)}..., $name " +
              "has ${file.sha256.take(12)}...: copy both files anew"
          )
        }
        return fromMetadata(file, beside, "$name.json")
      }
      return fromLabels(file, AppendedFiles.read(name, content))
    }

    private fun fromMetadata(file: ModelFile, found: Map<String, Any?>, source: String): ModelInfo {
      val names = (found["class_names"] as? List<*>)?.map { it.toString() } ?: emptyList()
      val colors = (found["class_colors"] as? List<*>)?.map(::color) ?: emptyList()
      val config = found["config"] as? Map<*, *>
      fun has(field: String) = "logits" in (config?.get(field) as? List<*> ?: emptyList<Any>())
      val sampling =
        when {
          has("nearest") -> Taps.NEAREST
          has("align_corners") -> Taps.ALIGNED
          else -> Taps.HALF_PIXEL
        }
      val mean = triple(found["mean"]) ?: GREY
      val std = triple(found["std"]) ?: GREY
      if (std.any { it <= 0 }) throw Failure("$source: std must be positive, got $std")
      return made(file, names, colors, Pair(mean, std), sampling, source, found)
    }

    private fun fromLabels(file: ModelFile, files: Map<String, ByteArray>): ModelInfo {
      val name = file.name
      val labels = files[LABELS]?.decodeToString()?.lines()?.filter { it.isNotBlank() }
      if (labels == null) {
        throw Failure(
          "$name says nothing about its classes: put $name.json beside it (fastscnn export " +
            "writes both)"
        )
      }
      if (file.input.type == ElementType.FLOAT32) {
        throw Failure(
          "$name takes float32 pictures, and nothing says their mean and std: put $name.json " +
            "beside it, or export it with --input uint8"
        )
      }
      val rows = files[COLORS]?.decodeToString().orEmpty().lines().map { it.split(',') }
      val numbers = rows.map { row -> row.mapNotNull { it.trim().toLongOrNull() } }
      val channels = numbers.filter { it.size == 4 }.map { it.drop(1) } // index,red,green,blue
      return made(
        file, labels, channels.map(::color), Pair(GREY, GREY), Taps.HALF_PIXEL, "labels in the file",
        emptyMap(),
      )
    }

    private fun made(
      file: ModelFile,
      names: List<String>,
      colors: List<Int>,
      scale: Pair<List<Double>, List<Double>>,
      sampling: String,
      source: String,
      metadata: Map<String, Any?>,
    ): ModelInfo {
      if (names.isNotEmpty() && names.size != file.classes) {
        throw Failure(
          "${file.name}: $source names ${names.size} classes, its output has ${file.classes}"
        )
      }
      val known = names.ifEmpty { List(file.classes) { "class_$it" } }
      val shown = if (colors.size == file.classes) colors else palette(file.classes)
      return ModelInfo(file, known, shown, scale.first, scale.second, sampling, source, metadata)
    }

    private fun triple(value: Any?): List<Double>? =
      (value as? List<*>)?.mapNotNull { (it as? Number)?.toDouble() }?.takeIf { it.size == 3 }

    private fun color(value: Any?): Int =
      ((value as? List<*>).orEmpty()).fold(0) { all, channel ->
        (all shl 8) or ((channel as? Number)?.toInt() ?: 0).coerceIn(0, 255)
      }

    /** Hues by the golden ratio, two brightness levels, for models that bring no colours. */
    private fun palette(count: Int): List<Int> =
      List(count) {
        val hue = 6 * ((it * 0.618034) % 1.0)
        val value = if (it % 2 == 1) 0.95 else 0.65
        fun channel(shift: Int): Int {
          val k = (shift + hue) % 6
          val part = minOf(k, 4 - k, 1.0).coerceAtLeast(0.0)
          return Math.rint(255 * value * (1 - 0.75 * part)).toInt()
        }
        (channel(5) shl 16) or (channel(3) shl 8) or channel(1)
      }
  }
}
