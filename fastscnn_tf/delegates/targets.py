"""`TARGETS`: what to export for each device, with which settings, and why. The one such table."""

from __future__ import annotations

import dataclasses

from ..core.arguments import nearest_or_all
from ..core.errors import ConfigError
from ..core.foreign_text import Markdown
from ..core.text_table import markdown_table
from .cpu import CpuSettings
from .device import COMPILED_MODEL, DEVICES, LITERT_JS, DeviceSettings
from .gpu import GpuSettings
from .nnapi import NnapiSettings
from .npu import NpuSettings


@dataclasses.dataclass(frozen=True)
class Target:
    """The choice for one device.

    Attributes:
        title: the device, for people.
        settings: that travel with the file; they name the device.
        runs: what runs it, in short.
        reasons: one line each.
        recipe: of the export; `int8` becomes `int8-qat` for a quantization-aware model.
        outputs: of the export.
        input: of the export.
    """

    title: str
    settings: DeviceSettings
    runs: str
    reasons: tuple[str, ...]
    recipe: str = "int8"
    outputs: str = "logits"
    input: str = "uint8"

    @property
    def name(self) -> str:
        """As `--for` takes it."""
        return self.settings.device or ""


_INT8 = "int8: a third of float32's bytes, and the fastest kernels of ARM and x86 CPUs"
_LOGITS = "logits at 1/8: the runtime's full-resolution labels are exact and cheaper than RESIZE"
_BYTES = "uint8 in: the image's bytes as they are, from any language"
_PI4_API = "Interpreter, never CompiledModel: its GPU library needs atomics that its CPU lacks"
_CORES = "4 threads: one for each core"

_VELA = "every operation is one that Vela places on the NPU: no part comes back to the CPU"
_MAPS = "the pyramid's resizes as 1x1 convolutions, off by a step at most"
_ARGMAX = "logits at 1/8: the CPU's labels at any size from the fewest bytes"


def _pi(name: str, title: str, *reasons: str) -> Target:
    """The choice for a Raspberry Pi."""
    settings = DeviceSettings(name, cpu=CpuSettings(num_threads=4, kernel_mode="xnnpack"))
    return Target(title, settings, "Interpreter, XNNPACK, 4 threads", reasons)


def _ethos(name: str, title: str, resizes: str = _MAPS) -> Target:
    """The choice for an Ethos-U NPU."""
    reasons = ("int8: the NPU's own arithmetic", _VELA, resizes, _ARGMAX, _BYTES)
    return Target(title, DeviceSettings(name), "Vela, then TFLite Micro with Arm's driver", reasons)


_TARGETS = (
    _pi("pi4", "Raspberry Pi 4 (and 3)", _INT8, _LOGITS, _BYTES, _PI4_API, _CORES),
    _pi("pi5", "Raspberry Pi 5", _INT8, _LOGITS, _BYTES, _CORES),
    Target(
        "Android, GPU",
        DeviceSettings(
            "android-gpu",
            accelerator="gpu",
            api=COMPILED_MODEL,
            cpu_fallback=False,
            cpu=CpuSettings(num_threads=4),
            gpu=GpuSettings(precision_loss_allowed=True),
        ),
        "CompiledModel, GPU alone, float16",
        (
            "float16: GPUs compute in it, and int8 would be unpacked to it",
            "float32 in and out: the delegate's own types, no conversion on the CPU",
            "logits at 1/8: GPU delegates have no ARG_MAX, and fewer bytes come back",
            "GPU alone: with the CPU as fallback it may run there unseen",
        ),
        recipe="float16",
        input="float32",
    ),
    Target(
        "Android 11 to 14, NNAPI (legacy)",
        DeviceSettings(
            "android-nnapi",
            accelerator="nnapi",
            cpu=CpuSettings(num_threads=4),
            nnapi=NnapiSettings(
                execution_preference="sustained_speed",
                disallow_nnapi_cpu=True,
                allow_fp16=False,
                max_delegated_partitions=3,
            ),
        ),
        "Interpreter, NnApiDelegate",
        (
            "legacy: NNAPI is deprecated since Android 15; prefer android-gpu or android-npu",
            "int8: what its accelerators take (from API 29)",
            "needs API 30: before it, half-pixel RESIZE_BILINEAR stays on the CPU",
            "logits at 1/8: ARG_MAX and the large RESIZE are left to the CPU",
            "NNAPI's own CPU is kept out: the built-in kernels are usually faster",
        ),
    ),
    Target(
        "Android, NPU",
        DeviceSettings(
            "android-npu",
            accelerator="npu",
            api=COMPILED_MODEL,
            cpu_fallback=True,
            cpu=CpuSettings(num_threads=4),
            npu=NpuSettings(),
        ),
        "CompiledModel, NPU, then CPU",
        (
            "int8: the NPUs' own arithmetic",
            "CompiledModel: the only API with an NPU accelerator",
            "logits at 1/8: ARG_MAX would come back to the CPU",
            "the vendor's options need its name: fastscnn settings --set npu.vendor=qualcomm",
        ),
    ),
    Target(
        "Browser (LiteRT.js)",
        DeviceSettings("browser", api=LITERT_JS),
        "LiteRT.js, WebAssembly",
        (
            "uint8 in and out: LiteRT.js and MediaPipe refuse int8 tensors there",
            "int8 inside: the smallest download, the same labels as elsewhere, to the bit",
            "logits at 1/8: few bytes to read back",
            "threads need COOP and COEP headers",
        ),
    ),
    Target(
        "Another ARM or x86 CPU",
        DeviceSettings("edge-cpu", cpu=CpuSettings(kernel_mode="xnnpack")),
        "Interpreter, XNNPACK",
        (_INT8, _LOGITS, _BYTES, "threads: 2 unless --threads or --set cpu.num_threads says more"),
    ),
    _ethos("ethos-u55", "Arm Ethos-U55 (Cortex-M55, M85)"),
    _ethos("ethos-u65", "Arm Ethos-U65 (i.MX 93)"),
    _ethos("ethos-u85", "Arm Ethos-U85", f"{_MAPS}; the large one of 4 x stays, which it has"),
    Target(
        "Google Coral, Edge TPU",
        DeviceSettings("coral"),
        "edgetpu_compiler, then libedgetpu",
        (
            "int8: the only type that it has",
            "by Coral's published list alone: nothing was compiled or run here",
            f"{_MAPS}: by the list a resize may stay on the CPU, and all behind it with it",
            _ARGMAX,
            _BYTES,
        ),
    ),
)
TARGETS = {target.name: target for target in _TARGETS}
assert tuple(TARGETS) == DEVICES


def target(name: str) -> Target:
    """The choice for a device.

    Raises:
        ConfigError: no such device; the nearest is named.
    """
    if name not in TARGETS:
        raise ConfigError(f"unknown device {name!r}: {nearest_or_all(name, TARGETS)}")
    return TARGETS[name]


def decision_table() -> str:
    """The table as Markdown: that of `docs/devices.md`."""
    head = (Markdown("`--for`"), "device", "recipe", "input", "outputs", "runs on", "why")
    rows = (
        (f"`{t.name}`", t.title, t.recipe, t.input, t.outputs, t.runs, "; ".join(t.reasons))
        for t in _TARGETS
    )
    return markdown_table(head, (map(Markdown, row) for row in rows))
