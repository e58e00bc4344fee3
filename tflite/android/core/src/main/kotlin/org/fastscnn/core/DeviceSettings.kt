package org.fastscnn.core

/** Options of a delegate as they stand in a settings file; those without a place are reported. */
class Options(private val part: String, private val values: Map<String, Any?>) {
  private val taken = HashSet<String>()

  fun flag(name: String): Boolean? = take(name, "true or false")

  fun text(name: String): String? = take(name, "text")

  fun number(name: String): Int? =
    take<Long>(name, "a whole number")?.let {
      if (it in Int.MIN_VALUE..Int.MAX_VALUE) it.toInt() else throw bad(name, "a number of 32 bits")
    }

  fun texts(name: String): List<String>? = take<List<*>>(name, "names")?.map { it.toString() }

  /** Options of their own: a vendor's. */
  fun part(name: String): Options? =
    take<Map<String, Any?>>(name, "named values")?.let { Options("$part.$name", it) }

  /** The options that nobody took, as `gpu.wait_type=active`. */
  fun left(): List<String> =
    values.filter { (name, value) -> value != null && name !in taken }
      .map { (name, value) -> "$part.$name=${Json.write(value).trim('"')}" }

  private inline fun <reified T> take(name: String, expected: String): T? {
    taken += name
    val value = values[name] ?: return null
    return value as? T ?: throw bad(name, expected)
  }

  private fun bad(name: String, expected: String) =
    Failure("settings: $part.$name must be $expected, got ${Json.write(values[name])}")
}

/** What runs a model. */
enum class Accelerator {
  CPU,
  GPU,
  NNAPI,
  NPU,
}

/** Which API runs it. */
enum class Api {
  INTERPRETER,
  COMPILED_MODEL,
  LITERT_JS,
}

/**
 * What travels with a model in `<model>.settings.json`, written by `fastscnn settings`.
 *
 * @property cpuFallback false: what the accelerator refuses is an error.
 * @property ignored paths that came with the model and do not count, as `gpu.serialization_dir=x`.
 */
class DeviceSettings
private constructor(
  val device: String?,
  val accelerator: Accelerator,
  val api: Api,
  val cpuFallback: Boolean?,
  private val parts: Map<String, Map<String, Any?>>,
  val ignored: List<String>,
) {
  /** A fresh view of `cpu`, `gpu`, `nnapi` or `npu`; empty where nothing is said. */
  fun part(name: String): Options = Options(name, parts[name].orEmpty())

  companion object {
    const val SUFFIX = ".settings.json"
    private const val FORMAT = 1L
    private val PARTS = listOf("cpu", "gpu", "nnapi", "npu")

    /**
     * The settings of a model: [beside] it, else those that came inside its metadata, else null.
     *
     * @param trusted paths in them count: for settings that you wrote yourself.
     * @throws Failure they are another model's (SHA-256), of another format, or not valid.
     */
    fun of(info: ModelInfo, beside: String?, trusted: Boolean = false): DeviceSettings? {
      val where = "${info.file.name}$SUFFIX"
      if (beside == null) {
        return info.settings?.let { of(it, "${info.file.name}: settings inside the file", trusted) }
      }
      val found = Json.parseObject(beside, where)
      if ("settings" !in found || "sha256" !in found) {
        throw Failure("$where: no settings file: expected sha256 and settings")
      }
      if (found["format"] != FORMAT) {
        throw Failure(
          "$where: settings of format ${found["format"]}, this app reads $FORMAT: write them " +
            "anew with fastscnn settings, or update the app"
        )
      }
      val digest = found["sha256"].toString()
      if (digest != info.file.sha256) {
        throw Failure(
          "$where belongs to another model: it names SHA-256 ${digest.take(12)}..., " +
            "${info.file.name} has ${info.file.sha256.take(12)}...: write it anew with " +
            "fastscnn settings ${info.file.name} --for DEVICE --force, or delete it"
        )
      }
      return of(found["settings"], where, trusted)
    }

    @Suppress("UNCHECKED_CAST")
    private fun of(values: Any?, where: String, trusted: Boolean): DeviceSettings {
      val all = values as? Map<String, Any?> ?: throw Failure("$where: expected named values")
      val known = PARTS + listOf("device", "accelerator", "api", "cpu_fallback")
      all.keys.firstOrNull { it !in known }?.let {
        throw Failure("$where: unknown option '$it': expected one of ${known.joinToString()}")
      }
      val options = Options("settings", all)
      val parts =
        PARTS.filter { all[it] != null }.associateWith {
          all[it] as? Map<String, Any?> ?: throw Failure("$where: $it: expected named values")
        }
      val ignored = ArrayList<String>()
      return DeviceSettings(
        options.text("device"),
        choice(where, "accelerator", options.text("accelerator") ?: "cpu"),
        choice(where, "api", options.text("api") ?: "interpreter"),
        options.flag("cpu_fallback"),
        if (trusted) parts else parts.mapValues { Guarded.without(it.value, it.key, ignored) },
        ignored,
      )
    }

    private inline fun <reified T : Enum<T>> choice(where: String, name: String, value: String): T {
      val choices = enumValues<T>()
      return choices.firstOrNull { it.name.lowercase() == value }
        ?: throw Failure(
          "$where: $name must be ${choices.joinToString { it.name.lowercase() }}, got $value"
        )
    }
  }
}
