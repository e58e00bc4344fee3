package org.fastscnn.core

/**
 * Options that make a runtime load or write files: whoever made a model chose them, and its SHA-256
 * proves nothing. They are left out unless the app was told to trust its settings.
 */
internal object Guarded {
  /** Those of `fastscnn_tf/delegates` that are `guarded`; a test compares the two. */
  private val NAMES =
    setOf(
      "cpu.weight_cache_dir",
      "gpu.serialization_dir",
      "gpu.model_token",
      "nnapi.cache_dir",
      "nnapi.model_token",
      "nnapi.support_library_path",
      "npu.dispatch_library_dir",
      "npu.compiler_plugin_dir",
      "npu.compiler_cache_dir",
      "npu.qualcomm.ir_json_dir",
      "npu.qualcomm.dlc_dir",
      "npu.qualcomm.saver_output_dir",
      "npu.mediatek.dla_dir",
      "npu.mediatek.aot_compilation_options",
      "npu.google_tensor.op_filters_proto",
      "npu.google_tensor.extra_options_path",
      "npu.intel_openvino.configs",
    )
  /** What has no meaning without another option of the same part. */
  private val NEEDS = mapOf("gpu.serialize_program_cache" to "serialization_dir")
  private const val LONGEST = 60

  /** [values] without these options; each goes into [ignored] as `npu.dispatch_library_dir=lib`. */
  fun without(
    values: Map<String, Any?>,
    part: String,
    ignored: MutableList<String>,
  ): Map<String, Any?> {
    val kept = LinkedHashMap<String, Any?>()
    for ((name, value) in values) {
      val full = "$part.$name"
      val needed = NEEDS[full]?.let { values[it] }
      @Suppress("UNCHECKED_CAST")
      if (value is Map<*, *>) {
        kept[name] = without(value as Map<String, Any?>, full, ignored)
      } else if (value != null && (full in NAMES || needed != null)) {
        ignored += "$full=${shown(value)}"
      } else {
        kept[name] = value
      }
    }
    return kept
  }

  private fun shown(value: Any): String {
    val text = if (value is List<*>) value.joinToString(",") else value.toString()
    val visible = text.map { if (it.isISOControl() || it in FORMAT) '?' else it }.joinToString("")
    return if (visible.length <= LONGEST) visible else visible.take(LONGEST - 3) + "..."
  }

  /** Marks of direction and line ends that are no control characters. */
  private val FORMAT = ('\u2028'..'\u202e') + ('\u2066'..'\u2069') + '\u200e' + '\u200f'
}
