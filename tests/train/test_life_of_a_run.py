"""What every kind of run does alike: it resumes to the same weights, or is refused.

It stops within an epoch, and before that after one where `test_interruptions`, which kills real
processes then, has no run of this kind.

Machines train together in `test_distribute`, where one of them is killed and the run resumed.
"""

import csv
import dataclasses
import shutil

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError, OutputError
from fastscnn_tf.model.folded import load_folded
from fastscnn_tf.model.initialise import read_start
from fastscnn_tf.model.io import load_keras
from fastscnn_tf.quantize.fine_tune import QuantizeSettings, run_quantization
from fastscnn_tf.train import callbacks
from fastscnn_tf.train.pretrain import PretrainSettings, run_pretraining
from fastscnn_tf.train.settings import TrainSettings
from fastscnn_tf.train.trainer import run_training
from fastscnn_tf.train.training_state import read_checkpoint

pytestmark = pytest.mark.train


class Training:
    """With all that a checkpoint has to carry; equal to the last bit."""

    run = staticmethod(run_training)
    tolerance = (0, 0)  # relative, absolute
    stops = (1,)  # steps of epoch 2 that are done

    def __init__(self, data, start, root):
        self.place = ("folder", str(data), (64, 96))
        self.start = str(start)

    def settings(self, learning_rate=0.01):
        # Four batches in an epoch: an update of three is half done when it ends.
        return TrainSettings(
            *self.place,
            epochs=2,
            batch_size=1,
            learning_rate=learning_rate,
            bn_momentum=0.9,
            init_from=self.start,
            aux_heads=False,
            augment="strong",
            ema=0.9,
            accumulate=3,
            deterministic=True,
        )

    def arrays(self, folder):
        model = load_keras(folder / "last.keras").get_weights()
        return {**read_checkpoint(folder / "last.keras")[1], **dict(enumerate(model))}


class FineTuning:
    run = staticmethod(run_quantization)
    tolerance = (1e-3, 1e-4)
    stops = (1,)

    def __init__(self, data, start, root):
        self.place = (str(start), "folder", str(data), (64, 96))

    def settings(self, learning_rate=0.0001):
        numbers = {"epochs": 2, "batch_size": 2, "learning_rate": learning_rate}
        return QuantizeSettings(*self.place, **numbers, distill_weight=1.0)

    def arrays(self, folder):
        weights = load_folded(folder / "last.npz").weights
        return {(name, k): x for name, pair in weights.items() for k, x in enumerate(pair)}


class Pretraining:
    run = staticmethod(run_pretraining)
    tolerance = (1e-3, 1e-4)
    stops = (0, 1)

    def __init__(self, data, start, root):
        self.pictures = root / "pictures"
        for number, path in enumerate(sorted((data / "train" / "images").iterdir())):
            for split in ("train", "val"):
                folder = self.pictures / split / ("odd" if number % 2 else "even")
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / path.name)

    def settings(self, learning_rate=0.01):
        return PretrainSettings(
            str(self.pictures),
            (64, 64),
            epochs=2,
            batch_size=2,
            learning_rate=learning_rate,
            bn_momentum=0.8,
            width=0.25,
        )

    def arrays(self, folder):
        return dict(enumerate(read_start(folder / "last.keras").model.get_weights()))


@pytest.fixture(scope="class", params=[Training, FineTuning, Pretraining])
def runner(request, shared_data, small_weights, one_bottleneck, tmp_path_factory):
    with one_bottleneck():
        yield request.param(shared_data, small_weights, tmp_path_factory.mktemp("runner"))


@pytest.fixture(scope="class")
def whole(runner, tmp_path_factory):
    """An uninterrupted run of two epochs."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert runner.run(runner.settings(), folder, verbose=0).epochs == 2
    return folder


def interrupt(monkeypatch, step):
    """Ctrl-C just after `state.json` says that one epoch, and steps of another, are done."""
    write = callbacks.write_json

    def write_and_interrupt(path, state, *rest):
        write(path, state, *rest)
        if (state["epochs_done"], (state["within"] or {}).get("step", 0)) == (1, step):
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks, "write_json", write_and_interrupt)


class TestRun:
    def test_resumed_it_ends_as_an_uninterrupted_one(self, runner, whole, tmp_path, monkeypatch):
        folder, settings = tmp_path / "run", runner.settings()
        for step in runner.stops:
            often = dataclasses.replace(settings, save_every="0.001s" if step else "never")
            kept = "all until step 1 of epoch 2 is" if step else "finished epochs are"
            with monkeypatch.context() as patch:
                interrupt(patch, step)
                with pytest.raises(KeyboardInterrupt, match=f"in training; {kept} kept, --resume"):
                    runner.run(often, folder, resume=folder.exists(), verbose=0)
        assert runner.run(settings, folder, resume=True, verbose=0).epochs == 2
        expected, found = runner.arrays(whole), runner.arrays(folder)
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, *runner.tolerance, err_msg=str(name))
        rows = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
        assert [row["epoch"] for row in rows][-2:] == ["1", "2"]

    def test_a_folder_that_is_not_empty_and_other_settings_are_refused(self, runner, whole):
        with pytest.raises(OutputError, match="not empty"):
            runner.run(runner.settings(), whole)
        with pytest.raises(ConfigError, match=r"learning_rate 0\.5: it began with 0\.0"):
            runner.run(runner.settings(learning_rate=0.5), whole, resume=True)
