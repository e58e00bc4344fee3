"""From a network's output to a label map of any size, in plain numpy.

Logits at 1/8 are first interpolated to the model's input size (what the graph's own last resize
would do) and from there to the target size; both steps are linear, so they are one matrix per
axis. The argmax is taken last. Work goes by strips of rows to keep memory small.
"""

from __future__ import annotations

import functools

import numpy as np

from ..core.errors import NonFiniteLogits
from ..core.images import resize_label
from ..core.sizes import Size

STRIP_VALUES = 1 << 22  # interpolated logits held at a time


@functools.lru_cache(maxsize=32)
def interpolation_matrix(source: int, target: int) -> np.ndarray:
    """(target, source) float32: linear interpolation with half-pixel centres, edges repeated.

    Example:
        >>> interpolation_matrix(2, 4)[1]
        array([0.75, 0.25], dtype=float32)
    """
    position = (np.arange(target) + 0.5) * source / target - 0.5
    low = np.floor(position).astype(int)
    weight = (position - low).astype(np.float32)
    matrix = np.zeros((target, source), np.float32)
    rows = np.arange(target)
    np.add.at(matrix, (rows, np.clip(low, 0, source - 1)), 1 - weight)
    np.add.at(matrix, (rows, np.clip(low + 1, 0, source - 1)), weight)
    return matrix


@functools.lru_cache(maxsize=32)
def _chain(source: int, model: int, target: int) -> np.ndarray:
    first = interpolation_matrix(source, model) if source != model else None
    second = interpolation_matrix(model, target) if model != target else None
    if first is None or second is None:
        only = first if second is None else second
        return np.eye(source, dtype=np.float32) if only is None else only
    return second @ first


def labels_from_logits(logits: np.ndarray, model_size: Size, target_size: Size) -> np.ndarray:
    """The winning class at every pixel of the target.

    Args:
        logits: (h, w, classes) of any numeric dtype; all classes on one scale.
        model_size: (height, width) of the network's input.
        target_size: (height, width) of the wanted label map.

    Returns:
        `target_size` uint8 class indices; the lowest index wins a tie.

    Raises:
        NonFiniteLogits: a logit is NaN or infinite.
    """
    height, width, classes = logits.shape
    if logits.dtype.kind == "f" and not np.isfinite(logits).all():
        raise NonFiniteLogits("the model's logits are NaN or infinite: train it again")
    if (height, width) == tuple(target_size) == tuple(model_size):
        return logits.argmax(-1).astype(np.uint8)
    values = np.ascontiguousarray(logits, np.float32).reshape(height, width * classes)
    rows = _chain(height, model_size[0], target_size[0])
    columns = _chain(width, model_size[1], target_size[1])
    labels = np.empty(target_size, np.uint8)
    step = max(1, STRIP_VALUES // (target_size[1] * classes))
    for start in range(0, target_size[0], step):
        strip = (rows[start : start + step] @ values).reshape(-1, width, classes)
        labels[start : start + step] = np.matmul(columns, strip).argmax(-1)
    return labels


def labels_from_output(output: np.ndarray, model_size: Size, target_size: Size) -> np.ndarray:
    """A label map of `target_size` from logits (h, w, classes) or a label map (h, w).

    A label map is brought to the target size nearest.
    """
    if output.ndim == 3:
        return labels_from_logits(output, model_size, target_size)
    return resize_label(output.astype(np.uint8), target_size)
