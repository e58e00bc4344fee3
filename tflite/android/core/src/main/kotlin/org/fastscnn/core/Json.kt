package org.fastscnn.core

/**
 * A small JSON reader (RFC 8259), since Android's org.json is not on a desktop.
 *
 * Objects become maps in the order of the file, arrays lists, numbers without fraction or exponent
 * [Long] (others [Double]), and null stays null.
 */
object Json {
  /** @throws Failure no JSON; [where] names the text in the message. */
  fun parse(text: String, where: String): Any? = Parser(text, where).document()

  /** An object. @throws Failure no JSON, or something else. */
  @Suppress("UNCHECKED_CAST")
  fun parseObject(text: String, where: String): Map<String, Any?> =
    parse(text, where) as? Map<String, Any?> ?: throw Failure("$where: expected a JSON object")

  /** Maps, lists, text, numbers, flags and null as JSON on one line. */
  fun write(value: Any?): String =
    when (value) {
      null -> "null"
      is Map<*, *> -> value.entries.joinToString(", ", "{", "}") { (k, v) ->
        "${quoted(k.toString())}: ${write(v)}"
      }
      is Iterable<*> -> value.joinToString(", ", "[", "]") { write(it) }
      is Boolean -> value.toString()
      is Number -> {
        require(value.toDouble().isFinite()) { "JSON has no $value" }
        value.toString()
      }
      else -> quoted(value.toString())
    }

  private fun quoted(text: String): String =
    text.asIterable().joinToString("", "\"", "\"") {
      when {
        it == '"' || it == '\\' -> "\\$it"
        it < ' ' -> "\\u%04x".format(it.code)
        else -> it.toString()
      }
    }

  private class Parser(private val text: String, private val where: String) {
    private var at = 0

    fun document(): Any? {
      val value = value(0)
      space()
      if (at < text.length) fail("text after its end")
      return value
    }

    private fun fail(what: String): Nothing = throw Failure("$where: no valid JSON ($what at $at)")

    private fun space() {
      while (at < text.length && text[at] in " \t\r\n") at++
    }

    private fun take(sign: Char): Boolean {
      space()
      if (at >= text.length || text[at] != sign) return false
      at++
      return true
    }

    private fun expect(sign: Char) {
      if (!take(sign)) fail("'$sign' is missing")
    }

    private fun value(depth: Int): Any? {
      if (depth > MAX_DEPTH) fail("more than $MAX_DEPTH levels")
      space()
      if (at >= text.length) fail("it ends too early")
      return when (text[at]) {
        '{' -> members(depth)
        '[' -> elements(depth)
        '"' -> string()
        't' -> word("true", true)
        'f' -> word("false", false)
        'n' -> word("null", null)
        else -> number()
      }
    }

    private fun members(depth: Int): Map<String, Any?> {
      val found = LinkedHashMap<String, Any?>()
      expect('{')
      if (take('}')) return found
      do {
        space()
        val name = string()
        expect(':')
        found[name] = value(depth + 1)
      } while (take(','))
      expect('}')
      return found
    }

    private fun elements(depth: Int): List<Any?> {
      val found = ArrayList<Any?>()
      expect('[')
      if (take(']')) return found
      do found += value(depth + 1) while (take(','))
      expect(']')
      return found
    }

    private fun string(): String {
      expect('"')
      val found = StringBuilder()
      while (true) {
        if (at >= text.length) fail("a text does not end")
        when (val sign = text[at++]) {
          '"' -> return found.toString()
          '\\' -> found.append(escaped())
          else -> if (sign < ' ') fail("a control character") else found.append(sign)
        }
      }
    }

    private fun escaped(): Char {
      if (at >= text.length) fail("a text does not end")
      val sign = text[at++]
      if (sign == 'u') {
        val digits = text.substring(at, minOf(at + 4, text.length))
        if (digits.length < 4 || digits.any { it.digitToIntOrNull(16) == null }) fail("a bad \\u")
        at += 4
        return digits.toInt(16).toChar()
      }
      val place = "\"\\/bfnrt".indexOf(sign)
      if (place < 0) fail("an unknown escape")
      return "\"\\/\b\u000c\n\r\t"[place]
    }

    private fun <T> word(word: String, value: T): T {
      if (!text.startsWith(word, at)) fail("an unknown word")
      at += word.length
      return value
    }

    private fun number(): Number {
      val found = NUMBER.matchAt(text, at) ?: fail("no value")
      at = found.range.last + 1
      val digits = found.value
      return digits.toLongOrNull() ?: digits.toDouble()
    }
  }

  private const val MAX_DEPTH = 64
  private val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
}
