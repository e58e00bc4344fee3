"""Loss functions in `keras.ops`: plain functions for Keras 3 on any backend and for tf_keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.config import AUX_HEADS
from ..core.labels import IGNORE
from ..keras_api import keras3

AUX_WEIGHT = 0.4  # paper, section 3.3


def segmentation_loss(y_true: Any, y_pred: Any) -> Any:
    """Mean cross-entropy over the pixels that are not 255.

    Args:
        y_true: integer class indices (B, H, W), 255 ignored.
        y_pred: logits (B, h, w, classes). If h, w are smaller than H, W (auxiliary heads) the
            labels are read at the centre of each cell instead of upsampling the logits: the
            auxiliary loss then costs next to nothing.

    Returns:
        Scalar float32; 0 when every pixel is ignored.
    """
    register()  # so that what Keras saves of a compiled model names it
    ops = keras3().ops
    y_true = _at_cells(y_true, (y_pred.shape[1], y_pred.shape[2]))
    y_true = ops.cast(y_true, "int32")
    valid = ops.cast(ops.not_equal(y_true, IGNORE), "float32")
    y_true = ops.where(ops.equal(y_true, IGNORE), 0, y_true)
    loss = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
    return ops.sum(loss * valid) / ops.maximum(ops.sum(valid), 1.0)


def _at_cells(y_true, size):
    rows, columns = y_true.shape[1] // size[0], y_true.shape[2] // size[1]
    if (rows, columns) == (1, 1):
        return y_true
    return y_true[:, rows // 2 :: rows, columns // 2 :: columns]


def segmentation_losses(aux_heads: bool, layout: Sequence[str] = AUX_HEADS) -> dict[str, Any]:
    """`loss` and `loss_weights` for `model.compile`.

    Args:
        aux_heads: whether the model has auxiliary heads.
        layout: which ones, as `config.aux_layout` says.
    """
    if not aux_heads:
        return {"loss": segmentation_loss}
    weights = {"logits": 1.0, **{f"aux_{head}": AUX_WEIGHT for head in layout}}
    return {"loss": dict.fromkeys(weights, segmentation_loss), "loss_weights": weights}


def register() -> None:
    """Makes the loss known to Keras' loader."""
    keras = keras3()
    if keras.saving.get_registered_object("fastscnn_tf>segmentation_loss") is None:
        keras.saving.register_keras_serializable("fastscnn_tf")(segmentation_loss)
