"""Real processes on loopback that train together on JAX, against one process; see `run.sh`."""

import contextlib
import dataclasses
import itertools
import json
import os
import random
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.data.datasets import toy_streets
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.records.packing import pack
from fastscnn_tf.model.io import load_keras
from fastscnn_tf.train.distill.saved_logits import save_logits
from fastscnn_tf.train.predictor import KerasPredictor
from fastscnn_tf.train.settings import MULTI_WORKER
from fastscnn_tf.train.training_state import read_checkpoint

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(keras3().backend.backend() != "jax", reason="JAX alone trains on workers"),
]
MAIN, NETWORK = (Path(__file__).with_name(name) for name in ("worker_main.py", "network.py"))
ROOT = MAIN.parents[2]
TORCH = Path(os.environ.get("FASTSCNN_TORCH", ROOT / ".venv-torch/bin/python"))
TORCHRUN = TORCH.with_name("torchrun")
SIZE, EPOCHS = (64, 96), 10
SLURM_PORTS = (1 << 16) - (1 << 12)  # the first one that JAX takes under Slurm
SILENT = 10  # seconds until a worker counts as gone, instead of minutes
MOMENT = float(os.environ.get("FASTSCNN_CUT_SECONDS", "3"))  # without a network; 60 were tried, too
# Recipes with what the test of them sets. Rounding grows by what each step learns, so all learn at
# less than their own rate; with SGD it grew at 0.0005, too, where batch normalisation divides by
# little.
RECIPES = {
    "paper": {"init_from": "even.keras", "learning_rate": 0.001, "teacher": "logits"},
    # Stops after epoch 4: epoch 5 would score as the best does but for a few pixels.
    "finetune": {"learning_rate": 1e-4, "validate_every": 1, "early_stopping": 2},
    "settle": {"learning_rate": 2e-5, "accumulate": 2},
}
LOST = "stops, for another one is gone: checkpoints are kept; start all workers again"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Settings of 10 epochs of two steps with all that spans a batch."""
    root = tmp_path_factory.mktemp("workers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy_streets, "SPLITS", {"train": (0, 9), "val": (1, 2)})
        splits = [open_dataset("toy", None, name, SIZE) for name in ("train", "val")]
        pack(splits, root / "records", shards=2)
    config = fs.FastSCNNConfig.for_labels(
        "toy",
        input_size=SIZE,
        repeats=(1, 1, 1),
        pyramid_bins=(1, 2),
        width=0.25,
        bn_epsilon=0.01,  # the pyramid's first bin has 4 numbers per channel here, nearly equal
    )
    for name, own in (("start", config), ("even", config.replace(bn_epsilon=0.1))):
        keras3().utils.set_random_seed(1)
        model = fs.fast_scnn(own)
        model.save(root / f"{name}.keras")
    data = open_dataset("records", root / "records", "train", SIZE)
    save_logits(KerasPredictor(model), data, root / "logits")
    settings = fs.TrainSettings(
        "records",
        str(root / "records"),
        SIZE,
        epochs=EPOCHS,
        batch_size=4,
        optimizer="adamw",
        learning_rate=1e-4,
        augment="strong",
        aux_heads=False,
        loss="ohem + 0.5*dice",
        class_weights="enet",
        ema=0.9,
        accumulate=2,
        clip_norm=1.0,
        bn_momentum=0.9,
        validate_every=5,
        early_stopping=10,
        init_from=str(root / "start.keras"),
        teacher=str(root / "start.keras"),
    )
    often = dataclasses.replace(settings, save_every="0.001s")  # after each first of two steps
    for name in ("multi-worker", "mirrored"):
        write(root / f"{name}.json", dataclasses.replace(often, strategy=name))
    write(root / "one.json", settings)
    return root


@pytest.fixture(scope="module")
def single(run):
    """One process' run by these settings."""
    ((code, _, error),) = ends(start(run, [run / "one.json"], run / "single"))
    assert code == 0, error
    return run / "single"


def write(path, settings):
    path.write_text(json.dumps(settings.to_dict()))
    return path


