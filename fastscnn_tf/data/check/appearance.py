"""What pixels look like: one colour, a label map, a photograph, the same scene once more.

Thresholds were measured on CamVid; `docs/data-check.md` says with what result.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ...core.labels import IGNORE

SIDE = 32  # of a thumbnail
FLAT_VALUES, FLAT_ROUGHNESS = 32, 0.1  # at most, of what is drawn in flat areas
PHOTO_VALUES, PHOTO_ROUGHNESS = 64, 0.5  # at least, of what a camera saw
BLENDED = 0.1  # of all steps between values: CamVid's maps have 0.04 at most, JPEGs 0.14
SCENE = 640  # pixels of the longer side on which orientations are compared
SURE = 0.1  # by which one orientation must fit better; CamVid's least is 0.2


def thumbnail(image: np.ndarray) -> np.ndarray:
    """(32, 32) uint8 grey of (H, W, 3) uint8, antialiased: the same for any size and encoding."""
    small = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(small.convert("L"))


def is_one_color(image: np.ndarray) -> bool:
    """Whether all pixels of (H, W, 3) are the same."""
    first = image[0, 0]
    return bool((image[::16, ::16] == first).all() and (image == first).all())


def values_and_roughness(pixels: np.ndarray) -> tuple[int, float]:
    """How many values (H, W) uint8 has, and the share of neighbours in a row that differ."""
    rows = np.ascontiguousarray(pixels[:: 1 + len(pixels) // 128])
    values = int(np.count_nonzero(np.bincount(rows.ravel(), minlength=256)))
    return values, float(np.count_nonzero(rows[:, 1:] != rows[:, :-1]) / max(1, rows[:, 1:].size))


def looks_drawn(image: np.ndarray) -> bool:
    """Whether (H, W, 3) has few values in flat areas, as label maps do."""
    values, rough = values_and_roughness(image[..., 1])
    return values <= FLAT_VALUES and rough <= FLAT_ROUGHNESS


def unlike_label(label: np.ndarray) -> str:
    """What (H, W) uint8 looks like that is no label map; empty of one that may be one.

    Where classes meet, smoothing and JPEG leave values between theirs.
    """
    values, rough = values_and_roughness(label)
    if rough >= PHOTO_ROUGHNESS:
        return "like a photograph" if values >= PHOTO_VALUES else ""
    left, middle, right = label[:, :-2], label[:, 1:-1], label[:, 2:]
    between = (np.minimum(left, right) < middle) & (middle < np.maximum(left, right))
    steps = np.maximum(left, right) - np.minimum(left, right)
    blended = steps.sum(where=between, dtype=np.int64) > BLENDED * steps.sum(dtype=np.int64)
    return "saved with loss or smoothed, as JPEG does it" if blended else ""


def better_fit(image: np.ndarray, label: np.ndarray, other: np.ndarray) -> float:
    """How much better a label map fits an image than another one of its size does.

    It does if there are edges where classes meet, and if the class explains the colour. Both are
    logarithms of ratios; below `SURE` in size their sum says nothing.

    Args:
        image: (H, W, 3) uint8.
        label, other: (H, W) uint8 class indices, 255 void.
    """
    step = 1 + max(label.shape) // SCENE
    image, label, other = image[::step, ::step], label[::step, ::step], other[::step, ::step]
    pairs = [(_edges(image, each), _unexplained(image, each)) for each in (label, other)]
    (edge, rest), (other_edge, other_rest) = pairs
    return float(np.log(edge / other_edge) + np.log(other_rest / rest))


def _edges(image: np.ndarray, label: np.ndarray) -> float:
    """Mean gradient where classes meet."""
    grey = image.mean(2, dtype=np.float32)
    across, down = np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1]
    meet = (np.diff(label, axis=1)[:-1] != 0) | (np.diff(label, axis=0)[:, :-1] != 0)
    strength = np.minimum(np.abs(across) + np.abs(down), 40)  # few strong edges do not decide
    return float(strength[meet].mean()) + 0.1 if meet.any() else 0.1


def _unexplained(image: np.ndarray, label: np.ndarray) -> float:
    """Share of the colours' variance that is left within classes."""
    known = label != IGNORE
    colors, classes = image[known].astype(np.float64), label[known]
    total = float(colors.var(0).sum()) * len(colors) if len(colors) else 0.0
    if not total:
        return 1.0
    counts = np.maximum(np.bincount(classes), 1)
    sums = [np.bincount(classes, channel) for channel in colors.T]
    between = sum(float((s**2 / counts).sum() - s.sum() ** 2 / len(colors)) for s in sums)
    return max(1 - between / total, 0.01)
