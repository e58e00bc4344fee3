package org.fastscnn.core

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest

/** Element types that a segmentation model has at its ends (`TensorType` of schema.fbs). */
enum class ElementType(val code: Int) {
  FLOAT32(0),
  UINT8(3),
  INT8(9),
}

/** Shape and type of an input or output. */
data class TensorSpec(val shape: List<Int>, val type: ElementType) {
  val elements: Int
    get() = shape.fold(1, Int::times)
}

/**
 * What a .tflite says about itself; no interpreter is started.
 *
 * Both APIs need this: LiteRT's `CompiledModel` tells neither shapes nor byte types by index.
 *
 * @property input (1, H, W, 3).
 * @property output (1, h, w, classes).
 * @property metadata fastscnn_tf's own JSON inside the file; empty for files from elsewhere.
 * @property sha256 of the file, in hexadecimal.
 */
class ModelFile
private constructor(
  val name: String,
  val input: TensorSpec,
  val output: TensorSpec,
  val metadata: Map<String, Any?>,
  val sha256: String,
) {
  val height: Int
    get() = input.shape[1]

  val width: Int
    get() = input.shape[2]

  val classes: Int
    get() = output.shape[3]

  companion object {
    /** @throws Failure no .tflite, damaged, or no segmentation model with logits. */
    fun read(name: String, content: ByteArray): ModelFile {
      if (content.size < 8 || String(content, 4, 4, Charsets.ISO_8859_1) != "TFL3") {
        throw Failure("$name: not a .tflite file (no TFL3 mark at byte 4)")
      }
      val tables = Tables(content)
      val (ends, own) =
        try {
          Pair(tables.ends(name), tables.metadata("fastscnn_tf"))
        } catch (error: IndexOutOfBoundsException) {
          throw Failure("$name: damaged or truncated .tflite file (${error.message})")
        }
      val metadata = own?.let { Json.parseObject(it, "$name: its fastscnn_tf metadata") }
      check(name, ends.first, ends.second)
      return ModelFile(name, ends.first, ends.second, metadata ?: emptyMap(), sha256(content))
    }

    private fun check(name: String, input: TensorSpec, output: TensorSpec) {
      val (shape, result) = Pair(input.shape, output.shape)
      if (shape.size != 4 || shape[0] != 1 || shape[3] != 3 || shape.any { it < 1 }) {
        throw Failure("$name: expected a picture (1, H, W, 3) in, got $shape")
      }
      if (result.size == 3) {
        throw Failure(
          "$name: it gives finished labels $result, this app takes logits: export it with " +
            "--outputs logits"
        )
      }
      if (result.size != 4 || result[0] != 1 || result.any { it < 1 }) {
        throw Failure("$name: expected logits (1, h, w, classes) out, got $result")
      }
      if (result[3] > MAX_CLASSES) {
        throw Failure("$name: ${result[3]} classes, a label map has room for $MAX_CLASSES")
      }
    }

    fun sha256(content: ByteArray): String =
      MessageDigest.getInstance("SHA-256").digest(content).joinToString("") { "%02x".format(it) }
  }

  /** The flatbuffer's tables, as far as they are needed (field numbers of schema.fbs). */
  private class Tables(private val content: ByteArray) {
    private val bytes = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)
    private val model = follow(0)

    private fun follow(place: Int): Int = place + bytes.getInt(place)

    /** Where a table's field lies, or null where it is left out. */
    private fun field(table: Int, number: Int): Int? {
      val fields = table - bytes.getInt(table)
      val entry = 4 + 2 * number
      if (entry >= bytes.getShort(fields).toInt() and 0xffff) return null
      val offset = bytes.getShort(fields + entry).toInt() and 0xffff
      return if (offset == 0) null else table + offset
    }

    /** Where a vector's elements begin, and how many it has. */
    private fun vector(table: Int, number: Int): Pair<Int, Int> {
      val start = follow(field(table, number) ?: return Pair(0, 0))
      val count = bytes.getInt(start)
      if (count < 0 || count > content.size) throw IndexOutOfBoundsException("$count elements")
      return Pair(start + 4, count)
    }

    private fun ints(table: Int, number: Int): List<Int> {
      val (start, count) = vector(table, number)
      return List(count) { bytes.getInt(start + 4 * it) }
    }

    private fun tables(table: Int, number: Int): List<Int> {
      val (start, count) = vector(table, number)
      return List(count) { follow(start + 4 * it) }
    }

    private fun text(table: Int, number: Int): String {
      val (start, count) = vector(table, number)
      return content.decodeToString(start, start + count)
    }

    fun ends(name: String): Pair<TensorSpec, TensorSpec> {
      val graph = tables(model, 2).firstOrNull() ?: throw IndexOutOfBoundsException("no graph")
      val tensors = tables(graph, 0)
      val ends = listOf(ints(graph, 1), ints(graph, 2))
      if (ends.any { it.size != 1 }) {
        throw Failure("$name: expected one input and one output, got ${ends.map { it.size }}")
      }
      val specs = ends.map { spec(name, tensors[it[0]]) }
      return Pair(specs[0], specs[1])
    }

    private fun spec(name: String, tensor: Int): TensorSpec {
      val code = field(tensor, 1)?.let { bytes.get(it).toInt() } ?: 0
      val type =
        ElementType.entries.firstOrNull { it.code == code }
          ?: throw Failure(
            "$name: expected float32, uint8 or int8 in and out, got element type $code: export " +
              "it with --input uint8"
          )
      return TensorSpec(ints(tensor, 0), type)
    }

    fun metadata(wanted: String): String? {
      val entry = tables(model, 6).firstOrNull { text(it, 0) == wanted } ?: return null
      val index = field(entry, 1)?.let { bytes.getInt(it) } ?: 0
      return text(tables(model, 4)[index], 0)
    }
  }
}

/** Classes that a byte names beside void (255) and unknown (254). */
const val MAX_CLASSES = 254
