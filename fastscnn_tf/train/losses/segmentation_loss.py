"""`SegmentationLoss` and `segmentation_loss`, for Keras 3 on any backend and for tf_keras.

`Batch` finds the shortest way from the labels and logits of a batch to each kind of loss. On
TensorFlow a tensor that our `Resize` made carries the logits it was made of. Weighed
cross-entropy is then computed by `fused_cross_entropy`, and losses of regions interpolate only the
pixels they look at: the full-resolution logits, which the graph then leaves out, are for `focal`
alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ...core.config import AUX_HEADS
from ...core.errors import ConfigError
from ...core.images.interpolation import interpolation_matrix
from ...core.keras_api import Tensor, keras3, on_tensorflow, tensorflow
from ...core.labels import IGNORE
from ...model.layers import COARSE, PACKAGE, registered, resized
from ..settings import check_run_values
from . import pixel_losses, region_losses
from .fused_cross_entropy import fits_fused, fused_cross_entropy, fused_probability
from .loss_terms import Term, check_class_weights, parse_terms
from .pixel_losses import WEIGHING

AUX_WEIGHT = 0.4  # paper, section 3.3
REGIONS = {"dice": region_losses.dice, "lovasz": region_losses.lovasz}


class Batch:
    """One batch of labels and logits.

    Args:
        y_true: (B, H, W) or (B, H, W, 1) class indices of any dtype, 255 for void.
        y_pred: (B, h, w, classes) logits; smaller ones read the labels at their cells' centres.
        class_weights: of the classes; None for 1.
        smoothing: of the labels, in `weighed`.
    """

    def __init__(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        class_weights: Sequence[float] | None,
        smoothing: float,
    ):
        ops = keras3().ops
        self.logits, self.coarse = y_pred, getattr(y_pred, COARSE, None)
        self.size, self.classes = (y_pred.shape[1], y_pred.shape[2]), y_pred.shape[3]
        self.smoothing = smoothing
        self.full_labels = _checked(ops.cast(_without_channel(y_true), "int32"), self.classes)
        self.labels = at_cells(self.full_labels, self.size)
        self.factors = pixel_losses.class_factors(self.labels, self.classes, class_weights)

    def weighed(self, terms: Sequence[Term], fused: bool) -> Tensor:
        """Sum of the terms that only weigh the cross-entropy of each pixel.

        Args:
            terms: of the kinds in `pixel_losses.WEIGHING`.
            fused: whether to spare the full-resolution logits where possible.
        """
        if self.coarse is None or not fused:
            return self._weighed(terms, self.logits, self._entropy)
        tf, (coarse, sampling) = tensorflow(), self.coarse
        coarse = tf.cast(coarse, tf.float32)

        def short() -> Tensor:
            source = self.labels, coarse
            weights = self._weights(terms, lambda: fused_probability(*source, sampling))
            return fused_cross_entropy(*source, weights, sampling, self.smoothing)

        def plain() -> Tensor:  # y_pred itself would be computed either way
            logits = resized(coarse, self.size, sampling)
            return self._weighed(terms, logits, pixel_losses.cross_entropy_map(self.labels, logits))

        return tf.cond(fits_fused(coarse), short, plain)

    def focal(self, gamma: float) -> Tensor:
        """`pixel_losses.focal`."""
        return pixel_losses.focal(self._entropy, self.factors, gamma)

    def region(self, name: str, step: int) -> Tensor:
        """`region_losses.dice` or `lovasz` on every `step`-th row and column of the label map."""
        ops = keras3().ops
        stride = max(1, step * self.size[0] // self.full_labels.shape[1])  # in pixels of the logits
        labels = every(self.labels, stride)
        counted = pixel_losses.class_factors(labels, self.classes)
        truth = region_losses.targets(labels, counted, self.classes)
        return REGIONS[name](ops.softmax(self._logits(stride), -1), truth, counted)

    @functools.cached_property
    def _entropy(self) -> Tensor:
        return pixel_losses.cross_entropy_map(self.labels, self.logits)

    def _weighed(self, terms: Sequence[Term], logits: Tensor, entropy: Tensor) -> Tensor:
        ops = keras3().ops
        weights = self._weights(terms, lambda: ops.exp(-entropy))
        return ops.sum(weights * pixel_losses.smoothed(entropy, logits, self.smoothing))

    def _weights(self, terms: Sequence[Term], probability: Callable[[], Any]) -> Tensor:
        return pixel_losses.weight_map(terms, self.factors, probability, self._near)

    def _near(self, width: int) -> Tensor:
        """`near_border` in pixels of the label map, whatever the size of the logits."""
        return at_cells(pixel_losses.near_border(self.full_labels, width), self.size)

    def _logits(self, stride: int) -> Tensor:
        """Logits of every `stride`-th row and column."""
        if self.coarse is None:
            return every(self.logits, stride)
        tf, (coarse, sampling) = tensorflow(), self.coarse
        rows, columns = (
            interpolation_matrix(n, m, sampling)[stride // 2 :: stride]
            for n, m in zip(coarse.shape[1:3], self.size, strict=True)
        )
        coarse = tf.einsum("Hh,bhwc->bHwc", rows, tf.cast(coarse, tf.float32))
        return tf.einsum("Ww,bHwc->bHWc", columns, coarse)


def every(x: Tensor, stride: int) -> Tensor:
    """Every `stride`-th row and column of (B, H, W, ...), from the middle of the first stride."""
    return x if stride == 1 else x[:, stride // 2 :: stride, stride // 2 :: stride]


def at_cells(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, H, W) read at the centres of the cells of a smaller map; as they are if there is none."""
    rows, columns = labels.shape[1] // size[0], labels.shape[2] // size[1]
    if (rows, columns) == (1, 1):
        return labels
    return labels[:, rows // 2 :: rows, columns // 2 :: columns]


def _without_channel(labels: Tensor) -> Tensor:
    """(B, H, W) labels, as other pipelines give them: with one channel.

    Raises:
        ConfigError: of another shape, such as one-hot.
    """
    if len(labels.shape) == 3:
        return labels
    if len(labels.shape) == 4 and labels.shape[3] == 1:
        return labels[..., 0]
    raise ConfigError(
        "expected labels of class indices (B, H, W) or (B, H, W, 1), got the shape "
        f"{tuple(labels.shape)}: of one-hot labels take the argmax"
    )


def _checked(labels: Tensor, classes: int) -> Tensor:
    """The labels; on TensorFlow an error of the step where one is neither a class nor 255."""
    if not on_tensorflow(keras3()):
        return labels
    tf = tensorflow()
    good = (labels == IGNORE) | ((labels >= 0) & (labels < classes))
    wrong = tf.reduce_max(tf.where(good, labels.dtype.min, labels))
    message = f"expected labels from 0 to {classes - 1}, or {IGNORE} for void; got the label"
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(good), [message, wrong])]):
        return tf.identity(labels)