@pytest.fixture
def network():
    """The command that starts a program in a network of its own, and what cuts and mends it."""
    options = ("--user", "--net", "--uts")
    made = ["unshare", "--map-root-user", *options, sys.executable, str(NETWORK)]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(made, **pipe) as holder:

        def switch(word):
            print(word, file=holder.stdin, flush=True)
            assert holder.stdout.readline() == f"{word}\n"

        if holder.stdout.readline() != "up\n":
            pytest.skip("unshare may not make a network here")
        target = ["--target", str(holder.pid)]
        yield ["nsenter", *target, *options, "--preserve-credentials"], switch


def by_hand(port, index):
    names = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "WORLD_SIZE": 2, "RANK": index}
    return {name: str(value) for name, value in names.items()}


def by_srun(port, index):
    """As Slurm does; JAX takes a port by the number of the job."""
    names = {"JOB_ID": port - SLURM_PORTS, "STEP_NODELIST": "localhost", "NTASKS": 2}
    names.update(PROCID=index, LOCALID=index)
    return {f"SLURM_{name}": str(value) for name, value in names.items()}


def free_port():
    # Not those of another run of these tests, which `random` would be: it has a seed here.
    for port in random.SystemRandom().sample(range(SLURM_PORTS, 1 << 16), 100):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("localhost", port))
            return port
    raise AssertionError("no port is free")


class Worker:
    """A process of `worker_main`, forked where all is imported, with what `Popen` has of it."""

    server: subprocess.Popen
    numbers = itertools.count()

    def __init__(self, arguments, environment, folder):
        number = next(self.numbers)
        self.said = [folder / f"{number}.{name}" for name in ("out", "err")]
        order = {"arguments": arguments, "environment": environment, "folder": str(folder)}
        self.pid = self._ordered(order | {"said": list(map(str, self.said))})
        self._end = os.pidfd_open(self.pid)
        self.returncode = None

    def _ordered(self, order):
        print(json.dumps(order), file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline())

    def poll(self, seconds=0):
        if self.returncode is None and select.select([self._end], [], [], seconds)[0]:
            self.returncode = self._ordered({"wait": self.pid})
            os.close(self._end)
        return self.returncode

    def communicate(self, timeout):
        assert self.poll(timeout) is not None, f"still at it after {timeout} s: {self.said}"
        return [path.read_text() for path in self.said]

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def server():
    """Forks the workers."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, str(MAIN)]
    with subprocess.Popen(command, env=environment_of({}), **pipes) as Worker.server:
        yield


def environment_of(launched):
    """Of a worker, with what its launcher sets."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": paths, **launched}


def start(root, settings, folder, *resume, launcher=by_hand, within=()):
    """Starts a process for each of the settings: forked, or by the program that it is to run in."""
    port = free_port()
    processes = []
    for index, path in enumerate(settings):
        arguments = [str(path), str(folder), *resume]
        environment = environment_of(launcher(port, index))
        if within:
            command = [*within, sys.executable, str(MAIN), *arguments]
            pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            process = subprocess.Popen(command, env=environment, cwd=root, **pipe)
        else:
            process = Worker(arguments, environment, root)
        processes.append(process)
    return processes


def ends(processes):
    """(exit code, stdout, stderr) of each."""
    try:
        texts = [process.communicate(timeout=900) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(one.returncode, *text) for one, text in zip(processes, texts, strict=True)]


def state(folder):
    path = folder / "state.json"
    return json.loads(path.read_text()) if path.exists() else {"epochs_done": 0}


def wait_for(folder, epochs, processes):
    while state(folder)["epochs_done"] < epochs:
        assert all(one.poll() is None for one in processes), ends(processes)
        time.sleep(0.05)


def kill_after(folder, epochs, processes, victim):
    wait_for(folder, epochs, processes)
    processes[victim].send_signal(signal.SIGKILL)
    return ends(processes)[1 - victim]


def interrupt(folder, epochs, processes, victim):
    """Ctrl-C on one of them: all end after the same step, which the chief has saved."""
    wait_for(folder, epochs, processes)
    processes[victim].send_signal(signal.SIGINT)
    found = ends(processes)
    # The chief may be gone before the other one, which is told so then.
    assert found[victim][0] in (130, 75), found
    assert (state(folder)["within"] or {"step": 1})["step"] == 1
    return found[1 - victim]


