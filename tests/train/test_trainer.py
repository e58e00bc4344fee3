"""Real runs on toy streets: files, resume, Ctrl-C, a broken loss."""

import csv
import io
import json
import os
import shutil
import zipfile

import h5py
import numpy as np
import pytest

from fastscnn_tf.core.errors import (
    ConfigError,
    DataError,
    ModelFileError,
    OutputError,
    TrainingDiverged,
)
from fastscnn_tf.core.keras_api import keras3, tensorflow
from fastscnn_tf.evaluation.evaluate import evaluate, load_model
from fastscnn_tf.model.io import load_keras
from fastscnn_tf.runs.run_folder import run_folder
from fastscnn_tf.train.callbacks import SCORE, callbacks_for
from fastscnn_tf.train.settings import TrainSettings, seconds_of
from fastscnn_tf.train.trainer import run_training


@pytest.fixture(scope="module")
def settings_for(small_weights):
    """(own data, changes) -> settings of two short epochs that start from small weights.

    They do not validate, which takes a fifth of so short a run.
    """

    def make(own_data, **changes):
        values = {"epochs": 2, "batch_size": 2, "learning_rate": 0.01, "bn_momentum": 0.9}
        values |= {"init_from": str(small_weights), "aux_heads": False, "validate_every": 0}
        return TrainSettings("folder", str(own_data), (64, 96), **{**values, **changes})

    return make


