"""From a network's output to a label map of any size, in plain numpy.

Logits at 1/8 are first interpolated to the model's input size (what the graph's own last resize
would do; padding is cut off) and from there to the target size; all steps are linear, so they are
one matrix per axis. The argmax is taken last, and only where classes meet are logits interpolated:
by blocks of 8x8 pixels where the target is the input's own size (`upsample`), in float32 and by
tiles elsewhere. Both keep the memory small.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..core.errors import NonFiniteLogits
from ..core.images.image_file import resize_label
from ..core.images.interpolation import HALF_PIXEL, interpolation_matrix
from ..core.sizes import Size, padded_size
from .upsample import FACTOR, upsampled_labels, winning_planes

STRIP_VALUES = 1 << 22  # interpolated logits held at a time
MAX_CLASSES = 256  # that a byte can name
TILE = (32, 128)  # pixels for which labels are made at a time


class LogitsFrame(NamedTuple):
    """How a network's output lies over its input.

    Attributes:
        size: (height, width) of the input.
        padded: (height, width) the network works at; what lies beyond `size` is cut off.
        sampling: how the logits are upsampled (see `core.images.interpolation`).
        origin: (row, column) in what the network works at where `size` begins.
    """

    size: Size
    padded: Size
    sampling: str = HALF_PIXEL
    origin: Size = (0, 0)

    @classmethod
    def of(cls, size: Size, sampling: str = HALF_PIXEL) -> LogitsFrame:
        """The frame of a network that pads its input to multiples of 32 itself."""
        return cls(size, padded_size(size), sampling)


@functools.lru_cache(maxsize=32)
def _chain(
    source: int, padded: int, model: int, target: int, sampling: str, origin: int = 0
) -> np.ndarray:
    """Logits to the padded size, cut to the model's, then to the target."""
    if source == padded:
        first = np.eye(padded, dtype=np.float32)
    else:
        first = interpolation_matrix(source, padded, sampling)
    first = first[origin : origin + model]
    return first if model == target else interpolation_matrix(model, target) @ first


def labels_from_logits(
    logits: np.ndarray, model_size: Size | LogitsFrame, target_size: Size
) -> np.ndarray:
    """The winning class at every pixel of the target.

    Args:
        logits: (h, w, classes) of any numeric dtype; all classes on one scale.
        model_size: (height, width) of the network's input, or its frame.
        target_size: (height, width) of the wanted label map.

    Returns:
        `target_size` uint8 class indices; the lowest index wins a tie.

    Raises:
        NonFiniteLogits: a logit is NaN or infinite.
    """
    frame = model_size if isinstance(model_size, LogitsFrame) else LogitsFrame.of(model_size)
    check_finite(logits)
    if frame.size == tuple(target_size) and _are_eighths(logits, frame):
        top, left = frame.origin
        whole = upsampled_labels(logits)
        return np.ascontiguousarray(whole[top : top + frame.size[0], left : left + frame.size[1]])
    if logits.shape[:2] == frame.size == tuple(target_size):
        return logits.argmax(-1).astype(np.uint8)
    return _interpolated_labels(logits, frame, target_size)


def _interpolated_labels(logits: np.ndarray, frame: LogitsFrame, target: Size) -> np.ndarray:
    """The argmax of interpolated logits, by tiles.

    A pixel is a weighted mean of the logits that its tile reads: a class that wins them all wins
    the tile, and one whose greatest stays below the least of another can be left out.
    """
    rows, columns = _axes(logits, frame, target)
    planes = np.ascontiguousarray(np.moveaxis(logits, -1, 0))
    winners = winning_planes(planes)
    labels = np.empty(target, np.uint8)
    across = [(place, read, np.ascontiguousarray(w.T)) for place, read, w in _bands(columns, 1)]
    for top, span, block in _bands(rows, 0):
        for left, read, weights in across:
            near = winners[span, read]
            if (near == near[0, 0]).all():
                labels[top, left] = near[0, 0]
                continue
            cells = planes[:, span, read]
            least = cells.min((1, 2)).max()
            classes = np.flatnonzero(cells.max((1, 2)) >= least).astype(np.uint8)
            tile = np.matmul(np.matmul(block, cells[classes].astype(np.float32)), weights)
            labels[top, left] = classes[winning_planes(tile)]
    return labels


def logit_tiles(
    logits: np.ndarray, frame: LogitsFrame, target: Size
) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """The logits brought to a size, by tiles that stay in the processor's cache.

    A tile depends on the few logits around it. The zeros that are left out of the sums change no
    bit of them, and products this small are never shared among BLAS threads, which would fight
    with the interpreter's over the cores.

    Args:
        logits: (h, w, classes) of any numeric dtype, finite.
        frame: how they lie over the input.
        target: (height, width).

    Yields:
        Rows and columns of the target, and their (classes, rows, columns) float32 logits, which
        may be overwritten.
    """
    rows, columns = _axes(logits, frame, target)
    values = np.ascontiguousarray(np.moveaxis(logits, -1, 0), np.float32)
    across = [(place, read, np.ascontiguousarray(w.T)) for place, read, w in _bands(columns, 1)]
    for top, span, block in _bands(rows, 0):
        strip = np.matmul(block, values[:, span])
        for left, read, weights in across:
            yield (top, left), np.matmul(strip[:, :, read], weights)


