"""`plan_engine`: settings as arguments of LiteRT's Python API, and what it has no place for."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.aliases import StrPath
from ..core.arguments import check_number
from ..core.errors import ConfigError, ModelFileError
from ..core.extras import import_extra
from ..delegates.cpu import CpuSettings
from ..delegates.device import COMPILED_MODEL, DeviceSettings
from ..delegates.gpu import GpuSettings
from ..delegates.kernels import wanted_kernels, with_kernels
from ..delegates.npu import VENDORS, NpuSettings
from ..delegates.options import Settings
from ..delegates.places import weight_cache_name
from ..delegates.settings_file import read_settings, travelling_settings
from ..delegates.trust import Held, hold, own
from ..tflite.graph import Graph
from ..tflite.lifetimes import beyond_micro, micro_arena
from ..tflite.parser import parse_tflite
from . import MAX_THREADS
from .libraries import LIBRARIES, loaded_libraries

DEFAULT_THREADS = 2
MICRO_SPARE = 1 << 20  # bytes
# option of CpuSettings -> argument of ai_edge_litert.interpreter.Interpreter
_INTERPRETER = {
    "disable_delegate_clustering": "experimental_disable_delegate_clustering",
    "default_delegate_latest_features": "experimental_default_delegate_latest_features",
    "compress_quantization_zero_points": "experimental_compress_quantization_zero_points",
    "disable_delegate_node_fusion": "experimental_disable_delegate_node_fusion",
}
_RESOLVERS = {  # kernel_mode -> OpResolverType
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
_GPU = (  # options of GpuSettings that ai_edge_litert.gpu_options.GpuOptions has by that name
    "constant_tensor_sharing",
    "infinite_float_capping",
    "benchmark_mode",
    "allow_src_quantized_fc_conv_ops",
    "hint_waiting_for_completion",
)
# vendors that ai_edge_litert.options knows, and options of theirs that it does not
_PYTHON_VENDORS = {"qualcomm": {"enable_just_in_time", "htp_p_point"}, "intel_openvino": set()}


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a file will be run.

    Attributes:
        settings: in use; its paths are absolute.
        threads: CPU threads.
        compiled: by `CompiledModel` instead of `Interpreter`.
        options: its further arguments.
        notes: what cannot be applied, one line each.
        remark: that the settings are for another kind of machine or runtime, which is nobody's
            fault, or which libraries are loaded; or "".
        order: for `native.other`, where another runtime than LiteRT runs it.
    """

    settings: DeviceSettings = dataclasses.field(default_factory=DeviceSettings)
    threads: int = DEFAULT_THREADS
    compiled: bool = False
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    remark: str = ""
    order: Mapping[str, Any] | None = None


def plan_engine(
    path: Path,
    content: bytes,
    metadata: Mapping[str, Any],
    threads: int | None = None,
    settings: DeviceSettings | StrPath | None = None,
    trust_settings: bool = False,
    other: Mapping[str, Any] | None = None,
    graph: Graph | None = None,
) -> Plan:
    """Decides how a file is run.

    Args:
        path: of the .tflite.
        content: its bytes.
        metadata: our JSON inside it.
        threads: CPU threads; by default those of the settings, else 2.
        settings: or a settings file of this model; by default what travels with it.
        trust_settings: paths in a settings file, or inside the .tflite, count as well (see
            `delegates.trust`).
        other: what another runtime than LiteRT is told, which of the settings takes the threads.
        graph: the main one, where the content is parsed already.

    Raises:
        ConfigError: the settings are another model's, not valid, or would kill this machine's
            Python; no such number of threads.
        InputError: TFLite Micro is wanted, which is not installed.
        ModelFileError: the settings inside the file are not valid; TFLite Micro has no kernels.
    """
    held = _held(path, content, metadata, settings, trust_settings)
    if wanted_kernels():
        if other is not None:
            raise ConfigError(f"kernels are LiteRT's: leave them out with {other['runtime']}")
        held = own(with_kernels(held.here if held else DeviceSettings()))
    found = DeviceSettings() if held is None else held.here
    cpu = found.cpu or CpuSettings()
    count, notes = _threads(threads, cpu.num_threads)
    if other is not None:
        known = {"cpu.num_threads", "api", "accelerator", "device"}
        unused = ", ".join(name for name in found.flat() if name not in known)
        remark = f"{other['runtime']} has no use for {unused} of its settings" if unused else ""
        order = {**other, "threads": count}
        return Plan(found, count, notes=tuple(notes), remark=remark, order=order)
    if held is None:
        return Plan(found, count)
    if found.elsewhere:
        device = f" ({found.device})" if found.device else ""
        remark = f"its settings are for {found.elsewhere}{device}; on this machine the CPU runs it"
        return Plan(found, count, remark=remark)
    if held.warning:
        notes.insert(0, held.warning)
    if found.api == COMPILED_MODEL:
        check_atomics()
        options, more = _compiled(found, path, content)
        loaded = "; ".join(loaded_libraries(held, found))
        return Plan(found, count, True, options, (*notes, *more), loaded)
    if found.accelerator != "cpu":
        notes.append(
            f"accelerator={found.accelerator} is not used: api={found.api} has none in Python, the "
            "CPU runs it; api=compiled_model may have it"
        )
    options, more = _interpreter(cpu)
    if cpu.kernel_mode == "micro":
        graph = graph or parse_tflite(content).main
        options, asked, count = _micro(path, graph), threads or cpu.num_threads or 1, 1
        if asked > 1:
            notes.append(f"threads={asked} is not used: TFLite Micro has one thread")
    return Plan(found, count, False, options, (*notes, *more))


