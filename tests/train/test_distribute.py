"""Several processes: which they are, and their shares of batches. `backends/` starts real ones."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.data.augment.augmentation import augmentation
from fastscnn_tf.data.datasets import toy_streets
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.numpy_pipeline import numpy_batches
from fastscnn_tf.train.distill.saved_logits import INDEX, logits_batches
from fastscnn_tf.train.distributed.cluster import Cluster, cluster_from
from fastscnn_tf.train.distributed.strategy import check_shares, check_strategy

GIVEN = {"MASTER_ADDR": "host0", "MASTER_PORT": "12345", "WORLD_SIZE": "2", "RANK": "1"}


@pytest.mark.parametrize("preset", ["none", "paper", "strong"])
@pytest.mark.parametrize("batch_size, count", [(2, 2), (6, 3)])
def test_shares_are_the_rows_of_the_whole_batch(monkeypatch, preset, batch_size, count):
    monkeypatch.setattr(toy_streets, "SPLITS", {"train": (0, 6), "val": (1, 2)})
    data = open_dataset("toy", None, "train", (64, 96))
    config = fs.FastSCNNConfig(num_classes=len(data.labels), input_size=(64, 96))

    def given(share):
        stream = numpy_batches(data, config, augmentation(preset), batch_size, 5, share=share)
        stream.epoch = 1
        return [stream[index] for index in range(len(stream))]

    whole = given((0, 1))
    shares = [given((number, count)) for number in range(count)]
    assert len(whole) == 6 // batch_size
    for k, batch in enumerate(whole):
        for part, expected in enumerate(batch):
            together = np.concatenate([share[k][part] for share in shares])
            np.testing.assert_array_equal(together, expected)


def test_saved_logits_are_shared_with_their_pictures(monkeypatch, tmp_path):
    monkeypatch.setattr(toy_streets, "SPLITS", {"train": (0, 6), "val": (1, 2)})
    data = open_dataset("toy", None, "train", (64, 96))
    config = fs.FastSCNNConfig(num_classes=len(data.labels), input_size=(64, 96))
    random, classes = np.random.default_rng(0), len(data.labels)
    for index in range(len(data)):
        np.save(tmp_path / f"{index:06d}.npy", random.normal(size=(8, 12, classes)))
    names = [data.sample_name(index) for index in range(len(data))]
    write_json(tmp_path / INDEX, {"classes": classes, "samples": names})

    def given(share):
        stream = logits_batches(data, config, tmp_path, augmentation("paper"), 4, 5, share=share)
        stream.epoch = 1
        (images, logits), labels = stream[0]
        return images, logits, labels

    whole, *shares = (given(share) for share in ((0, 1), (0, 2), (1, 2)))
    for expected, *parts in zip(whole, *shares, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_a_batch_that_cannot_be_shared_is_refused():
    assert check_shares(12, 4, 367, augmented=True) == 3
    with pytest.raises(ConfigError, match=r"batch size 12 cannot .* by 8 replicas: use 8 or 16"):
        check_shares(12, 8, 367, augmented=True)
    with pytest.raises(ConfigError, match="by 4 replicas: use 4"):
        check_shares(2, 4, 367, augmented=True)
    with pytest.raises(ConfigError, match="367 pairs are no multiple of batch size 12"):
        check_shares(12, 2, 367, augmented=False)
    with pytest.raises(ConfigError, match="strategy must be one of none, mirrored"):
        check_strategy("horovod")
    with pytest.raises(ConfigError, match="mirrored needs KERAS_BACKEND=jax, this is tensorflow"):
        check_strategy("mirrored")


def test_the_cluster_of_a_launcher():
    assert cluster_from({}) is None
    assert cluster_from(GIVEN) == Cluster("host0:12345", 2, 1)
    # The launcher's own store listens at the port that it names.
    torchrun = {**GIVEN, "TORCHELASTIC_USE_AGENT_STORE": "True"}
    assert cluster_from(torchrun) == Cluster("host0:12346", 2, 1)
    assert cluster_from({**GIVEN, "MASTER_ADDR": "fe80::1"}).address == "[fe80::1]:12345"


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("RANK", "", "RANK is '': expected such as MASTER_ADDR=host0"),
        ("RANK", "-1", "RANK is '-1'"),
        ("RANK", "2", "workers count from 0 to 1"),
        ("WORLD_SIZE", "two", "WORLD_SIZE is 'two'"),
        ("WORLD_SIZE", "9" * 5000, "WORLD_SIZE is '9{40}'"),
        ("MASTER_PORT", "65536", "65536 is not a port"),
        ("MASTER_ADDR", "a b", "MASTER_ADDR is 'a b'"),
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused(name, text, message):
    with pytest.raises(ConfigError, match=message):
        cluster_from({**GIVEN, name: text})


@pytest.mark.process
@pytest.mark.skipif(find_spec("jax") is not None, reason="JAX is installed")
def test_a_backend_that_is_not_there_is_told_before_anything_else(tmp_path):
    command = [sys.executable, "-m", "fastscnn_tf", "train", "--dataset", "toy", "--size", "64x96"]
    command += ["--epochs", "2", "--output", "r"]
    backend = {**os.environ, "KERAS_BACKEND": "jax"}
    end = subprocess.run(command, env=backend, cwd=tmp_path, capture_output=True, text=True)
    assert (end.returncode, end.stdout) == (2, "")
    assert end.stderr.startswith("fastscnn: jax is not installed, which KERAS_BACKEND=jax needs")
    assert end.stderr.count("\n") == 1
