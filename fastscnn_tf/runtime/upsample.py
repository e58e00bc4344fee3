"""The label map at the input's size from logits at 1/8 of it, exactly, without upsampling them all.

Bilinear upsampling by 8 with half-pixel centres lays an 8x8 block of pixels between every four
neighbouring logits (at the edges the outermost count twice). Every pixel of a block is a weighted
mean of its four corners, so a class that wins all four corners wins the whole block. Only blocks
on borders of classes are interpolated, and of them only the classes that may win somewhere inside:
those whose greatest corner reaches the best of the classes' least corners. A class that wins no
corner may be among them.

The weights are products of odd sixteenths: with integer logits the sums are integers that float32
(of bytes) or float64 (of more) hold exactly, so the labels are those of integer arithmetic.

Work goes class by class over planes of bytes and by pieces of a thousand blocks, which stay in a
core's cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..core.images.interpolation import interpolation_matrix

FACTOR = 8
PIECE = 1024  # blocks interpolated at a time: 64 float32 each are 256 KB
_BYTES = np.uint64(0x0101010101010101)  # one label in each of eight neighbouring pixels


def _block_weights() -> np.ndarray:
    """(4, 64): what each corner weighs in each pixel of a block, in 256ths."""
    between = interpolation_matrix(2, 2 * FACTOR)[FACTOR // 2 : -FACTOR // 2]
    axis = 2 * FACTOR * between.T
    return np.einsum("ay,bx->abyx", axis, axis).reshape(4, FACTOR * FACTOR)


_WEIGHTS = {np.dtype(t): _block_weights().astype(t) for t in (np.float32, np.float64)}


def upsampled_labels(logits: np.ndarray) -> np.ndarray:
    """The winning class at every pixel of bilinearly upsampled logits.

    Args:
        logits: (h, w, classes) at 1/8, all on one scale, at most 256 classes: int8, uint8 or int16
            as they come out of the graph, or finite floats.

    Returns:
        (8 h, 8 w) uint8 class indices; the lowest index wins a tie. For integers they are those of
        exact arithmetic, for floats those of float64.
    """
    height, width, classes = logits.shape
    planes = np.ascontiguousarray(logits.reshape(-1, classes).T)
    winners = winning_planes(planes).reshape(height, width)
    labels = np.empty((height, FACTOR, width), np.uint64)
    labels[:] = (winners * _BYTES)[:, None]  # where four corners agree, so does the nearest
    rows, columns = np.nonzero(_borders(winners))
    if len(rows):
        words = labels.view(np.uint32).reshape(height * FACTOR, -1)
        corners = _corners(planes, (height, width), rows, columns)
        for blocks, values in _border_labels(corners):
            _write(words, rows[blocks], columns[blocks], values)
    return labels.view(np.uint8).reshape(height * FACTOR, width * FACTOR)


def border_share(logits: np.ndarray) -> float:
    """Share of blocks (0..1) that lie on borders of classes, which is what the work grows with."""
    return float(_borders(logits.argmax(-1)).mean())


def winning_planes(planes: np.ndarray) -> np.ndarray:
    """The argmax over the first axis; the lowest index wins a tie.

    Args:
        planes: (classes, ...) of any numeric dtype without NaN, at most 256 classes.

    Returns:
        (...) uint8.
    """
    best = planes[0].copy()
    winners = np.zeros(best.shape, np.uint8)
    better = np.empty(best.shape, bool)
    index = better.view(np.uint8)
    for i in range(1, len(planes)):
        np.greater(planes[i], best, out=better)
        np.maximum(planes[i], best, out=best)
        np.multiply(index, np.uint8(i), out=index)
        np.maximum(winners, index, out=winners)  # the last that was better is the greatest index
    return winners


def _borders(winners: np.ndarray) -> np.ndarray:
    """(h + 1, w + 1): the blocks whose corners do not all have the same winner."""
    height, width = winners.shape
    below = winners[1:] != winners[:-1]
    beside = winners[:, 1:] != winners[:, :-1]
    border = np.zeros((height + 1, width + 1), bool)
    border[1:-1, :-1] = below
    border[1:-1, 1:] |= below
    border[:-1, 1:-1] |= beside
    border[1:, 1:-1] |= beside
    return border


def _corners(
    planes: np.ndarray, size: tuple[int, int], rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """(classes, 4, blocks): the logits around each block."""
    height, width = size
    low, high = np.maximum(rows - 1, 0) * width, np.minimum(rows, height - 1) * width
    left, right = np.maximum(columns - 1, 0), np.minimum(columns, width - 1)
    return planes.take(np.stack([y + x for y in (low, high) for x in (left, right)]), axis=1)


def _write(words: np.ndarray, rows: np.ndarray, columns: np.ndarray, labels: np.ndarray) -> None:
    """Puts blocks (n, 64) of labels where they lie.

    Half of a block at an edge lies outside; it is the mirror image of the other half, whose rows
    (columns) are all the same, so it may be written over that.
    """
    y = rows[:, None] * FACTOR + np.arange(-FACTOR // 2, FACTOR // 2)
    x = columns[:, None] * 2 + np.arange(-1, 1)
    np.clip(y, 0, words.shape[0] - 1, out=y)
    np.clip(x, 0, words.shape[1] - 1, out=x)
    places = y[:, :, None] * words.shape[1] + x[:, None]
    words.reshape(-1)[places.reshape(-1)] = labels.view(np.uint32).reshape(-1)


def _border_labels(corners: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks (n,), and their labels (n, 64), by pieces, from (classes, 4, blocks)."""
    possible = corners.max(1) >= corners.min(1).max(0)
    counts = possible.sum(0, dtype=np.uint16)
    order = np.argsort(~counts, kind="stable")  # those with most candidates first
    counts = counts[order]
    classes = np.nonzero(possible.T[order])[1].astype(np.uint8)  # ascending in each block
    first = np.cumsum(counts, dtype=np.intp) - counts  # of each block, among all of `classes`
    for start in range(0, len(order), PIECE):
        piece = slice(start, start + PIECE)
        yield order[piece], _winners(corners, order[piece], classes, first[piece], counts[piece])


def _winners(
    corners: np.ndarray,
    blocks: np.ndarray,
    classes: np.ndarray,
    first: np.ndarray,
    counts: np.ndarray,
) -> np.ndarray:
    """(n, 64): who wins in each of n blocks.

    Args:
        corners: (classes, 4, blocks).
        blocks: (n,) indices.
        classes: the candidates of all blocks, one after the other.
        first: (n,) where those of a block begin.
        counts: (n,) how many they are, at least 2; descending.
    """
    exact = np.dtype(np.float32 if corners.dtype.itemsize == 1 else np.float64)
    weights = _WEIGHTS[exact]
    for i in range(int(counts[0])):
        n = np.count_nonzero(counts > i)  # the blocks that have an i-th candidate come first
        names = classes[first[:n] + i]
        value = corners[names, :, blocks[:n]].astype(exact) @ weights
        if i == 0:
            best, labels = value, names.repeat(FACTOR * FACTOR).reshape(n, -1)
            continue
        better = (value > best[:n]).view(np.uint8)
        np.maximum(value, best[:n], out=best[:n])
        better *= names[:, None]
        np.maximum(labels[:n], better, out=labels[:n])  # the last that was better
    return labels
