import functools
import itertools
import subprocess
import sys

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.data.augment.augmentation import PRESETS, Augmentation
from fastscnn_tf.data.datasets.dataset import SegmentationDataset
from fastscnn_tf.data.pipeline import batches, load_dataset

CONFIG = FastSCNNConfig(num_classes=9, input_size=(64, 96))
GEOMETRY = Augmentation(scale=(0.5, 2.0), flip=True)


def collect(dataset):
    return [(x.numpy(), y.numpy()) for x, y in dataset]


def same(a, b):
    return all(
        np.array_equal(p, q) for x, y in zip(a, b, strict=True) for p, q in zip(x, y, strict=True)
    )


class Coded(SegmentationDataset):
    """Images whose red channel is 20 times the label: geometry out of step shows at once."""

    name, split, labels = "coded", "train", LabelSpace.make("coded", 9)

    def __init__(self, count=6, size=(80, 100)):
        self.count, self.size = count, size

    def __len__(self):
        return self.count

    def sample_name(self, index):
        return str(index)

    def read_label(self, index):
        label = np.zeros(self.size, np.uint8)
        label[10 + index : 60, 20:70] = index + 1
        label[:, 80:] = 8
        return label

    def read_image(self, index):
        label = self.read_label(index)
        return np.stack([label * 20, label * 0, label * 0 + 50], -1)


def test_same_seed_same_batches():
    def take():
        data = load_dataset(
            "toy", split="val", config=CONFIG, augment="paper", batch_size=8, seed=5
        )
        return collect(data.take(3))

    assert same(take(), take())


def test_epochs_differ_and_repeat_with_the_seed():
    def two_epochs(seed):
        data = batches(Coded(), CONFIG, PRESETS["paper"], 2, seed)
        return collect(data), collect(data)

    first, second = two_epochs(1)
    assert not same(first, second)
    again, again_second = two_epochs(1)
    assert same(first, again)
    assert same(second, again_second)
    assert not same(first, two_epochs(2)[0])


def test_a_stream_resumes_at_any_epoch():
    whole = collect(batches(Coded(), CONFIG, PRESETS["paper"], 2, 0, range(4)))
    rest = collect(batches(Coded(), CONFIG, PRESETS["paper"], 2, 0, range(2, 4)))
    assert len(whole) == 12
    assert same(whole[6:], rest)


def test_an_epoch_shows_every_image_once():
    plain = Augmentation()
    config = CONFIG.replace(input_size=(96, 128))
    data = collect(batches(Coded(), config, plain, 3, 0))
    shown = [int(label[label < 8].max()) for _, y in data for label in y]
    assert sorted(shown) == [1, 2, 3, 4, 5, 6]


def test_geometry_stays_in_step_and_padding_is_void():
    for images, labels in collect(batches(Coded(), CONFIG, GEOMETRY, 6, 3, range(4))):
        red = np.rint((images[..., 0] * 128 + 128) / 20)
        padded = labels == 255
        # Bilinear blends at class borders are the only place where both may differ.
        assert ((red == labels) | padded).mean() > 0.93
        assert set(np.unique(labels)) <= {*range(9), 255}
        assert np.allclose(images[padded], 0.0, atol=1e-6)


@functools.cache
def three_epochs(chain):
    return collect(batches(Coded(), CONFIG, chain, 2, 0, range(3)))


@pytest.mark.parametrize(
    ("chain", "first_step", "workers"),
    [
        *itertools.product([GEOMETRY], [0, 1, 2], [1, 3]),
        *((PRESETS["strong"], 2, 1), (PRESETS["strong"], 1, 3)),  # traced in five times as long
    ],
)
def test_a_stream_resumes_at_any_step_for_any_number_of_workers(chain, first_step, workers):
    rest = batches(Coded(), CONFIG, chain, 2, 0, range(1, 3), first_step, workers=workers)
    assert same(three_epochs(chain)[3 + first_step :], collect(rest))


def test_plain_batches_resume_at_any_step():
    config = CONFIG.replace(input_size=(96, 128))
    whole = collect(batches(Coded(), config, None, 4))
    assert same(whole[1:], collect(batches(Coded(), config, None, 4, None, range(1), 1)))


def test_batches_are_mixed():
    chain = Augmentation(cutmix=1.0)
    data = collect(batches(Coded(), CONFIG, chain, 3, 0, range(2)))
    alone = collect(batches(Coded(), CONFIG, Augmentation(), 3, 0, range(2)))
    assert not same(data, alone)
    for (images, labels), (before, labels_before) in zip(data, alone, strict=True):
        for i in range(3):
            own = (images[i] == before[i]).all(-1) & (labels[i] == labels_before[i])
            pasted = (images[i] == before[i - 1]).all(-1) & (labels[i] == labels_before[i - 1])
            assert np.all(own | pasted)


def test_an_own_augmentation_may_be_given():
    chain = Augmentation(flip=True)
    data = load_dataset("toy", split="val", config=CONFIG, augment=chain, batch_size=8, seed=5)
    assert data.element_spec[0].shape == (8, 64, 96, 3)


def test_evaluation_batches_give_every_image_in_order():
    data = collect(load_dataset("toy", split="val", config=CONFIG, batch_size=32))
    assert [len(x) for x, _ in data] == [32, 28]
    images = np.concatenate([x for x, _ in data])
    assert images.min() >= -1
    assert images.max() <= 127 / 128


def test_auxiliary_heads_get_their_labels():
    config = CONFIG.replace(aux_heads=True)
    _, labels = next(iter(load_dataset("toy", split="val", config=config, batch_size=2)))
    assert set(labels) == {"logits", "aux_ltd", "aux_gfe"}


def test_wrong_requests():
    with pytest.raises(ConfigError, match="toy has 9 classes but the model has 19"):
        load_dataset("toy", config=FastSCNNConfig(input_size=(64, 96)))
    with pytest.raises(ConfigError, match="larger than the 6 pairs"):
        batches(Coded(), CONFIG, PRESETS["paper"], 7)
    with pytest.raises(ConfigError, match="unknown augmentation"):
        load_dataset("toy", config=CONFIG, augment="wild")


BUSY = """
import fastscnn_tf as fs

config = fs.FastSCNNConfig.for_labels("toy", input_size=(256, 256))
batches = iter(fs.load_dataset("toy", config=config, augment="paper", batch_size=8, cache="none"))
print(next(batches)[0].shape)
"""


@pytest.mark.process
def test_a_script_ends_while_threads_read():
    """Seven of eight hung for ever where the threads were left to read on."""
    done = subprocess.run(
        [sys.executable, "-c", BUSY], capture_output=True, text=True, timeout=300, check=True
    )
    assert (done.stdout, done.stderr) == ("(8, 256, 256, 3)\n", "")
