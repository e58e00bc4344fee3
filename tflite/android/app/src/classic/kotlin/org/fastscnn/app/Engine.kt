package org.fastscnn.app

import android.content.Context
import java.io.FileInputStream
import java.nio.MappedByteBuffer
import java.nio.channels.FileChannel
import org.fastscnn.core.Accelerator
import org.fastscnn.core.Build
import org.fastscnn.core.DeviceSettings
import org.fastscnn.core.Failure
import org.fastscnn.core.ModelFile
import org.fastscnn.core.ModelInfo
import org.fastscnn.core.Network
import org.fastscnn.core.Options
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.gpu.GpuDelegateFactory
import org.tensorflow.lite.nnapi.NnApiDelegate

/** TFLite's `Interpreter` with its delegates (litert 1.4.x), for older devices. */
object Engine {
  val BUILD = Build.CLASSIC
  private const val API = "Interpreter"

  fun open(
    context: Context,
    info: ModelInfo,
    settings: DeviceSettings?,
    attempt: List<Accelerator>,
    notes: MutableList<String>,
  ): Network {
    val options = Interpreter.Options()
    settings?.part("cpu")?.let { cpuOptions(options, it, notes) }
    val delegate = delegate(context, info.file, settings, attempt.first(), notes)
    delegate?.let { options.addDelegate(it) }
    try {
      val interpreter = Interpreter(mapped(context, info.file.name), options)
      return InterpreterNetwork(interpreter, delegate, info, "$API, ${attempt.joinToString(", ")}")
    } catch (error: Exception) {
      delegate?.close()
      throw error
    }
  }

  private fun cpuOptions(options: Interpreter.Options, cpu: Options, notes: MutableList<String>) {
    cpu.number("num_threads")?.let { options.setNumThreads(it) }
    when (val kernels = cpu.text("kernel_mode")) {
      null -> Unit
      "xnnpack" -> options.setUseXNNPACK(true)
      "builtin" -> options.setUseXNNPACK(false)
      else -> notes += "cpu.kernel_mode=$kernels is not applied: $API has no such option"
    }
    notes += cpu.notApplied(API)
  }

  private fun delegate(
    context: Context,
    model: ModelFile,
    settings: DeviceSettings?,
    accelerator: Accelerator,
    notes: MutableList<String>,
  ): Delegate? =
    when (accelerator) {
      Accelerator.CPU -> null
      Accelerator.GPU -> GpuDelegate(gpuOptions(context, model, settings?.part("gpu"), notes))
      Accelerator.NNAPI ->
        NnApiDelegate(nnapiOptions(context, model, settings?.part("nnapi"), notes))
      Accelerator.NPU -> throw Failure("an NPU needs the compiled build of this app")
    }

  private fun gpuOptions(
    context: Context,
    model: ModelFile,
    gpu: Options?,
    notes: MutableList<String>,
  ): GpuDelegateFactory.Options {
    val made = GpuDelegateFactory.Options()
    if (gpu == null) return made
    gpu.flag("precision_loss_allowed")?.let { made.setPrecisionLossAllowed(it) }
    gpu.flag("experimental_quantized")?.let { made.setQuantizedModelsAllowed(it) }
    when (val preference = gpu.text("inference_preference")) {
      null -> Unit
      "fast_single_answer" ->
        made.setInferencePreference(
          GpuDelegateFactory.Options.INFERENCE_PREFERENCE_FAST_SINGLE_ANSWER
        )
      "sustained_speed" ->
        made.setInferencePreference(GpuDelegateFactory.Options.INFERENCE_PREFERENCE_SUSTAINED_SPEED)
      else ->
        notes += "gpu.inference_preference=$preference is not applied: $API has no such option"
    }
    val token = gpu.text("model_token") ?: modelToken(model)
    gpu.text("serialization_dir")?.let {
      made.setSerializationParams(privateFolder(context, it), token)
    }
    notes += gpu.notApplied(API)
    return made
  }

  private fun nnapiOptions(
    context: Context,
    model: ModelFile,
    nnapi: Options?,
    notes: MutableList<String>,
  ): NnApiDelegate.Options {
    val made = NnApiDelegate.Options()
    notes += "NNAPI is deprecated since Android 15"
    if (nnapi == null) return made
    nnapi.text("execution_preference")?.let { made.setExecutionPreference(preference(it)) }
    nnapi.flag("disallow_nnapi_cpu")?.let { made.setUseNnapiCpu(!it) }
    nnapi.text("accelerator_name")?.let { made.setAcceleratorName(it) }
    nnapi.number("max_delegated_partitions")?.let { made.setMaxNumberOfDelegatedPartitions(it) }
    nnapi.flag("allow_fp16")?.let { made.setAllowFp16(it) }
    val token = nnapi.text("model_token") ?: modelToken(model)
    nnapi.text("cache_dir")?.let {
      made.setCacheDir(privateFolder(context, it))
      made.setModelToken(token)
    }
    notes += nnapi.notApplied(API)
    return made
  }

  private fun preference(name: String): Int =
    when (name) {
      "undefined" -> NnApiDelegate.Options.EXECUTION_PREFERENCE_UNDEFINED
      "low_power" -> NnApiDelegate.Options.EXECUTION_PREFERENCE_LOW_POWER
      "fast_single_answer" -> NnApiDelegate.Options.EXECUTION_PREFERENCE_FAST_SINGLE_ANSWER
      "sustained_speed" -> NnApiDelegate.Options.EXECUTION_PREFERENCE_SUSTAINED_SPEED
      else -> throw Failure("settings: nnapi.execution_preference: there is no $name")
    }

  private fun mapped(context: Context, name: String): MappedByteBuffer =
    context.assets.openFd(name).use { file ->
      FileInputStream(file.fileDescriptor).channel.use {
        it.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
      }
    }
}
