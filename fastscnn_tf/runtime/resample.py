"""The label map at any size from logits, interpolating only what lies on borders of classes.

Bilinear interpolation, once or twice, weighs two or three neighbouring cells of each axis. Pixels
that read the same cells form a block; where all cells of a block have the same winner, its pixels
have it, too. (A block here has any size; `upsample` knows the one case of 8x8 pixels between four
cells, whose sums are integers.) Rows of blocks are done one after the other, and of each the
columns of blocks that are on borders, for the classes that may win there.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from ..core.interpolation import interpolation_taps
from .upsample import winning_planes

PIECE = 1 << 17  # interpolated logits held at a time: 512 KB, which stay in a core's cache


class Taps(NamedTuple):
    """What the entries of an interpolated axis read.

    Attributes:
        first: (target,) the first cell that an entry reads; never decreasing.
        weights: (target, reach) float32, of it and of the cells behind it.
        starts: (groups,) the entries where `first` changes.
    """

    first: np.ndarray
    weights: np.ndarray
    starts: np.ndarray

    @classmethod
    def chain(
        cls,
        source: int,
        padded: int,
        model: int,
        target: int,
        aligned: bool = False,
        origin: int = 0,
    ) -> Taps:
        """Of an axis of `source` cells, brought to `padded`, cut to `model`, brought to `target`.

        Args:
            source: cells of the logits.
            padded: pixels that the network works at.
            model: pixels of its input.
            target: pixels that are wanted.
            aligned: the first step has aligned corners.
            origin: where `model` begins in `padded`.
        """
        inner, inner_weights = interpolation_taps(source, padded, aligned)
        outer, outer_weights = interpolation_taps(model, target)
        cells = inner[outer + origin].reshape(target, 4)
        weights = (outer_weights[:, :, None] * inner_weights[outer + origin]).reshape(target, 4)
        cells = np.where(weights > 0, cells, cells[:, :1])  # of two only one may count
        reach = int((cells.max(1) - cells.min(1)).max()) + 1
        first = np.minimum(cells.min(1), source - reach)
        dense = np.zeros((target, reach), np.float32)
        np.add.at(dense, (np.arange(target)[:, None], cells - first[:, None]), weights)
        return cls(first, dense, np.flatnonzero(np.diff(first, prepend=-1)))

    @property
    def reach(self) -> int:
        """How many cells an entry reads."""
        return self.weights.shape[1]


def resampled_labels(logits: np.ndarray, rows: Taps, columns: Taps) -> np.ndarray:
    """The winning class at every pixel of interpolated logits.

    Args:
        logits: (h, w, classes), all on one scale, at most 256 classes, no NaN.
        rows: what the target's rows read.
        columns: what its columns read.

    Returns:
        (target rows, target columns) uint8; the lowest index wins a tie. Sums are float32.
    """
    height, width, classes = logits.shape
    planes = np.ascontiguousarray(logits.reshape(-1, classes).T)
    winners = winning_planes(planes).reshape(height, width)
    planes = planes.reshape(classes, height, width)
    reach = rows.reach, columns.reach
    border = _of_windows(winners, reach, np.maximum) != _of_windows(winners, reach, np.minimum)
    # Which classes may win in a block: `upsample` gives the bound.
    least = _of_windows(planes, reach, np.minimum).max(0)
    possible = _of_windows(planes, reach, np.maximum) >= least
    labels = winners.take(rows.first, 0).take(columns.first, 1)
    last = [*rows.starts[1:].tolist(), len(rows.first)]
    groups = columns.first[columns.starts]  # first cells of the blocks of a row
    lengths = np.diff([*columns.starts, len(columns.first)])
    for start, stop in zip(rows.starts.tolist(), last, strict=True):
        top = int(rows.first[start])
        mixed = border[top, groups]
        if mixed.any():
            pixels = np.flatnonzero(mixed.repeat(lengths))
            chosen = np.flatnonzero(possible[:, top, groups[mixed]].any(1)).astype(np.uint8)
            cells = planes[chosen, top : top + rows.reach].astype(np.float32)
            step = max(1, PIECE // (len(chosen) * len(pixels)))
            for y in range(start, stop, step):
                piece = slice(y, min(y + step, stop))
                band = np.matmul(rows.weights[piece], cells)  # (classes, rows, w)
                values = _along(band, columns, pixels)
                labels[piece, pixels] = chosen[winning_planes(values)]
    return labels


def _of_windows(x: np.ndarray, reach: tuple[int, int], of: np.ufunc) -> np.ndarray:
    """The greatest (least) of every window of (..., h, w) that a pixel may read."""
    for axis, taps in zip((-2, -1), reach, strict=True):
        count = x.shape[axis] - taps + 1
        parts = [np.moveaxis(x, axis, 0)[i : i + count] for i in range(taps)]
        x = np.moveaxis(functools.reduce(of, parts), 0, axis)
    return x


def _along(band: np.ndarray, columns: Taps, pixels: np.ndarray) -> np.ndarray:
    """(classes, rows, pixels): `band` (classes, rows, w) interpolated at some columns."""
    first, weights = columns.first[pixels], columns.weights[pixels]
    values = band.take(first, 2)
    values *= weights[:, 0]
    for i in range(1, columns.reach):
        more = band.take(first + i, 2)
        more *= weights[:, i]
        values += more
    return values
