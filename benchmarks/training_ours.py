"""The Keras side of `training.py`: this project's model, or the same network as plain Keras 3.

Speaks the protocol of `training_rival.py`. The plain model has Keras' own batch normalisation,
resizing and `SparseCategoricalCrossentropy` over full-size logits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from turns import serve, timed_steps

import fastscnn_tf as fs
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.images.interpolation import HALF_PIXEL
from fastscnn_tf.core.keras_api import keras3, tensorflow
from fastscnn_tf.model.layers import layers_for

IGNORE = 255


def plain_layers(keras: Any) -> None:
    """Replaces this project's layers by Keras' own where Keras has them."""
    own = layers_for(keras)
    own.BatchNormalization = keras.layers.BatchNormalization

    class Resize(own.Resize):  # type: ignore[misc, name-defined]
        def call(self, x):
            if self.sampling != HALF_PIXEL:  # Keras has no such resizing
                return super().call(x)
            return keras.ops.image.resize(x, self.size, antialias=False)

    own.Resize = Resize


class Trainer:
    """SGD steps on one batch of noise, cross-entropy at full resolution."""

    def __init__(self, kind: str, batch: int, size: list[int], classes: int, threads: int):
        tf, keras = tensorflow(), keras3()
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        keras.utils.set_random_seed(0)
        config = FastSCNNConfig.preset("gluon", num_classes=classes, input_size=tuple(size))
        loss: Any = fs.segmentation_loss
        if kind == "plain":
            plain_layers(keras)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORE)
        self.model = fs.fast_scnn(config.replace(aux_heads=False, l2=0.0))
        optimizer = keras.optimizers.SGD(1e-3, momentum=0.9)
        self.model.compile(optimizer, loss=loss, jit_compile=False)
        images = np.random.default_rng(0).normal(size=(batch, *size, 3)).astype(np.float32)
        labels = np.random.default_rng(1).integers(0, classes, (batch, *size)).astype(np.uint8)
        self.batch = tf.constant(images), tf.constant(labels)

    def step(self) -> None:
        self.model.train_on_batch(*self.batch)


def build(order: dict[str, Any]) -> Any:
    """A trainer that has taken its first step."""
    trainer = Trainer(**order)
    trainer.step()
    versions = {"keras": keras3().__version__, "tensorflow": tensorflow().__version__}
    parameters = sum(int(np.prod(v.shape)) for v in trainer.model.trainable_variables)
    return {"versions": versions, "parameters": parameters}, timed_steps(trainer.step)


if __name__ == "__main__":
    serve(build)
