"""Shared fixtures: a small trained model, its quantization-aware twin and their .tflite files."""

from __future__ import annotations

import collections
import contextlib
import fcntl
import functools
import gc
import importlib.util
import os
import random
import shutil
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest
from forked import ONE_THREAD, forking
from PIL import Image

import fastscnn_tf as fs

SIZE = (96, 160)
LONG = {"train", "convert", "process", "notebook"}
TARGETS = Path(__file__).parent / "targets"
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before a test imports ONNX Runtime itself
# Sharing an operation of a network this small among threads costs a tenth more than it takes alone,
# and processes share the cores already. Commands that are forked keep all threads.
os.environ.setdefault(ONE_THREAD, "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Python looks for garbage more rarely, and never among modules and collected tests.

    A training leaves 100,000 objects when it is traced, and all that there are are looked through.
    """
    gc.disable()
    result = yield
    gc.freeze()
    gc.set_threshold(50_000, 5, 5)
    gc.enable()
    return result


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole files, by how many of their tests are long, then by how many there are.

    Processes take one after the other, and end together if the last ones are short.
    """
    tests = collections.Counter(item.path for item in items)
    long = collections.Counter(item.path for item in items if is_long(item))
    items.sort(key=lambda item: (-long[item.path], -tests[item.path], item.path))


def is_long(item: pytest.Item) -> bool:
    return TARGETS in item.path.parents or any(item.get_closest_marker(name) for name in LONG)


def pytest_runtest_setup() -> None:
    """Keras finds out once which attributes of a layer its files leave out, not for every layer.

    It keeps them under one name and looks under another: a third of what saving takes.
    """
    saving = sys.modules.get("keras.src.saving.saving_lib")
    if saving and not hasattr(saving.get_attr_skipset, "cache_info"):
        saving.get_attr_skipset = functools.cache(saving.get_attr_skipset)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> None:
    """Networks get the same weights in every run, whatever was made before: Keras asks `random`.

    In each test, too; what is compared with each other is mostly made in different ones.
    """
    random.seed(fixturedef.argname)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    random.seed(item.name)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory, made_once) -> None:
    """Tests leave the user's folders alone; all processes that share the tests have one cache."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ["FASTSCNN_CACHE"] = str(root / "cache")
    os.environ["FASTSCNN_CONFIG"] = str(tmp_path_factory.mktemp("config"))
    if not importlib.util.find_spec("ai_edge_litert"):  # as with the other backends of Keras
        return
    # Tried out once, so that no command says so in the midst of a test; nor of a test's own files,
    # where that takes seconds.
    from fastscnn_tf.runtime import trial

    trial.FELT = trial.LONG = 3600
    shipped = (Path(__file__).parents[1] / "tflite").glob("*.tflite")
    made_once("tried", lambda _: [fs.Segmenter(path) for path in shipped])


@pytest.fixture
def empty_remote_cache(tmp_path, monkeypatch):
    """An empty cache of remote files; what was asked for before is forgotten, and no try waits."""
    from fastscnn_tf.core.files import remote
    from fastscnn_tf.core.files.patience import Patience

    monkeypatch.setenv("FASTSCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "PATIENCE", Patience(tries=3, wait=0.0))
    monkeypatch.setattr(remote, "_seen", {})
    monkeypatch.setattr(remote, "_left", {})


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

    return FastSCNNConfig.for_labels("toy", input_size=SIZE, bn_momentum=0.9, repeats=(1, 1, 1))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """(name, make) -> a path of that name, made once for all processes that share the tests.

    `make` writes the file or folder at the path it gets; tests only read it.
    """
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def get(name: str, make: Callable[[Path], None]) -> Path:
        path, finished = root / name, root / f"{name}.made"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not finished.exists():
                if path.is_dir():  # another process failed half-way
                    shutil.rmtree(path)
                make(path)
                finished.touch()
        return path

    return get


@pytest.fixture(scope="session")
def fork():
    """(arguments, said, script) -> a `Command` in a process of its own that has begun."""
    with forking() as start:
        yield start


@pytest.fixture(scope="session")
def small_weights(made_once, randomise) -> Path:
    """Weights to start from, of toy streets' classes: one bottleneck a group, no auxiliary heads.

    The pyramid has two bins. Tracing costs by the layer, so a run that starts from them takes less
    than half the time.
    """
    from fastscnn_tf.core.config import FastSCNNConfig
    from fastscnn_tf.model.fast_scnn import fast_scnn
    from fastscnn_tf.model.io import save_keras

    few = {"repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    config = FastSCNNConfig.for_labels("toy", input_size=(64, 96), **few)
    return made_once(
        "shared-small.keras", lambda path: save_keras(randomise(fast_scnn(config)), path)
    )


@pytest.fixture(scope="session")
def one_bottleneck():
    """Within it presets have one bottleneck a group and two bins: no setting is for that."""
    from fastscnn_tf.core.config import FastSCNNConfig

    whole = FastSCNNConfig.preset

    def preset(name, **changes):
        return whole(name, **{"repeats": (1, 1, 1), "pyramid_bins": (1, 2), **changes})

    @contextlib.contextmanager
    def few():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FastSCNNConfig, "preset", preset)
            yield

    return few


@pytest.fixture(scope="session")
def run_folder(made_once, tmp_path_factory) -> Path:
    """A real run of three epochs on toy streets.

    Of a narrow network with one bottleneck that has a skip and two that have none: tracing costs
    by the layer, training by the channel.
    """
    from fastscnn_tf.core.config import FastSCNNConfig
    from fastscnn_tf.core.keras_api import keras3
    from fastscnn_tf.model.fast_scnn import fast_scnn
    from fastscnn_tf.model.io import save_keras
    from fastscnn_tf.train.settings import TrainSettings
    from fastscnn_tf.train.trainer import run_training

    def make(path: Path) -> None:
        keras3().utils.set_random_seed(0)
        network = FastSCNNConfig.for_labels(
            "toy", input_size=SIZE, width=0.25, repeats=(2, 1, 1), aux_heads=True
        )
        start = tmp_path_factory.mktemp("start") / "start.keras"
        save_keras(fast_scnn(network), start)
        settings = TrainSettings(
            *("toy", None, SIZE, 3, 8, 0.05),
            augment="gentle",
            bn_momentum=0.9,
            validate_every=3,
            init_from=str(start),
        )
        run_training(settings, path, verbose=0)

    return made_once("shared-float", make)


@pytest.fixture(scope="session")
def qat_folder(run_folder, made_once) -> Path:
    """A real fine-tuning of that run, one epoch."""
    from fastscnn_tf.quantize.fine_tune import QuantizeSettings, run_quantization

    settings = QuantizeSettings(str(run_folder), "toy", None, epochs=1, batch_size=8)
    return made_once("shared-qat", lambda path: run_quantization(settings, path, verbose=0))


@pytest.fixture(scope="session")
def trained(run_folder):
    from fastscnn_tf.evaluation.evaluate import load_model

    return load_model(run_folder)


@pytest.fixture(scope="session")
def quantized(qat_folder):
    from fastscnn_tf.evaluation.evaluate import load_model

    return load_model(qat_folder)


class Exported(dict):
    """(recipe, outputs) -> .tflite, exported when first asked for."""

    def __init__(self, export: Callable[[str, str], Path]):
        super().__init__()
        self._export = export

    def __missing__(self, key: tuple[str, str]) -> Path:
        self[key] = self._export(*key)
        return self[key]


@pytest.fixture(scope="session")
def tflite_files(request, made_once) -> dict[tuple[str, str], Path]:
    """(recipe, outputs) -> .tflite of the trained model, or of its quantization-aware twin."""
    from fastscnn_tf.data.pipeline import load_dataset
    from fastscnn_tf.export.export_tflite import export_tflite

    def export(recipe: str, outputs: str) -> Path:
        def write(path: Path) -> None:
            model = request.getfixturevalue("quantized" if recipe == "int8-qat" else "trained")
            images = None
            if recipe in ("int8", "int16x8"):
                images = load_dataset("toy", split="train", config=model.config, batch_size=4)
                images = images.take(8)
            # Another process may have left it half-written.
            export_tflite(model, path, recipe, outputs, calibration=images, force=True)

        return made_once(f"shared_{recipe}_{outputs}.tflite", write)

    return Exported(export)


@pytest.fixture
def own_data(tmp_path) -> Path:
    """A small own data set: toy streets as JPEG and label PNGs with own raw values."""
    return write_own_data(tmp_path / "eigene Straßen")


@pytest.fixture(scope="session")
def shared_data(made_once) -> Path:
    """The same for tests that only read it."""
    return made_once("shared-data", write_own_data)


@pytest.fixture(scope="session")
def eight_pairs(made_once) -> Path:
    """The same with eight pairs to train on: four steps of two, of which three make an update."""
    return made_once("shared-eight", lambda path: write_own_data(path, 8))


def write_own_data(root: Path, pairs: int = 4) -> Path:
    from fastscnn_tf.data.datasets.toy_streets import ToyStreets

    toy = ToyStreets("train", (96, 160))
    for split, indices in (("train", range(pairs)), ("val", range(pairs, pairs + 3))):
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
