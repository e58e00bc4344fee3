package org.fastscnn.app

import android.content.Context
import java.io.FileNotFoundException
import org.fastscnn.core.DeviceSettings
import org.fastscnn.core.EnginePlan
import org.fastscnn.core.ModelInfo
import org.fastscnn.core.Opened
import org.fastscnn.core.Segmenter

/** The models among the app's assets. */
object Models {
  /** Whether paths in settings count: say true if you wrote every `*.settings.json` yourself. */
  private const val TRUST_SETTINGS = false

  fun names(context: Context): List<String> =
    context.assets.list("").orEmpty().filter { it.endsWith(".tflite") }.sorted()

  /**
   * Opens a model on the calling thread, which must be the one that runs it.
   *
   * @throws org.fastscnn.core.Failure one line for the person.
   */
  fun open(context: Context, name: String): OpenModel {
    val content = context.assets.open(name).use { it.readBytes() }
    val info = ModelInfo.read(name, content, text(context, "$name.json"))
    val beside = text(context, name + DeviceSettings.SUFFIX)
    val settings = DeviceSettings.of(info, beside, trusted = TRUST_SETTINGS)
    val plan = EnginePlan.of(info, settings, Engine.BUILD)
    val opened =
      Opened.first(name, plan) { attempt, notes ->
        Engine.open(context, info, settings, attempt, notes)
      }
    return OpenModel(Segmenter(info, opened.network, opacity = 1.0), opened.notes)
  }

  private fun text(context: Context, name: String): String? =
    try {
      context.assets.open(name).use { it.readBytes().decodeToString() }
    } catch (_: FileNotFoundException) {
      null
    }
}

/** A model that runs, and what is not as its settings have it. */
class OpenModel(val segmenter: Segmenter, val notes: List<String>)
