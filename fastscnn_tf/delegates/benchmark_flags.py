"""`benchmark_command`: settings as flags of LiteRT's `benchmark_model`, ready for adb.

Two programs have that name: `//tflite/tools/benchmark:benchmark_model` runs the interpreter,
`//litert/tools:benchmark_model` runs `CompiledModel`.
"""

from __future__ import annotations

import dataclasses
from pathlib import PurePath

from ..core.errors import ConfigError
from ..core.foreign_text import shell_path, shell_word
from .cpu import CpuSettings
from .device import COMPILED_MODEL, LITERT_JS, DeviceSettings
from .gpu import GpuSettings
from .nnapi import NnapiSettings
from .npu import VENDORS, NpuSettings
from .places import below, model_token, weight_cache_name

ADB_FOLDER = "/data/local/tmp"
TOOLS = {False: "//tflite/tools/benchmark:benchmark_model", True: "//litert/tools:benchmark_model"}
# What the program itself asks for with --gpu_precision_loss_allowed, and without
# (tflite/tools/delegates/gpu_delegate_provider.cc).
_PRIORITIES = {
    True: ("min_latency", "min_memory_usage", "max_precision"),
    False: ("max_precision", None, None),
}


_XNNPACK = ("xnnpack_flags", "xnnpack_runtime_flags", "weight_cache_dir")  # options for it alone
_NNAPI = {  # flag -> option
    "nnapi_execution_preference": "execution_preference",
    "nnapi_execution_priority": "execution_priority",
    "nnapi_accelerator_name": "accelerator_name",
    "disable_nnapi_cpu": "disallow_nnapi_cpu",
    "nnapi_allow_fp16": "allow_fp16",
    "nnapi_allow_dynamic_dimensions": "allow_dynamic_dimensions",
    "nnapi_use_burst_mode": "use_burst_computation",
}


@dataclasses.dataclass(frozen=True)
class BenchmarkCommand:
    """How to time a model with its settings.

    Attributes:
        tool: the Bazel target of the program.
        flags: `--name=value`, in an order that matters: delegates apply one after the other.
        lines: commands for a shell.
        notes: options that this program has no flag for.
    """

    tool: str
    flags: tuple[str, ...]
    lines: tuple[str, ...]
    notes: tuple[str, ...]


