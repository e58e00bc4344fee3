"""`CpuSettings`: the interpreter's own kernels, XNNPACK's, and those of microcontrollers."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ..core.errors import ConfigError
from .options import Settings, choice, flag, number, path, texts

MAX_THREADS = 256  # the interpreter crashes when it cannot start them all
KERNELS = ("xnnpack", "builtin", "reference", "micro")
XNNPACK_H = "tflite/delegates/xnnpack/xnnpack_delegate.h: TfLiteXNNPackDelegateOptions"
CPU_OPTIONS = "ai_edge_litert 2.3.0 cpu_options.py: CpuOptions"
INTERPRETER = "ai_edge_litert 2.3.0 interpreter.py: Interpreter(experimental_"

# TFLITE_XNNPACK_DELEGATE_FLAG_* of xnnpack_delegate.h.
XNNPACK_FLAGS = {
    "qs8": 0x1,
    "qu8": 0x2,
    "force_fp16": 0x4,
    "dynamic_fully_connected": 0x8,
    "variable_operators": 0x10,
    "transient_indirection_buffer": 0x20,
    "enable_latest_operators": 0x40,
    "enable_subgraph_reshaping": 0x80,
    "slow_consistent_arithmetic": 0x200,
    "disable_subgraph_reshaping": 0x400,
}


@dataclasses.dataclass(frozen=True)
class CpuSettings(Settings):
    """How the CPU runs a .tflite; None leaves an option to the runtime.

    Attributes:
        num_threads: CPU threads; no more than the cores, since XNNPACK's threads wait actively.
        kernel_mode: `xnnpack` (the delegate, then the built-in kernels), `builtin` (these alone),
            `reference` (slow, for checks) or `micro` (TFLite Micro's interpreter, extra `micro`).
        enable_ynnpack: let YNNPACK take operations before XNNPACK, in builds that have it.
        xnnpack_flags: replace the delegate's default flags (`qs8`, `qu8` and others).
        xnnpack_runtime_flags: passed to `xnn_create_runtime`, as XNNPACK defines them.
        weight_cache_dir: folder for packed weights, to start faster and share them between
            processes. The file in it is named by the model's SHA-256: XNNPACK does not notice
            that a cache is another model's and computes with its weights. Where it counts, and
            where a relative one lies: `trust`.
        disable_delegate_clustering: keep the order of control dependencies.
        default_delegate_latest_features: XNNPACK's newest operations.
        compress_quantization_zero_points: one zero point per tensor where all are equal.
        disable_delegate_node_fusion: each delegated operation by itself.

    Raises:
        ConfigError: an unknown value, or flags that contradict each other.
    """

    NAME: ClassVar[str] = "cpu"

    num_threads: int | None = number(XNNPACK_H, 1, MAX_THREADS)
    kernel_mode: str | None = choice(
        "ai_edge_litert 2.3.0 cpu_kernel_mode.py: CpuKernelMode; interpreter.py: OpResolverType; "
        "tflite_micro runtime.py: Interpreter",
        *KERNELS,
    )
    enable_ynnpack: bool | None = flag(CPU_OPTIONS)
    xnnpack_flags: tuple[str, ...] | None = texts(f"{XNNPACK_H}.flags", *XNNPACK_FLAGS)
    xnnpack_runtime_flags: int | None = number(f"{XNNPACK_H}.runtime_flags", 0, 2**31 - 1)
    weight_cache_dir: str | None = path(f"{XNNPACK_H}.weight_cache_file_path")
    disable_delegate_clustering: bool | None = flag(INTERPRETER)
    default_delegate_latest_features: bool | None = flag(INTERPRETER)
    compress_quantization_zero_points: bool | None = flag(INTERPRETER)
    disable_delegate_node_fusion: bool | None = flag(INTERPRETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        flags = set(self.xnnpack_flags or ())
        if flags >= {"enable_subgraph_reshaping", "disable_subgraph_reshaping"}:
            raise ConfigError(
                "cpu.xnnpack_flags: subgraph reshaping is both enabled and disabled: keep one"
            )
        needs = [n for n in ("xnnpack_flags", "weight_cache_dir") if getattr(self, n) is not None]
        if needs and self.kernel_mode not in (None, "xnnpack"):
            raise ConfigError(
                f"cpu.{needs[0]} is XNNPACK's, which cpu.kernel_mode={self.kernel_mode} keeps out"
            )

    @property
    def xnnpack_flag_bits(self) -> int | None:
        """The flags as the delegate's bit field."""
        if self.xnnpack_flags is None:
            return None
        return sum(XNNPACK_FLAGS[name] for name in self.xnnpack_flags)
