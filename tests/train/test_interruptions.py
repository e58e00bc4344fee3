"""Real processes killed with -9, real full disks: a run goes on to the bit where it stood.

Pre-training, and training on saved logits, go on in `test_pretrain` and `test_distill`.
"""

import csv
import json
import random
import resource
import signal
import time

import numpy as np
import pytest
from forked import LIMIT, MAIN, SIGNALLED

from fastscnn_tf.core.errors import Ended, OutputError
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.model.folded import load_folded
from fastscnn_tf.model.io import load_keras
from fastscnn_tf.train.settings import TrainSettings
from fastscnn_tf.train.stop_on_signal import StopOnSignal
from fastscnn_tf.train.trainer import run_training
from fastscnn_tf.train.training_state import read_checkpoint

EPOCHS = 4
TRAIN = (  # four steps an epoch, of which three make an update
    *("train", "--size", "64x96", "--epochs", EPOCHS, "--batch-size", "2", "--accumulate", "3"),
    *("--augment", "strong", "--schedule", "cosine", "--warmup-epochs", "1", "--ema", "0.9"),
    *("--validate-every", "2", "--no-aux", "--deterministic"),
)


@pytest.fixture(scope="module")
def start(fork, eight_pairs):
    """(folder, arguments, script) -> a command on eight pairs that has begun."""

    def begin(folder, arguments, script=MAIN):
        said = folder.with_name(f"{folder.name}.txt")
        said.unlink(missing_ok=True)
        where = ("--dataset", "folder", "--data-dir", eight_pairs, "--output", folder, "--resume")
        return fork((*arguments, *where), said, script)

    return begin


def kill_when(condition, run):
    end = time.monotonic() + LIMIT
    try:
        while not condition() and run.wait(0.001) is None:
            assert time.monotonic() < end
    finally:
        run.kill()


def kill_at_random(run, span):
    """Kills somewhere in the `span` seconds that a whole run takes."""
    run.wait(random.Random(time.time_ns()).uniform(0, span))
    run.kill()


def kill_while_writing(run, folder):
    kill_when(lambda: list(folder.glob(".last.*")), run)


def kill_within_an_epoch(run, folder, step):
    """Kills when the checkpoint says that this step, or a later one, of an epoch is done."""

    def done():
        state = folder / "state.json"
        found = json.loads(state.read_text()) if state.exists() else {}
        return ((found.get("within") or {}).get("step") or 0) >= step

    kill_when(done, run)


def rows(folder):
    with (folder / "log.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_same_run(one, other):
    states, arrays = zip(*(read_checkpoint(x / "last.keras") for x in (one, other)), strict=True)
    assert states[0]["epochs_done"] == states[1]["epochs_done"] == EPOCHS
    assert states[0]["dropout"] == states[1]["dropout"]
    assert arrays[0].keys() == arrays[1].keys()
    assert any(name.startswith("ema/") for name in arrays[0])
    for name, value in arrays[0].items():
        assert np.array_equal(value, arrays[1][name]), name
    for file in ("last.keras", "best.keras"):
        weights = [load_keras(folder / file).get_weights() for folder in (one, other)]
        assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True)), file
    assert rows(one) == rows(other)


@pytest.fixture(scope="module")
def training(start, small_weights, tmp_path_factory):
    """The arguments, an uninterrupted run with them, and how many seconds it took."""
    train = (*TRAIN, "--init-from", small_weights)
    whole, began = tmp_path_factory.mktemp("whole") / "run", time.monotonic()
    start(whole, train).finish()
    return train, whole, time.monotonic() - began


@pytest.mark.process
def test_killed_at_three_moments_the_weights_are_those_of_an_uninterrupted_run(
    start, training, tmp_path
):
    (train, whole, span), killed = training, tmp_path / "killed"
    kill_when(killed.exists, start(killed, train))  # before or while its first files are written
    kill_while_writing(start(killed, train), killed)
    kill_at_random(start(killed, train), span)
    start(killed, train).finish()
    assert_same_run(whole, killed)
    assert not list(killed.glob(".*.part*"))


def end_by_signal(start, folder, arguments, number, epoch, step):
    """What it says. No checkpoint is written within an epoch but for the signal."""
    numbers = (int(number), epoch, step)
    run = start(folder, (*numbers, *arguments, "--save-every", "never"), SIGNALLED)
    return run.finish(128 + number)


