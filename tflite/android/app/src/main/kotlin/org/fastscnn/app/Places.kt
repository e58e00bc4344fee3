package org.fastscnn.app

import android.content.Context
import java.io.File
import org.fastscnn.core.Failure
import org.fastscnn.core.ModelFile
import org.fastscnn.core.Options

/** A folder of the settings: a relative one lies in the app's code cache. */
fun privateFolder(context: Context, path: String): String {
  val folder = if (path.startsWith("/")) File(path) else File(context.codeCacheDir, path)
  folder.mkdirs()
  return folder.path
}

/** What names a model's entries in a cache, which another model must not share. */
fun modelToken(model: ModelFile): String =
  "${model.name.removeSuffix(".tflite")}-${model.sha256.take(16)}"

/** An option that is one of an API's own names. @throws Failure it is none of them. */
inline fun <reified T : Enum<T>> Options.choice(name: String): T? {
  val value = text(name) ?: return null
  return enumValues<T>().firstOrNull { it.name == value.uppercase() }
    ?: throw Failure("settings: this API has no $name=$value, it has ${names<T>()}")
}

inline fun <reified T : Enum<T>> names(): String =
  enumValues<T>().joinToString { it.name.lowercase() }

/** Notes on the options that nobody asked for. */
fun Options.notApplied(api: String): List<String> =
  left().map { "$it is not applied: $api has no such option" }
