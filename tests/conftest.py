"""Shared fixtures: a small trained model, its quantization-aware twin and their .tflite files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZE = (96, 160)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> None:
    """Tests leave the user's cache folder alone."""
    os.environ["FASTSCNN_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def camvid_dir() -> Path:
    """The real CamVid, where FASTSCNN_CAMVID says it lies."""
    path = os.environ.get("FASTSCNN_CAMVID")
    if not path:
        pytest.skip("FASTSCNN_CAMVID is not set: no CamVid here")
    return Path(path)


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Checkpoints of other implementations with their outputs, where FASTSCNN_GOLDEN says."""
    path = os.environ.get("FASTSCNN_GOLDEN")
    if not path:
        pytest.skip("FASTSCNN_GOLDEN is not set: no checkpoints of other implementations here")
    return Path(path)


@pytest.fixture
def run(capsys):
    """Runs a command in this process: (exit code, stdout, stderr)."""
    from fastscnn_tf.cli.main import main

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def noise():
    """(size, batch, seed) -> normalised images of noise."""

    def make(size, batch=2, seed=0):
        return np.random.default_rng(seed).uniform(-1, 1, (batch, *size, 3)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def randomise():
    """Gives a model weights and statistics as after training: no batch norm is an identity."""

    def change(model, seed=0):
        rng = np.random.default_rng(seed)
        for layer in model.layers:
            values = layer.get_weights()
            if layer.name.endswith(".bn"):
                shape = values[0].shape
                values = [
                    rng.uniform(0.5, 1.5, shape),
                    rng.normal(0, 0.2, shape),
                    rng.normal(0, 0.2, shape),
                    rng.uniform(0.5, 1.5, shape),
                ]
            elif len(values) == 2:
                values[1] = rng.normal(0, 0.1, values[1].shape)
            layer.set_weights(values)
        return model

    return change


@pytest.fixture(scope="session")
def config():
    from fastscnn_tf.core.config import FastSCNNConfig

    return FastSCNNConfig.for_labels("toy", input_size=SIZE, bn_momentum=0.9)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """A real run of three epochs on toy streets."""
    from fastscnn_tf.train.settings import TrainSettings
    from fastscnn_tf.train.trainer import run_training

    folder = tmp_path_factory.mktemp("run") / "float"
    settings = TrainSettings(
        "toy", None, SIZE, 3, 8, 0.05, augment="gentle", bn_momentum=0.9, validate_every=3
    )
    run_training(settings, folder, verbose=0)
    return folder


@pytest.fixture(scope="session")
def qat_folder(run_folder) -> Path:
    """A real fine-tuning of that run, one epoch."""
    from fastscnn_tf.quantize.fine_tune import QuantizeSettings, run_quantization

    folder = run_folder.parent / "qat"
    settings = QuantizeSettings(str(run_folder), "toy", None, epochs=1, batch_size=8)
    run_quantization(settings, folder, verbose=0)
    return folder


@pytest.fixture(scope="session")
def trained(run_folder):
    from fastscnn_tf.evaluation import load_model

    return load_model(run_folder)


@pytest.fixture(scope="session")
def quantized(qat_folder):
    from fastscnn_tf.evaluation import load_model

    return load_model(qat_folder)


@pytest.fixture(scope="session")
def tflite_files(trained, quantized, tmp_path_factory) -> dict[tuple[str, str], Path]:
    """(recipe, outputs) -> .tflite, written when it is first asked for."""
    from fastscnn_tf.data.pipeline import load_dataset
    from fastscnn_tf.export.export import export_tflite

    folder = tmp_path_factory.mktemp("tflite")
    images = load_dataset("toy", split="train", config=trained.config, batch_size=4).take(8)

    class Files(dict):
        def __missing__(self, key):
            recipe, outputs = key
            model = quantized if recipe == "int8-qat" else trained
            self[key] = folder / f"{recipe}_{outputs}.tflite"
            export_tflite(model, self[key], recipe, outputs, calibration=images)
            return self[key]

    return Files()


@pytest.fixture
def own_data(tmp_path) -> Path:
    """A small own data set: toy streets as JPEG and label PNGs with own raw values."""
    from fastscnn_tf.data.toy_streets import ToyStreets

    root = tmp_path / "eigene Straßen"
    toy = ToyStreets("train", (96, 160))
    for split, indices in (("train", range(4)), ("val", range(4, 7))):
        for kind in ("images", "labels"):
            (root / split / kind).mkdir(parents=True)
        for i in indices:
            image, label = toy.read(i)
            Image.fromarray(image).save(root / split / "images" / f"{i}.jpg")
            Image.fromarray((label + 20).astype(np.uint8)).save(
                root / split / "labels" / f"{i}.png"
            )
    classes = "\n".join(
        f"  - {{name: {name}, value: {i + 20}}}" for i, name in enumerate(toy.labels.names)
    )
    (root / "dataset.yaml").write_text(
        f"name: own\nclasses:\n{classes}\nvoid: [0]\nsplits:\n"
        "  train: {images: train/images, labels: train/labels}\n"
        "  val: {images: val/images, labels: val/labels}\n"
    )
    return root
