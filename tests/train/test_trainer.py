"""Real runs on toy streets: files, resume, Ctrl-C, a broken loss."""

import csv
import json
import os

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError, DataError, OutputError, TrainingDiverged
from fastscnn_tf.data import toy_streets
from fastscnn_tf.evaluation import evaluate, load_model
from fastscnn_tf.keras_api import keras3
from fastscnn_tf.model.io import load_keras
from fastscnn_tf.train import trainer
from fastscnn_tf.train.run_folder import run_folder
from fastscnn_tf.train.settings import TrainSettings
from fastscnn_tf.train.trainer import run_training


def settings_for(own_data, **changes):
    values = {"epochs": 2, "batch_size": 2, "learning_rate": 0.01, "bn_momentum": 0.9}
    return TrainSettings("folder", str(own_data), (64, 96), **{**values, **changes})


@pytest.fixture
def few_scenes(monkeypatch):
    monkeypatch.setattr(toy_streets, "SPLITS", {"train": (0, 24), "val": (1, 6)})


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


def test_resumed_weights_equal_an_uninterrupted_run(few_scenes, tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    settings = TrainSettings("toy", None, (64, 96), 2, 8, 0.01, bn_momentum=0.9)
    run_training(settings, whole, verbose=0)

    class Interrupt(keras3().callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    original = trainer._callbacks
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer, "_callbacks", lambda *args: [*original(*args), Interrupt()])
        run_training(settings, halves, verbose=0)
    assert json.loads((halves / "state.json").read_text())["epochs_done"] == 1
    run_training(settings, halves, resume=True, verbose=0)
    first, second = load_keras(whole / "last.keras"), load_keras(halves / "last.keras")
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.allclose(a, b, rtol=1e-3, atol=1e-4)
    rows = list(csv.DictReader((halves / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]


def test_resume_is_refused_with_other_settings_or_without_a_run(own_data, tmp_path):
    with pytest.raises(OutputError, match="nothing to resume"):
        run_training(settings_for(own_data), tmp_path / "none", resume=True)
    folder = tmp_path / "run"
    run_training(settings_for(own_data, epochs=1), folder, verbose=0)
    with pytest.raises(ConfigError, match=r"learning_rate 0\.5: it began with 0\.01"):
        run_training(settings_for(own_data, epochs=1, learning_rate=0.5), folder, resume=True)
    with pytest.raises(OutputError, match="not empty"):
        run_training(settings_for(own_data, epochs=1), folder)


def test_a_failed_run_gives_the_old_one_back(own_data, tmp_path):
    folder = tmp_path / "run"
    run_training(settings_for(own_data, epochs=1), folder, verbose=0)
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


def test_broken_loss_stops_with_step_and_rate(own_data, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(TrainingDiverged, match=r"step \d+ with learning rate"):
        run_training(settings_for(own_data, learning_rate=99.0, epochs=20), folder, verbose=0)
    if folder.exists():  # it broke after the first epoch, which is kept
        weights = load_keras(folder / "last.keras").get_weights()
        assert all(np.isfinite(w).all() for w in weights)


def test_a_run_that_never_began_leaves_nothing(own_data, tmp_path):
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer, "_callbacks", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        run_training(settings_for(own_data, epochs=1), folder, verbose=0)
    assert not folder.exists()


def test_logits_that_overflow_stop_the_run(own_data, tmp_path):
    folder = tmp_path / "run"

    class Spoil(keras3().callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            layer = self.model.get_layer("classifier.logits")
            for weight in (layer.kernel, layer.bias) if epoch else ():  # finite; the sum is not
                weight.assign(np.full(weight.shape, 3.4e38))

    original = trainer._callbacks
    with pytest.MonkeyPatch.context() as patch, pytest.raises(TrainingDiverged, match="logits"):
        patch.setattr(trainer, "_callbacks", lambda *args: [Spoil(), *original(*args)])
        run_training(settings_for(own_data, epochs=2), folder, verbose=0)
    weights = load_keras(folder / "last.keras").get_weights()
    assert all(np.max(np.abs(w)) < 1e30 for w in weights)
    assert json.loads((folder / "state.json").read_text())["epochs_done"] == 1


def test_damaged_state_is_named(own_data, tmp_path):
    folder, settings = tmp_path / "run", settings_for(own_data, epochs=1)
    run_training(settings, folder, verbose=0)
    same = settings_for(own_data / ".." / own_data.name, epochs=1)
    assert run_training(same, folder, resume=True, verbose=0).epochs == 1
    for name in ("state.json", "run.json"):
        content = (folder / name).read_text()
        for broken in ("{}", "[]", "{", '{"epochs_done": 1}', '{"epochs_done": -3, "best": 0.1}'):
            (folder / name).write_text(broken)
            with pytest.raises(OutputError, match=name):
                run_training(settings, folder, resume=True, verbose=0)
        (folder / name).write_text(content)


@pytest.mark.parametrize(
    "change",
    [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0}, {"augment": "x"}, {"seed": -1}],
)
def test_settings_are_checked(change):
    with pytest.raises(ConfigError):
        TrainSettings("toy", None, (64, 96), **change)


def test_plain_compile_and_fit_learn():
    import fastscnn_tf as fs

    config = fs.FastSCNNConfig(num_classes=9, input_size=(64, 96))
    data = fs.load_dataset(
        "toy", split="val", config=config, augment="gentle", batch_size=6, seed=0
    )
    model = fs.fast_scnn(config)
    model.compile(optimizer="sgd", loss=fs.segmentation_loss, metrics=[fs.mean_iou(9)])
    history = model.fit(data, epochs=3, validation_data=data, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert set(history) == {"loss", "miou", "val_loss", "val_miou"}
