"""The label map at the input's size from logits at 1/8 of it, exactly, without upsampling them all.

Bilinear upsampling by 8 with half-pixel centres lays an 8x8 block of pixels between every four
neighbouring logits (at the edges the outermost count twice). Every pixel of a block is a weighted
mean of its four corners, so a class that wins all four corners wins the whole block. Only blocks
on borders of classes are interpolated, and of them only the classes that may win somewhere inside:
those whose greatest corner reaches the best of the classes' least corners. A class that wins no
corner may be among them.

The weights are products of odd sixteenths: with int8 logits the sums are integers below 2^24, which
float32 holds exactly, so the labels are those of integer arithmetic.
"""

from __future__ import annotations

import numpy as np

from ..core.interpolation import interpolation_matrix

FACTOR = 8
_BYTES = np.uint64(0x0101010101010101)  # one label in each of eight neighbouring pixels


def _block_weights() -> np.ndarray:
    """(4, 64): what each corner weighs in each pixel of a block, in 256ths."""
    between = interpolation_matrix(2, 2 * FACTOR)[FACTOR // 2 : -FACTOR // 2]
    axis = 2 * FACTOR * between.T
    return np.einsum("ay,bx->abyx", axis, axis).reshape(4, FACTOR * FACTOR)


_WEIGHTS = _block_weights()


def upsampled_labels(logits: np.ndarray) -> np.ndarray:
    """The winning class at every pixel of bilinearly upsampled logits.

    Args:
        logits: (h, w, classes) at 1/8, all on one scale, at most 256 classes: int8, uint8 or int16
            as they come out of the graph, or finite floats.

    Returns:
        (8 h, 8 w) uint8 class indices; the lowest index wins a tie. For integers they are those of
        exact arithmetic, for floats those of float64.
    """
    height, width, _ = logits.shape
    winners = np.pad(logits.argmax(-1).astype(np.uint8), 1, mode="edge")
    first = winners[:-1, :-1]
    border = (winners[:-1, 1:] != first) | (winners[1:, :-1] != first) | (winners[1:, 1:] != first)
    blocks = np.empty((height + 1, FACTOR, width + 1), np.uint64)
    blocks[:] = (first * _BYTES)[:, None]
    rows, columns = np.nonzero(border)
    if len(rows):
        blocks[rows, :, columns] = _border_labels(_corners(logits, rows, columns))
    pixels = blocks.view(np.uint8).reshape((height + 1) * FACTOR, (width + 1) * FACTOR)
    half = FACTOR // 2
    return np.ascontiguousarray(pixels[half:-half, half:-half])


def _corners(logits: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(4, blocks, classes): the logits around each block."""
    height, width, classes = logits.shape
    low, high = np.maximum(rows - 1, 0), np.minimum(rows, height - 1)
    left, right = np.maximum(columns - 1, 0), np.minimum(columns, width - 1)
    flat = logits.reshape(-1, classes)
    places = [y * width + x for y in (low, high) for x in (left, right)]
    return flat[np.stack(places)]


def _border_labels(corners: np.ndarray) -> np.ndarray:
    """(blocks, 8) uint64: the labels of eight rows of eight pixels."""
    possible = corners.max(0) >= corners.min(0).max(-1, keepdims=True)
    counts = possible.sum(-1)
    labels = np.empty((len(counts), FACTOR * FACTOR), np.uint8)
    for count in np.unique(counts):
        chosen = np.flatnonzero(counts == count)
        classes = np.nonzero(possible[chosen])[1].reshape(-1, count)  # ascending in each block
        values = corners[:, chosen[:, None], classes]
        labels[chosen] = _winners(values, classes.astype(np.uint8))
    return labels.view(np.uint64)


def _winners(corners: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(blocks, 64): who wins among (4, blocks, candidates) logits."""
    exact: np.dtype = np.dtype(np.float32 if corners.dtype.itemsize == 1 else np.float64)
    weights: np.ndarray = _WEIGHTS.astype(exact)
    columns: np.ndarray = corners.astype(exact)
    best: np.ndarray = columns[:, :, 0].T @ weights
    labels = np.repeat(classes[:, :1], FACTOR * FACTOR, axis=1)
    for i in range(1, classes.shape[1]):
        value: np.ndarray = columns[:, :, i].T @ weights
        np.copyto(labels, classes[:, i : i + 1], where=value > best)
        np.maximum(best, value, out=best)
    return labels
