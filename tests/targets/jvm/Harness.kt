// Runs the segmentation core on the desktop for test_jvm.py: requests as JSON on standard input,
// one answer for each on standard output; arrays lie in files.
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.fastscnn.core.Benchmark
import org.fastscnn.core.Box
import org.fastscnn.core.Build
import org.fastscnn.core.DeviceSettings
import org.fastscnn.core.ElementType
import org.fastscnn.core.EnginePlan
import org.fastscnn.core.Failure
import org.fastscnn.core.Fit
import org.fastscnn.core.InputWriter
import org.fastscnn.core.Json
import org.fastscnn.core.LabelMap
import org.fastscnn.core.Logits
import org.fastscnn.core.ModelInfo
import org.fastscnn.core.Network
import org.fastscnn.core.Opened
import org.fastscnn.core.Overlay
import org.fastscnn.core.Segmenter
import org.fastscnn.core.StepTimes
import org.fastscnn.core.TensorSpec
import org.fastscnn.core.Values
import org.fastscnn.core.YuvConverter
import org.fastscnn.core.YuvFrame

class Request(private val values: Map<String, Any?>) {
  fun text(name: String) = values[name] as? String

  fun number(name: String) = (values[name] as Long).toInt()

  fun numbers(name: String) = (values[name] as List<*>).map { (it as Number).toInt() }

  fun flag(name: String) = values[name] == true

  fun file(name: String) = File(text(name)!!)

  fun items(name: String) = values[name] as List<*>
}

fun main() {
  val requests = Json.parse(System.`in`.readBytes().decodeToString(), "requests") as List<*>
  for (request in requests) {
    @Suppress("UNCHECKED_CAST") val values = request as Map<String, Any?>
    val answer =
      try {
        answer(values["op"] as String, Request(values))
      } catch (failure: Failure) {
        mapOf("failure" to failure.message)
      }
    println(Json.write(answer))
  }
}

fun answer(op: String, request: Request): Any? =
  when (op) {
    "labels" -> labels(request)
    "convert" -> convert(request)
    "model" -> model(request)
    "input" -> input(request)
    "overlay" -> overlay(request)
    "segment" -> segment(request)
    "benchmark" -> benchmark(request)
    "plan" -> plan(request)
    "json" -> Json.parse(request.text("text")!!, "text")
    "box" -> request.numbers("sizes").let { box(Box.letterbox(it[0], it[1], it[2], it[3])) }
    "times" -> StepTimes.Summary.of(request.items("times").map { (it as Long) }).toMap()
    else -> error("no $op")
  }

fun values(file: File, type: ElementType): Values {
  val bytes = file.readBytes()
  if (type != ElementType.FLOAT32) return Values.Bytes(bytes)
  val floats = FloatArray(bytes.size / 4)
  ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(floats)
  return Values.Floats(floats)
}

fun box(box: Box) = listOf(box.top, box.left, box.height, box.width)

fun box(numbers: List<Int>) = Box(numbers[0], numbers[1], numbers[2], numbers[3])

fun labels(request: Request): Any {
  val type = ElementType.valueOf(request.text("type")!!.uppercase())
  val spec = TensorSpec(listOf(1) + request.numbers("shape"), type)
  val logits = Logits.of(spec, values(request.file("logits"), type))
  val (height, width) = request.numbers("size")
  val area = box(request.numbers("box"))
  val (high, wide) = request.numbers("target")
  val map = LabelMap.of(logits, height, width, request.text("sampling")!!, area, high, wide)
  request.file("output").writeBytes(map.labels)
  return mapOf("shares" to map.shares(logits.classes).toList())
}

fun frame(request: Request): YuvFrame {
  val (width, height) = request.numbers("frame")
  val memory = request.file("planes").readBytes()
  val strides = request.numbers("strides")
  val sources =
    request.numbers("offsets").mapIndexed { i, offset ->
      val buffer = ByteBuffer.wrap(memory, offset, request.numbers("lengths")[i]).slice()
      YuvFrame.Source(buffer, strides[2 * i], strides[2 * i + 1])
    }
  return YuvFrame(width, height, box(request.numbers("crop"))).fill(sources)
}

