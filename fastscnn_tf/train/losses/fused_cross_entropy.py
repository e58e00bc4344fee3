"""Cross-entropy at full resolution from logits at 1/8, without the full-resolution logits.

Interpolating the logits, the softmax over them and its gradient are a third of a training step when
each is an operation over the whole batch: 90 MB of float32 at 12x352x480x11, read and written six
times. Here one image at a time goes through all of it while it is in the cache, classes first, so
that every pass runs along rows; the gradient of the coarse logits is made on the way, and nothing
of full size is kept for the backward pass. 2.4 times faster than TensorFlow's operations on 2
cores, equal within 1e-6 (`benchmarks/training.py`).
"""

from __future__ import annotations

from ...core.images.interpolation import HALF_PIXEL, interpolation_matrix
from ...core.keras_api import Tensor, tensorflow

# Between neighbouring cells; the softmax of what lies between them is then exact in float32.
_GREATEST_SPREAD = 80.0


def fused_cross_entropy(
    labels: Tensor,
    logits: Tensor,
    weights: Tensor,
    sampling: str = HALF_PIXEL,
    smoothing: float = 0.0,
) -> Tensor:
    """Sum over all pixels of their weight times their cross-entropy.

    Args:
        labels: (B, H, W) integer class indices; what is not a class has to have weight 0.
        logits: (B, h, w, classes) float32, interpolated to (H, W).
        weights: (B, H, W) float32, taken as constants.
        sampling: `HALF_PIXEL` or `ALIGNED`.
        smoothing: share of the target that is spread over all classes.

    Returns:
        A float32 scalar with gradients with respect to `logits`.
    """
    tf = tensorflow()
    interpolation = _Interpolation(logits.shape, labels.shape, sampling)

    def image(inputs: Tensor) -> Tensor:
        cells, label, weight = inputs
        full = interpolation.apply(cells)
        power, target = tf.exp(full), interpolation.one_hot(label)
        total = tf.reduce_sum(power, 0)
        if smoothing:
            target = target * (1 - smoothing) + smoothing / interpolation.classes
        entropy = tf.math.log(total) - tf.reduce_sum(target * full, 0)
        slope = (power / total - target) * weight
        return tf.reduce_sum(entropy * weight), interpolation.transposed(slope)

    @tf.custom_gradient
    def of(coarse: Tensor) -> Tensor:
        kinds = tf.TensorSpec((), tf.float32), tf.TensorSpec(coarse.shape[1:], tf.float32)
        sums, gradient = tf.map_fn(image, (coarse, labels, weights), fn_output_signature=kinds)
        return tf.reduce_sum(sums), lambda d_loss: d_loss * gradient

    return of(logits)


def fused_probability(labels: Tensor, logits: Tensor, sampling: str = HALF_PIXEL) -> Tensor:
    """(B, H, W) float32 probability of each pixel's class, without gradient; 1 where there is none.

    Args:
        labels: (B, H, W) integer class indices.
        logits: (B, h, w, classes) float32, interpolated to (H, W).
        sampling: `HALF_PIXEL` or `ALIGNED`.
    """
    tf = tensorflow()
    interpolation = _Interpolation(logits.shape, labels.shape, sampling)

    def image(inputs: Tensor) -> Tensor:
        cells, label = inputs
        full = interpolation.apply(cells)
        own = tf.reduce_sum(full * interpolation.one_hot(label), 0)
        return tf.exp(own) / tf.reduce_sum(tf.exp(full), 0)

    kind = tf.TensorSpec(labels.shape[1:], tf.float32)
    return tf.map_fn(image, (tf.stop_gradient(logits), labels), fn_output_signature=kind)


class _Interpolation:
    """Between the cells (h, w, classes) of an image and its full size, classes first."""

    def __init__(self, coarse: Tensor, full: Tensor, sampling: str):
        (h, self.w, self.classes), (self.height, self.width) = coarse[1:], full[1:]
        self.rows = interpolation_matrix(h, self.height, sampling)
        self.columns = interpolation_matrix(self.w, self.width, sampling)

    def apply(self, cells: Tensor) -> Tensor:
        """(h, w, classes) -> (classes, H, W), each cell's maximum subtracted first.

        What is subtracted is interpolated along and drops out of the softmax.
        """
        tf = tensorflow()
        cells -= tf.reduce_max(cells, -1, keepdims=True)
        cells = tf.einsum("Hh,hwc->cHw", self.rows, cells)
        cells = tf.reshape(cells, (self.classes * self.height, self.w))
        full = tf.matmul(cells, self.columns, transpose_b=True)
        return tf.reshape(full, (self.classes, self.height, self.width))

    def transposed(self, slope: Tensor) -> Tensor:
        """(classes, H, W) -> (h, w, classes): the gradient of `apply`."""
        tf = tensorflow()
        slope = tf.reshape(slope, (self.classes * self.height, self.width))
        slope = tf.reshape(tf.matmul(slope, self.columns), (self.classes, self.height, self.w))
        return tf.einsum("Hh,cHw->hwc", self.rows, slope)

    def one_hot(self, label: Tensor) -> Tensor:
        """(H, W) -> (classes, H, W) float32, all 0 where the label is not a class."""
        tf = tensorflow()
        indices = tf.range(self.classes, dtype=tf.int32)[:, None, None]
        return tf.cast(tf.equal(indices, tf.cast(label, tf.int32)[None]), tf.float32)


def fits_fused(logits: Tensor) -> Tensor:
    """Whether `fused_cross_entropy` is exact for these logits: a boolean scalar.

    The softmax is taken relative to the interpolated maximum of the cells, which may lie above the
    maximum at a pixel by at most the spread of the logits. Untrue for NaN, too.
    """
    tf = tensorflow()
    return tf.reduce_max(logits) - tf.reduce_min(logits) < _GREATEST_SPREAD
