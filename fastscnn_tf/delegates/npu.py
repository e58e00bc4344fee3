"""`NpuSettings`: LiteRT's NPU accelerator, whatever its vendor."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ..core.errors import ConfigError
from .npu_vendors import (
    GoogleTensorSettings,
    IntelOpenvinoSettings,
    MediatekSettings,
    QualcommSettings,
    SamsungSettings,
)
from .options import Settings, choice, part, path

ENVIRONMENT = "litert/c/litert_environment_options.h: LiteRtEnvOptionTag"
HEADERS = "litert/c/options/litert_"
VENDORS: dict[str, type[Settings]] = {
    "qualcomm": QualcommSettings,
    "mediatek": MediatekSettings,
    "google_tensor": GoogleTensorSettings,
    "intel_openvino": IntelOpenvinoSettings,
    "samsung": SamsungSettings,
}


@dataclasses.dataclass(frozen=True)
class NpuSettings(Settings):
    """How an NPU runs a .tflite; None leaves an option to the runtime.

    Attributes:
        vendor: whose NPU; needed for the vendor's own options.
        dispatch_library_dir: folder of the vendor's dispatch library.
        compiler_plugin_dir: folder of the vendor's compiler, to compile on the device.
        compiler_cache_dir: folder for what was compiled there.
        partition_strategy: `default`, or `weakly_connected` (experimental).
        qualcomm: Qualcomm's own options.
        mediatek: MediaTek's own options.
        google_tensor: Google Tensor's own options.
        intel_openvino: Intel's own options.
        samsung: Samsung's own options.

    Raises:
        ConfigError: an unknown value, or options of another vendor.
    """

    NAME: ClassVar[str] = "npu"
    PARTS: ClassVar[dict[str, type[Settings]]] = VENDORS

    vendor: str | None = choice("litert/vendors: one folder each", *VENDORS)
    dispatch_library_dir: str | None = path(ENVIRONMENT)
    compiler_plugin_dir: str | None = path(f"{ENVIRONMENT}CompilerPluginLibraryDir")
    compiler_cache_dir: str | None = path(ENVIRONMENT)
    partition_strategy: str | None = choice(
        "litert/c/options/litert_compiler_options.h: LiteRtCompilerOptionsPartitionStrategy",
        "default",
        "weakly_connected",
    )
    qualcomm: QualcommSettings | None = part(f"{HEADERS}qualcomm_options.h")
    mediatek: MediatekSettings | None = part(f"{HEADERS}mediatek_options.h")
    google_tensor: GoogleTensorSettings | None = part(f"{HEADERS}google_tensor_options.h")
    intel_openvino: IntelOpenvinoSettings | None = part(f"{HEADERS}intel_openvino_options.h")
    samsung: SamsungSettings | None = part(f"{HEADERS}samsung_options.h")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in VENDORS:
            if getattr(self, name) is not None and self.vendor != name:
                raise ConfigError(
                    f"npu.{name} are options of another vendor than npu.vendor="
                    f"{self.vendor or 'none'}: set npu.vendor={name}, or leave them out"
                )
