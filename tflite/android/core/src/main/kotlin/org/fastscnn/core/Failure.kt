package org.fastscnn.core

/** Something a person can mend; [message] is one line: what was expected, what came, what to do. */
class Failure(override val message: String) : Exception(message)

/** What somebody else's exception says, on one line. */
fun reasonOf(error: Throwable): String {
  val text = error.message ?: error.javaClass.simpleName
  return text.replace(Regex("\\s+"), " ").trim().take(160)
}
