"""`NnapiSettings`: Android's Neural Networks API. Legacy: deprecated since Android 15."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from .options import Settings, choice, flag, number, path, text

OPTIONS = "tflite/delegates/nnapi/nnapi_delegate.h: StatefulNnApiDelegate::Options"
LONGEST = 2**63 - 1  # nanoseconds


@dataclasses.dataclass(frozen=True)
class NnapiSettings(Settings):
    """How NNAPI runs a .tflite; None leaves an option to the runtime.

    Legacy: NNAPI is deprecated since Android 15, and LiteRT's second generation (Maven packages
    2.x) has no delegate for it; the first (1.4.x) has. Take the NPU or GPU of `CompiledModel` on
    newer devices. `tensor_max_size_hints` and `vendor_plugin` are left out: the first is for
    tensors of changing size, which these files have not, the second a pointer.

    Attributes:
        execution_preference: `low_power`, `fast_single_answer`, `sustained_speed` or `undefined`.
        accelerator_name: the one to use; all others are kept out (API 29).
        cache_dir: folder for compiled models; a relative one lies in the app's code cache.
        model_token: names this model there; by default the file's name and SHA-256.
        disallow_nnapi_cpu: keep NNAPI's slow reference CPU out (API 29).
        max_delegated_partitions: parts of the graph that NNAPI may take; 0: any number.
        allow_fp16: compute float32 in float16 (API 28).
        execution_priority: `low`, `medium`, `high` or `default` (API 30).
        max_compilation_timeout_ns: 0: none (API 30).
        max_execution_timeout_ns: 0: none (API 30).
        max_execution_loop_timeout_ns: 0: NNAPI's own (API 30).
        allow_dynamic_dimensions: sizes that change without compiling again.
        use_burst_computation: burst mode, for many inferences in a row.
        max_execution_cache_size: reusable executions.
        vendor_compilation_hints: for a vendor's plugin.
        vendor_execution_hints: for a vendor's plugin.
        disable_debugging_diagnostics_callbacks: no logs of errors.
        support_library_path: a driver of one's own instead of the system's.

    Raises:
        ConfigError: an unknown value, or one that another option makes void.
    """

    NAME: ClassVar[str] = "nnapi"

    execution_preference: str | None = choice(
        OPTIONS, "undefined", "low_power", "fast_single_answer", "sustained_speed"
    )
    accelerator_name: str | None = text(OPTIONS)
    cache_dir: str | None = path(OPTIONS)
    model_token: str | None = text(OPTIONS, guarded=True)  # of file names
    disallow_nnapi_cpu: bool | None = flag(OPTIONS)
    max_delegated_partitions: int | None = number(
        f"{OPTIONS}.max_number_delegated_partitions", 0, 1000
    )
    allow_fp16: bool | None = flag(OPTIONS)
    execution_priority: str | None = choice(OPTIONS, "default", "low", "medium", "high")
    max_compilation_timeout_ns: int | None = number(
        f"{OPTIONS}.max_compilation_timeout_duration_ns", 0, LONGEST
    )
    max_execution_timeout_ns: int | None = number(
        f"{OPTIONS}.max_execution_timeout_duration_ns", 0, LONGEST
    )
    max_execution_loop_timeout_ns: int | None = number(
        f"{OPTIONS}.max_execution_loop_timeout_duration_ns", 0, LONGEST
    )
    allow_dynamic_dimensions: bool | None = flag(OPTIONS)
    use_burst_computation: bool | None = flag(OPTIONS)
    max_execution_cache_size: int | None = number(OPTIONS, 0, 1000)
    vendor_compilation_hints: str | None = text(OPTIONS)
    vendor_execution_hints: str | None = text(OPTIONS)
    disable_debugging_diagnostics_callbacks: bool | None = flag(OPTIONS)
    support_library_path: str | None = path(
        "tflite/tools/delegates/nnapi_delegate_provider.cc: nnapi_support_library_path",
        needs="accelerator_name",
    )