def kill_within(folder, epochs, processes, victim):
    """Kills the chief within an epoch: all are stopped while it is looked whether they are."""
    within = False
    while not within:
        assert all(one.poll() is None for one in processes), ends(processes)
        time.sleep(0.002)
        if state(folder)["epochs_done"] >= epochs and state(folder)["within"]:
            for one in processes:
                one.send_signal(signal.SIGSTOP)
            within = state(folder)["within"]
            processes[victim].send_signal(signal.SIGKILL if within else signal.SIGCONT)
            processes[1 - victim].send_signal(signal.SIGCONT)
    return ends(processes)[1 - victim]


def test_two_workers_that_are_killed_and_interrupted_train_as_one_process(run, single):
    folder, same = run / "run", [run / "multi-worker.json"] * 2
    for how, epochs, victim, resume in (
        (kill_after, 2, 1, ()),
        (interrupt, 4, 1, ("resume",)),
        (kill_within, 6, 0, ("resume",)),
    ):
        code, _, message = how(folder, epochs, start(run, same, folder, *resume), victim)
        assert code == 75, message
        waits, lost = message.splitlines()
        assert waits.startswith("fastscnn: waits for the workers of localhost:"), message
        assert lost.startswith(f"fastscnn: worker {1 - victim} of 2 {LOST}"), message
        assert epochs <= state(folder)["epochs_done"] < EPOCHS
    assert state(folder)["within"]["step"] == 1
    (first, said, error), (second, other, _) = ends(start(run, same, folder, "resume"))
    best = state(folder)["best"]
    assert (first, second) == (0, 0), error
    assert said.endswith(f"finished {best}\n")
    assert other.endswith("finished None\n")
    check_as_one(folder, single)


@pytest.mark.parametrize("recipe", RECIPES)
def test_two_workers_train_by_a_recipe_as_one_process(run, recipe):
    places = {"init_from": "start.keras", "teacher": None, "data_dir": "records"}
    own = {"batch_size": 4, "bn_momentum": 0.9, "validate_every": 5, **places, **RECIPES[recipe]}
    own.update({name: str(run / own[name]) for name in places if own[name]})
    settings = fs.train_settings(recipe, dataset="records", size=SIZE, epochs=EPOCHS, **own)
    alone, together = (run / recipe / name for name in ("alone", "together"))
    one = write(run / f"{recipe}.json", settings)
    two = write(run / f"{recipe}-2.json", dataclasses.replace(settings, strategy=MULTI_WORKER))
    for code, said, error in ends([*start(run, [one], alone), *start(run, [two] * 2, together)]):
        assert code == 0, error
        assert said.startswith("compiled 1\n")
    done = state(alone)["epochs_done"]
    assert (done < EPOCHS) == bool(settings.early_stopping)
    check_as_one(together, alone, done)


def test_a_full_disk_of_the_chief_ends_all_and_loses_nothing(run, single):
    folder, same = run / "full", [run / "multi-worker.json"] * 2
    processes = start(run, same, folder)
    wait_for(folder, 2, processes)
    half = (folder / "last.keras").stat().st_size // 2
    resource.prlimit(processes[0].pid, resource.RLIMIT_FSIZE, (half, half))
    (chief, _, said), (other, _, told) = ends(processes)
    assert (chief, other) == (2, 75), said + told
    assert said.splitlines()[1].startswith(f"fastscnn: cannot write {folder}/"), said
    assert told.splitlines()[1].startswith(f"fastscnn: worker 1 of 2 {LOST}"), told
    assert said.count("\n") == told.count("\n") == 2
    assert read_checkpoint(folder / "last.keras")[0] == {**state(folder), "dropout": ANY}
    assert not [path for path in folder.iterdir() if ".part" in path.name]
    for code, _, message in ends(start(run, same, folder, "resume")):
        assert code == 0, message
    check_as_one(folder, single)


