"""Latency of a .tflite on this machine."""

from __future__ import annotations

import os
import platform
import time
from typing import Any

import numpy as np

from ..core.errors import ConfigError
from ..core.sizes import format_size
from .segmenter import Segmenter


def benchmark(
    path: str | os.PathLike[str],
    threads: int | None = None,
    runs: int = 50,
    warmup: int = 5,
) -> dict[str, Any]:
    """Times the network on random bytes.

    Args:
        path: the .tflite file.
        threads: CPU threads; by default those of the file's settings, else 2.
        runs: timed runs.
        warmup: runs before, not counted.

    Returns:
        `latency_ms` (`median`, `p90`, `min`), `load_ms`, `first_ms`, `file_bytes`, `threads`,
        `runs`, `input_size`, `outputs` and the machine's `cpu`.

    Raises:
        ConfigError: `runs` below 1.
        ModelFileError: not a usable model.
    """
    if runs < 1 or warmup < 0:
        raise ConfigError(f"runs must be at least 1, got {runs}")
    start = time.perf_counter()
    segmenter = Segmenter(path, threads)
    loaded = time.perf_counter()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*segmenter.input_size, 3), dtype=np.uint8)
    segmenter.run(image)
    first = time.perf_counter()
    times = []
    for i in range(warmup + runs):
        before = time.perf_counter()
        segmenter.run(image)
        if i >= warmup:
            times.append((time.perf_counter() - before) * 1000)
    return {
        "model": str(path),
        "latency_ms": {
            "median": float(np.median(times)),
            "p90": float(np.percentile(times, 90)),
            "min": min(times),
        },
        "load_ms": (loaded - start) * 1000,
        "first_ms": (first - loaded) * 1000,
        "file_bytes": segmenter.path.stat().st_size,
        "threads": segmenter.threads,
        "runs": runs,
        "input_size": format_size(segmenter.input_size),
        "outputs": segmenter.outputs,
        "cpu": cpu_name(),
    }


def cpu_name() -> str:
    """The processor, as the system names it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith(("model name", "Model")):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
