package org.fastscnn.core

/**
 * One build of the app, by what its libraries have. LiteRT's second generation (2.x) has
 * `CompiledModel` and no delegates, the first (1.4.x) the delegates: one app cannot hold both.
 */
enum class Build(val api: Api, val accelerators: Set<Accelerator>) {
  COMPILED(Api.COMPILED_MODEL, setOf(Accelerator.NPU, Accelerator.GPU, Accelerator.CPU)),
  CLASSIC(Api.INTERPRETER, setOf(Accelerator.GPU, Accelerator.NNAPI, Accelerator.CPU)),
}

/**
 * What is tried, in this order, until one opens.
 *
 * @property attempts the accelerators of each try; a CPU beside another takes what that refuses.
 * @property notes what cannot be as the settings have it, one line each.
 */
data class EnginePlan(val attempts: List<List<Accelerator>>, val notes: List<String>) {
  companion object {
    /**
     * Decides it from the settings; without any, a float model is tried on the GPU first, and a
     * quantized one runs on the CPU, whose int8 kernels it was made for.
     *
     * @throws Failure settings that this build of the app cannot follow.
     */
    fun of(info: ModelInfo, settings: DeviceSettings?, build: Build): EnginePlan {
      if (settings == null) {
        val isFloat = info.file.output.type == ElementType.FLOAT32
        val first = if (isFloat) listOf(listOf(Accelerator.GPU)) else emptyList()
        return EnginePlan(first + listOf(listOf(Accelerator.CPU)), emptyList())
      }
      check(info, settings, build)
      val wanted = settings.accelerator
      val notes = ArrayList<String>()
      if (settings.ignored.isNotEmpty()) {
        notes +=
          "ignored, since it came with the file and makes the runtime load or write files: " +
            "${settings.ignored.joinToString()}; DeviceSettings.of(trusted = true) allows it"
      }
      if (settings.api != build.api) {
        val name = build.name.lowercase()
        notes += "settings for api=${settings.api.name.lowercase()}: the $name build has its own"
      }
      if (wanted == Accelerator.CPU) return EnginePlan(listOf(listOf(wanted)), notes)
      val alone = listOf(wanted)
      val withCpu = listOf(wanted, Accelerator.CPU)
      if (build == Build.CLASSIC && settings.cpuFallback == false) {
        notes += "cpu_fallback=false: the Interpreter runs on the CPU what is refused"
      }
      val attempts =
        when {
          settings.cpuFallback == false -> listOf(alone)
          build == Build.CLASSIC -> listOf(alone, listOf(Accelerator.CPU))
          else -> listOf(alone, withCpu, listOf(Accelerator.CPU))
        }
      return EnginePlan(attempts, notes)
    }

    private fun check(info: ModelInfo, settings: DeviceSettings, build: Build) {
      val name = "${info.file.name}${DeviceSettings.SUFFIX}"
      if (settings.api == Api.LITERT_JS) {
        throw Failure("$name: settings for a browser: choose settings for android-gpu or another")
      }
      if (settings.accelerator !in build.accelerators) {
        val other = Build.entries.first { it != build }
        throw Failure(
          "$name: accelerator=${settings.accelerator.name.lowercase()} needs the " +
            "${other.name.lowercase()} build of this app, this is the ${build.name.lowercase()} one"
        )
      }
    }
  }
}
