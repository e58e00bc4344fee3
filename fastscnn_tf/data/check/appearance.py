"""What pixels look like: one colour, a label map, a photograph, the same scene once more.

Thresholds were measured on CamVid; `docs/data-check.md` says with what result.
"""

from collections.abc import Iterator

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
    """What (H, W) uint8 looks like that is not a label map; empty of one that may be one.

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


# Copies in other bytes, and frames of one video: all pairs are compared, by the correlation of
# small gradient fields: one product of matrices, which no brightness, contrast, size or encoding
# changes much. A copy may be mirrored.
ALIKE = 0.9  # correlation: CamVid's frames 1/15 s apart have 0.89 and more, its splits 0.67 at most
COPY, REST = 0.985, 7.0  # of copies: at least, and grey levels that a tone curve leaves, at most
FAINT = 2.0  # grey levels: with less contrast an image shows nothing to compare
ROOM = 1 << 24  # numbers that are compared at once


def find_alike(known: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int, bool]]:
    """The most alike of some images for each of others, where any is alike.

    Args:
        known: (N, 32, 32) uint8 thumbnails.
        others: (M, 32, 32) uint8.

    Yields:
        Index among the others, index among the known, and whether it is a copy: re-encoded,
        resized, mirrored or a little brighter. If not it may be the next frame of a video.
    """
    if not len(known) or not len(others):
        return
    fields, step = _gradients(known).T, max(1, ROOM // len(known))
    for start in range(0, len(others), step):
        part = others[start : start + step]
        told: dict[int, tuple[int, int, bool]] = {}
        for seen, least in ((part[..., ::-1], COPY), (part, ALIKE)):
            found = _gradients(seen) @ fields
            best = found.argmax(1)
            for row in np.flatnonzero(found[np.arange(len(best)), best] >= least).tolist():
                one = int(best[row])
                copy = found[row, one] >= COPY and _rest(known[one], seen[row]) <= REST
                if copy or (least < COPY and row not in told):
                    told[row] = start + row, one, bool(copy)
        yield from (told[row] for row in sorted(told))


def _coarse(thumbnails: np.ndarray) -> np.ndarray:
    """(N, 16, 16) float32."""
    count, side = len(thumbnails), thumbnails.shape[1] // 2
    return thumbnails.reshape(count, side, 2, side, 2).mean((2, 4), dtype=np.float32)


def _gradients(thumbnails: np.ndarray) -> np.ndarray:
    """(N, 480) float32 of length 1, or 0 where there is nothing to see."""
    coarse = _coarse(thumbnails)
    fields = [np.diff(coarse, axis=axis).reshape(len(coarse), -1) for axis in (1, 2)]
    joined = np.concatenate(fields, axis=1)
    joined[coarse.std((1, 2)) < FAINT] = 0
    length = np.linalg.norm(joined, axis=1, keepdims=True)
    return joined / np.maximum(length, 1e-6)


def _rest(one: np.ndarray, other: np.ndarray) -> float:
    """Grey levels by which two thumbnails differ once a parabola has matched their tones."""
    x, y = (_coarse(each[None]).ravel().astype(np.float64) / 255 for each in (one, other))
    rests = []
    for a, b in ((x, y), (y, x)):
        powers = np.stack([np.ones_like(a), a, a * a], axis=1)
        rests.append(np.abs(b - powers @ np.linalg.lstsq(powers, b, rcond=None)[0]))
    return 255 * min(float(np.quantile(rest, 0.99)) for rest in rests)