@pytest.mark.process
def test_stopped_within_an_epoch_it_goes_on_at_that_step(start, training, tmp_path):
    (train, whole, _), killed = training, tmp_path / "killed"
    waits = (int(signal.SIGSTOP), 2, 4)  # for the kill, if that has not come by then
    often = (*waits, *train, "--save-every", "0.001s")
    kill_within_an_epoch(start(killed, often, SIGNALLED), killed, 2)
    state, _ = read_checkpoint(killed / "last.keras")
    said = [
        end_by_signal(start, killed, train, signal.SIGTERM, 3, 2),
        end_by_signal(start, killed, train, signal.SIGINT, 4, 3),
        start(killed, train).finish(),
    ]
    if within := state["within"]:  # none, if the epoch ended just before the kill came
        assert f"in epoch {state['epochs_done'] + 1} at step {within['step']} of 4\n" in said[0]
    for what, text in zip(("asked to end", "interrupted"), said, strict=False):
        waits, ends = text.splitlines()[-2:]
        assert waits.endswith("the running step (or validation) is done and saved; again: at once")
        assert ends.startswith(f"fastscnn: {what} in training; all until step ")
    assert ends.endswith("step 3 of epoch 4 is kept, --resume goes on")
    assert "goes on in epoch 4 at step 3 of 4\n" in said[2]
    assert_same_run(whole, killed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_first_step_and_the_second_one_act_at_once(number):
    def end(*_):
        raise Ended(number)

    before = signal.signal(number, end)
    try:
        with pytest.raises(Ended), StopOnSignal():
            signal.raise_signal(number)
        with pytest.raises(Ended), StopOnSignal() as stop:
            stop.on_train_batch_end(0)
            signal.raise_signal(number)
            stop.on_train_batch_end(1)
            assert stop.due
            signal.raise_signal(number)
        with pytest.raises(Ended), StopOnSignal() as stop:
            stop.on_train_batch_end(0)
            signal.raise_signal(number)  # while what came last is scored
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)


@pytest.mark.process
def test_stopped_and_killed_fine_tuning_ends_with_the_same_integers(start, small_weights, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = (
        *("quantize", small_weights, "--size", "64x96", "--epochs", "3", "--batch-size", "4"),
        *("--distill-weight", "1", "--deterministic"),
    )
    began = time.monotonic()
    start(whole, arguments).finish()
    span = time.monotonic() - began
    said = end_by_signal(start, killed, arguments, signal.SIGINT, 2, 1)
    assert "in training; all until step 1 of epoch 2 is kept, --resume goes on" in said
    kill_while_writing(start(killed, arguments), killed)
    kill_at_random(start(killed, arguments), span)
    start(killed, arguments).finish()
    one, other = (load_folded(folder / "last.npz") for folder in (whole, killed))
    assert one.frozen and other.frozen  # the last of three epochs holds its ranges
    for name, pair in one.weights.items():
        assert all(np.array_equal(a, b) for a, b in zip(pair, other.weights[name], strict=True))
    assert one.ranges == other.ranges
    optimizer = [name for name in one.extra if name.startswith("optimizer/")]
    assert optimizer
    assert all(np.array_equal(one.extra[name], other.extra[name]) for name in optimizer)
    assert rows(whole) == rows(killed)


@pytest.mark.train
def test_a_full_disk_ends_the_run_and_keeps_its_last_checkpoint(own_data, small_weights, tmp_path):
    """Files may not grow beyond 1 MB from the second epoch on: at its end, and then within it."""
    folder, old = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    small = {"init_from": str(small_weights), "aux_heads": False, "bn_momentum": 0.9}

    class DiskFills(keras3().callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, old[1]))

    for save_every in ("never", "0.001s"):
        small["save_every"] = save_every
        settings = TrainSettings("folder", str(own_data), (64, 96), 3, 2, 0.01, **small)
        full, extra = r"(?i)cannot write .*last\.keras|best\.keras", [DiskFills()]
        try:
            with pytest.raises(OutputError, match=full):
                run_training(settings, folder, resume=True, verbose=0, extra_callbacks=extra)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        state, _ = read_checkpoint(folder / "last.keras")
        assert (state["epochs_done"], state["within"]) == (1, None)
        assert not list(folder.glob(".*.part*"))
    assert run_training(settings, folder, resume=True, verbose=0).epochs == 3
