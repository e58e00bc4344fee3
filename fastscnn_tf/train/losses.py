"""`SegmentationLoss` and `segmentation_loss`, for Keras 3 on any backend and for tf_keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.config import AUX_HEADS
from ..core.errors import ConfigError
from ..keras_api import Tensor, keras3
from .loss_batch import REGIONS, Batch
from .loss_terms import check_class_weights, parse_terms
from .pixel_losses import WEIGHING

AUX_WEIGHT = 0.4  # paper, section 3.3


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
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
        self.label_smoothing = float(label_smoothing)
        self._weighing = tuple(term for term in self.terms if term.name in WEIGHING)
        self._focal = tuple(term for term in self.terms if term.name == "focal")
        self._regions = tuple(term for term in self.terms if term.name in REGIONS)

    def __call__(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            y_true: class indices (B, H, W) of any dtype, 255 ignored.
            y_pred: logits (B, h, w, classes). If h, w are smaller than H, W (auxiliary heads) the
                labels are read at the centre of each cell instead of upsampling the logits: the
                auxiliary loss then costs next to nothing.

        Returns:
            Scalar float32; 0 when every pixel is ignored. A label that is neither a class nor 255
            is an error on TensorFlow, and gives NaN on other backends and within XLA.

        Raises:
            ConfigError: the class weights are not as many as the logits.
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
    saving = keras3().saving
    for item in (segmentation_loss, SegmentationLoss):
        if saving.get_registered_object(f"fastscnn_tf>{item.__name__}") is None:
            saving.register_keras_serializable("fastscnn_tf")(item)
