package org.fastscnn.core

/** Something a person can mend; [message] is one line: what was expected, what came, what to do. */
class Failure(override val message: String) : Exception(message)
