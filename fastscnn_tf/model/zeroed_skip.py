"""`without_skip`: a copy of a model whose high-resolution branch adds nothing to the fusion."""

from __future__ import annotations

import numpy as np

from ..core.keras_api import KerasModel
from ..core.sizes import Size
from .fast_scnn import require_fast_scnn, resize_model

BRANCH = "fusion.high"


def without_skip(model: KerasModel, size: Size | None = None, pad: bool = False) -> KerasModel:
    """A copy for inference in which the fusion gets the deep branch alone.

    The paper zeroes the skip connection of a trained model to see what it is worth (64.30 mIoU
    instead of 69.22). Here the branch's convolution gets zero weights, and its batch normalisation
    (`fusion_norm="branches"`) zero scale and shift, so that exactly zero is added.

    Args:
        model: a Keras 3 model, as for `resize_model`; it stays as it is.
        size: (height, width) of the copy; the model's own by default.
        pad: as in `resize_model`.

    Raises:
        ConfigError: another kind of model, or no valid size.
    """
    config = require_fast_scnn(model)
    copy = resize_model(model, size or config.input_size, pad if size else config.pad)
    for layer in copy.layers:
        if layer.name == BRANCH:
            layer.set_weights([np.zeros_like(values) for values in layer.get_weights()])
        elif layer.name == f"{BRANCH}.bn":
            gamma, beta, *statistics = layer.get_weights()
            layer.set_weights([np.zeros_like(gamma), np.zeros_like(beta), *statistics])
    return copy
