"""The ImageNet classifier on Fast-SCNN's trunk, for pre-training."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ..core.arguments import check_number
from ..core.config import FastSCNNConfig
from ..core.keras_api import KerasModel, Ours, keras3
from .fast_scnn import check_patterns
from .keras_blocks import KerasBlocks
from .layers import model_of_keras
from .topology import trunk

MAX_LABELS = 100_000


def fast_scnn_classifier(
    config: FastSCNNConfig, num_labels: int, keras: ModuleType | None = None
) -> KerasModel:
    """Fast-SCNN for whole images (paper, section 4.3): average pooling instead of the fusion.

    Args:
        config: the network; its `num_classes` plays no part. The layers up to the pyramid pooling
            are those of `fast_scnn`, by name.
        num_labels: labels of the images, 1000 for ImageNet.
        keras: the Keras namespace, Keras 3 by default.

    Returns:
        A model from normalised float32 images (B, H, W, 3) to logits (B, num_labels).

    Raises:
        ConfigError: fewer than 2 labels.

    Example:
        >>> config = FastSCNNConfig(input_size=(224, 224))
        >>> fast_scnn_classifier(config, 1000).output_shape
        (None, 1000)
    """
    check_number("num_labels", num_labels, 2, MAX_LABELS, (int,))
    keras = keras or keras3()
    config = config.replace(aux_heads=False)
    check_patterns(config)
    # === Functional model ===
    image = keras.Input((*config.input_size, 3), name="image")
    blocks = KerasBlocks(keras, config)
    _, context = trunk(blocks, image, config)  # H/32 x 128
    x = keras.layers.GlobalAveragePooling2D(name="labels.pool")(context)
    x = keras.layers.Dropout(config.dropout, name="labels.dropout")(x)
    logits = blocks.apply(keras.layers.Dense(num_labels, name="labels.logits"), x)
    # === Config ===
    model = classifier_class(keras)(image, logits)
    model.config, model.num_labels = config, num_labels
    return model


def classifier_class(keras: Any) -> type[KerasModel]:
    """`keras.Model` that carries its configuration and is rebuilt from it."""
    return model_of_keras(FastSCNNClassifier, keras)


class FastSCNNClassifier(Ours):
    """Fast-SCNN's trunk as an image classifier; see `fast_scnn_classifier`."""

    namespace: Any  # the Keras that it is a model of
    config: FastSCNNConfig
    num_labels: int

    def get_config(self) -> dict[str, Any]:
        return {"fast_scnn": self.config.to_dict(), "num_labels": self.num_labels}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> KerasModel:
        network = FastSCNNConfig.from_dict(config["fast_scnn"])
        return fast_scnn_classifier(network, config["num_labels"], cls.namespace)
