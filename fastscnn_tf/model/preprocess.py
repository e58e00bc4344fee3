"""From images as they are to what a Keras model takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError
from ..core.keras_api import KerasModel, keras3


def preprocess_input(images: Any, model: KerasModel | FastSCNNConfig | None = None) -> Any:
    """Normalises RGB images for a Keras model, as training did: `(x - mean) / std`.

    A .tflite takes bytes and does this inside, and so does a Keras model that is given integers.

    Args:
        images: (..., H, W, 3) RGB of 0..255, an array of any dtype or a tensor of Keras' backend.
        model: whose mean and std count, or its configuration; by default 128 and 128.

    Returns:
        float32 of the same shape, about -1..1: an array of an array, a tensor of a tensor.

    Raises:
        ConfigError: no images, no model, or an array of floats that are not 0..255 but 0..1 or
            normalised already.

    Example:
        >>> preprocess_input(np.full((1, 1, 3), 192, np.uint8)).ravel().tolist()
        [0.5, 0.5, 0.5]
    """
    config = FastSCNNConfig() if model is None else getattr(model, "config", model)
    if not isinstance(config, FastSCNNConfig) or not hasattr(images, "dtype"):
        raise ConfigError(
            "expected an array or a tensor of images and a model of fast_scnn, got "
            f"{type(images).__name__} and {type(model).__name__}"
        )
    if isinstance(images, np.ndarray):
        _check_range(images)
        return config.normalised(images)
    ops = keras3().ops
    return normalised(ops.convert_to_tensor(images), config, ops)


def _check_range(images: np.ndarray) -> None:
    low, high = images.min(initial=0), images.max(initial=0)
    if images.dtype.kind == "f" and (low < 0 or 0 < high <= 1):
        raise ConfigError(
            f"expected RGB of 0..255, got {low:.2f}..{high:.2f}: multiply by 255 what is 0..1; "
            "what is normalised needs no preprocess_input"
        )


def normalised(images: Any, config: FastSCNNConfig, ops: Any) -> Any:
    """`FastSCNNConfig.normalised` for tensors of a namespace that has `cast`."""
    mean, std = (np.array(value, np.float32) for value in (config.mean, config.std))
    return (ops.cast(images, "float32") - mean) / std


def without_bytes(images: Any, config: FastSCNNConfig, ops: Any) -> Any:
    """What a model was given, normalised if it is integers: those can only be raw bytes."""
    if isinstance(images, list | tuple):
        return type(images)(without_bytes(image, config, ops) for image in images)
    dtype = str(getattr(images.dtype, "name", images.dtype))
    return normalised(images, config, ops) if "int" in dtype else images
