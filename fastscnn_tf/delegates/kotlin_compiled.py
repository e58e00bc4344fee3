"""Kotlin for LiteRT's `CompiledModel`."""

from __future__ import annotations

from pathlib import PurePath

from ..core.foreign_text import kotlin_string
from .cpu import CpuSettings
from .device import DeviceSettings
from .gpu import GpuSettings
from .kotlin_text import OBJECT, Written, arguments, call, left_out, private_file, private_folder
from .npu import VENDORS, NpuSettings
from .places import model_token, weight_cache_name

LITERT = "com.google.ai.edge.litert"
# Options that are parameters of CompiledModel.GpuOptions and QualcommOptions.
_GPU = (
    *("constant_tensor_sharing", "infinite_float_capping", "allow_src_quantized_fc_conv_ops"),
    *("buffer_storage_type", "prefer_texture_weights", "serialize_program_cache"),
    *("serialize_external_tensors", "external_tensors_mode", "gpu_priority"),
    "num_steps_of_command_buffer_preparations",
)
_QUALCOMM = (
    *("log_level", "enable_weight_sharing", "use_conv_hmx", "use_fold_relu"),
    *("htp_performance_mode", "profiling", "ir_json_dir", "dlc_dir", "vtcm_size"),
    "num_hvx_threads",
)
_LEVELS = {
    "O1": "HTP_OPTIMIZE_FOR_INFERENCE",
    "O2": "HTP_OPTIMIZE_FOR_PREPARE",
    "O3": "HTP_OPTIMIZE_FOR_INFERENCE_O3",
}


def compiled_model(settings: DeviceSettings, model: PurePath, sha256: str) -> Written:
    """The source that opens a `CompiledModel`."""
    chosen = [settings.accelerator.upper()]
    if settings.accelerator != "cpu" and settings.cpu_fallback is not False:
        chosen.append("CPU")
    accelerators = ", ".join(f"Accelerator.{name}" for name in chosen)
    missing: list[str] = []
    body = [f"    val options = CompiledModel.Options({accelerators})"]
    body += _cpu(settings.cpu, model, sha256, missing) if "CPU" in chosen else []
    environment = "null"
    if settings.accelerator == "gpu":
        body += _gpu(settings.gpu or GpuSettings(), model_token(model, sha256), missing)
    if settings.accelerator == "npu":
        body += _npu(settings.npu or NpuSettings(), missing)
        environment = "environment"
    lines = [
        f"object {OBJECT} {{",
        f"  const val ASSET = {kotlin_string(model.name)}",
        "",
        "  /** Close it after use. */",
        "  fun open(context: Context): CompiledModel {",
        *body,
        f"    return CompiledModel.create(context.assets, ASSET, options, {environment})",
        "  }",
        "}",
    ]
    imports = {"android.content.Context", f"{LITERT}.Accelerator", f"{LITERT}.CompiledModel"}
    text = "\n".join(lines)
    imports |= {f"{LITERT}.Environment"} if "Environment." in text else set()
    imports |= {"java.io.File"} if "File(" in text else set()
    return Written(imports, lines, missing)


def _cpu(cpu: CpuSettings | None, model: PurePath, sha256: str, missing: list[str]) -> list[str]:
    if cpu is None:
        return []
    values = []
    if cpu.num_threads is not None:
        values.append(f"numThreads = {cpu.num_threads}")
    if cpu.xnnpack_flag_bits is not None:
        values.append(f"xnnPackFlags = {cpu.xnnpack_flag_bits}")
    if cpu.weight_cache_dir:
        path = private_file(cpu.weight_cache_dir, weight_cache_name(model, sha256))
        values.append(f"xnnPackWeightCachePath = {path}")
    # XNNPACK is what CompiledModel's CPU is unless told otherwise.
    taken = ["num_threads", "xnnpack_flags", "weight_cache_dir"]
    missing += left_out(cpu, *taken, *(["kernel_mode"] if cpu.kernel_mode == "xnnpack" else []))
    return _assigned("cpuOptions", "CompiledModel.CpuOptions", values)


def _gpu(gpu: GpuSettings, token: str, missing: list[str]) -> list[str]:
    kind = "CompiledModel.GpuOptions"
    values = arguments(gpu, _GPU, kind)
    taken = [*_GPU, "precision_loss_allowed"]
    if gpu.precision_loss_allowed is not None:
        precision = "FP16" if gpu.precision_loss_allowed else "FP32"
        values.insert(0, f"precision = {kind}.Precision.{precision}")
    if gpu.backend in ("opencl", "webgpu"):
        values.append(f"backend = {kind}.Backend.{gpu.backend.upper()}")
        taken.append("backend")
    if gpu.serialization_dir:
        values.append(f"serializationDir = {private_folder(gpu.serialization_dir)}")
        values.append(f"modelCacheKey = {kotlin_string(gpu.model_token or token)}")
        taken += ["serialization_dir", "model_token"]
    patterns = gpu.external_tensor_patterns or ()
    if len(patterns) == 1:
        values.append(f"externalTensorPattern = {kotlin_string(patterns[0])}")
        taken.append("external_tensor_patterns")
    missing += left_out(gpu, *taken)
    return _assigned("gpuOptions", kind, values)


def _npu(npu: NpuSettings, missing: list[str]) -> list[str]:
    libraries = "context.applicationInfo.nativeLibraryDir"
    folders = {
        "DispatchLibraryDir": npu.dispatch_library_dir,
        # Without it a model that is not compiled yet runs on the CPU, and nothing says so.
        "CompilerPluginLibraryDir": npu.compiler_plugin_dir,
    }
    pairs = [
        f"Environment.Option.{name} to {kotlin_string(folder) if folder else libraries}"
        for name, folder in folders.items()
    ]
    folders_map = "\n".join(call("mapOf", pairs, "      "))
    lines = call("    val environment = Environment.create", ["context", folders_map], "    ")
    taken = ["vendor", "dispatch_library_dir", "compiler_plugin_dir"]
    if npu.vendor in VENDORS and npu.vendor != "qualcomm":
        missing += left_out(getattr(npu, npu.vendor))
    if npu.qualcomm:
        kind = "CompiledModel.QualcommOptions"
        options = arguments(npu.qualcomm, _QUALCOMM, kind)
        if level := npu.qualcomm.optimization_level:
            options.append(f"optimizationLevel = {kind}.OptimizationLevel.{_LEVELS[level]}")
        missing += left_out(npu.qualcomm, *_QUALCOMM, "optimization_level")
        lines += _assigned("qualcommOptions", kind, options)
    missing += left_out(npu, *taken, *VENDORS)
    return lines


def _assigned(name: str, kind: str, values: list[str]) -> list[str]:
    return call(f"    options.{name} = {kind}", values, "    ") if values else []
