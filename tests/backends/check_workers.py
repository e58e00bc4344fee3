"""Real processes on loopback that train together on JAX, against one process; see `run.sh`."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.data.datasets import toy_streets
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.records.packing import pack
from fastscnn_tf.model.io import load_keras
from fastscnn_tf.train.training_state import read_checkpoint

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(keras3().backend.backend() != "jax", reason="JAX alone trains on workers"),
]
MAIN = Path(__file__).with_name("worker_main.py")
SIZE, EPOCHS = (64, 96), 10
LOST = "stops, for another one is gone: checkpoints are kept; start all workers again"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Settings of 10 epochs of two steps with all that spans a batch, and one process' run."""
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
    keras3().utils.set_random_seed(1)
    fs.fast_scnn(config).save(root / "start.keras")
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
    fs.run_training(settings, root / "single", verbose=0)
    return root


def write(path, settings):
    path.write_text(json.dumps(settings.to_dict()))
    return path


def start(root, settings, folder, *resume, chief="localhost"):
    with socket.socket() as one:
        one.bind(("localhost", 0))
        port = str(one.getsockname()[1])
    cluster = {"MASTER_ADDR": chief, "MASTER_PORT": port, "WORLD_SIZE": "2"}
    paths = os.pathsep.join([str(MAIN.parents[2]), os.environ.get("PYTHONPATH", "")])
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": root}
    return [
        subprocess.Popen(
            [sys.executable, str(MAIN), str(path), str(folder), *resume],
            env={**os.environ, **cluster, "PYTHONPATH": paths, "RANK": str(index)},
            **pipe,
        )
        for index, path in enumerate(settings)
    ]


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


def test_two_workers_that_are_killed_and_interrupted_train_as_one_process(run):
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
    check_as_one(run, folder)


def check_as_one(run, folder):
    """Losses, averages and what is kept as the best are those of one process."""
    folders = folder, run / "single"
    losses = [[row["loss"] for row in state(one)["history"]] for one in folders]
    assert len(losses[0]) == len(losses[1]) == EPOCHS
    assert np.abs(np.subtract(*losses)).max() < 1e-5
    averages = [read_checkpoint(one / "last.keras")[1] for one in folders]
    for name, value in averages[1].items():
        assert np.abs(averages[0][name] - value).max() < 1e-4, name
    models = [load_keras(one / "best.keras").get_weights() for one in folders]
    assert all(np.abs(a - b).max() < 1e-4 for a, b in zip(*models, strict=True))


def test_two_devices_of_a_process_train_as_one(run, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    ((code, _, error),) = ends(start(run, [run / "mirrored.json"], run / "mirrored"))
    assert code == 0, error
    check_as_one(run, run / "mirrored")


def test_workers_that_differ_are_told(run):
    settings = fs.TrainSettings.from_dict(json.loads((run / "multi-worker.json").read_text()))
    other = write(run / "other.json", dataclasses.replace(settings, learning_rate=0.1))
    for code, _, message in ends(start(run, [run / "multi-worker.json", other], run / "unlike")):
        assert code == 2, message
        assert "the settings of worker 1 are not worker 0's" in message
    assert not (run / "unlike").exists()


def test_a_chief_that_no_machine_is_called_by_is_told_at_once(run):
    begun = time.monotonic()
    workers = start(run, [run / "multi-worker.json"] * 2, run / "none", chief="nowhere.invalid")
    for code, _, message in ends(workers):
        assert code == 2
        assert message.startswith("fastscnn: MASTER_ADDR: no machine is called nowhere.invalid")
        assert message.count("\n") == 1
    assert time.monotonic() - begun < 200  # instead of 300 and their start


def test_what_the_chief_refuses_ends_all(run):
    (first, _, own), (second, _, other) = ends(start(run, [run / "multi-worker.json"] * 2, run))
    assert (first, second) == (2, 2), own + other
    assert "is not empty" in own
    assert "worker 0 cannot begin" in other
