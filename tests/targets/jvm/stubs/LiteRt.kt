// Signatures as used, of litert 2.3: Model.kt, Environment.kt, TensorBuffer.kt, Common.kt of
// litert/kotlin/src/main/kotlin/com/google/ai/edge/litert.
@file:Suppress("unused", "UNUSED_PARAMETER")

package com.google.ai.edge.litert

import android.content.Context
import android.content.res.AssetManager

private fun stub(): Nothing = throw UnsupportedOperationException()

class LiteRtException(message: String) : Exception(message)

enum class Accelerator {
  NONE,
  CPU,
  GPU,
  NPU,
}

abstract class JniHandle internal constructor() : AutoCloseable {
  final override fun close() = Unit
}

class TensorBuffer internal constructor() : JniHandle() {
  @Throws(LiteRtException::class) fun writeFloat(data: FloatArray): Unit = stub()

  @Throws(LiteRtException::class) fun writeInt8(data: ByteArray): Unit = stub()

  @Throws(LiteRtException::class) fun readFloat(): FloatArray = stub()

  @Throws(LiteRtException::class) fun readInt8(): ByteArray = stub()
}

class Environment private constructor() : JniHandle() {
  enum class Option {
    CompilerPluginLibraryDir,
    DispatchLibraryDir,
  }

  companion object {
    @JvmOverloads
    @JvmStatic
    fun create(
      context: Context,
      options: Map<Option, String> = mapOf(),
      enableCompilerCache: Boolean = true,
    ): Environment = stub()

    @JvmOverloads
    @JvmStatic
    fun create(options: Map<Option, String> = mapOf()): Environment = stub()
  }
}

class CompiledModel private constructor() : JniHandle() {
  data class CpuOptions(
    val numThreads: Int? = null,
    val xnnPackFlags: Int? = null,
    val xnnPackWeightCachePath: String? = null,
  )

  data class GpuOptions(
    val constantTensorSharing: Boolean? = null,
    val infiniteFloatCapping: Boolean? = null,
    val allowSrcQuantizedFcConvOps: Boolean? = null,
    val precision: Precision? = null,
    val bufferStorageType: BufferStorageType? = null,
    val preferTextureWeights: Boolean? = null,
    val serializationDir: String? = null,
    val modelCacheKey: String? = null,
    val serializeProgramCache: Boolean? = null,
    val serializeExternalTensors: Boolean? = null,
    val externalTensorsMode: Boolean? = null,
    val externalTensorPattern: String? = null,
    val backend: Backend? = null,
    val priority: Priority? = null,
    val numStepsOfCommandBufferPreparations: Int? = null,
  ) {
    enum class Precision {
      DEFAULT,
      FP16,
      FP32,
    }

    enum class BufferStorageType {
      DEFAULT,
      BUFFER,
      TEXTURE_2D,
    }

    enum class Backend {
      AUTOMATIC,
      OPENCL,
      WEBGPU,
    }

    enum class Priority {
      DEFAULT,
      LOW,
      NORMAL,
      HIGH,
    }
  }

  data class QualcommOptions(
    val logLevel: LogLevel? = null,
    val useHtpPreference: Boolean? = null,
    val useQint16AsQuint16: Boolean? = null,
    val enableWeightSharing: Boolean? = null,
    val dumpTensorIds: List<Int>? = null,
    val useConvHmx: Boolean? = null,
    val useFoldRelu: Boolean? = null,
    val htpPerformanceMode: HtpPerformanceMode? = null,
    val profiling: Profiling? = null,
    val irJsonDir: String? = null,
    val dlcDir: String? = null,
    val vtcmSize: Int? = null,
    val numHvxThreads: Int? = null,
    val optimizationLevel: OptimizationLevel? = null,
  ) {
    enum class LogLevel {
      OFF,
      ERROR,
      WARN,
      INFO,
      VERBOSE,
      DEBUG,
    }

    enum class HtpPerformanceMode {
      DEFAULT,
      SUSTAINED_HIGH_PERFORMANCE,
      BURST,
      HIGH_PERFORMANCE,
      POWER_SAVER,
      LOW_POWER_SAVER,
      HIGH_POWER_SAVER,
      LOW_BALANCED,
      BALANCED,
      EXTREME_POWER_SAVER,
    }

    enum class Profiling {
      OFF,
      BASIC,
      DETAILED,
      LINTING,
      OPTRACE,
    }

    enum class OptimizationLevel {
      HTP_OPTIMIZE_FOR_INFERENCE,
      HTP_OPTIMIZE_FOR_PREPARE,
      HTP_OPTIMIZE_FOR_INFERENCE_O3,
    }
  }

  class Options(accelerators: Set<Accelerator>) {
    constructor(vararg accelerators: Accelerator) : this(setOf(*accelerators))

    var cpuOptions: CpuOptions? = null
    var gpuOptions: GpuOptions? = null
    var qualcommOptions: QualcommOptions? = null

    companion object {
      @JvmStatic val CPU = Options(Accelerator.CPU)
    }
  }

  @JvmOverloads
  @Throws(LiteRtException::class)
  fun createInputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = stub()

  @JvmOverloads
  @Throws(LiteRtException::class)
  fun createOutputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = stub()

  @JvmOverloads
  @Throws(LiteRtException::class)
  fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signatureIndex: Int = 0): Unit =
    stub()

  companion object {
    @JvmOverloads
    @JvmStatic
    @Throws(LiteRtException::class)
    fun create(
      assetManager: AssetManager,
      assetName: String,
      options: Options = Options.CPU,
      optionalEnv: Environment? = null,
    ): CompiledModel = stub()
  }
}