def _held(
    path: Path,
    content: bytes,
    metadata: Mapping[str, Any],
    settings: DeviceSettings | StrPath | None,
    trusted: bool,
) -> Held | None:
    """What counts of the settings that are given, else of those that travel with the file."""
    if isinstance(settings, DeviceSettings):
        return own(settings)
    if settings is None:
        found = travelling_settings(path, content, metadata)[0]
    else:
        found = read_settings(settings, path, content)
    if found is None:
        return None
    return hold(found, path, hashlib.sha256(content).hexdigest(), trusted)


def _threads(given: int | None, travelled: int | None) -> tuple[int, list[str]]:
    """Of the caller as they are; of the settings no more than there are cores."""
    if given is not None or travelled is None:
        threads = DEFAULT_THREADS if given is None else given
        return check_number("threads", threads, 1, MAX_THREADS, (int,)), []
    cores = os.cpu_count() or 1
    if travelled <= cores:
        return travelled, []
    return cores, [f"cpu.num_threads={travelled}, but this machine has {cores} cores: {cores} used"]


def _interpreter(cpu: CpuSettings) -> tuple[dict[str, Any], list[str]]:
    options = {_INTERPRETER[n]: value for n, value in cpu.given().items() if n in _INTERPRETER}
    if cpu.kernel_mode in _RESOLVERS:
        options["experimental_op_resolver_type"] = _RESOLVERS[cpu.kernel_mode]
    known = {"num_threads", "kernel_mode", *_INTERPRETER}
    return options, _unknown(cpu, known, "Interpreter", "; api=compiled_model may have it")


def _micro(path: Path, graph: Graph) -> dict[str, Any]:
    """What TFLite Micro needs: an arena, with room to spare for scratch memory of kernels."""
    found = import_extra("tflite_micro", "micro", ", which cpu.kernel_mode=micro needs")
    if reason := beyond_micro(graph):
        raise ModelFileError(
            f"{path}: TFLite Micro has no kernel for {reason}: export with recipe int8 or float32"
        )
    arena = 2 * micro_arena(graph) + MICRO_SPARE
    return {"micro": {"arena": arena, "version": found.__version__}}


def _unknown(part: Settings, known: set[str], api: str, hint: str = "") -> list[str]:
    return [
        f"{part.NAME}.{name}={value} is not applied: Python's {api} has no such option{hint}"
        for name, value in part.given().items()
        if name not in known
    ]


def _compiled(
    settings: DeviceSettings, path: Path, content: bytes
) -> tuple[dict[str, Any], list[str]]:
    """Arguments of `ai_edge_litert.options` and `Environment`, by group."""
    cpu = settings.cpu or CpuSettings()
    same = {n: v for n, v in cpu.given().items() if n in ("enable_ynnpack", "kernel_mode")}
    given: dict[str, Any] = {"cpu": same, "environment": {}}
    if cpu.xnnpack_flag_bits is not None:
        given["cpu"]["xnnpack_flags"] = cpu.xnnpack_flag_bits
    known = {"num_threads", "enable_ynnpack", "kernel_mode", "xnnpack_flags", "weight_cache_dir"}
    notes = _unknown(cpu, known, "CompiledModel")
    if cpu.weight_cache_dir:
        name = weight_cache_name(path, hashlib.sha256(content).hexdigest())
        given["cpu"]["xnnpack_weight_cache_path"] = str(Path(cpu.weight_cache_dir) / name)
    if settings.accelerator == "gpu":
        gpu = settings.gpu or GpuSettings()
        given["gpu"] = {name: value for name, value in gpu.given().items() if name in _GPU}
        if gpu.precision_loss_allowed is not None:
            given["gpu"]["enforce_f32"] = not gpu.precision_loss_allowed
        notes += _unknown(gpu, {"precision_loss_allowed", *_GPU}, "CompiledModel")
    if settings.accelerator == "npu":
        notes += _npu(settings.npu or NpuSettings(), given)
    return given, notes


def _npu(npu: NpuSettings, given: dict[str, Any]) -> list[str]:
    notes = _unknown(npu, {"vendor", *LIBRARIES, *VENDORS}, "CompiledModel")
    for name, (argument, _) in LIBRARIES.items():
        if folder := getattr(npu, name):
            given["environment"][argument] = folder
    part = getattr(npu, npu.vendor) if npu.vendor else None
    if part is not None and npu.vendor:
        lacking = _PYTHON_VENDORS.get(npu.vendor, set(part.given()))
        given[npu.vendor] = {k: v for k, v in part.given().items() if k not in lacking}
        notes += _unknown(part, set(given[npu.vendor]), "CompiledModel")
    return notes


def check_atomics(machine: str | None = None, cpuinfo: str | None = None) -> None:
    """Refuses `CompiledModel` where loading its GPU library kills the process (SIGILL).

    Args:
        machine: `platform.machine()`.
        cpuinfo: content of /proc/cpuinfo.

    Raises:
        ConfigError: an ARM CPU without LSE atomics, such as the Cortex-A72 of a Raspberry Pi 4.
    """
    if (machine or platform.machine()) not in ("aarch64", "arm64"):
        return
    if cpuinfo is None:
        source = Path("/proc/cpuinfo")
        cpuinfo = source.read_text(encoding="utf-8") if source.exists() else ""
    features = [line for line in cpuinfo.splitlines() if line.startswith("Features")]
    if features and not all("atomics" in line.split() for line in features):
        raise ConfigError(
            "api=compiled_model kills Python on this CPU, which lacks LSE atomics (a Raspberry Pi "
            "4 or older?): use api=interpreter"
        )