def _bands(weights: np.ndarray, axis: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Some rows of an interpolation matrix at a time: where, the cells they read, the weights."""
    for start in range(0, len(weights), TILE[axis]):
        place = slice(start, start + TILE[axis])
        read = np.flatnonzero(weights[place].any(0))
        span = slice(int(read[0]), int(read[-1]) + 1)
        yield place, span, weights[place, span]


def winners_and_probability(
    logits: np.ndarray,
    frame: LogitsFrame,
    target: Size,
    scale: float,
    finished: bool = False,
    offset: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The winning class of every pixel of interpolated logits, and its softmax.

    Args:
        logits: (h, w, classes) of any numeric dtype.
        frame: how they lie over the input.
        target: (height, width).
        scale: what 1 in them is worth.
        finished: they are probabilities already.
        offset: what the first class is ahead by, which counts for the winner alone.

    Returns:
        `target` uint8 class indices (the lowest of a tie), and float32 probabilities.

    Raises:
        NonFiniteLogits: a logit is NaN or infinite.
    """
    check_finite(logits)
    winners, probability = np.empty(target, np.uint8), np.empty(target, np.float32)
    for place, tile in logit_tiles(logits, frame, target):
        best = tile.max(0)
        winners[place] = (tile == best).argmax(0)
        if offset:
            tile[0] -= np.float32(offset)
            best = np.take_along_axis(tile, winners[place][None], 0)[0]
        if finished:
            probability[place] = np.clip(best * np.float32(scale), 0, 1)
            continue
        tile -= best
        tile *= np.float32(scale)
        probability[place] = 1 / np.exp(tile, out=tile).sum(0)
    return winners, probability


def _are_eighths(logits: np.ndarray, frame: LogitsFrame) -> bool:
    padded = tuple(FACTOR * n for n in logits.shape[:2])
    is_half_pixel = padded == tuple(frame.padded) and frame.sampling == HALF_PIXEL
    return is_half_pixel and logits.shape[2] <= MAX_CLASSES


def check_finite(logits: np.ndarray) -> None:
    """Refuses logits that cannot be compared.

    Raises:
        NonFiniteLogits: one is NaN or infinite.
    """
    if logits.dtype.kind == "f" and not np.isfinite(logits).all():
        raise NonFiniteLogits("the model's logits are NaN or infinite: train it again")


def logit_strips(
    logits: np.ndarray, frame: LogitsFrame, target_size: Size
) -> Iterator[tuple[slice, np.ndarray]]:
    """The logits brought to a size, by strips of rows that fit the memory.

    Args:
        logits: (h, w, classes) of any numeric dtype.
        frame: how they lie over the input.
        target_size: (height, width).

    Yields:
        The rows of the target, and their (rows, width, classes) logits.

    Raises:
        NonFiniteLogits: a logit is NaN or infinite.
    """
    height, width, classes = logits.shape
    check_finite(logits)
    if (height, width) == frame.size == tuple(target_size):  # the graph has upsampled them
        yield slice(0, height), logits
        return
    values = np.ascontiguousarray(logits, np.float32).reshape(height, width * classes)
    rows, columns = _axes(logits, frame, target_size)
    step = max(1, STRIP_VALUES // (target_size[1] * classes))
    for start in range(0, target_size[0], step):
        strip = (rows[start : start + step] @ values).reshape(-1, width, classes)
        yield slice(start, start + len(strip)), np.matmul(columns, strip)


def _axes(logits: np.ndarray, frame: LogitsFrame, target: Size) -> tuple[np.ndarray, np.ndarray]:
    """What brings rows and columns of the logits to the target, one matrix each."""
    source = (logits.shape[0], logits.shape[1])
    if source == tuple(frame.size):  # the graph has upsampled and cut them
        frame = LogitsFrame(frame.size, frame.size)
    rows, columns = (
        _chain(n, padded, model, goal, frame.sampling, origin)
        for n, padded, model, goal, origin in zip(
            source, frame.padded, frame.size, target, frame.origin, strict=True
        )
    )
    return rows, columns


def labels_from_output(
    output: np.ndarray, model_size: Size | LogitsFrame, target_size: Size
) -> np.ndarray:
    """A label map of `target_size` from logits (h, w, classes) or a label map (h, w).

    A label map is brought to the target size nearest; of one at 1/8 the padding is cut off first.
    """
    if output.ndim == 3:
        return labels_from_logits(output, model_size, target_size)
    labels = output.astype(np.uint8)
    frame = model_size if isinstance(model_size, LogitsFrame) else LogitsFrame.of(model_size)
    is_eighth = tuple(FACTOR * n for n in labels.shape) == tuple(frame.padded)
    if is_eighth and frame.size != frame.padded:
        whole = labels.repeat(FACTOR, 0).repeat(FACTOR, 1)
        labels = whole[: frame.size[0], : frame.size[1]]
    return resize_label(labels, target_size)
