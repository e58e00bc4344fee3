"""`DeviceSettings`: which accelerator runs a .tflite through which API, with all its options."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ..core.errors import ConfigError
from .cpu import CpuSettings
from .gpu import GpuSettings
from .nnapi import NnapiSettings
from .npu import NpuSettings
from .options import Settings, choice, flag, part

INTERPRETER, COMPILED_MODEL, LITERT_JS = "interpreter", "compiled_model", "litert_js"
_MACS = {"u55": (32, 64, 128, 256), "u65": (256, 512), "u85": (128, 256, 512, 1024, 2048)}
# What Vela compiles for: an NPU and its multiply-accumulates per cycle.
ACCELERATORS = tuple(f"ethos-{npu}-{macs}" for npu, counts in _MACS.items() for macs in counts)
COMPILED = ("ethos-u55", "ethos-u65", "ethos-u85", "coral")  # their vendors' compilers go first
DEVICES = (
    *("pi4", "pi5", "android-gpu", "android-nnapi", "android-npu", "browser", "edge-cpu"),
    *COMPILED,
)

# accelerator -> APIs that have it
_APIS = {
    "cpu": (INTERPRETER, COMPILED_MODEL, LITERT_JS),
    "gpu": (INTERPRETER, COMPILED_MODEL, LITERT_JS),
    "nnapi": (INTERPRETER,),
    "npu": (COMPILED_MODEL,),
}


@dataclasses.dataclass(frozen=True)
class DeviceSettings(Settings):
    """The settings that travel with a .tflite.

    Attributes:
        device: what they were chosen for (`--for`).
        accelerator: `cpu`, `gpu`, `nnapi` (legacy) or `npu`.
        api: `interpreter` (TFLite's, with delegates), `compiled_model` (LiteRT's) or `litert_js`.
        cpu_fallback: let the CPU take what the accelerator refuses; false makes that an error,
            so that nothing falls back unseen.
        cpu: options of the CPU, which also runs what an accelerator leaves.
        gpu: options of the GPU.
        nnapi: options of NNAPI.
        npu: options of the NPU.

    Raises:
        ConfigError: an unknown value, or an accelerator that the API has not.

    Example:
        >>> DeviceSettings(cpu=CpuSettings(num_threads=4)).to_dict()
        {'accelerator': 'cpu', 'api': 'interpreter', 'cpu': {'num_threads': 4}}
    """

    PARTS: ClassVar[dict[str, type[Settings]]] = {
        "cpu": CpuSettings,
        "gpu": GpuSettings,
        "nnapi": NnapiSettings,
        "npu": NpuSettings,
    }

    device: str | None = choice("the decision table of targets.py", *DEVICES)
    accelerator: str = choice(
        "ai_edge_litert 2.3.0 hardware_accelerator.py: HardwareAccelerator", *_APIS, default="cpu"
    )
    api: str = choice(
        "org.tensorflow.lite.Interpreter; com.google.ai.edge.litert.CompiledModel; @litertjs/core",
        INTERPRETER,
        COMPILED_MODEL,
        LITERT_JS,
        default=INTERPRETER,
    )
    cpu_fallback: bool | None = flag("litert/c/litert_common.h: LiteRtHwAcceleratorSet")
    cpu: CpuSettings | None = part("delegates/cpu.py")
    gpu: GpuSettings | None = part("delegates/gpu.py")
    nnapi: NnapiSettings | None = part("delegates/nnapi.py")
    npu: NpuSettings | None = part("delegates/npu.py")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("accelerator", "api"):
            if getattr(self, name) is None:
                raise ConfigError(f"{name} must be {self.options()[name].expected}, got None")
        if self.api not in _APIS[self.accelerator]:
            raise ConfigError(
                f"accelerator={self.accelerator} needs api={' or '.join(_APIS[self.accelerator])}, "
                f"got api={self.api}"
            )
        if self.device == "pi4" and self.api == COMPILED_MODEL:
            # The GPU library that it always loads uses LSE atomics: SIGILL on a Cortex-A72.
            raise ConfigError(
                "api=compiled_model kills the program on a Raspberry Pi 4 (its CPU lacks LSE "
                "atomics): use api=interpreter"
            )
        mode = self.cpu and self.cpu.kernel_mode
        # ai-edge-litert 2.3's CompiledModel takes builtin for reference, and says nothing.
        if self.api != INTERPRETER and mode in ("micro", "reference"):
            raise ConfigError(f"cpu.kernel_mode={mode} needs api=interpreter, got {self.api}")
        if self.accelerator == "cpu" and self.cpu_fallback is False:
            raise ConfigError("cpu_fallback=false leaves nothing to run on: accelerator is cpu")

    @property
    def on_android(self) -> bool:
        """Whether they were chosen for an Android phone."""
        return (self.device or "").startswith("android")

    @property
    def elsewhere(self) -> str:
        """What they were chosen for, if Python does not run on it: `Android`, `a browser` ..."""
        if self.on_android:
            return "Android"
        if self.api == LITERT_JS:
            return "a browser"
        return "an NPU, whose compiler comes first" if self.device in COMPILED else ""


def list_options() -> str:
    """All options of all settings: what each takes, and where it is defined."""
    options = DeviceSettings.all_options().items()
    return "\n".join(f"{name}: {option.expected}\n    {option.source}" for name, option in options)