@pytest.fixture(scope="module")
def train_alone(shared_data, tmp_path_factory):
    """The shared data without their validation split."""
    root = shutil.copytree(shared_data, tmp_path_factory.mktemp("train") / "alone")
    shutil.rmtree(root / "val")
    described = root / "dataset.yaml"
    lines = described.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("  val:")]
    described.write_text("\n".join(kept), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def short_run(train_alone, settings_for, tmp_path_factory):
    """The result of a run of one epoch on these data; tests change a copy of its folder."""
    folder = tmp_path_factory.mktemp("short") / "run"
    return run_training(settings_for(train_alone, epochs=1), folder, verbose=0)


def test_a_run_learns_and_leaves_everything(run_folder):
    state = json.loads((run_folder / "state.json").read_text())
    run = json.loads((run_folder / "run.json").read_text())
    rows = list(csv.DictReader((run_folder / "log.csv").read_text().splitlines()))
    assert state["epochs_done"] == 3
    assert run["settings"]["learning_rate"] == 0.05
    assert run["config"]["class_names"][0] == "road"
    assert set(run["versions"]) == {"fastscnn_tf", "python", "keras", "tensorflow"}
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert list((run_folder / "tensorboard").rglob("events*"))
    # An untrained model that says "building" everywhere stays under 0.05.
    assert state["best"] > 0.2


def test_the_validation_score_is_the_evaluators(run_folder):
    best = json.loads((run_folder / "state.json").read_text())["best"]
    assert evaluate(run_folder / "best.keras", "toy").miou == pytest.approx(best, abs=1e-6)


def test_best_has_no_auxiliary_heads_and_last_has(run_folder):
    assert not load_model(run_folder).config.aux_heads
    assert load_keras(run_folder / "last.keras").config.aux_heads


@pytest.mark.train
def test_resume_is_refused_with_other_settings_or_in_a_folder_of_something_else(
    own_data, train_alone, short_run, tmp_path, settings_for
):
    with pytest.raises(OutputError, match=r"nothing to resume, run\.json is missing"):
        run_training(settings_for(own_data), own_data, resume=True)
    folder = shutil.copytree(short_run.folder, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"learning_rate 0\.5: it began with 0\.01"):
        run_training(settings_for(train_alone, epochs=1, learning_rate=0.5), folder, resume=True)
    with pytest.raises(ConfigError, match=r"epochs 2: it began with 1; .* --init-from"):
        run_training(settings_for(train_alone, epochs=2), folder, resume=True)
    with pytest.raises(OutputError, match="not empty"):
        run_training(settings_for(train_alone, epochs=1), folder)


@pytest.mark.train
def test_a_failed_run_gives_the_old_one_back(own_data, short_run, tmp_path, settings_for):
    folder = shutil.copytree(short_run.folder, tmp_path / "run")
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    path = own_data / "train" / "images" / "3.jpg"
    content, state = path.read_bytes(), path.stat()
    path.write_bytes(content[:300].ljust(len(content), b"\0"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # as it was found good before
    with pytest.raises(DataError, match=r"3\.jpg"):
        run_training(settings_for(own_data, epochs=1, seed=1), folder, force=True, verbose=0)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == ["tensorboard"]
    path.write_bytes(content)
    run_training(settings_for(own_data, epochs=1, seed=1), folder, force=True, verbose=0)
    assert (folder / "best.keras").read_bytes() != before["best.keras"]
    assert not list(folder.glob(".*"))


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    refused = pytest.raises(OutputError, match="another run")
    with run_folder(tmp_path / "r", resume=False), refused, run_folder(tmp_path / "r", resume=True):
        pass
    assert not (tmp_path / "r").exists()


@pytest.mark.train
def test_broken_loss_stops_with_step_and_rate(own_data, tmp_path, settings_for):
    folder, settings = tmp_path / "run", settings_for(own_data, learning_rate=99.0, epochs=20)
    with pytest.raises(TrainingDiverged, match=r"step \d+ with learning rate") as caught:
        run_training(settings, folder, resume=True, verbose=0)  # of nothing: it begins
    kept = "finished epochs are kept" if folder.exists() else "nothing of this run is kept"
    assert kept in str(caught.value)
    if folder.exists():  # it broke after the first epoch, which is kept
        weights = load_keras(folder / "last.keras").get_weights()
        assert all(np.isfinite(w).all() for w in weights)


@pytest.mark.train
def test_a_run_that_never_began_leaves_nothing(own_data, tmp_path, settings_for):
    folder = tmp_path / "run"

    class Interrupt(keras3().callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_training(
            settings_for(own_data, epochs=1), folder, verbose=0, extra_callbacks=[Interrupt()]
        )
    assert not folder.exists()


@pytest.mark.train
def test_logits_that_overflow_stop_the_run(own_data, tmp_path, settings_for):
    folder = tmp_path / "run"

    class Spoil(keras3().callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.second = epoch == 1

        def on_train_batch_end(self, batch, logs=None):
            layer = self.model.get_layer("classifier.logits")
            last = self.second and batch == 1
            for weight in (layer.kernel, layer.bias) if last else ():  # finite; the sum is not
                weight.assign(np.full(weight.shape, 3.4e38))

    settings = settings_for(own_data, epochs=2, validate_every=1)
    with pytest.raises(TrainingDiverged, match="logits"):
        run_training(settings, folder, verbose=0, extra_callbacks=[Spoil()])
    weights = load_keras(folder / "last.keras").get_weights()
    assert all(np.max(np.abs(w)) < 1e30 for w in weights)
    assert json.loads((folder / "state.json").read_text())["epochs_done"] == 1


@pytest.mark.train
def test_damaged_state_is_named(train_alone, short_run, tmp_path, settings_for):
    folder = shutil.copytree(short_run.folder, tmp_path / "run")
    settings = settings_for(train_alone, epochs=1)
    same = settings_for(train_alone / ".." / train_alone.name, epochs=1)
    assert run_training(same, folder, resume=True, verbose=0).epochs == 1
    state, run = ((folder / name).read_text() for name in ("state.json", "run.json"))
    for broken in ("{}", "[]", "{"):
        (folder / "run.json").write_text(broken)
        with pytest.raises(OutputError, match=r"run\.json"):
            run_training(settings, folder, resume=True, verbose=0)
    (folder / "run.json").write_text(run)
    (folder / "state.json").write_text("{")  # a copy: the checkpoint knows
    assert run_training(settings, folder, resume=True, verbose=0).epochs == 1
    assert json.loads((folder / "state.json").read_text()) == json.loads(state)
    (folder / "last.keras").write_bytes((folder / "last.keras").read_bytes()[:-2000])
    with pytest.raises(ModelFileError, match=r"last\.keras: damaged"):
        run_training(settings, folder, resume=True, verbose=0)
    shutil.copy(folder / "best.keras", folder / "last.keras")
    with pytest.raises(ModelFileError, match=r"last\.keras: .*not a checkpoint to go on from"):
        run_training(settings, folder, resume=True, verbose=0)


@pytest.mark.train
def test_crops_weights_and_schedules_train_and_the_last_weights_stay(
    own_data, tmp_path, settings_for
):
    """Everything at once that changes no file format; validation only where it is asked for."""
    settings = settings_for(
        own_data,
        aux_heads=True,
        crop=(32, 64),
        loss="ohem + 0.5*dice(4)",
        class_weights="enet",
        label_smoothing=0.1,
        schedule="constant",
        clip_norm=1.0,
        dropout=0.0,
        l2=0.0,
    )
    result = run_training(settings, tmp_path / "run", verbose=0)
    assert result.miou is None
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [row["val_miou"] for row in rows] == ["", ""]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([0.01, 0.01])
    best = load_keras(result.best)
    assert best.config.input_size == (64, 96)
    assert (best.config.dropout, best.config.l2) == (0.0, 0.0)
    last = load_keras(tmp_path / "run" / "last.keras")
    assert last.config.input_size == (32, 64)
    name = "fusion.low"
    pairs = zip(*(m.get_layer(name).get_weights() for m in (best, last)), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_early_stopping_waits_for_its_patience(tmp_path):
    keras = keras3()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    checkpoint = callbacks_for(keras).Checkpoint(
        tmp_path, lambda state: None, lambda: None, epochs=10, patience=2
    )
    checkpoint.set_model(model)
    stopped = []
    for epoch, score in enumerate((0.1, 0.3, 0.3, None, 0.2)):
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {"loss": 1.0, **({} if score is None else {SCORE: score})})
        stopped.append(bool(model.stop_training))
    assert stopped == [False, False, False, True, True]
    assert checkpoint.state["best_epoch"] == 2


@pytest.mark.parametrize(
    "change",
    [
        *({"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0}, {"augment": "x"}, {"seed": -1}),
        *({"optimizer": "adam"}, {"schedule": "step"}, {"precision": "float16"}, {"ema": 1.0}),
        *({"loss": "hinge"}, {"class_weights": "sqrt"}, {"label_smoothing": 1.0}, {"clip_norm": 0}),
        *({"save_every": "10"}, {"save_every": "1d"}, {"save_every": ""}, {"save_every": -1}),
        *({"save_every": "0"}, {"save_every": "0s"}, {"save_every": "0.0m"}),
        *({"accumulate": 0}, {"warmup_epochs": 1000}, {"crop": (96, 96)}),
        *({"early_stopping": 5, "validate_every": 0}, {"strategy": "all"}, {"dropout": 1}),
        *({"distill_weight": 0.5}, {"distill_temperature": 2.0}),
        *({"width": 2.0, "init_from": "x.keras"}, {"ema": True}, {"epochs": 1.5}, {"cycles": 0}),
    ],
    ids=str,
)
def test_settings_are_checked(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        TrainSettings("toy", None, (64, 96), **change)


@pytest.mark.parametrize(
    "text, seconds",
    [("10m", 600), ("600s", 600), ("0.5h", 1800), ("never", 0)],
)
def test_times_between_checkpoints(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.train
def test_plain_compile_and_fit_learn():
    import fastscnn_tf as fs

    few = {"repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    config = fs.FastSCNNConfig(num_classes=9, input_size=(64, 96), width=0.5, **few)
    data = fs.load_dataset(
        "toy", split="val", config=config, augment="gentle", batch_size=6, seed=0
    )
    model = fs.fast_scnn(config)
    model.compile(optimizer="sgd", loss=fs.segmentation_loss, metrics=[fs.mean_iou(9)])
    history = model.fit(data, epochs=3, validation_data=data, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert set(history) == {"loss", "miou", "val_loss", "val_miou"}


def test_inference_on_a_cpu_keeps_to_kernels_that_are_fast():
    """Merged into one, convolution and normalisation took 20 times as long (see keras_api)."""
    tf = tensorflow()
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("a GPU is here")
    assert tf.config.optimizer.get_experimental_options()["remapping"] is False


def test_a_checkpoint_holds_everything_once(run_folder):
    with zipfile.ZipFile(run_folder / "last.keras") as archive:
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
        arrays = np.load(io.BytesIO(archive.read("fastscnn/training.npz")))
    assert "layers" in weights
    assert "optimizer" not in weights
    assert any(name.startswith("optimizer/") for name in arrays)


@pytest.mark.train
def test_a_run_that_never_validates_needs_no_validation_split(
    train_alone, short_run, tmp_path, settings_for
):
    assert (short_run.miou, short_run.epochs) == (None, 1)
    assert short_run.best.is_file()
    with pytest.raises(DataError, match="val"):
        settings = settings_for(train_alone, epochs=1, validate_every=1)
        run_training(settings, tmp_path / "other", verbose=0)
