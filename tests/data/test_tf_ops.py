"""tf.data's augmentation computes what NumPy's does, for the same numbers."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from test_augment import CONFIG, batch, draws

from fastscnn_tf.data.augment import numpy_ops, tf_ops
from fastscnn_tf.data.augment.augmentation import DRAWS, PRESETS, Augmentation
from fastscnn_tf.data.augment.mix import mix_batch
from fastscnn_tf.data.augment.numpy_ops import resize_bilinear, resize_nearest
from fastscnn_tf.data.augment.pair import augment_pair
from fastscnn_tf.data.datasets.toy_streets import ToyStreets

ALONE = {
    "scale": (0.5, 2.0),
    "aspect": 1.5,
    "flip": True,
    "rotation": (0.7, 30.0),
    "cat_max_ratio": 0.4,
    "balance": 0.7,
    "brightness": 40.0,
    "contrast": 0.5,
    "saturation": 0.5,
    "hue": 0.2,
    "channel_noise": 0.2,
    "night": (0.7, 3.0),
    "blur": (0.7, 1.5),
    "jpeg": (0.7, 50),
    "cutout": (0.7, 0.5),
}
CHAINS = {name: Augmentation(**{name: value}) for name, value in ALONE.items()}
CHAINS["paper"], CHAINS["gentle"] = PRESETS["paper"], PRESETS["gentle"]
# The noise is another backend's; JPEG makes a step of what is a rounding before it.
CHAINS["strong"] = dataclasses.replace(PRESETS["strong"], noise=(0.0, 0.0), jpeg=(0.0, 95))


@pytest.mark.parametrize("name", CHAINS)
def test_the_same_numbers_give_the_same_pair(name):
    config = CONFIG.replace(mean=(120.0, 110.0, 100.0), std=(58.0, 57.0, 56.0))
    settings = CHAINS[name]
    image, label = ToyStreets("train", (96, 224)).read(0)
    by_tf = tf.function(lambda *pair: augment_pair(*pair, settings, config, tf_ops))
    signature = (
        tf.TensorSpec((None, None, 3), tf.uint8),
        tf.TensorSpec((None, None), tf.uint8),
        tf.TensorSpec((DRAWS,), tf.float32),
    )
    by_tf = by_tf.get_concrete_function(*signature)
    for seed, (height, width) in enumerate([(96, 224), (64, 96), (50, 200), (31, 33)] * 5):
        part, part_label = image[:height, :width], label[:height, :width]
        found, found_label = by_tf(*map(tf.constant, (part, part_label, draws(seed))))
        expected, expected_label = augment_pair(
            part, part_label, draws(seed), settings, config, numpy_ops
        )
        assert np.abs(found.numpy() - expected).max() < 5e-4
        assert (found_label.numpy() == expected_label).mean() > 0.9999


def test_the_same_numbers_mix_the_same_batch():
    images, labels, vectors = batch()
    settings = Augmentation(cutmix=0.5, classmix=0.5)
    expected = mix_batch(images, labels, vectors, settings, numpy_ops)
    found = mix_batch(*map(tf.constant, (images, labels, vectors)), settings, tf_ops)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_noise_of_tensorflow_has_its_strength():
    grey = np.full((64, 96, 3), 128, np.uint8)
    settings = Augmentation(noise=(1.0, 20.0))
    out, _ = augment_pair(
        tf.constant(grey),
        tf.zeros((64, 96), tf.uint8),
        tf.constant(draws(noise=(0.0, 0.5, 0.3))),
        settings,
        CONFIG,
        tf_ops,
    )
    assert out.numpy().std() == pytest.approx(10 / 128, rel=0.05)


def test_resizing_is_tensorflows():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (37, 53, 3)).astype(np.uint8)
    for size in ((37, 53), (64, 96), (20, 11), (37, 100), (90, 53), (1, 1)):
        assert np.allclose(resize_bilinear(image, size), tf.image.resize(image, size), atol=1e-3)
        nearest = tf.image.resize(image, size, "nearest")[..., 0]
        assert np.array_equal(resize_nearest(image[..., 0], size), nearest)
