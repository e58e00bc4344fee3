package org.fastscnn.core

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.DataFormatException
import java.util.zip.Inflater

/**
 * The zip archive behind a .tflite (labels, colours), read from memory.
 *
 * An app's assets are no files, so java.util.zip.ZipFile is of no use, and ZipInputStream does not
 * find an archive that begins later.
 */
object AppendedFiles {
  private const val END = 0x06054b50
  private const val ENTRY = 0x02014b50
  private const val LARGEST = 1 shl 24

  /** name -> content; empty without an archive. @throws Failure the archive is damaged. */
  fun read(model: String, content: ByteArray): Map<String, ByteArray> {
    val bytes = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)
    val end = (content.size - 22 downTo maxOf(0, content.size - 22 - 0xffff))
    val tail = end.firstOrNull { bytes.getInt(it) == END } ?: return emptyMap()
    return try {
      val size = bytes.getInt(tail + 12)
      // Offsets count from the archive's own beginning or from the file's: both are in use.
      val shift = tail - size - bytes.getInt(tail + 16)
      entries(bytes, content, tail - size, bytes.getShort(tail + 10).toInt(), shift)
    } catch (error: IndexOutOfBoundsException) {
      throw damaged(model, error)
    } catch (error: DataFormatException) {
      throw damaged(model, error)
    }
  }

  private fun damaged(model: String, error: Exception) =
    Failure("$model: the files behind the model are damaged (${error.message})")

  private fun entries(
    bytes: ByteBuffer,
    content: ByteArray,
    start: Int,
    count: Int,
    shift: Int,
  ): Map<String, ByteArray> {
    val found = LinkedHashMap<String, ByteArray>()
    var at = start
    repeat(count) {
      if (bytes.getInt(at) != ENTRY) throw IndexOutOfBoundsException("no entry at $at")
      val lengths = List(3) { bytes.getShort(at + 28 + 2 * it).toInt() and 0xffff }
      val name = content.decodeToString(at + 46, at + 46 + lengths[0])
      val local = bytes.getInt(at + 42) + shift
      val skipped = List(2) { bytes.getShort(local + 26 + 2 * it).toInt() and 0xffff }
      val data = local + 30 + skipped.sum()
      val packed = bytes.getInt(at + 20)
      val size = bytes.getInt(at + 24)
      if (minOf(packed, size) < 0 || maxOf(packed, size) > LARGEST) {
        throw IndexOutOfBoundsException("$name of $size bytes")
      }
      val raw = content.copyOfRange(data, data + packed)
      found[name] = if (bytes.getShort(at + 10).toInt() == 0) raw else inflated(raw, size)
      at += 46 + lengths.sum()
    }
    return found
  }

  private fun inflated(raw: ByteArray, size: Int): ByteArray {
    val result = ByteArray(size)
    val inflater = Inflater(true)
    inflater.setInput(raw)
    val count = inflater.inflate(result)
    inflater.end()
    if (count != size) throw DataFormatException("$count of $size bytes")
    return result
  }
}
