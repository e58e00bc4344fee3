import os

import numpy as np
import pytest
from PIL import Image
from test_pipeline import CONFIG, Coded, collect, same

from fastscnn_tf.core.errors import ConfigError, OutputError
from fastscnn_tf.data import cache as caches
from fastscnn_tf.data.augment.augmentation import PRESETS
from fastscnn_tf.data.cache import DiskCache, MemoryCache, open_cache
from fastscnn_tf.data.datasets.dataset import ConcatDataset
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.numpy_pipeline import numpy_batches
from fastscnn_tf.data.pipeline import batches
from fastscnn_tf.data.reader import PairReader


class Counted(Coded):
    """Counts what is read."""

    reads = 0

    def read(self, index):
        self.reads += 1
        return super().read(index)


def test_a_cache_changes_no_batch_and_saves_the_decoding(tmp_path):
    def two_epochs(make, cache):
        data = Counted()
        stream = make(data, cache)
        return stream, data

    def by_tf(data, cache):
        # One thread: of several, two may decode an image that ends one epoch and begins the next.
        return collect(
            batches(data, CONFIG, PRESETS["paper"], 2, 0, range(2), cache=cache, workers=1)
        )

    def by_numpy(data, cache):
        source = numpy_batches(data, CONFIG, PRESETS["strong"], 2, 0, cache=cache)
        return [source.source.batch(epoch, i) for epoch in range(2) for i in range(3)]

    for make in (by_tf, by_numpy):
        plain, data = two_epochs(make, "none")
        assert data.reads == 12
        for choice in ("auto", "memory", str(tmp_path / make.__name__)):
            kept, data = two_epochs(make, choice)
            assert data.reads == 6
            assert same(plain, kept)
        again, data = two_epochs(make, str(tmp_path / make.__name__))
        assert data.reads == 0  # another run finds what the first one left
        assert same(plain, again)


def test_memory_keeps_what_fits():
    pair = Coded().read(0)
    cache = MemoryCache(2.5 * (pair[0].nbytes + pair[1].nbytes))
    for index in range(4):
        cache.put(index, pair)
    assert [cache.get(i) is not None for i in range(4)] == [True, True, False, False]


def test_a_changed_file_is_decoded_anew(own_data, tmp_path):
    def read(index=1):
        data = open_dataset("folder", own_data, "train")
        return PairReader(data, None, open_cache(str(tmp_path / "c"), data, None)).read(index)

    before, kept = read(), read()
    assert isinstance(kept[0], np.memmap)
    assert same([before], [kept])
    path = own_data / "train" / "images" / "1.jpg"
    Image.new("RGB", (160, 96), (9, 99, 199)).save(path)
    os.utime(path, ns=(1, 1))
    assert np.abs(read()[0][0, 0].astype(int) - (9, 99, 199)).max() < 5


def test_a_damaged_entry_is_decoded_anew(tmp_path):
    data = Counted()
    cache = DiskCache(tmp_path, data, None)
    reader = PairReader(data, None, cache)
    first = reader.read(0)
    for path in tmp_path.rglob("*.npy"):
        path.write_bytes(path.read_bytes()[:200])
    assert same([first], [reader.read(0)])
    assert data.reads == 2
    assert same([first], [reader.read(0)])
    assert data.reads == 2


def test_splits_sizes_and_data_sets_have_their_own_entries(own_data, tmp_path):
    train, val = (open_dataset("folder", own_data, split) for split in ("train", "val"))
    both = ConcatDataset([train, val])
    found = {
        (size, i): PairReader(both, size, DiskCache(tmp_path, both, size)).read(i)
        for size in (None, (32, 64))
        for i in range(7)
    }
    assert len(list(tmp_path.rglob("*.image.npy"))) == 14
    assert found[(32, 64), 0][1].shape == (32, 64)
    assert np.array_equal(found[None, 6][0], val.read(2)[0])


def test_a_full_or_vanished_disk_is_no_reason_to_stop(tmp_path, monkeypatch):
    data = Counted()
    monkeypatch.setattr(caches, "KEEP_FREE", 1 << 60)  # more than any disk has
    reader = PairReader(data, None, DiskCache(tmp_path / "c", data, None))
    assert same([reader.read(0)], [reader.read(0)])
    assert data.reads == 2
    assert not list((tmp_path / "c").rglob("*.npy"))


def test_wrong_choices(tmp_path):
    with pytest.raises(ConfigError, match="cache must be auto, memory, none, or a folder"):
        open_cache("", Coded(), None)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write into"):
        open_cache(str(tmp_path / "file"), Coded(), None)
    assert open_cache("none", Coded(), None) is None