class _Flags:
    """Collects flags, and what has none."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.flags: list[str] = []
        self.notes: list[str] = []

    def add(self, name: str, value: object) -> None:
        if value is not None:
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            self.flags.append(f"--{name}={shown}")

    def path(self, name: str, value: str | None) -> None:
        self.add(name, value and below(self.folder, value))

    def none_for(self, part: CpuSettings | GpuSettings | NnapiSettings, *taken: str) -> None:
        given = part.given().items()
        self.notes += [f"{part.NAME}.{name}={v}" for name, v in given if name not in taken]


def benchmark_command(
    settings: DeviceSettings, model: PurePath, sha256: str, adb: bool | None = None
) -> BenchmarkCommand:
    """The command that times a model as its settings say.

    Args:
        settings: that travel with the model.
        model: the .tflite.
        sha256: of the file; it names entries in caches.
        adb: for a phone at the end of a cable, where everything lies in /data/local/tmp; by
            default where the settings are for Android.

    Raises:
        ConfigError: settings for a browser.
    """
    if settings.api == LITERT_JS:
        raise ConfigError("benchmark_model is not a browser: choose settings for another device")
    adb = settings.on_android if adb is None else adb
    compiled = settings.api == COMPILED_MODEL
    flags = _Flags(ADB_FOLDER if adb else ".")
    flags.add("graph", below(ADB_FOLDER, model.name) if adb else str(model))
    write = _compiled_model if compiled else _interpreter
    write(flags, settings, model, sha256)
    program = f"{ADB_FOLDER}/benchmark_model" if adb else "./benchmark_model"
    words = [program, *flags.flags]
    call = " ".join(map(shell_word, words))
    lines = [call]
    if adb:
        push = f"adb push {shell_path(model)} {shell_word(f'{ADB_FOLDER}/{model.name}')}"
        plain = call == " ".join(words)
        # Two shells read it: this one, and the phone's.
        lines = [push, f"adb shell {call if plain else shell_word(call)}"]
    return BenchmarkCommand(TOOLS[compiled], tuple(flags.flags), tuple(lines), tuple(flags.notes))


def _interpreter(flags: _Flags, settings: DeviceSettings, model: PurePath, sha256: str) -> None:
    token = model_token(model, sha256)
    if settings.accelerator == "gpu":  # before XNNPACK, which would else take every operation
        _classic_gpu(flags, settings.gpu or GpuSettings(), token)
    if settings.accelerator == "nnapi":
        _nnapi(flags, settings.nnapi or NnapiSettings(), token)
    if settings.cpu_fallback is False:
        flags.notes.append("cpu_fallback=False")
    cpu = settings.cpu or CpuSettings()
    flags.add("num_threads", cpu.num_threads)
    chosen = [name for name in _XNNPACK if name in cpu.given()]
    if cpu.kernel_mode == "xnnpack" or chosen:
        flags.add("use_xnnpack", True)
    elif cpu.kernel_mode == "builtin":
        flags.add("use_xnnpack", False)
    elif cpu.kernel_mode:
        flags.notes.append(f"cpu.kernel_mode={cpu.kernel_mode}")
    xnnpack = set(cpu.xnnpack_flags or ())
    flags.add("xnnpack_force_fp16", True if "force_fp16" in xnnpack else None)
    if rest := sorted(xnnpack - {"force_fp16"}):
        flags.notes.append(f"cpu.xnnpack_flags={','.join(rest)}")
    flags.add("xnnpack_runtime_flags", cpu.xnnpack_runtime_flags)
    if cpu.weight_cache_dir:
        name = weight_cache_name(model, sha256)
        flags.path("xnnpack_weight_cache_file_path", f"{cpu.weight_cache_dir}/{name}")
    flags.add("disable_delegate_clustering", cpu.disable_delegate_clustering)
    flags.none_for(cpu, "num_threads", "kernel_mode", *chosen, "disable_delegate_clustering")


def _classic_gpu(flags: _Flags, gpu: GpuSettings, token: str) -> None:
    flags.add("use_gpu", True)
    flags.add("gpu_precision_loss_allowed", gpu.precision_loss_allowed)
    flags.add("gpu_experimental_enable_quant", gpu.experimental_quantized)
    taken = ["precision_loss_allowed", "experimental_quantized", "max_delegated_partitions"]
    if gpu.inference_preference in ("sustained_speed", "fast_single_answer"):
        sustained = gpu.inference_preference == "sustained_speed"
        flags.add("gpu_inference_for_sustained_speed", sustained)
        taken.append("inference_preference")
    if gpu.backend in ("opencl", "opengl"):
        flags.add("gpu_backend", {"opencl": "cl", "opengl": "gl"}[gpu.backend])
        taken.append("backend")
    names = [f"inference_priority{i}" for i in (1, 2, 3)]
    given = tuple(None if v == "auto" else v for v in (getattr(gpu, name) for name in names))
    if given == _PRIORITIES[gpu.precision_loss_allowed is not False]:
        taken += names
    flags.add("max_delegated_partitions", gpu.max_delegated_partitions)
    if gpu.serialization_dir:
        flags.path("delegate_serialize_dir", gpu.serialization_dir)
        flags.add("delegate_serialize_token", gpu.model_token or token)
        taken += ["serialization_dir", "model_token"]
    flags.none_for(gpu, *taken)


def _nnapi(flags: _Flags, nnapi: NnapiSettings, token: str) -> None:
    flags.add("use_nnapi", True)
    for flag, option in _NNAPI.items():
        flags.add(flag, getattr(nnapi, option))
    flags.path("nnapi_support_library_path", nnapi.support_library_path)
    flags.add("max_delegated_partitions", nnapi.max_delegated_partitions)
    taken = [*_NNAPI.values(), "support_library_path", "max_delegated_partitions"]
    if nnapi.cache_dir:
        flags.path("delegate_serialize_dir", nnapi.cache_dir)
        flags.add("delegate_serialize_token", nnapi.model_token or token)
        taken += ["cache_dir", "model_token"]
    flags.none_for(nnapi, *taken)


def _compiled_model(flags: _Flags, settings: DeviceSettings, model: PurePath, sha256: str) -> None:
    cpu = settings.cpu or CpuSettings()
    flags.add("use_gpu", True if settings.accelerator == "gpu" else None)
    flags.add("use_npu", True if settings.accelerator == "npu" else None)
    if settings.cpu_fallback is False:
        flags.add("use_cpu", False)
        flags.add("require_full_delegation", True)
    else:
        flags.add("use_cpu", True)
        flags.add("num_threads", cpu.num_threads)
        # XNNPACK is what CompiledModel's CPU is unless told otherwise.
        own = ["kernel_mode"] if cpu.kernel_mode == "xnnpack" else []
        flags.none_for(cpu, "num_threads", *own)
    if settings.accelerator == "gpu":
        gpu = settings.gpu or GpuSettings()
        taken = ["precision_loss_allowed"]
        flags.add("allow_fp16", gpu.precision_loss_allowed)
        if gpu.backend in ("webgpu", "opengl"):
            flags.add("gpu_backend", gpu.backend)
            taken.append("backend")
        if gpu.gpu_priority == "low":
            flags.add("gpu_low_priority", True)
            taken.append("gpu_priority")
        flags.none_for(gpu, *taken)
    if settings.accelerator == "npu":
        _npu(flags, settings.npu or NpuSettings())


def _npu(flags: _Flags, npu: NpuSettings) -> None:
    # Without the compiler's folder a model that is not compiled yet runs on the CPU, unsaid. On a
    # phone it is where everything lies; here `.` would be wherever the command is pasted.
    everything = "." if flags.folder == ADB_FOLDER else None
    for flag, option in (
        ("dispatch_library_path", "dispatch_library_dir"),
        ("compiler_plugin_library_path", "compiler_plugin_dir"),
    ):
        folder = getattr(npu, option) or everything
        flags.path(flag, folder)
        if folder is None:
            flags.notes.append(f"{flag}: npu.{option} names no folder, so the CPU may run it")
    flags.path("compiler_cache_path", npu.compiler_cache_dir)
    if npu.partition_strategy:
        flags.notes.append(f"npu.partition_strategy={npu.partition_strategy}")
    # The vendors' options are flags of other programs (litert/tools/flags/vendors).
    options = getattr(npu, npu.vendor) if npu.vendor in VENDORS else None
    for name, value in (options.given() if options else {}).items():
        if (npu.vendor, name) == ("mediatek", "sdk_version"):
            flags.add("mediatek_nerun_pilot_version", value)
        else:
            flags.notes.append(f"npu.{npu.vendor}.{name}={value}")