fun convert(request: Request): Any {
  val (height, width) = request.numbers("size")
  val fill = request.numbers("fill").map { it.toDouble() }
  val fit = Fit.valueOf(request.text("fit")!!.uppercase())
  val converter = YuvConverter(height, width, fill)
  val rotation = request.number("rotation")
  val area = converter.convert(frame(request), rotation, request.flag("mirrored"), fit)
  request.file("output").writeBytes(converter.rgb)
  return box(area)
}

fun info(request: Request): ModelInfo {
  val file = request.file("model")
  val sidecar = request.text("sidecar")?.let { File(it).readText() }
  return ModelInfo.read(file.name, file.readBytes(), sidecar)
}

fun settings(request: Request, info: ModelInfo) =
  DeviceSettings.of(
    info,
    request.text("settings")?.let { File(it).readText() },
    request.flag("trusted"),
  )

fun model(request: Request): Any {
  val info = info(request)
  return mapOf(
    "input" to info.file.input.shape,
    "types" to listOf(info.file.input.type.name, info.file.output.type.name),
    "output" to info.file.output.shape,
    "names" to info.names,
    "colors" to info.colors,
    "mean" to info.mean,
    "std" to info.std,
    "sampling" to info.sampling,
    "source" to info.source,
    "sha256" to info.file.sha256,
  )
}

fun input(request: Request): Any? {
  val written = InputWriter(info(request)).write(request.file("rgb").readBytes())
  val bytes =
    when (written) {
      is Values.Bytes -> written.data
      is Values.Floats -> {
        val buffer = ByteBuffer.allocate(4 * written.size).order(ByteOrder.LITTLE_ENDIAN)
        buffer.asFloatBuffer().put(written.data)
        buffer.array()
      }
    }
  request.file("output").writeBytes(bytes)
  return null
}

fun overlay(request: Request): Any {
  val labels = request.numbers("labels").map { it.toByte() }.toByteArray()
  val map = LabelMap(1, labels.size, labels)
  return Overlay(request.numbers("colors"), request.number("percent") / 100.0).paint(map).toList()
}

/** Gives back the logits that Python's interpreter computed; with none it fails. */
class Replay(private val output: Values?) : Network {
  override val runs = "replay"
  var input: Values? = null

  override fun run(input: Values): Values {
    this.input = input
    return output ?: throw IllegalStateException("out of\n memory")
  }

  override fun close() = Unit
}

fun segment(request: Request): Any {
  val info = info(request)
  val replay = Replay(request.text("logits")?.let { values(File(it), info.file.output.type) })
  val fit = Fit.valueOf(request.text("fit")!!.uppercase())
  Segmenter(info, replay).use { segmenter ->
    val frame = frame(request)
    val result = segmenter.segment(frame, request.number("rotation"), request.flag("mirrored"), fit)
    request.file("output").writeBytes(result.map.labels)
    return mapOf(
      "size" to listOf(result.map.height, result.map.width),
      "shares" to result.shares.toList(),
      "pixels" to result.pixels.size,
      "input" to replay.input!!.size,
      "steps" to segmenter.times.summary().mapValues { it.value.count },
    )
  }
}

fun plan(request: Request): Any {
  val info = info(request)
  val settings = settings(request, info)
  val plan = EnginePlan.of(info, settings, Build.valueOf(request.text("build")!!.uppercase()))
  val refused = (request.text("refused") ?: "").split(',')
  val opened =
    Opened.first(info.file.name, plan) { attempt, notes ->
      if (attempt.joinToString("+") in refused) throw IllegalStateException("no\nsuch device")
      val part = settings?.part(attempt.first().name.lowercase())
      notes += "threads ${part?.number("num_threads")}"
      notes += part?.left().orEmpty()
      object : Network by Replay(Values.Bytes(ByteArray(0))) {
        override val runs = attempt.joinToString("+")
      }
    }
  return mapOf(
    "attempts" to plan.attempts.map { it.joinToString("+") },
    "runs" to opened.network.runs,
    "notes" to opened.notes,
  )
}

fun benchmark(request: Request): Any {
  val info = info(request)
  val replay = Replay(values(request.file("logits"), info.file.output.type))
  Segmenter(info, replay).use { segmenter ->
    var done = emptyList<Int>()
    val times = Benchmark.run(segmenter) { frame, all -> done = listOf(frame, all) }
    request.file("output").writeText(Benchmark.table(segmenter, times, listOf("a note")))
    val report = Benchmark.report(segmenter, times, listOf("a note"), mapOf("model" to "none"))
    return mapOf("done" to done, "report" to report)
  }
}
