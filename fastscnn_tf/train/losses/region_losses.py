"""Losses of whole regions, averaged over the classes that occur in the batch: dice and Lovász."""

from __future__ import annotations

from ...core.keras_api import Tensor, keras3, on_tensorflow, tensorflow

BINS = 1024  # of the errors in `lovasz`, whose value is then at most 1/1024 too small


def targets(labels: Tensor, counted: Tensor, classes: int) -> Tensor:
    """(B, H, W, classes) float32 one-hot labels, all 0 where `counted` (B, H, W) is 0."""
    ops = keras3().ops
    return ops.one_hot(labels, classes) * counted[..., None]


def dice(probabilities: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    """One minus the soft Dice coefficient (Milletari et al., 3DV 2016, section 3).

    `2 sum(p g) / (sum(p^2) + sum(g^2))` over the batch for each class, averaged over the classes
    that occur in it.

    Args:
        probabilities: (B, H, W, classes) float32.
        truth: (B, H, W, classes) float32 of `targets`.
        counted: (B, H, W) float32, 0 for void and 1 elsewhere.
    """
    ops = keras3().ops
    probabilities = probabilities * counted[..., None]
    pixels = ops.sum(truth, (0, 1, 2))
    overlap = ops.sum(probabilities * truth, (0, 1, 2))
    extent = ops.sum(ops.square(probabilities), (0, 1, 2)) + pixels
    return _mean_of_present(1 - 2 * overlap / ops.where(extent > 0, extent, 1.0), pixels)


def lovasz(probabilities: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    """Lovász-softmax (Berman et al., CVPR 2018), `classes="present"`, over the whole batch.

    The paper sorts the errors of each class, adds pixels from the greatest error downwards to the
    set of mistakes and weighs each error by what it adds to the Jaccard loss. Two million pixels of
    eleven classes take longer to sort than the network to train on; here errors fall into 1024
    bins. Pixels of one bin enter in either order of class and background, and the weights are the
    mean of both. As the Lovász extension is the maximum over all orders, the result is at most one
    bin's width below it; and the weights are its gradient for errors that are tied within a bin.

    Args:
        probabilities: (B, H, W, classes) float32.
        truth: (B, H, W, classes) float32 of `targets`.
        counted: (B, H, W) float32, 0 for void and 1 elsewhere.
    """
    ops = keras3().ops
    classes = truth.shape[-1]
    error = ops.abs(truth - probabilities) * counted[..., None]
    bins = ops.cast(ops.stop_gradient(error) * BINS, "int32")
    bins = ops.clip(BINS - 1 - bins, 0, BINS - 1)  # the greatest error first
    own = ops.cast(truth, "int32")
    size = 2 * classes * BINS
    entry = (ops.arange(classes, dtype="int32") * 2 + own) * BINS + bins
    entry = ops.reshape(ops.where(counted[..., None] > 0, entry, size), (-1,))
    steps = _jaccard_steps(ops.reshape(_histogram(entry, size), (classes, 2, BINS)))
    steps = ops.concatenate([ops.reshape(steps, (-1,)), ops.zeros(1)])  # void adds nothing
    weights = ops.take(steps, entry, 0)
    each = ops.sum(ops.reshape(weights, ops.shape(truth)) * error, (0, 1, 2))
    return _mean_of_present(each, ops.sum(truth, (0, 1, 2)))


def _histogram(entry: Tensor, size: int) -> Tensor:
    """(N,) int32 -> (size,) float32 counts of 0..size - 1; what is equal to `size` is left out."""
    ops = keras3().ops
    if on_tensorflow(keras3()):  # whose segment_sum runs on one core, 20 times slower
        tf = tensorflow()
        unweighted = tf.zeros(0, tf.float32)
        return tf.raw_ops.DenseBincount(input=entry, size=size + 1, weights=unweighted)[:size]
    return ops.segment_sum(ops.ones_like(entry, "float32"), entry, size + 1)[:size]


def _jaccard_steps(counts: Tensor) -> Tensor:
    """(classes, 2, BINS) counts of background and own pixels -> what each adds to the loss."""
    ops = keras3().ops
    other, own = counts[:, 0], counts[:, 1]
    others, owns = ops.cumsum(other, -1), ops.cumsum(own, -1)
    others_before, owns_before = others - other, owns - own
    total = owns[:, -1:]

    def loss(
        owns: Tensor, others: Tensor
    ) -> Tensor:  # 1 - intersection / union of the mistakes so far
        union = total + others
        return (owns + others) / ops.where(union > 0, union, 1.0)

    start, end = loss(owns_before, others_before), loss(owns, others)
    own_first, other_first = loss(owns, others_before), loss(owns_before, others)
    own_step = (own_first - start + end - other_first) / 2
    other_step = (other_first - start + end - own_first) / 2
    steps = ops.stack([other_step, own_step], 1) / ops.maximum(counts, 1.0)
    return ops.stop_gradient(steps)


def _mean_of_present(losses: Tensor, pixels: Tensor) -> Tensor:
    ops = keras3().ops
    present = ops.cast(pixels > 0, "float32")
    return ops.sum(losses * present) / ops.maximum(ops.sum(present), 1.0)
