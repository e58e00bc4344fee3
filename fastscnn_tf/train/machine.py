"""`machine`: what a run runs on; its speed and its last bits depend on it."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

from ..runtime.device_report import cpu_name


def machine() -> dict[str, Any]:
    """System, processor, usable cores, memory and GPUs, as far as the system tells.

    Returns:
        Plain JSON types; `memory_gib` in GiB, `gpus` the names TensorFlow knows, where it has been
        imported already.
    """
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()}",
        "processor": cpu_name(),
        "cores": _cores(),
    }
    if (memory := _memory()) is not None:
        facts["memory_gib"] = round(memory / 2**30, 1)
    if gpus := _gpus():
        facts["gpus"] = gpus
    return facts


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # such as on Windows
        return None


def _gpus() -> list[str]:
    if "tensorflow" not in sys.modules:
        return []
    from ..keras_api import tensorflow

    config = tensorflow().config
    details = map(config.experimental.get_device_details, config.list_physical_devices("GPU"))
    return [each.get("device_name", "GPU") for each in details]
