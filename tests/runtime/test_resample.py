"""Labels at any size, against interpolation of all logits in float64."""

import numpy as np
import pytest

from fastscnn_tf.core.errors import NonFiniteLogits
from fastscnn_tf.core.interpolation import interpolation_matrix
from fastscnn_tf.runtime import postprocess
from fastscnn_tf.runtime.postprocess import LogitsFrame, labels_from_logits
from fastscnn_tf.runtime.resample import Taps, resampled_labels


def matrices(shape, frame, target):
    """Both axes of the chain: to the padded size, cut, to the target."""
    for n, padded, model, wanted in zip(shape, frame.padded, frame.size, target, strict=True):
        first = interpolation_matrix(n, padded, frame.aligned)[:model].astype(np.float64)
        yield first if model == wanted else interpolation_matrix(model, wanted) @ first


def taps(shape, frame, target):
    """What `resampled_labels` is told of the same."""
    for axis in zip(shape, frame.padded, frame.size, target, strict=True):
        yield Taps.chain(*axis, frame.aligned)


def streets(shape, rng):
    """Large areas of one class, as in streets, with noise on top."""
    height, width, classes = shape
    small = rng.integers(-100, 100, (1 + height // 4, 1 + width // 4, classes))
    coarse = small.repeat(4, 0).repeat(4, 1)[:height, :width]
    return (coarse + rng.integers(-20, 20, shape)).astype(np.int8)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(
    ("size", "target"),
    [
        ((96, 160), (200, 333)),
        ((96, 160), (97, 161)),
        ((90, 150), (240, 401)),  # a network that pads
        ((96, 160), (31, 1200)),
        ((96, 160), (40, 60)),
        ((32, 32), (65, 70)),
    ],
)
def test_labels_are_those_of_float64(size, target, aligned):
    rng, frame = np.random.default_rng(0), LogitsFrame.of(size, aligned)
    shape = tuple(n // 8 for n in frame.padded)
    rows, columns = matrices(shape, frame, target)
    for logits in (
        streets((*shape, 7), rng),
        rng.integers(0, 256, (*shape, 5)).astype(np.uint8),
        rng.normal(0, 3, (*shape, 4)).astype(np.float32),
        rng.integers(-2, 2, (*shape, 1)).astype(np.int16),
    ):
        found = resampled_labels(logits, *taps(shape, frame, target))
        values = np.einsum("Yy,Xx,yxk->YXk", rows, columns, logits, optimize=True)
        expected = values.argmax(-1)
        assert found.shape == target
        assert found.dtype == np.uint8
        missed = found != expected
        ahead = (
            values.max(-1) - np.take_along_axis(values, found[..., None].astype(int), -1)[..., 0]
        )
        assert ahead[missed].max(initial=0) < 1e-4 * values.std() + 1e-9


def test_sums_that_float32_holds_are_exact():
    """At twice the size all weights are dyadic: ties must go to the lowest index."""
    rng, frame = np.random.default_rng(0), LogitsFrame.of((64, 96))
    logits = rng.integers(-1, 2, (8, 12, 6)).astype(np.int8)
    rows, columns = matrices((8, 12), frame, (128, 192))
    values = np.einsum("Yy,Xx,yxk->YXk", rows, columns, logits, optimize=True)
    expected = (values > values.max(-1, keepdims=True) - 1e-9).argmax(-1)
    found = resampled_labels(logits, *taps((8, 12), frame, (128, 192)))
    np.testing.assert_array_equal(found, expected)


def test_taps_by_hand():
    once = Taps.chain(2, 4, 4, 4, aligned=False)
    assert once.reach == 2
    assert once.first.tolist() == [0, 0, 0, 0]
    assert once.weights[:, 1].tolist() == [0, 0.25, 0.75, 1]
    assert Taps.chain(3, 6, 6, 6, aligned=False).starts.tolist() == [0, 3]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(
    "axis", [(44, 352, 352, 720), (12, 96, 90, 37), (4, 32, 32, 3), (1, 8, 8, 9)]
)
def test_taps_are_the_rows_of_the_matrix(axis, aligned):
    source, padded, model, target = axis
    found = Taps.chain(*axis, aligned)
    matrix = np.zeros((target, source), np.float32)
    for i in range(found.reach):
        matrix[np.arange(target), found.first + i] = found.weights[:, i]
    first = interpolation_matrix(source, padded, aligned)[:model]
    np.testing.assert_allclose(matrix, interpolation_matrix(model, target) @ first, atol=1e-6)
    assert found.reach <= 3 or model > target * 2


@pytest.mark.parametrize("target", [(360, 480), (720, 960)])
def test_both_ways_give_the_same(monkeypatch, target):
    logits, frame = streets((44, 60, 11), np.random.default_rng(0)), LogitsFrame.of((352, 480))
    found = []
    for limit in (1, 1 << 60):
        monkeypatch.setattr(postprocess, "BLOCK_ROW", limit)
        found.append(labels_from_logits(logits, frame, target))
    assert np.mean(found[0] != found[1]) < 1e-5


def test_logits_that_are_not_finite_are_refused():
    logits = np.full((8, 12, 3), np.inf, np.float32)
    with pytest.raises(NonFiniteLogits):
        labels_from_logits(logits, (64, 96), (512, 1024))
