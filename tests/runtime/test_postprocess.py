"""Labels at any size, against interpolation of all logits in float64."""

import numpy as np
import pytest

from fastscnn_tf.core.errors import NonFiniteLogits
from fastscnn_tf.core.images.interpolation import ALIGNED, HALF_PIXEL, NEAREST, interpolation_matrix
from fastscnn_tf.runtime.postprocess import LogitsFrame, labels_from_logits, logit_tiles


def interpolated(logits, frame, target):
    """(target, classes) float64: to the padded size, cut, to the target."""
    matrices = []
    for n, padded, model, wanted in zip(
        logits.shape[:2], frame.padded, frame.size, target, strict=True
    ):
        first = interpolation_matrix(n, padded, frame.sampling)[:model].astype(np.float64)
        second = interpolation_matrix(model, wanted) if model != wanted else np.eye(model)
        matrices.append(second @ first)
    return np.einsum("Yy,Xx,yxk->YXk", *matrices, logits, optimize=True)


def streets(shape, rng):
    """Large areas of one class, as in streets, with noise on top."""
    height, width, classes = shape
    small = rng.integers(-100, 100, (1 + height // 4, 1 + width // 4, classes))
    coarse = small.repeat(4, 0).repeat(4, 1)[:height, :width]
    return (coarse + rng.integers(-20, 20, shape)).astype(np.int8)


@pytest.mark.parametrize("sampling", [HALF_PIXEL, ALIGNED, NEAREST])
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
def test_labels_are_those_of_float64(size, target, sampling):
    rng, frame = np.random.default_rng(0), LogitsFrame.of(size, sampling)
    shape = tuple(n // 8 for n in frame.padded)
    for logits in (
        streets((*shape, 7), rng),
        rng.integers(0, 256, (*shape, 5)).astype(np.uint8),
        rng.normal(0, 3, (*shape, 4)).astype(np.float32),
        rng.integers(-2, 2, (*shape, 1)).astype(np.int16),
    ):
        found = labels_from_logits(logits, frame, target)
        values = interpolated(logits, frame, target)
        assert found.shape == target
        assert found.dtype == np.uint8
        got = np.take_along_axis(values, found[..., None].astype(int), -1)[..., 0]
        missed = found != values.argmax(-1)
        assert (values.max(-1) - got)[missed].max(initial=0) < 1e-4 * values.std() + 1e-9


def test_sums_that_float32_holds_are_exact():
    """At twice the size all weights are dyadic: ties must go to the lowest index."""
    rng, frame = np.random.default_rng(0), LogitsFrame.of((64, 96))
    logits = rng.integers(-1, 2, (8, 12, 6)).astype(np.int8)
    values = interpolated(logits, frame, (128, 192))
    expected = (values > values.max(-1, keepdims=True) - 1e-9).argmax(-1)
    np.testing.assert_array_equal(labels_from_logits(logits, frame, (128, 192)), expected)


@pytest.mark.parametrize("target", [(120, 160), (360, 480), (720, 960)])
def test_what_is_left_out_changes_nothing(target):
    """Tiles within one class, and classes that cannot win."""
    logits, frame = streets((44, 60, 11), np.random.default_rng(0)), LogitsFrame.of((352, 480))
    expected = np.empty(target, np.uint8)
    for place, tile in logit_tiles(logits, frame, target):
        expected[place] = tile.argmax(0)
    np.testing.assert_array_equal(labels_from_logits(logits, frame, target), expected)


def test_logits_that_are_not_finite_are_refused():
    logits = np.full((8, 12, 3), np.inf, np.float32)
    with pytest.raises(NonFiniteLogits):
        labels_from_logits(logits, (64, 96), (512, 1024))
