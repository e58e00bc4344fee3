"""Which CPU kernels run all files for a while, whatever their settings say."""

from __future__ import annotations

import contextlib
import os

from ..core.environment import environment
from .cpu import CpuSettings
from .device import DeviceSettings

VARIABLE = "FASTSCNN_KERNELS"


def using_kernels(kernels: str | None) -> contextlib.AbstractContextManager[None]:
    """Opens all files meanwhile with `cpu.kernel_mode` so, in processes that are started, too.

    Args:
        kernels: `xnnpack`, `builtin`, `reference` or `micro`; None leaves it to their settings.

    Raises:
        ConfigError: there are no such kernels.
    """
    CpuSettings(kernel_mode=kernels)
    return environment(**{VARIABLE: kernels})


def wanted_kernels() -> str:
    """Those that all files are opened with now; or ""."""
    return os.environ.get(VARIABLE, "")


def with_kernels(settings: DeviceSettings) -> DeviceSettings:
    """Settings of a file; where kernels are wanted, these with no more of them than its threads."""
    if not (kernels := wanted_kernels()):
        return settings
    threads = settings.cpu.num_threads if settings.cpu else None
    return DeviceSettings(cpu=CpuSettings(num_threads=threads, kernel_mode=kernels))
