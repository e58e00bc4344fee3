package org.fastscnn.app

import android.content.Context
import com.google.ai.edge.litert.Accelerator as Chip
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment
import java.io.File
import org.fastscnn.core.Accelerator
import org.fastscnn.core.Build
import org.fastscnn.core.DeviceSettings
import org.fastscnn.core.Failure
import org.fastscnn.core.ModelFile
import org.fastscnn.core.ModelInfo
import org.fastscnn.core.Network
import org.fastscnn.core.Options

/** LiteRT's `CompiledModel` (litert 2.x). */
object Engine {
  val BUILD = Build.COMPILED
  private const val API = "CompiledModel"

  fun open(
    context: Context,
    info: ModelInfo,
    settings: DeviceSettings?,
    attempt: List<Accelerator>,
    notes: MutableList<String>,
  ): Network {
    val chips = attempt.map { Chip.valueOf(it.name) }.toTypedArray()
    val options = CompiledModel.Options(*chips)
    val model = info.file
    if (Accelerator.CPU in attempt) {
      options.cpuOptions = settings?.part("cpu")?.let { cpuOptions(context, model, it, notes) }
    }
    if (Accelerator.GPU in attempt) {
      options.gpuOptions = settings?.part("gpu")?.let { gpuOptions(context, model, it, notes) }
    }
    val npu = settings?.part("npu")?.takeIf { Accelerator.NPU in attempt }
    val environment = npu?.let { environment(context, it) }
    if (npu != null) {
      options.qualcommOptions = npu.part("qualcomm")?.let { qualcommOptions(it, notes) }
      npu.text("vendor")
      notes += npu.notApplied(API)
    }
    try {
      val compiled = CompiledModel.create(context.assets, model.name, options, environment)
      return CompiledNetwork(compiled, environment, info, "$API, ${attempt.joinToString(", ")}")
    } catch (error: Exception) {
      environment?.close()
      throw error
    }
  }

  private fun cpuOptions(
    context: Context,
    model: ModelFile,
    cpu: Options,
    notes: MutableList<String>,
  ): CompiledModel.CpuOptions {
    val made =
      CompiledModel.CpuOptions(
        numThreads = cpu.number("num_threads"),
        xnnPackFlags = cpu.texts("xnnpack_flags")?.sumOf(::flagBit),
        xnnPackWeightCachePath =
          cpu.text("weight_cache_dir")?.let {
            File(privateFolder(context, it), "${modelToken(model)}.xnnpack").path
          },
      )
    // XNNPACK is what CompiledModel's CPU is unless told otherwise.
    val kernels = cpu.text("kernel_mode")
    if (kernels != null && kernels != "xnnpack") {
      notes += "cpu.kernel_mode=$kernels is not applied: $API has no such option"
    }
    notes += cpu.notApplied(API)
    return made
  }

  /** TFLITE_XNNPACK_DELEGATE_FLAG_* of xnnpack_delegate.h. */
  private fun flagBit(name: String): Int =
    when (name) {
      "qs8" -> 0x1
      "qu8" -> 0x2
      "force_fp16" -> 0x4
      "dynamic_fully_connected" -> 0x8
      "variable_operators" -> 0x10
      "transient_indirection_buffer" -> 0x20
      "enable_latest_operators" -> 0x40
      "enable_subgraph_reshaping" -> 0x80
      "slow_consistent_arithmetic" -> 0x200
      "disable_subgraph_reshaping" -> 0x400
      else -> throw Failure("settings: cpu.xnnpack_flags: no flag is called $name")
    }

  private fun gpuOptions(
    context: Context,
    model: ModelFile,
    gpu: Options,
    notes: MutableList<String>,
  ): CompiledModel.GpuOptions {
    val folder = gpu.text("serialization_dir")?.let { privateFolder(context, it) }
    val token = gpu.text("model_token") ?: modelToken(model)
    val patterns = gpu.texts("external_tensor_patterns").orEmpty()
    if (patterns.size > 1) {
      notes += "gpu.external_tensor_patterns: $API takes one, only ${patterns[0]} is applied"
    }
    val made =
      CompiledModel.GpuOptions(
        constantTensorSharing = gpu.flag("constant_tensor_sharing"),
        infiniteFloatCapping = gpu.flag("infinite_float_capping"),
        allowSrcQuantizedFcConvOps = gpu.flag("allow_src_quantized_fc_conv_ops"),
        precision = gpu.flag("precision_loss_allowed")?.let(::precision),
        bufferStorageType = gpu.choice("buffer_storage_type"),
        preferTextureWeights = gpu.flag("prefer_texture_weights"),
        serializationDir = folder,
        modelCacheKey = folder?.let { token },
        serializeProgramCache = gpu.flag("serialize_program_cache"),
        serializeExternalTensors = gpu.flag("serialize_external_tensors"),
        externalTensorsMode = gpu.flag("external_tensors_mode"),
        externalTensorPattern = patterns.firstOrNull(),
        backend = gpu.choice("backend"),
        priority = gpu.choice("gpu_priority"),
        numStepsOfCommandBufferPreparations =
          gpu.number("num_steps_of_command_buffer_preparations"),
      )
    notes += gpu.notApplied(API)
    return made
  }

  private fun precision(isLossAllowed: Boolean): CompiledModel.GpuOptions.Precision =
    if (isLossAllowed) CompiledModel.GpuOptions.Precision.FP16
    else CompiledModel.GpuOptions.Precision.FP32

  private fun environment(context: Context, npu: Options): Environment {
    val libraries = context.applicationInfo.nativeLibraryDir
    return Environment.create(
      context,
      mapOf(
        Environment.Option.DispatchLibraryDir to (npu.text("dispatch_library_dir") ?: libraries),
        // Without it a model that is not compiled yet runs on the CPU, and nothing says so.
        Environment.Option.CompilerPluginLibraryDir to
          (npu.text("compiler_plugin_dir") ?: libraries),
      ),
    )
  }

  private fun qualcommOptions(
    npu: Options,
    notes: MutableList<String>,
  ): CompiledModel.QualcommOptions {
    val made =
      CompiledModel.QualcommOptions(
        logLevel = npu.choice("log_level"),
        enableWeightSharing = npu.flag("enable_weight_sharing"),
        useConvHmx = npu.flag("use_conv_hmx"),
        useFoldRelu = npu.flag("use_fold_relu"),
        htpPerformanceMode = npu.choice("htp_performance_mode"),
        profiling = npu.choice("profiling"),
        irJsonDir = npu.text("ir_json_dir"),
        dlcDir = npu.text("dlc_dir"),
        vtcmSize = npu.number("vtcm_size"),
        numHvxThreads = npu.number("num_hvx_threads"),
        optimizationLevel = npu.text("optimization_level")?.let(::optimizationLevel),
      )
    notes += npu.notApplied(API)
    return made
  }

  private fun optimizationLevel(name: String): CompiledModel.QualcommOptions.OptimizationLevel =
    when (name) {
      "O1" -> CompiledModel.QualcommOptions.OptimizationLevel.HTP_OPTIMIZE_FOR_INFERENCE
      "O2" -> CompiledModel.QualcommOptions.OptimizationLevel.HTP_OPTIMIZE_FOR_PREPARE
      "O3" -> CompiledModel.QualcommOptions.OptimizationLevel.HTP_OPTIMIZE_FOR_INFERENCE_O3
      else -> throw Failure("settings: npu.qualcomm.optimization_level must be O1..O3, got $name")
    }
}
