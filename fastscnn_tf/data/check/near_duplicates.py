"""Pictures that show the same: copies in other bytes, and frames of one video.

All pairs are compared, by the correlation of small gradient fields: one product of matrices, which
no brightness, contrast, size or encoding changes much. A copy may be mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ALIKE = 0.9  # correlation: CamVid's frames 1/15 s apart have 0.89 and more, its splits 0.67 at most
COPY, REST = 0.985, 7.0  # of copies: at least, and grey levels that a tone curve leaves, at most
FAINT = 2.0  # grey levels: with less contrast a picture shows nothing to compare
ROOM = 1 << 24  # numbers that are compared at once


def find_alike(known: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int, bool]]:
    """The most alike of some pictures for each of others, where any is alike.

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