class SegmentationLoss:
    """A sum of losses for `model.compile` of either Keras, 255 ignored everywhere.

    Args:
        terms: the sum in text, such as `"ohem(0.7, 0.25) + 0.5*dice"`; see `parse_terms`.
        class_weights: a factor of each class in the terms over pixels (`cross_entropy`, `ohem`,
            `focal`, `boundary`), which are divided by the sum of the factors of their pixels.
            `dice` and `lovasz` count every class once as they are.
        label_smoothing: share in [0, 1) of the target that is spread over all classes, in
            `cross_entropy`, `ohem` and `boundary` (which pixels are hard is decided without it).

    Raises:
        ConfigError: a value is out of range.

    Example:
        >>> SegmentationLoss("ohem + 0.5*dice").get_config()["terms"]
        'ohem + 0.5*dice'
    """

    name = "segmentation_loss"  # Keras asks for it

    def __init__(
        self,
        terms: str = "cross_entropy",
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
    ):
        self.text, self.terms = terms, parse_terms(terms)
        self.class_weights = check_class_weights(class_weights)
        check_run_values(label_smoothing=label_smoothing)
        self.label_smoothing = float(label_smoothing)
        self._weighing = tuple(term for term in self.terms if term.name in WEIGHING)
        self._focal = tuple(term for term in self.terms if term.name == "focal")
        self._regions = tuple(term for term in self.terms if term.name in REGIONS)

    def __call__(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            y_true: class indices (B, H, W) or (B, H, W, 1) of any dtype, 255 ignored.
            y_pred: logits (B, h, w, classes). If h, w are smaller than H, W (auxiliary heads) the
                labels are read at the centre of each cell instead of upsampling the logits: the
                auxiliary loss then costs next to nothing.

        Returns:
            Scalar float32; 0 when every pixel is ignored. A label that is neither a class nor 255
            is an error on TensorFlow, and gives NaN on other backends and within XLA.

        Raises:
            ConfigError: class weights not as many as the logits, or labels of another shape.
        """
        register()  # so that what Keras saves of a compiled model names it
        if self.class_weights and len(self.class_weights) != y_pred.shape[-1]:
            raise ConfigError(
                f"got {len(self.class_weights)} class weights for {y_pred.shape[-1]} classes"
            )
        batch = Batch(y_true, y_pred, self.class_weights, self.label_smoothing)
        loss = batch.weighed(self._weighing, fused=not self._focal) if self._weighing else 0.0
        for term in self._focal:
            loss += term.weight * batch.focal(*term.options)
        for term in self._regions:
            loss += term.weight * batch.region(term.name, int(term.options[0]))
        return loss

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {
            "terms": self.text,
            "class_weights": self.class_weights and list(self.class_weights),
            "label_smoothing": self.label_smoothing,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SegmentationLoss:
        """The loss of `get_config`."""
        return cls(**config)


_CROSS_ENTROPY = SegmentationLoss()


def segmentation_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean cross-entropy over the pixels that are not 255: `SegmentationLoss()` as a function.

    Args:
        y_true: class indices (B, H, W), 255 ignored.
        y_pred: logits (B, h, w, classes); see `SegmentationLoss`.

    Returns:
        Scalar float32; 0 when every pixel is ignored.
    """
    return _CROSS_ENTROPY(y_true, y_pred)


def segmentation_losses(
    aux_heads: bool,
    layout: Sequence[str] = AUX_HEADS,
    loss: Any = segmentation_loss,
    aux_weight: float = AUX_WEIGHT,
) -> dict[str, Any]:
    """`loss` and `loss_weights` for `model.compile`.

    Args:
        aux_heads: whether the model has auxiliary heads.
        layout: which ones, as `config.aux_layout` says.
        loss: of the logits and of the auxiliary heads, such as a `SegmentationLoss`.
        aux_weight: factor of the loss of each auxiliary head.
    """
    if not aux_heads:
        return {"loss": loss}
    weights = {"logits": 1.0, **{f"aux_{head}": aux_weight for head in layout}}
    return {"loss": dict.fromkeys(weights, loss), "loss_weights": weights}


def register() -> None:
    """Makes the losses known to Keras' loader."""
    for item in (segmentation_loss, SegmentationLoss):
        if keras3().saving.get_registered_object(f"{PACKAGE}>{item.__name__}") is None:
            registered(keras3(), item)
