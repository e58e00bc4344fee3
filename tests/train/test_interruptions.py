"""Real processes killed with -9, real full disks: a run goes on to the bit where it stood."""

import contextlib
import csv
import json
import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fastscnn_tf.core.errors import Ended, OutputError
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.model.folded import load_folded
from fastscnn_tf.model.io import load_keras
from fastscnn_tf.train.settings import TrainSettings
from fastscnn_tf.train.stop_on_signal import StopOnSignal
from fastscnn_tf.train.trainer import run_training
from fastscnn_tf.train.training_state import read_checkpoint

EPOCHS = 6
MAIN = (sys.executable, "-c", "from fastscnn_tf.cli.main import main; main()")
# `main` that sends itself a signal in a step of an epoch: NUMBER EPOCH STEP ARGUMENTS
SIGNALLED = """
import functools, signal, sys
from fastscnn_tf.cli.main import main
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.train import trainer

number, at_epoch, at_step = map(int, sys.argv[1:4])

class Signalled(keras3().callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch + 1) == (at_epoch, at_step):
            signal.raise_signal(number)

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background ignores
trainer.run_training = functools.partial(trainer.run_training, extra_callbacks=[Signalled()])
main(sys.argv[4:])
"""
TRAIN = (
    *("train", "--size", "64x96", "--epochs", EPOCHS, "--batch-size", "2", "--augment", "strong"),
    *("--schedule", "cosine", "--warmup-epochs", "1", "--validate-every", "2", "--ema", "0.9"),
    *("--no-aux", "--deterministic"),
)
LIMIT = 300  # seconds; a run takes about ten


def process(own_data, folder, *arguments, main=MAIN):
    data = ("--dataset", "folder", "--data-dir", own_data, "--output", folder, "--resume")
    command = [str(part) for part in (*main, *arguments, *data)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )


def finish(own_data, folder, *arguments):
    run = process(own_data, folder, *arguments)
    output, _ = run.communicate(timeout=LIMIT)
    assert run.returncode == 0, output
    return output


def kill(run):
    run.send_signal(signal.SIGKILL)
    output, _ = run.communicate()
    assert run.returncode in (-signal.SIGKILL, 0), output


def wait_for(condition, run):
    end = time.monotonic() + LIMIT
    while not condition() and run.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.001)


def kill_at_random(own_data, folder, arguments, rng, span):
    """Kills somewhere in the last three quarters of `span` seconds, which a whole run takes."""
    run = process(own_data, folder, *arguments)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(rng.uniform(span / 4, span))
    kill(run)


def kill_while_writing(own_data, folder, arguments):
    run = process(own_data, folder, *arguments)
    wait_for(lambda: list(folder.glob(".last.*")), run)
    kill(run)


def kill_within_an_epoch(own_data, folder, arguments, step):
    """Kills when the checkpoint says that this step, or a later one, of an epoch is done."""

    def done():
        state = folder / "state.json"
        found = json.loads(state.read_text()) if state.exists() else {}
        return ((found.get("within") or {}).get("step") or 0) >= step

    run = process(own_data, folder, *arguments)
    wait_for(done, run)
    kill(run)


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


@pytest.mark.process
def test_killed_at_five_moments_the_weights_are_those_of_an_uninterrupted_run(
    own_data, small_weights, tmp_path
):
    train = (*TRAIN, "--init-from", small_weights)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    began = time.monotonic()
    finish(own_data, whole, *train)
    span = time.monotonic() - began
    rng = random.Random(time.time_ns())
    early = process(own_data, killed, *train)
    wait_for(killed.exists, early)  # before or while its first files are written
    kill(early)
    kill_while_writing(own_data, killed, train)
    for _ in range(3):
        kill_at_random(own_data, killed, train, rng, span)
    finish(own_data, killed, *train)
    assert_same_run(whole, killed)
    assert not list(killed.glob(".*.part*"))


def end_by_signal(own_data, folder, arguments, number, epoch, step):
    """Its output. No checkpoint is written within an epoch but for the signal."""
    main = (sys.executable, "-c", SIGNALLED, int(number), epoch, step)
    run = process(own_data, folder, *arguments, "--save-every", "never", main=main)
    output, _ = run.communicate(timeout=LIMIT)
    assert run.returncode == 128 + number, output
    return output


@pytest.mark.process
def test_stopped_within_an_epoch_it_goes_on_at_that_step(own_data, small_weights, tmp_path):
    """Batches of one, of which three make an update: four steps an epoch."""
    train = (*TRAIN, "--batch-size", "1", "--accumulate", "3", "--init-from", small_weights)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(own_data, whole, *train, "--save-every", "never")
    kill_within_an_epoch(own_data, killed, (*train, "--save-every", "0.001s"), 2)
    state, _ = read_checkpoint(killed / "last.keras")
    said = [
        end_by_signal(own_data, killed, train, signal.SIGTERM, 5, 2),
        end_by_signal(own_data, killed, train, signal.SIGINT, 6, 3),
        finish(own_data, killed, *train),
    ]
    if within := state["within"]:  # none, if the epoch ended just before the kill came
        assert f"in epoch {state['epochs_done'] + 1} at step {within['step']} of 4\n" in said[0]
    for what, text in zip(("asked to end", "interrupted"), said, strict=False):
        waits, ends = text.splitlines()[-2:]
        assert waits.endswith("the running step (or validation) is done and saved; again: at once")
        assert ends.startswith(f"fastscnn: {what} in training; all until step ")
    assert ends.endswith("step 3 of epoch 6 is kept, --resume goes on")
    assert "goes on in epoch 6 at step 3 of 4\n" in said[2]
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
def test_killed_fine_tuning_ends_with_the_same_integers(small_weights, own_data, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = (
        *("quantize", small_weights, "--size", "64x96", "--epochs", "3", "--batch-size", "2"),
        "--deterministic",
    )
    began = time.monotonic()
    finish(own_data, whole, *arguments)
    span = time.monotonic() - began
    kill_while_writing(own_data, killed, arguments)
    kill_at_random(own_data, killed, arguments, random.Random(time.time_ns()), span)
    finish(own_data, killed, *arguments)
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
@pytest.mark.parametrize("save_every", ["never", "0.001s"])
def test_a_full_disk_ends_the_run_and_keeps_its_last_checkpoint(
    own_data, small_weights, tmp_path, save_every
):
    """Files may not grow beyond 1 MB from the second epoch on: at its end, or within it."""
    folder, old = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    small = {"init_from": str(small_weights), "aux_heads": False, "bn_momentum": 0.9}
    small["save_every"] = save_every
    settings = TrainSettings("folder", str(own_data), (64, 96), 3, 2, 0.01, **small)

    class DiskFills(keras3().callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, old[1]))

    try:
        with pytest.raises(OutputError, match=r"(?i)cannot write .*last\.keras|best\.keras"):
            run_training(settings, folder, verbose=0, extra_callbacks=[DiskFills()])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    state, _ = read_checkpoint(folder / "last.keras")
    assert (state["epochs_done"], state["within"]) == (1, None)
    assert not list(folder.glob(".*.part*"))
    assert run_training(settings, folder, resume=True, verbose=0).epochs == 3