def test_workers_that_are_cut_off_from_each_other(run, single, network, monkeypatch):
    """For a moment: they go on. For longer: each says so and ends, and they can go on later."""
    folder, same = run / "cut", [run / "multi-worker.json"] * 2
    within, switch = network
    monkeypatch.setenv("SILENT_SECONDS", str(SILENT))
    processes = start(run, same, folder, within=within)
    wait_for(folder, 1, processes)
    switch("down")
    begun = time.monotonic()
    found = ends(processes)
    took = time.monotonic() - begun
    print(f"cut off, at {SILENT} s: {took:.1f} s")
    for index, (code, _, message) in enumerate(found):
        assert code == 75, message
        assert message.splitlines()[1].startswith(f"fastscnn: worker {index} of 2 {LOST}"), message
        assert message.count("\n") == 2
    assert took < 200  # instead of 300
    switch("up")
    monkeypatch.delenv("SILENT_SECONDS")
    processes = start(run, same, folder, "resume", within=within)
    wait_for(folder, 4, processes)
    switch("down")
    time.sleep(MOMENT)
    assert all(one.poll() is None for one in processes)
    switch("up")
    for code, _, message in ends(processes):
        assert code == 0, message
    check_as_one(folder, single)


def check_as_one(folder, single, epochs=EPOCHS):
    """Losses, averages and what is kept as the best are those of one process."""
    folders = folder, single
    losses = [[row["loss"] for row in state(one)["history"]] for one in folders]
    assert len(losses[0]) == len(losses[1]) == epochs
    assert np.abs(np.subtract(*losses)).max() < 1e-5
    averages = [read_checkpoint(one / "last.keras")[1] for one in folders]
    for name, value in averages[1].items():
        assert np.abs(averages[0][name] - value).max() < 1e-4, name
    models = [load_keras(one / "best.keras").get_weights() for one in folders]
    assert all(np.abs(a - b).max() < 1e-4 for a, b in zip(*models, strict=True))


def test_two_devices_of_a_process_train_as_one(run, single, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2", prepend=" ")
    ((code, _, error),) = ends(start(run, [run / "mirrored.json"], run / "mirrored"))
    assert code == 0, error
    check_as_one(run / "mirrored", single)


def test_workers_that_differ_are_told(run):
    settings = fs.TrainSettings.from_dict(json.loads((run / "multi-worker.json").read_text()))
    other = write(run / "other.json", dataclasses.replace(settings, learning_rate=0.1))
    both = [run / "multi-worker.json", other]
    for code, _, message in ends(start(run, both, run / "unlike", launcher=by_srun)):
        assert code == 2, message
        assert "worker 1: its setting learning_rate is not worker 0's" in message
    assert not (run / "unlike").exists()


@pytest.mark.skipif(not TORCHRUN.is_file(), reason=f"no {TORCHRUN}: `make backends` installs it")
def test_torchrun_starts_two_workers_again_of_which_one_was_killed(run, single):
    folder = run / "torchrun"
    meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{free_port()}"]
    within = [TORCHRUN, "--nproc-per-node", "2", *meet, "--max-restarts", "1", "--no-python"]
    own = {"launcher": lambda port, index: {}, "within": within}
    processes = start(run, [run / "multi-worker.json"], folder, "resume", **own)
    wait_for(folder, 2, processes)
    pid = processes[0].pid
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(next(int(w) for w in workers if b"\0RANK=1\0" in environment(w)), signal.SIGKILL)
    assert state(folder)["epochs_done"] < EPOCHS
    ((code, said, error),) = ends(processes)
    assert code == 0, error
    assert said.count("finished") == 2
    assert error.count("waits for the workers of") == 4
    check_as_one(folder, single)


def environment(pid):
    return Path(f"/proc/{pid}/environ").read_bytes()


def lost_chief(port, index):
    return {**by_hand(port, index), "MASTER_ADDR": "nowhere.invalid"}


def test_a_chief_that_no_machine_is_called_by_is_told_at_once(run):
    begun = time.monotonic()
    same = [run / "multi-worker.json"] * 2
    workers = start(run, same, run / "none", launcher=lost_chief)
    for code, _, message in ends(workers):
        assert code == 2
        assert message.startswith("fastscnn: MASTER_ADDR: no machine is called nowhere.invalid")
        assert message.count("\n") == 1
    assert time.monotonic() - begun < 200  # instead of 300 and their start


def test_what_the_chief_refuses_ends_all(run):
    same = [run / "multi-worker.json"] * 2
    (first, _, own), (second, _, other) = ends(start(run, same, run))
    assert (first, second) == (2, 2), own + other
    assert "is not empty" in own
    assert "worker 0 cannot begin" in other
