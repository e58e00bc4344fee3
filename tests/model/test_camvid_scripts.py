"""What makes the CamVid weights: a wider network computes the same; averaged, rounded weights."""

import importlib.util
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, ModelFileError
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.io import load_keras
from fastscnn_tf.runs.about import about_model

SCRIPTS = Path(__file__).parents[2] / "tflite" / "camvid"
NARROW = {"num_classes": 5, "input_size": (64, 96), "repeats": (2, 1, 1), "expansion": 2}


def script(name):
    found = importlib.util.spec_from_file_location(f"camvid_{name}", SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def model():
    """A narrow network whose batch normalisation has something to say."""
    keras3().utils.set_random_seed(0)
    model = fast_scnn(FastSCNNConfig(width=0.5, aux_heads=True, **NARROW))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.endswith(".bn"):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


@pytest.mark.parametrize("width", [0.75, 1.25])
def test_a_wider_network_computes_the_same(model, width, noise):
    wider = script("widen").widen(model, width, seed=1)
    assert wider.config == model.config.replace(width=width)
    images = noise(NARROW["input_size"])
    for name, expected in model(images, training=False).items():
        found = np.array(wider(images, training=False)[name])
        np.testing.assert_allclose(found, np.array(expected), atol=1e-4)


def test_copies_of_a_channel_learn_apart(model):
    """Equal weights of what reads them would get equal gradients for ever."""
    wider = script("widen").widen(model, 1.0, seed=1)
    kernel = wider.get_layer("global_features.bottleneck1_1.expand").get_weights()[0]
    half = kernel.shape[2] // 2
    assert not np.isclose(kernel[:, :, :half], kernel[:, :, half:]).any()


def test_a_width_that_is_not_wider_is_refused(model):
    with pytest.raises(ConfigError, match=r"--width 0.25 is not wider: .* has 16 channels"):
        script("widen").widen(model, 0.25, seed=1)


def test_what_is_made_wider_keeps_its_licence(model, tmp_path, monkeypatch):
    narrow, wider = tmp_path / "narrow.keras", tmp_path / "wider.keras"
    fs.save_model(model, narrow, about={"license": "CC BY-NC 4.0"})
    monkeypatch.setattr(sys, "argv", ["widen.py", str(narrow), str(wider), "--width", "0.75"])
    script("widen").main()
    assert about_model(wider)["license"] == "CC BY-NC 4.0"


def test_networks_of_other_shapes_have_no_mean(model):
    with pytest.raises(ModelFileError, match="network 2 has weights of other shapes"):
        script("average").average([model, fast_scnn(model.config.replace(width=0.25))])


def test_the_mean_of_two_networks_says_whose_it_is(model, tmp_path, monkeypatch):
    first, second, mean = (tmp_path / f"{name}.keras" for name in ("first", "second", "mean"))
    fs.save_model(model, first)
    weights = model.get_weights()
    model.set_weights([w + 1 for w in weights])
    fs.save_model(model, second)
    monkeypatch.setattr(sys, "argv", ["average.py", *map(str, (mean, first, second))])
    script("average").main()
    for found, before in zip(load_keras(mean).get_weights(), weights, strict=True):
        np.testing.assert_allclose(found, before + 0.5, atol=1e-6)
    said = about_model(mean)["description"]
    assert said == "mean of the weights of first.keras and second.keras"


def test_rounded_weights_take_half_the_bytes_and_are_near(model, tmp_path):
    ship, path = script("ship"), tmp_path / "m.keras"
    before = [w.copy() for w in model.get_weights()]
    ship.round_weights(model)
    fs.save_model(model, path)
    stored = path.stat().st_size
    ship.compress(path)
    names = zipfile.ZipFile(path).namelist()
    assert path.stat().st_size < 0.65 * stored and "model.weights.h5" in names
    for found, wanted in zip(load_keras(path).get_weights(), before, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2**-9)
