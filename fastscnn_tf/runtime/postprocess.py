"""From a network's output to a label map of any size, in plain numpy.

Logits at 1/8 are first interpolated to the model's input size (what the graph's own last resize
would do; padding is cut off) and from there to the target size; all steps are linear, so they are
one matrix per axis. The argmax is taken last, and only where classes meet are logits interpolated:
exactly where the target is the input's own size (`upsample`), in float32 elsewhere (`resample`).
For small targets all are. Work goes by strips of rows to keep memory small.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..core.errors import NonFiniteLogits
from ..core.images import resize_label
from ..core.interpolation import interpolation_matrix
from ..core.sizes import Size, padded_size
from .resample import Taps, resampled_labels
from .upsample import FACTOR, upsampled_labels

STRIP_VALUES = 1 << 22  # interpolated logits held at a time
# Pixels in a row of blocks from which `resample` is the faster way. Of CamVid's 11 classes, CPU ms:
# 2.2, not 0.7, at 440 (44x60 logits to 120x160); 3.6, not 5.1, at 3,900 (to 360x480); 10, not 19,
# at 15,700 (to 720x960); 14, not 118, at 5,400 (128x256 to 720x960); 29, not 350, to 1080x1920.
BLOCK_ROW = 2048
MAX_CLASSES = 256  # that a byte can name


class LogitsFrame(NamedTuple):
    """How a network's output lies over its input.

    Attributes:
        size: (height, width) of the input.
        padded: (height, width) the network works at; what lies beyond `size` is cut off.
        aligned: whether the logits are upsampled with aligned corners.
    """

    size: Size
    padded: Size
    aligned: bool = False

    @classmethod
    def of(cls, size: Size, aligned: bool = False) -> LogitsFrame:
        """The frame of a network that pads its input to multiples of 32 itself."""
        return cls(size, padded_size(size), aligned)


@functools.lru_cache(maxsize=32)
def _chain(source: int, padded: int, model: int, target: int, aligned: bool) -> np.ndarray:
    """Logits to the padded size, cut to the model's, then to the target."""
    if source == padded:
        first = np.eye(padded, dtype=np.float32)
    else:
        first = interpolation_matrix(source, padded, aligned)
    first = first[:model]
    return first if model == target else interpolation_matrix(model, target) @ first


@functools.lru_cache(maxsize=32)
def _taps(source: int, padded: int, model: int, target: int, aligned: bool) -> Taps:
    return Taps.chain(source, padded, model, target, aligned)


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
    if frame.size == tuple(target_size) and _are_eighths(logits, frame):
        _check_finite(logits)
        return np.ascontiguousarray(upsampled_labels(logits)[: frame.size[0], : frame.size[1]])
    if (taps := _block_taps(logits, frame, target_size)) is not None:
        _check_finite(logits)
        return resampled_labels(logits, *taps)
    labels = np.empty(target_size, np.uint8)
    for rows, strip in logit_strips(logits, frame, target_size):
        labels[rows] = strip.argmax(-1)
    return labels


def _are_eighths(logits: np.ndarray, frame: LogitsFrame) -> bool:
    padded = tuple(FACTOR * n for n in logits.shape[:2])
    is_half_pixel = padded == tuple(frame.padded) and not frame.aligned
    return is_half_pixel and logits.shape[2] <= MAX_CLASSES


def _block_taps(
    logits: np.ndarray, frame: LogitsFrame, target_size: Size
) -> tuple[Taps, Taps] | None:
    """What the target's rows and columns read, or None where all of it is better interpolated."""
    is_full = logits.shape[:2] == frame.size  # the graph has upsampled and cut them
    height, width = target_size
    if is_full or logits.shape[2] > MAX_CLASSES:
        return None
    if height * width < BLOCK_ROW * min(height, logits.shape[0]):
        return None
    axes = zip(logits.shape[:2], frame.padded, frame.size, target_size, strict=True)
    rows, columns = (_taps(*axis, frame.aligned) for axis in axes)
    return rows, columns


def _check_finite(logits: np.ndarray) -> None:
    """Refuses logits that cannot be compared.

    Raises:
        NonFiniteLogits: one is NaN or infinite.
    """
    if logits.dtype.kind == "f" and not np.isfinite(logits).all():
        raise NonFiniteLogits("the model's logits are NaN or infinite: train it again")


def logit_strips(
    logits: np.ndarray, frame: LogitsFrame, target_size: Size
) -> Iterator[tuple[slice, np.ndarray]]:
    """The logits brought to a size bilinearly, by strips of rows that fit the memory.

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
    _check_finite(logits)
    if (height, width) == frame.size:  # the graph has upsampled and cut them
        if frame.size == tuple(target_size):
            yield slice(0, height), logits
            return
        frame = LogitsFrame(frame.size, frame.size)
    values = np.ascontiguousarray(logits, np.float32).reshape(height, width * classes)
    rows, columns = (
        _chain(n, padded, model, target, frame.aligned)
        for n, padded, model, target in zip(
            (height, width), frame.padded, frame.size, target_size, strict=True
        )
    )
    step = max(1, STRIP_VALUES // (target_size[1] * classes))
    for start in range(0, target_size[0], step):
        strip = (rows[start : start + step] @ values).reshape(-1, width, classes)
        yield slice(start, start + len(strip)), np.matmul(columns, strip)


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
    if labels.shape != frame.size != frame.padded:
        labels = labels.repeat(FACTOR, 0).repeat(FACTOR, 1)[: frame.size[0], : frame.size[1]]
    return resize_label(labels, target_size)
