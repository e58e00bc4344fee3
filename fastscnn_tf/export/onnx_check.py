"""Whether onnxruntime computes what an ONNX file was made from, on drawn streets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core.errors import ExportError, InputError
from ..core.extras import import_extra
from ..core.foreign_text import one_line
from ..core.sizes import parse_size
from ..data.datasets.toy_streets import draw_scene
from ..runtime import native
from ..runtime.engine import DEFAULT_THREADS
from .onnx_graph import INPUT
from .quantization_recipes import INPUTS

IMAGES = 4


@dataclasses.dataclass(frozen=True)
class Bounds:
    """How far the results may be from those that are expected.

    Attributes:
        error: of scores, in steps of an integer result, or as a part of all scores' range.
        near: the share of scores that must be as near.
        alike: the share of pixels whose classes must be the same; those do not count whose two
            best float scores are within `error` of each other.
    """

    error: float
    near: float = 1.0
    alike: float = 1.0


EXACT = Bounds(1e-5)
HALF = Bounds(1e-2, alike=0.99)  # weights rounded to float16, against those that were not
STEPS = Bounds(2, near=0.999, alike=0.999)
LABELS = Bounds(0, alike=0.999)  # no scores to tell ties by


def verified(
    content: bytes,
    metadata: Mapping[str, Any],
    expected: Callable[[np.ndarray], np.ndarray],
    source: str,
    bounds: Bounds,
    step: float | None = None,
) -> str:
    """Runs a file where onnxruntime is installed.

    Args:
        content: of the .onnx.
        metadata: ours: `input_size`, `input`, `mean`, `std` and `outputs`.
        expected: from an image (H, W, 3) uint8 to scores (h, w, classes) or labels (h, w).
        source: what gives the expected.
        bounds: how near it must be.
        step: of scores that are integers.

    Returns:
        One line: what was found, or that it was not verified.

    Raises:
        ExportError: the results are others, or onnxruntime does not take the file.
    """
    try:
        runtime = import_extra("onnxruntime", "onnx")  # which keeps it from reporting
    except InputError as error:
        return f"not verified: {error}"
    size, labels = parse_size(metadata["input_size"], pad=True), "labels" in metadata["outputs"]
    found = _Found(bounds, step)
    try:
        port = (1, *size, 3), None, INPUT  # of whatever type
        order = {"runtime": "onnxruntime", "threads": DEFAULT_THREADS, "input": port, "place": 0}
        call = native.other(content, order)
        for index in range(IMAGES):
            image, _ = draw_scene((0, 2, index), size)
            got = call(_fed(image, metadata))[0]
            found.add(got, expected(image), labels)
    except ExportError:
        raise
    except Exception as error:  # onnxruntime's errors have no common class
        raise ExportError(f"onnxruntime: {one_line(str(error))}") from None
    return f"onnxruntime {runtime.__version__} on {IMAGES} drawn streets: {found.told(source)}"


def _fed(image: np.ndarray, metadata: Mapping[str, Any]) -> np.ndarray:
    if metadata["input"] != INPUTS["float32"]:
        return image[None]
    mean, std = (np.asarray(metadata[name], np.float32) for name in ("mean", "std"))
    return ((image - mean) / std)[None]


class _Found:
    """What was found on all images together."""

    def __init__(self, bounds: Bounds, step: float | None) -> None:
        self.bounds, self.step, self.worst = bounds, step, 0.0
        self.near: list[np.ndarray] = []
        self.alike: list[np.ndarray] = []

    def add(self, got: np.ndarray, expected: np.ndarray, labels: bool) -> None:
        """Compares one image's results; expected scores will do for labels as well."""
        if not labels and got.shape != expected.shape:
            raise ExportError(f"onnxruntime gives {got.shape}, expected {expected.shape}")
        scores = expected.ndim == 3
        unit = self.step or (float(np.ptp(expected)) or 1.0 if scores else 1.0)
        if not labels:
            off = np.abs(got - expected) / unit
            off = np.rint(off) if self.step else off
            self.worst = max(self.worst, float(off.max()))
            self.near.append(off <= self.bounds.error)
        same = (got if labels else got.argmax(-1)) == (expected.argmax(-1) if scores else expected)
        if scores and not self.step:
            second, first = np.moveaxis(np.partition(expected, -2, -1)[..., -2:], -1, 0)
            same |= first - second <= 2 * self.bounds.error * unit
        self.alike.append(same)

    def told(self, source: str) -> str:
        """The line of the report.

        Raises:
            ExportError: beyond the bounds.
        """
        pixels = np.concatenate([each.ravel() for each in self.alike])
        alike = float(np.mean(pixels))
        parts, good = [f"{100 * alike:.2f} % of the classes"], alike >= self.bounds.alike
        if self.near:
            near = float(np.mean(np.concatenate([each.ravel() for each in self.near])))
            good = good and near >= self.bounds.near
            worst = f"{self.worst:.0f} steps" if self.step else f"{self.worst:.1e} of their range"
            parts.append(f"scores at most {worst} off")
        what = f"{', '.join(parts)}"
        if good:
            return f"as {source}: {what}"
        told = f"onnxruntime's results are not those of {source}: same {what}"
        raise ExportError(f"{told} ({pixels.size} pixels)")
