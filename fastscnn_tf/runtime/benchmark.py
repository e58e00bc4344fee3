"""Latency of a .tflite or .onnx on this machine: the network, and whole frames."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.errors import ConfigError
from ..core.images.image_file import read_image
from ..core.sizes import Size, format_size
from ..data.datasets.toy_streets import draw_scene
from ..delegates.kernels import using_kernels
from ..tflite.foreign_options import ForeignOptions
from .device_report import cpu_name, device_report, thermal_state
from .fit import fitted
from .other_runtime import version_of
from .segmenter import Segmenter

FRAME: Size = (720, 1280)  # of a camera
STEPS = ("resize", "network", "labels")


def benchmark(
    path: StrPath,
    threads: int | None = None,
    runs: int = 50,
    warmup: int = 5,
    image: StrPath | None = None,
    trust_settings: bool = False,
    foreign: ForeignOptions | None = None,
    runtime: str | None = None,
    kernels: str | None = None,
) -> dict[str, Any]:
    """Times the network on random bytes, then whole frames: from RGB pixels to the label map.

    Args:
        path: the .tflite or .onnx file.
        threads: CPU threads; by default those of the file's settings, else 2.
        runs: timed runs, of each.
        warmup: runs before, not counted.
        image: the image of the frames; by default a drawn street of 720x1280.
        trust_settings: as for `Segmenter`.
        foreign: what a file from elsewhere leaves open, as for `Segmenter`: `{"scale": 255}`.
        runtime: as for `Segmenter`; `compare_runtimes` measures all of them.
        kernels: instead of its settings', as for `evaluate`.

    Returns:
        `latency_ms` (`median`, `p90`, `p95`, `p99`, `min`, `max`) of the network; `frame`: its
        `size`, the same of a whole one, the median of each step and frames per second; `load_ms`,
        `first_ms`, `file_bytes`, `sha256`, `runtime`, `kernels`, `threads`, `runs`, `input_size`,
        `outputs`, `cpu`, `device`, and the `thermal` state `before` and `after`.

    Raises:
        ConfigError: `runs` below 1.
        ModelFileError: not a usable model.
        DataError: the image cannot be read.
    """
    check_runs(runs, warmup)
    pixels = draw_scene((0,), FRAME)[0] if image is None else read_image(image)
    before = thermal_state()
    options = {"trust_settings": trust_settings, **(foreign or {})}
    with using_kernels(kernels):
        segmenter, load_ms = loaded(path, threads, runtime, options)
    noise = noise_for(segmenter)
    first = timed(segmenter.run, noise, 1)[0]
    times = timed(segmenter.run, noise, warmup + runs)[warmup:]
    return {
        "model": str(path),
        "latency_ms": _summary(times),
        "load_ms": load_ms,
        "first_ms": first * 1000,
        "frame": _frames(segmenter, pixels, runs, warmup),
        "file_bytes": segmenter.path.stat().st_size,
        "sha256": hashlib.sha256(segmenter.path.read_bytes()).hexdigest(),
        "runtime": version_of(segmenter.runtime),
        "kernels": segmenter.kernels,
        "threads": segmenter.threads,
        "runs": runs,
        "input_size": format_size(segmenter.input_size),
        "outputs": segmenter.outputs,
        "cpu": cpu_name(),
        "device": device_report(),
        "thermal": {"before": before, "after": thermal_state()},
    }


def check_runs(runs: int, warmup: int) -> None:
    """Refuses numbers of runs that measure nothing.

    Raises:
        ConfigError: `runs` is below 1, or `warmup` below 0.
    """
    if runs < 1 or warmup < 0:
        raise ConfigError(f"runs must be at least 1, got {runs}")


def _frames(segmenter: Segmenter, pixels: np.ndarray, runs: int, warmup: int) -> dict[str, Any]:
    """Whole frames, one after the other."""
    steps = timed_frames(segmenter, pixels, warmup + runs)[warmup:]
    medians = np.median(steps, axis=0) * 1000
    whole = np.sum(steps, axis=1)
    return {
        "size": format_size((pixels.shape[0], pixels.shape[1])),
        **_summary(whole),
        "step_ms": dict(zip(STEPS, medians.tolist(), strict=True)),
        "frames_per_second": float(1 / whole.mean()),
    }


def loaded(
    path: StrPath, threads: int | None, runtime: str | None, options: Mapping[str, Any]
) -> tuple[Segmenter, float]:
    """A file, opened, and the milliseconds that this took but for the trial."""
    start = time.perf_counter()
    segmenter = Segmenter(path, threads, runtime=runtime, **options)
    seconds = time.perf_counter() - start - segmenter.trial_seconds
    return segmenter, seconds * 1000


def noise_for(segmenter: Segmenter) -> np.ndarray:
    """Random bytes as an image of the network."""
    shape = (*segmenter.input_size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def timed(function: Callable[[Any], Any], argument: Any, runs: int) -> list[float]:
    """Seconds of each call."""
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        function(argument)
        times.append(time.perf_counter() - begin)
    return times


def timed_frames(segmenter: Segmenter, pixels: np.ndarray, runs: int) -> list[np.ndarray]:
    """Seconds of each step of each whole frame."""
    steps, size = [], (pixels.shape[0], pixels.shape[1])
    for _ in range(runs):
        marks = [time.perf_counter()]
        seen = fitted(pixels, segmenter.input_size, "resize")
        marks.append(time.perf_counter())
        output = segmenter.run(seen.image)
        marks.append(time.perf_counter())
        seen.labels(output, segmenter.frame, size)
        marks.append(time.perf_counter())
        steps.append(np.diff(marks))
    return steps


def _summary(seconds: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Percentiles in milliseconds."""
    ms = np.asarray(seconds) * 1000
    middle = {f"p{q}": float(np.percentile(ms, q)) for q in (90, 95, 99)}
    return {
        "median": float(np.median(ms)),
        **middle,
        "min": float(ms.min()),
        "max": float(ms.max()),
    }
