"""Labels at the input's size, against interpolation of all logits in exact arithmetic."""

import numpy as np
import pytest

from fastscnn_tf.core.errors import NonFiniteLogits
from fastscnn_tf.runtime.postprocess import LogitsFrame, labels_from_logits, logit_strips
from fastscnn_tf.runtime.upsample import upsampled_labels


def plain(logits):
    """All classes at all pixels: in integers, or in float64."""
    values = logits.astype(np.float64 if logits.dtype.kind == "f" else np.int64)
    for axis in (0, 1):
        values = np.moveaxis(values, axis, 0)
        padded = np.concatenate([values[:1], values, values[-1:]])
        step = np.arange(1, 16, 2)[None, :, None, None]
        values = padded[:-1, None] * (16 - step) + padded[1:, None] * step
        values = np.moveaxis(values.reshape(-1, *padded.shape[1:])[4:-4], 0, axis)
    return values.argmax(-1).astype(np.uint8)


def draw(kind, shape, rng):
    if kind == "bytes":
        return rng.integers(-128, 128, shape).astype(np.int8)
    if kind == "unsigned":
        return rng.integers(0, 256, shape).astype(np.uint8)
    if kind == "extremes":
        return rng.choice(np.array([-128, 127], np.int8), shape)
    if kind == "ties":
        return rng.integers(-1, 2, shape).astype(np.int8)
    if kind == "int16":
        return rng.integers(-32768, 32768, shape).astype(np.int16)
    if kind == "smooth":  # large areas of one class, as in streets
        small = rng.integers(-128, 128, (1 + shape[0] // 4, 1 + shape[1] // 4, shape[2]))
        return small.repeat(4, 0).repeat(4, 1)[: shape[0], : shape[1]].astype(np.int8)
    return rng.normal(0, 3, shape).astype(np.float32)


KINDS = ("bytes", "unsigned", "extremes", "ties", "int16", "smooth", "floats")


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_those_of_exact_interpolation(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(60):
        shape = (*rng.integers(1, 13, 2), rng.integers(1, 21))
        logits = draw(kind, shape, rng)
        found = upsampled_labels(logits)
        assert found.dtype == np.uint8
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, plain(logits))


def test_a_class_that_wins_no_corner_wins_inside():
    logits = np.array([[[9, 0, 8], [0, 9, 8]]], np.int8)  # 0 and 1 win the corners
    assert set(np.unique(upsampled_labels(logits))) == {0, 1, 2}


def test_256_classes_fit():
    logits = np.zeros((1, 2, 256), np.int8)
    logits[0, 1, 255] = 1
    np.testing.assert_array_equal(upsampled_labels(logits), plain(logits))
    assert upsampled_labels(logits)[0, -1] == 255


def test_padding_of_the_network_is_cut_off():
    logits = np.random.default_rng(0).integers(-9, 9, (12, 20, 5)).astype(np.int8)
    frame = LogitsFrame.of((90, 150))
    assert frame.padded == (96, 160)
    found = labels_from_logits(logits, frame, (90, 150))
    np.testing.assert_array_equal(found, plain(logits)[:90, :150])


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(NonFiniteLogits):
        labels_from_logits(np.full((4, 4, 3), np.nan, np.float32), (32, 32), (32, 32))


@pytest.mark.parametrize("kind", ["floats", "integers"])
@pytest.mark.parametrize("target", [(90, 150), (97, 161), (31, 300), (7, 5), (1, 1), (200, 129)])
def test_labels_of_other_sizes_are_the_argmax_of_interpolated_logits(kind, target):
    """Tiles against one product per axis; integers have ties between their sums."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(12, 20, 7)).astype(np.float32)
    if kind == "integers":
        logits = rng.integers(-3, 4, (12, 20, 7)).astype(np.int8)
    frame = LogitsFrame.of((96, 160))
    strips = logit_strips(logits, frame, target)
    expected = np.concatenate([strip.argmax(-1) for _, strip in strips])
    got = labels_from_logits(logits, frame, target)
    assert got.dtype == np.uint8
    assert np.array_equal(got, expected)
