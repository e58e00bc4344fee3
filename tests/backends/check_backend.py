"""One Keras backend against what TensorFlow computed, and training on it without TensorFlow.

`run.sh` runs this on JAX or PyTorch, each in its own environment. By hand:

    python tests/backends/make_reference.py FOLDER        # where TensorFlow is
    KERAS_BACKEND=jax FASTSCNN_REFERENCE=FOLDER python -m pytest tests/backends/check_backend.py
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.core.scores.confusion import confusion_matrix, scores
from fastscnn_tf.data.datasets import toy_streets
from fastscnn_tf.data.reader import named_data_errors
from fastscnn_tf.model.io import load_keras, save_keras
from fastscnn_tf.train.registered import register_training_objects
from fastscnn_tf.train.training_state import read_checkpoint

FOLDER = os.environ.get("FASTSCNN_REFERENCE", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="FASTSCNN_REFERENCE is not set")
HEADS = ("logits", "aux_ltd", "aux_gfe")
TOLERANCE = 1e-4  # of the largest value
SIZE = (64, 96)
SETTINGS = fs.TrainSettings("toy", None, SIZE, 3, 8, 0.01, bn_momentum=0.9)


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(FOLDER) / "reference.npz") as file:
        return dict(file)


@pytest.fixture
def model():
    register_training_objects()  # which the compiled model names
    return load_keras(Path(FOLDER) / "model.keras", compile=True)


@pytest.fixture
def few_scenes(monkeypatch):
    monkeypatch.setattr(toy_streets, "SPLITS", {"train": (0, 24), "val": (1, 6)})


def outputs(model, images):
    return {name: np.asarray(x) for name, x in model.predict_on_batch(images).items()}


def assert_close(found, expected, what, scale=0.0):
    scale = max(scale, np.abs(expected).max())
    worst = np.abs(found - expected).max() / scale
    assert worst <= TOLERANCE, f"{what}: off by {worst:.1e} of {scale:.3g}"


def test_outputs_are_tensorflows(model, reference):
    for name, value in outputs(model, reference["images"]).items():
        assert_close(value, reference[f"before/{name}"], name)


def test_a_training_step_is_tensorflows(model, reference):
    images, labels = reference["images"], dict.fromkeys(HEADS, reference["label"])
    before = model.get_layer("fusion.low").get_weights()[0]
    for mode, run in (("inference", model.test_on_batch), ("step", model.train_on_batch)):
        loss = float(run(images, labels, return_dict=True)["loss"])
        assert loss == pytest.approx(float(reference[f"loss/{mode}"]), rel=TOLERANCE)
    assert np.abs(model.get_layer("fusion.low").get_weights()[0] - before).max() > 1e-3
    for layer in model.layers:
        weights = layer.get_weights()
        for i, found in enumerate(weights):
            # Offsets and means may be near zero: their scale is that of gains and deviations.
            norm = layer.name.endswith(".bn") and i in (1, 2)
            scale = (weights[0].max() if i == 1 else np.sqrt(weights[3].max())) if norm else 0.0
            name = f"{layer.name}/{i}"
            assert_close(found, reference[f"weights/{name}"], name, scale)
    for name, value in outputs(model, images).items():
        assert_close(value, reference[f"after/{name}"], name)


def test_saved_and_loaded_again(model, reference, tmp_path):
    images, labels = reference["images"], dict.fromkeys(HEADS, reference["label"])
    model.train_on_batch(images, labels)
    save_keras(model, tmp_path / "again.keras")
    again = load_keras(tmp_path / "again.keras", compile=True)
    assert int(again.optimizer.iterations) == int(model.optimizer.iterations) == 4
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(a, b)


def cross_entropy(labels, logits):
    valid = labels != 255
    logits = logits.astype(np.float64)[valid]
    total = np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)) + logits.max(-1)
    return (total - logits[np.arange(len(logits)), labels[valid]]).mean()


def test_losses_and_metric_ignore_void_pixels():
    random = np.random.default_rng(0)
    labels = random.integers(0, 9, (2, *SIZE)).astype(np.uint8)
    labels[0, :30], labels[1, :, 50:] = 255, 255
    full = random.normal(size=(2, *SIZE, 9)).astype(np.float32)
    cells = random.normal(size=(2, 8, 12, 9)).astype(np.float32)
    expected = cross_entropy(labels, full)
    assert float(fs.segmentation_loss(labels, full)) == pytest.approx(expected, rel=1e-5)
    expected = cross_entropy(labels[:, 4::8, 4::8], cells)
    assert float(fs.segmentation_loss(labels, cells)) == pytest.approx(expected, rel=1e-5)
    assert float(fs.segmentation_loss(np.full_like(labels, 255), full)) == 0.0

    metric, matrix = fs.mean_iou(9), np.zeros((9, 9), np.int64)
    for label, logits in zip(labels, full, strict=True):
        metric.update_state(label[None], logits[None])
        matrix += confusion_matrix(label, logits.argmax(-1).astype(np.uint8), 9)
    assert float(metric.result()) == pytest.approx(scores(matrix).miou, rel=1e-6)
    metric.reset_state()
    metric.update_state(np.full_like(labels, 255), full)
    assert float(metric.result()) == 0.0


def test_a_run_resumes_to_the_same_weights(few_scenes, small_weights, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    settings = dataclasses.replace(SETTINGS, init_from=str(small_weights))
    result = fs.run_training(settings, whole, verbose=0)
    assert fs.evaluate(result.best, "toy").miou == pytest.approx(result.miou, abs=1e-6)
    run = json.loads((whole / "run.json").read_text())
    assert set(run["versions"]) == {
        "fastscnn_tf",
        "python",
        "keras",
        keras3().backend.backend(),
    }

    class Interrupt(keras3().callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fs.run_training(settings, parts, verbose=0, extra_callbacks=[Interrupt()])
    assert json.loads((parts / "state.json").read_text())["epochs_done"] == 2
    assert fs.run_training(settings, parts, resume=True, verbose=0).epochs == 3
    first, second = (load_keras(folder / "last.keras") for folder in (whole, parts))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.allclose(a, b, rtol=1e-3, atol=1e-4)
    states = [read_checkpoint(folder / "last.keras")[0] for folder in (whole, parts)]
    assert states[0]["dropout"] == states[1]["dropout"]
    assert all(count > 0 for _, count in states[0]["dropout"].values())


def test_plain_compile_and_fit_learn(few_scenes):
    few = {"bn_momentum": 0.9, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    config = fs.FastSCNNConfig.for_labels("toy", input_size=SIZE, **few)
    train = fs.load_pydataset("toy", config=config, augment="gentle", batch_size=6, seed=0)
    val = fs.load_pydataset("toy", split="val", config=config, batch_size=4)
    model = fs.fast_scnn(config)
    model.compile(optimizer="sgd", loss=fs.segmentation_loss, metrics=[fs.mean_iou(9)])
    history = model.fit(train, epochs=3, validation_data=val, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert set(history) == {"loss", "miou", "val_loss", "val_miou"}
    assert train.epoch == 3


def test_an_unreadable_file_is_named(own_data):
    config = fs.FastSCNNConfig.for_labels("toy", input_size=SIZE)
    path = own_data / "train" / "images" / "2.jpg"
    path.write_bytes(path.read_bytes()[:300])
    data = fs.load_pydataset("folder", own_data, config=config, augment="paper", batch_size=1)
    keras = keras3()
    inputs = keras.Input((*SIZE, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(9, 1)(inputs))
    model.compile(optimizer="sgd", loss=fs.segmentation_loss)
    with pytest.raises(DataError, match=r"2\.jpg"), named_data_errors():
        model.fit(data, shuffle=False, verbose=0)


@pytest.mark.skipif(keras3().backend.backend() == "tensorflow", reason="it works there")
def test_quantizing_says_what_it_needs(tmp_path):
    command = [sys.executable, "-m", "fastscnn_tf", "quantize", f"{FOLDER}/model.keras"]
    options = ["--dataset", "toy", "--batch-size", "4", "--output", str(tmp_path / "out")]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "tensorflow" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(keras3().backend.backend() == "tensorflow", reason="it is needed there")
def test_tensorflow_was_not_needed():
    assert "tensorflow" not in sys.modules
