"""The Android app's core, compiled by a real Kotlin compiler, against Python: label maps.

They must be equal, pixel by pixel, on real logits and on such as are made to break them.
"""

from __future__ import annotations

import numpy as np
import pytest
from jvm_tools import opened
from PIL import Image

from fastscnn_tf.core.images.interpolation import ALIGNED, NEAREST
from fastscnn_tf.runtime.fit import Box, Fitted, fitted
from fastscnn_tf.runtime.postprocess import LogitsFrame, labels_from_logits, logit_strips


def label_request(folder, logits, frame, box=None, target=None):
    """A request for a label map, and where it will lie."""
    number = len(list(folder.iterdir()))
    source, made = folder / f"{number}.logits", folder / f"{number}.labels"
    source.write_bytes(np.ascontiguousarray(logits).tobytes())
    box = box or (0, 0, *frame.size)
    request = {"op": "labels", "logits": str(source), "output": str(made), "box": box}
    request |= {"type": str(logits.dtype), "shape": logits.shape, "size": frame.size}
    return request | {"sampling": frame.sampling, "target": target or box[2:]}


def label_map(request):
    return np.fromfile(request["output"], np.uint8).reshape(request["target"])


@pytest.mark.parametrize("kind", ["int8", "float16"])
@pytest.mark.parametrize("fit", ["resize", "letterbox"])
def test_label_maps_of_real_logits_are_pythons(ask, model_files, street_files, tmp_path, kind, fit):
    segmenter = opened(model_files[kind])
    requests, expected = [], []
    for path in street_files.values():
        image = np.asarray(Image.open(path))
        seen = fitted(image, segmenter.input_size, fit, segmenter.mean_color)
        box = seen.box or Box(0, 0, *segmenter.input_size)
        logits = segmenter.run(seen.image)
        requests.append(label_request(tmp_path, logits, segmenter.frame, box))
        expected.append(segmenter.predict(image, (box.height, box.width), fit))
    answers = ask(*requests)
    for request, labels, answer in zip(requests, expected, answers, strict=True):
        np.testing.assert_array_equal(label_map(request), labels)
        shares = np.bincount(labels.reshape(-1), minlength=11) / labels.size
        np.testing.assert_allclose(answer["shares"], shares, atol=1e-15)
        assert len(np.unique(labels)) >= 2


@pytest.mark.parametrize("kind", ["int8", "float16"])
@pytest.mark.parametrize("fit", ["resize", "letterbox"])
def test_label_maps_at_the_pictures_size_differ_from_pythons_only_in_ties(
    ask, model_files, street_files, tmp_path, kind, fit
):
    segmenter = opened(model_files[kind])
    for path in street_files.values():
        image = np.asarray(Image.open(path))
        seen = fitted(image, segmenter.input_size, fit, segmenter.mean_color)
        logits = segmenter.run(seen.image)
        request = label_request(tmp_path, logits, segmenter.frame, seen.box, image.shape[:2])
        ask(request)
        assert_equal_but_for_ties(label_map(request), logits, seen, segmenter.frame)


def assert_equal_but_for_ties(found, logits, seen, frame):
    """Python's labels come of float32 sums: where two classes' differ by their rounding alone,
    either may win."""
    expected = seen.labels(logits, frame, found.shape)
    placed, frame = seen.placed(logits, frame)
    strips = list(logit_strips(placed, frame, found.shape))
    scores = np.concatenate([values for _, values in strips])
    y, x = np.nonzero(found != expected)
    gap = abs(scores[y, x, found[y, x]] - scores[y, x, expected[y, x]])
    assert (gap <= 1e-5 * abs(scores).max()).all(), gap
    assert len(y) < 1e-3 * found.size


def random_logits(kind, shape, seed):
    draw = np.random.default_rng((7, seed))
    ties = draw.integers(0, 3, shape)  # most cells have several winners
    if kind == "int8":
        return draw.integers(-128, 128, shape).astype(np.int8)
    if kind == "uint8":
        return draw.integers(0, 256, shape).astype(np.uint8)
    if kind == "int8 ties":
        return (ties - 128).astype(np.int8)
    if kind == "uint8 ties":
        return (253 + ties).astype(np.uint8)
    if kind == "int8 extremes":
        return draw.choice(np.array([-128, 127], np.int8), shape)
    if kind == "float32 ties":
        return ties.astype(np.float32)
    if kind == "float32 huge":
        return (draw.normal(size=shape) * 1e30).astype(np.float32)
    return draw.normal(size=shape).astype(np.float32)


