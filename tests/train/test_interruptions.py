"""Real processes killed with -9, real full disks: a run goes on to the bit where it stood."""

import csv
import functools
import json
import os
import random
import resource
import select
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
# Imports what the commands need and forks for each: a line of script, arguments and output comes
# in, the process' number and how it ended go out. It stays a zombie until the next line comes, so
# that nobody else gets its number before.
FORKING = """
import json, os, sys
from fastscnn_tf.cli.commands import cli
from fastscnn_tf.core.keras_api import tensorflow, tfmot

tensorflow(), tfmot(), cli.commands.get("train"), cli.commands.get("quantize")
number = None
for line in sys.stdin:
    if number:
        os.waitpid(number, 0)
    script, arguments, output = json.loads(line)
    if (number := os.fork()) == 0:
        break
    print(number, flush=True)
    end = os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
    print(end.si_status if end.si_code == os.CLD_EXITED else -end.si_status, flush=True)
else:
    sys.exit()
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for stream in (1, 2):
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
sys.argv[1:] = arguments
exec(script)
"""
MAIN = "from fastscnn_tf.cli.main import main; main()"
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
TRAIN = (  # four steps an epoch, of which three make an update
    *("train", "--size", "64x96", "--epochs", EPOCHS, "--batch-size", "2", "--accumulate", "3"),
    *("--augment", "strong", "--schedule", "cosine", "--warmup-epochs", "1", "--ema", "0.9"),
    *("--validate-every", "2", "--no-aux", "--deterministic"),
)
LIMIT = 600  # seconds; a run takes about ten, and a minute or two on a machine that is busy


class Command:
    """A command that runs in a process of its own, which the server forks: one at a time."""

    def __init__(self, server, data, folder, arguments, script=MAIN):
        self.server, self.end = server, None
        self.said = folder.with_name(f"{folder.name}.txt")
        self.said.unlink(missing_ok=True)
        where = ("--dataset", "folder", "--data-dir", data, "--output", folder, "--resume")
        words = [str(each) for each in (*arguments, *where)]
        server.stdin.write(f"{json.dumps([script, words, str(self.said)])}\n".encode())
        self.number = int(server.stdout.readline())

    def wait(self, seconds):
        """Its exit code, or minus the signal that ended it; None if it still runs by then."""
        if self.end is None and select.select([self.server.stdout], [], [], seconds)[0]:
            self.end = int(self.server.stdout.readline())
        return self.end

    def kill(self):
        os.kill(self.number, signal.SIGKILL)
        assert self.wait(LIMIT) in (-signal.SIGKILL, 0), self.said.read_text()


@pytest.fixture(scope="module")
def start(eight_pairs):
    """(folder, arguments, script) -> a command on eight pairs that has begun."""
    command = [sys.executable, "-c", FORKING]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    with subprocess.Popen(command, **pipes) as server:
        yield functools.partial(Command, server, eight_pairs)
        server.kill()


def finish(run, code=0):
    """What it says until it ends with that code."""
    if run.wait(LIMIT) is None:
        run.kill()
    assert run.end == code, run.said.read_text()
    return run.said.read_text()


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
    finish(start(whole, train))
    return train, whole, time.monotonic() - began


@pytest.mark.process
def test_killed_at_three_moments_the_weights_are_those_of_an_uninterrupted_run(
    start, training, tmp_path
):
    (train, whole, span), killed = training, tmp_path / "killed"
    kill_when(killed.exists, start(killed, train))  # before or while its first files are written
    kill_while_writing(start(killed, train), killed)
    kill_at_random(start(killed, train), span)
    finish(start(killed, train))
    assert_same_run(whole, killed)
    assert not list(killed.glob(".*.part*"))


def end_by_signal(start, folder, arguments, number, epoch, step):
    """What it says. No checkpoint is written within an epoch but for the signal."""
    numbers = (int(number), epoch, step)
    run = start(folder, (*numbers, *arguments, "--save-every", "never"), SIGNALLED)
    return finish(run, 128 + number)


@pytest.mark.process
def test_stopped_within_an_epoch_it_goes_on_at_that_step(start, training, tmp_path):
    (train, whole, _), killed = training, tmp_path / "killed"
    kill_within_an_epoch(start(killed, (*train, "--save-every", "0.001s")), killed, 2)
    state, _ = read_checkpoint(killed / "last.keras")
    said = [
        end_by_signal(start, killed, train, signal.SIGTERM, 5, 2),
        end_by_signal(start, killed, train, signal.SIGINT, 6, 3),
        finish(start(killed, train)),
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
def test_killed_fine_tuning_ends_with_the_same_integers(start, small_weights, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = (
        *("quantize", small_weights, "--size", "64x96", "--epochs", "3", "--batch-size", "4"),
        "--deterministic",
    )
    began = time.monotonic()
    finish(start(whole, arguments))
    span = time.monotonic() - began
    kill_while_writing(start(killed, arguments), killed)
    kill_at_random(start(killed, arguments), span)
    finish(start(killed, arguments))
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
