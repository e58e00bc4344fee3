"""Writes what TensorFlow computes, for `check_backend.py` to compare other backends with.

    python tests/backends/make_reference.py FOLDER

`model.keras` is a small model with auxiliary heads and its optimizer, trained for a few steps.
`reference.npz` holds a batch, the model's outputs and losses, and everything again after one more
step of SGD.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.keras_api import keras3, tensorflow
from fastscnn_tf.core.labels import IGNORE
from fastscnn_tf.data.numpy_pipeline import load_pydataset
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.io import save_keras
from fastscnn_tf.train.losses.segmentation_loss import segmentation_losses

HEADS = ("logits", "aux_ltd", "aux_gfe")


def main(folder: Path) -> None:
    tensorflow()  # quietly
    keras = keras3()
    keras.utils.set_random_seed(0)
    config = FastSCNNConfig.for_labels(
        "toy", input_size=(64, 96), aux_heads=True, dropout=0.0, bn_momentum=0.9
    )
    data = load_pydataset("toy", split="val", config=config, batch_size=4)
    model = fast_scnn(config)
    model.compile(keras.optimizers.SGD(0.05), **segmentation_losses(True))
    settle_norms(model)
    for index in range(1, 4):
        model.train_on_batch(*data[index])
    save_keras(model, folder / "model.keras")

    images, labels = data[0]
    label = labels["logits"].copy()
    label[:, :9], label[1, 30:40] = IGNORE, IGNORE
    labels = dict.fromkeys(HEADS, label)
    values = {"images": images, "label": label}
    values |= {f"before/{name}": value for name, value in outputs(model, images).items()}
    values["loss/inference"] = model.test_on_batch(images, labels, return_dict=True)["loss"]
    values["loss/step"] = model.train_on_batch(images, labels, return_dict=True)["loss"]
    values |= {f"after/{name}": value for name, value in outputs(model, images).items()}
    for layer in model.layers:
        for i, weight in enumerate(layer.get_weights()):
            values[f"weights/{layer.name}/{i}"] = weight
    np.savez(folder / "reference.npz", **values)


def settle_norms(model) -> None:
    """Gives every batch normalisation its own gains, offsets and statistics.

    The offsets open every other channel's ReLU for good and close the others. Backends round
    differently, and where a ReLU's input is positive on one and negative on the other, a gradient
    changes by a whole pixel's share: after one step weights differ by 1e-2, which says nothing
    about the backend.
    """
    random = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.endswith(".bn"):
            channels = layer.gamma.shape[0]
            side = np.where(np.arange(channels) % 2, -1.0, 1.0)
            layer.set_weights(
                [
                    random.uniform(0.7, 0.9, channels),
                    random.uniform(2.2, 2.6, channels) * side,
                    random.uniform(-0.5, 0.5, channels),
                    random.uniform(0.5, 1.5, channels),
                ]
            )


def outputs(model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Name of the head -> logits in inference."""
    return {name: np.asarray(value) for name, value in model(images, training=False).items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
