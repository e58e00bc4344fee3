"""What a device is and how hot it runs: what a latency is worth nothing without."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.version import __version__

# Bits of `vcgencmd get_throttled` (raspberrypi.com, documentation of vcgencmd).
THROTTLING = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
    16: "under-voltage since boot",
    17: "frequency capped since boot",
    18: "throttled since boot",
    19: "soft temperature limit since boot",
}
PACKAGES = ("ai-edge-litert", "numpy", "pillow")


def cpu_name(root: Path = Path("/")) -> str:
    """The processor, as the system names it."""
    found = _named(root / "proc/cpuinfo", ("model name", "Model"), ":")
    return found or platform.processor() or platform.machine()


def physical_memory() -> int | None:
    """Bytes of memory of this machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # such as on Windows
        return None


def device_report(root: Path = Path("/")) -> dict[str, Any]:
    """The device and what runs on it.

    Returns:
        `model` (a Pi's name, from the device tree; None elsewhere), `cpu`, `cores`, `machine`,
        `os`, `kernel`, `python` and `versions` of the packages that matter.
    """
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "model": _text(root / "proc/device-tree/model"),
        "cpu": cpu_name(root),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "os": _named(root / "etc/os-release", ("PRETTY_NAME",), "="),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {"fastscnn-tf": __version__, **versions},
    }


def thermal_state(
    root: Path = Path("/"), firmware: Callable[[], str | None] | None = None
) -> dict[str, Any]:
    """How warm and how fast the device is now; None for what cannot be read.

    Args:
        root: of the file system.
        firmware: says what `vcgencmd get_throttled` says; by default it is run, if it is there.

    Returns:
        `celsius` of the hottest zone, `governor` and `mhz` of the first core, `throttling`: what
        the Pi's firmware reports, by name; empty if nothing.
    """
    zones = (_number(zone) for zone in sorted((root / "sys/class/thermal").glob("*/temp")))
    warm = [zone / 1000 for zone in zones if zone is not None]
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    hertz = _number(frequency / "scaling_cur_freq")
    return {
        "celsius": max(warm) if warm else None,
        "governor": _text(frequency / "scaling_governor"),
        "mhz": None if hertz is None else hertz / 1000,
        "throttling": _throttling((firmware or _vcgencmd)()),
    }


def _vcgencmd() -> str | None:
    command = shutil.which("vcgencmd")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "get_throttled"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _throttling(said: str | None) -> list[str] | None:
    """`throttled=0x50005` in words."""
    try:
        bits = int((said or "").strip().rsplit("=", 1)[-1], 16)
    except ValueError:
        return None
    return [name for bit, name in THROTTLING.items() if bits >> bit & 1]


def _named(path: Path, names: tuple[str, ...], sign: str) -> str | None:
    """The value of the first line that begins with a name, without quotes."""
    lines = (_text(path) or "").splitlines()
    found = (line.split(sign, 1)[-1] for line in lines if line.startswith(names))
    return next((value.strip('" \t') for value in found), None)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip("\0\n ")
    except OSError:
        return None


def _number(path: Path) -> int | None:
    try:
        return int(_text(path) or "")
    except ValueError:
        return None
