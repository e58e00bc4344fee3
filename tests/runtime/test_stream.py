"""Streams: order, laziness, errors in their place, and results that are `predict`'s."""

import itertools
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.core.overlap import overlapped
from fastscnn_tf.runtime.segmenter import Segmenter


@pytest.fixture
def segmenter(tflite_files):
    return Segmenter(tflite_files["int8", "logits"])


def pictures(count, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(count):
        yield rng.integers(0, 256, (20 + i, 90 - i, 3), dtype=np.uint8)


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_a_stream_is_predict_of_each_in_order(segmenter, ahead):
    expected = [segmenter.predict(image) for image in pictures(9)]
    got = list(segmenter.stream(pictures(9), ahead=ahead))
    assert len(got) == 9
    assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def test_one_picture_is_no_stream_and_a_folder_no_picture(segmenter, tmp_path):
    image = next(pictures(1))
    for one in ("a.png", tmp_path / "a.png", image, Image.fromarray(image)):
        with pytest.raises(DataError, match="got a single one: that is for predict"):
            segmenter.stream(one)
    assert len(list(segmenter.stream(np.stack([image, image])))) == 2
    with pytest.raises(DataError, match="a folder, expected a file of an image"):
        segmenter.predict(tmp_path)


def test_arrays_files_and_pillow_images_mix(segmenter, tmp_path):
    image = next(pictures(1))
    Image.fromarray(image).save(tmp_path / "a.png")
    got = list(segmenter.stream([image, tmp_path / "a.png", Image.fromarray(image)], (30, 40)))
    assert [labels.shape for labels in got] == [(30, 40)] * 3
    assert np.array_equal(got[0], got[1])
    assert np.array_equal(got[0], got[2])


def test_an_endless_stream_is_taken_as_it_is_needed(segmenter):
    threads, taken = set(threading.enumerate()), []

    def endless():
        for i in itertools.count():
            taken.append(i)
            yield np.full((8, 8, 3), i % 256, np.uint8)

    labels = segmenter.stream(endless())
    assert taken == []
    for _ in range(4):
        next(labels)
    assert len(taken) <= 4 + 2 * 2  # two early at each of two steps
    labels.close()
    assert set(threading.enumerate()) <= threads
    assert len(taken) <= 8


def test_what_comes_before_a_bad_picture_is_delivered(segmenter, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    threads, image = set(threading.enumerate()), np.zeros((8, 8, 3), np.uint8)
    labels = segmenter.stream([image, image, image, tmp_path / "bad.png", image])
    for _ in range(3):
        assert next(labels).shape == (8, 8)
    with pytest.raises(DataError, match=r"bad\.png: not a readable image"):
        next(labels)
    assert set(threading.enumerate()) <= threads


def test_a_source_that_fails_does_so_after_its_pictures(segmenter):
    def source():
        yield np.zeros((8, 8, 3), np.uint8)
        raise OSError("unplugged")

    labels = segmenter.stream(source())
    assert next(labels).shape == (8, 8)
    with pytest.raises(OSError, match="unplugged"):
        next(labels)


def test_bad_arguments_are_told_at_once(segmenter):
    with pytest.raises(ConfigError, match="size must be at least 1x1, got 0x4"):
        segmenter.stream([], (0, 4))
    with pytest.raises(ConfigError, match="ahead must be at least 0, got -1"):
        segmenter.stream([], ahead=-1)


def test_threads_share_a_segmenter(segmenter):
    images = list(pictures(8))
    expected = [segmenter.predict(image) for image in images]
    for _ in range(3):
        got = list(overlapped(segmenter.predict, images, ahead=8, workers=4))
        assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def test_work_overlaps_and_keeps_its_order():
    """Two workers meet at a barrier, which one after the other would never reach."""
    barrier = threading.Barrier(2, timeout=300)

    def meet(item):
        barrier.wait()
        return item

    assert list(overlapped(meet, range(8), ahead=2, workers=2)) == list(range(8))


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("stream", [False, True])
def test_memory_does_not_grow_with_the_frames(stream):
    """200 frames of two sizes after 50: one label map kept of each would be 35 MB."""
    code = """
import itertools, os, sys
from pathlib import Path
import numpy as np
from fastscnn_tf.runtime.segmenter import Segmenter
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
segmenter = Segmenter(sys.argv[1])
kept = [np.full((352 + 8 * i, 480, 3), 90, np.uint8) for i in range(2)]
frames = (image.copy() for image in itertools.islice(itertools.cycle(kept), 250))
labels = segmenter.stream(frames) if sys.argv[2] == "True" else map(segmenter.predict, frames)
for i, _ in enumerate(labels, 1):
    if i == 50:
        before = resident()
print(resident() - before)
"""
    model = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"
    command = [sys.executable, "-c", code, str(model), str(stream)]
    grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 8
