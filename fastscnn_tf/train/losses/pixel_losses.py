"""Losses that weigh the cross-entropy of each pixel: a weight map that has no gradient, or focal.

Cross-entropy, online hard example mining and the boundary loss differ only in which pixels they
average over. Their weight maps add up, so that any sum of them is one cross-entropy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...core.keras_api import Tensor, keras3
from ...core.labels import IGNORE
from .loss_terms import Term

WEIGHING = frozenset({"cross_entropy", "ohem", "boundary"})
_HALVINGS = 24  # of an interval within 0..1: to the spacing of float32 just below 1


def class_factors(labels: Tensor, classes: int, weights: Sequence[float] | None = None) -> Tensor:
    """The weight of each pixel's class: 0 for void, NaN for what is not a class at all.

    Args:
        labels: (B, H, W) int32.
        classes: their number.
        weights: of the classes; None for 1.

    Returns:
        (B, H, W) float32. The NaN reaches the loss, so that a wrong label map stops the training
        on backends and accelerators that cannot raise, too.
    """
    ops = keras3().ops
    table = [*(weights or [1.0] * classes), *[float("nan")] * (IGNORE - classes), 0.0]
    inside = ops.logical_and(ops.greater_equal(labels, 0), ops.less_equal(labels, IGNORE))
    factors = ops.take(ops.convert_to_tensor(table, "float32"), ops.clip(labels, 0, IGNORE), 0)
    return ops.where(inside, factors, float("nan"))


def cross_entropy_map(labels: Tensor, logits: Tensor) -> Tensor:
    """(B, H, W) float32 cross-entropy of each pixel; of void pixels as if they were class 0."""
    ops = keras3().ops
    labels = ops.where(ops.equal(labels, IGNORE), 0, labels)
    logits = ops.cast(logits, "float32")
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def smoothed(entropy: Tensor, logits: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy maps with label smoothing (Szegedy et al. 2016, section 7).

    A share of the target is spread evenly over all classes, the true one included. The pixel keeps
    the weight of its true class, whichever class a part of the target went to.
    """
    ops = keras3().ops
    if not smoothing:
        return entropy
    logits = ops.cast(logits, "float32")
    to_all = ops.logsumexp(logits, -1) - ops.mean(logits, -1)
    return (1 - smoothing) * entropy + smoothing * to_all


def weight_map(
    terms: Sequence[Term],
    factors: Tensor,
    probability: Callable[[], Any],
    near: Callable[[int], Any],
) -> Tensor:
    """The weights whose product with the cross-entropy sums up to all the terms.

    Args:
        terms: of the kinds in `WEIGHING`.
        factors: (B, H, W) float32 of `class_factors`. Each term is divided by the sum of those that
            it averages over, as PyTorch's `CrossEntropyLoss(weight=...)` does.
        probability: makes the (B, H, W) probability of the true class, for `ohem`.
        near: from a width to the (B, H, W) booleans of `near_border`, for `boundary`.

    Returns:
        (B, H, W) float32 without gradient, all 0 where a term finds no pixel.
    """
    ops = keras3().ops
    total = 0.0
    for term in terms:
        chosen = factors
        if term.name == "ohem":
            hard = hard_pixels(probability(), ops.not_equal(factors, 0.0), *term.options)
            chosen = ops.where(hard, factors, 0.0)
        elif term.name == "boundary":
            chosen = ops.where(near(int(term.options[0])), factors, 0.0)
        total = total + chosen * (term.weight / _or_one(ops.sum(chosen)))
    return ops.stop_gradient(total)


def hard_pixels(probability: Tensor, counted: Tensor, threshold: float, share: float) -> Tensor:
    """Pixels that online hard example mining keeps (Shrivastava et al., CVPR 2016).

    As segmentation practises it (mmsegmentation's `OHEMPixelSampler`, PaddleSeg's
    `OhemCrossEntropyLoss`): the probability of the true class is below a threshold, which is raised
    until the least share of the pixels is kept. Raising it is a bisection: sorting two million
    probabilities takes longer than the loss.

    Args:
        probability: (B, H, W) float32 of the true class.
        counted: (B, H, W) booleans, false for void.
        threshold: of the probability.
        share: the least share of the counted pixels of the batch.

    Returns:
        (B, H, W) booleans. More than the least share where probabilities are equal within 1e-7.
    """
    ops = keras3().ops
    probability = ops.where(counted, ops.stop_gradient(probability), 2.0)
    least = ops.ceil(share * ops.sum(ops.cast(counted, "float32")))

    def enough(limit: Tensor) -> Tensor:
        return ops.sum(ops.cast(ops.less(probability, limit), "float32")) >= least

    def raised() -> Tensor:
        low, high = ops.convert_to_tensor(threshold, "float32"), _ABOVE_ALL
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            found = enough(middle)
            low, high = ops.where(found, low, middle), ops.where(found, middle, high)
        return high

    limit = ops.convert_to_tensor(threshold, "float32")
    limit = ops.cond(enough(limit), lambda: limit, raised)
    return ops.less(probability, limit)


_ABOVE_ALL = 1.0 + 2.0**-20  # of all probabilities, below the 2 of what does not count


def near_border(labels: Tensor, width: int) -> Tensor:
    """Pixels with another class among their neighbours, for cross-entropy along class borders.

    Where segmentations go wrong: the boundary-aware cross-entropy of PIDNet (Xu et al., CVPR 2023,
    section 3.4) with the border read from the labels instead of predicted. Void is not a class: its
    outline is not a border.

    Args:
        labels: (B, H, W) int32.
        width: greatest row or column distance in pixels; 3 gives a band of 6 along a straight
            border.

    Returns:
        (B, H, W) booleans; what void pixels get means nothing.
    """
    ops = keras3().ops
    void = ops.equal(labels, IGNORE)
    labels = ops.cast(labels, "float32")
    greatest = _greatest_around(ops.where(void, -1.0, labels), width)
    least = -_greatest_around(ops.where(void, -256.0, -labels), width)
    return ops.greater(greatest, least)


def _greatest_around(x: Tensor, width: int) -> Tensor:
    ops, size = keras3().ops, 2 * width + 1
    x = x[..., None]
    for window in ((size, 1), (1, size)):
        x = ops.max_pool(x, window, 1, "same", data_format="channels_last")
    return x[..., 0]


def focal(entropy: Tensor, factors: Tensor, gamma: float) -> Tensor:
    """Focal loss (Lin et al., ICCV 2017, equation 5): cross-entropy times (1 - p) ** gamma.

    Args:
        entropy: (B, H, W) cross-entropy.
        factors: (B, H, W) of `class_factors`, the paper's alpha; the loss is divided by their sum.
        gamma: 0 gives cross-entropy.
    """
    ops = keras3().ops
    # 1 - p without cancellation; the slope of a power between 0 and 1 is infinite at 0.
    miss = ops.maximum(-ops.expm1(-entropy), 1e-7)
    return ops.sum(miss**gamma * entropy * factors) / _or_one(ops.sum(factors))


def _or_one(total: Tensor) -> Tensor:
    ops = keras3().ops
    return ops.where(ops.equal(total, 0.0), 1.0, total)