KINDS = ("int8", "uint8", "int8 ties", "uint8 ties", "int8 extremes")
KINDS += ("float32", "float32 ties", "float32 huge")
# Of the input; what is no multiple of 32 the network pads.
INPUTS = ((32, 32, 3), (27, 40, 2), (33, 33, 1), (96, 128, 19), (64, 37, 254))


@pytest.mark.parametrize("kind", KINDS)
def test_adversarial_logits_give_pythons_labels(ask, tmp_path, kind):
    requests, expected = [], []
    for seed, (*size, classes) in enumerate(INPUTS):
        frame = LogitsFrame.of(tuple(size))
        eighths = [n // 8 for n in frame.padded]
        logits = random_logits(kind, (*eighths, classes), seed)
        requests.append(label_request(tmp_path, logits, frame))
        expected.append(labels_from_logits(logits, frame, frame.size))
    ask(*requests)
    for request, labels in zip(requests, expected, strict=True):
        np.testing.assert_array_equal(label_map(request), labels)


def test_aligned_and_full_logits_are_interpolated_and_cut(ask, tmp_path):
    size, draw = (60, 100), np.random.default_rng(3)
    aligned, nearest = LogitsFrame.of(size, ALIGNED), LogitsFrame.of(size, NEAREST)
    coarse = draw.normal(size=(8, 16, 4)).astype(np.float32)
    full = draw.integers(0, 256, (*size, 4)).astype(np.uint8)
    box = Box(10, 20, 40, 60)
    for logits, frame in ((coarse, aligned), (coarse, nearest), (full, LogitsFrame.of(size))):
        for inside, target in ((None, size), (box, (40, 60)), (box, (90, 31))):
            seen = Fitted(np.zeros((*size, 3), np.uint8), inside)
            request = label_request(tmp_path, logits, frame, inside, target)
            ask(request)
            assert_equal_but_for_ties(label_map(request), logits, seen, frame)


def test_broken_logits_are_one_line(ask, tmp_path):
    frame = LogitsFrame.of((32, 32))
    bad = np.zeros((4, 4, 3), np.float32)
    bad[2, 1, 1] = np.nan
    infinite = np.full((4, 4, 3), np.inf, np.float32)
    short = label_request(tmp_path, np.zeros((4, 4, 3), np.float32), frame)
    requests = [label_request(tmp_path, x, frame) for x in (bad, infinite)]
    answers = ask(*requests, short | {"shape": (4, 4, 4)})
    assert all("NaN or infinite" in answer["failure"] for answer in answers[:2])
    assert answers[2]["failure"].startswith(
        "the network gave 48 values, the file says [1, 4, 4, 4]"
    )


def test_boxes_are_pythons(ask):
    sizes = [(720, 1280, 256, 512), (1, 999, 448, 608), (999, 1, 448, 608), (480, 640, 448, 608)]
    sizes += [(5, 2, 2, 3), (640, 480, 448, 608), (448, 608, 448, 608), (3, 7, 5, 5)]
    answers = ask(*({"op": "box", "sizes": each} for each in sizes))
    assert answers == [list(Box.letterbox(s[:2], s[2:])) for s in sizes]


def test_overlay_colours_classes_and_leaves_the_rest_clear(ask):
    request = {"op": "overlay", "labels": [0, 1, 2, 255], "colors": [0x804020, 0xFFFFFF]}
    (pixels,) = ask(request | {"percent": 50})
    assert [p & 0xFFFFFFFF for p in pixels] == [0x80804020, 0x80FFFFFF, 0, 0]


def test_step_times(ask):
    times = [int(1e6 * t) for t in (5, 1, 2, 4, 3, 10, 9, 8, 7, 6)]
    (answer,) = ask({"op": "times", "times": times})
    assert answer == {
        "count": 10, "median_ms": 5.5, "mean_ms": 5.5, "p90_ms": 9.0, "min_ms": 1.0, "max_ms": 10.0
    }  # fmt: skip
