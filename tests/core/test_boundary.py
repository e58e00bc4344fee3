import math

import numpy as np
import pytest

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.scores.boundary import BoundaryCounts


def halves(edges):
    """A map of class 0 left of the edge in each row, and class 1 right of it."""
    return np.array([[0] * edge + [1] * (10 - edge) for edge in edges], np.uint8)


def scores_at(radius, labels, predictions, num_classes=2):
    tolerance = (radius - 0.5) / math.hypot(*labels.shape)  # rounded up to `radius` pixels
    counts = BoundaryCounts(num_classes, (tolerance,))
    counts.add(labels, predictions)
    return counts.scores()[0]


def test_worked_by_hand():
    truth, shifted = halves([5] * 5), halves([5, 5, 5, 7, 7])
    # Boundaries: truth (0..4, 4); prediction (0..2, 4), (2, 5), (2, 6), (3, 6), (4, 6).
    # Within 1 pixel, truth: all but (4, 4), 4 of 5; prediction: (0..2, 4), (2, 5), 4 of 7.
    result = scores_at(1, truth, shifted)
    assert result.class_f == pytest.approx((2 / 3, 2 / 3))  # 2 x 4 / (5 + 7)
    assert result.mean == pytest.approx(2 / 3)
    assert scores_at(2, truth, shifted).mean == 1.0


def test_a_shift_counts_until_the_tolerance_covers_it():
    assert scores_at(1, halves([5] * 5), halves([7] * 5)).mean == 0.0
    assert scores_at(2, halves([5] * 5), halves([7] * 5)).mean == 1.0


def test_the_tolerance_is_a_disk():
    labels = np.zeros((9, 9), np.uint8)
    predictions = labels.copy()
    labels[2, 2], predictions[4, 4] = 1, 1  # 2.83 pixels apart
    assert scores_at(2, labels, predictions).class_f[1] < 1
    assert scores_at(3, labels, predictions).class_f[1] == 1


def test_classes_without_boundary_are_left_out_or_counted_as_one():
    counts = BoundaryCounts(3, (0.01,))
    counts.add(halves([5] * 5), halves([5] * 5))
    counts.add(halves([5] * 5), halves([10] * 5))  # the prediction has no boundary
    counts.add(halves([10] * 5), halves([10] * 5))  # none at all
    result = counts.scores()[0]
    assert result.class_f == (0.5, 0.5, None)
    assert result.mean == 0.5
    assert result.mean_absent_as_one == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_void_is_background_of_both():
    """A boundary against void is in both maps, whatever was predicted there."""
    labels, predictions = halves([5] * 5), halves([9] * 5)
    labels[:, 5:] = 255
    assert scores_at(1, labels, predictions).class_f == (1.0, None)


def brute_force(labels, predictions, num_classes, radius):
    """The definition, pixel by pixel: F of each class, None without a boundary."""
    height, width = labels.shape

    def boundary(mask):
        found = []
        for y in range(height):
            for x in range(width):
                near = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
                if any(v < height and u < width and mask[v, u] != mask[y, x] for v, u in near):
                    found.append((y, x))
        return found

    def share(own, other):
        near = [any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in other) for y, x in own]
        return sum(near) / len(own)

    result = []
    for c in range(num_classes):
        truth = boundary((labels == c) & (labels != 255))
        found = boundary((predictions == c) & (labels != 255))
        if not truth or not found:
            result.append(0.0 if truth or found else None)
            continue
        recall, precision = share(truth, found), share(found, truth)
        total = recall + precision
        result.append(2 * recall * precision / total if total else 0.0)
    return result


@pytest.mark.parametrize("num_classes", [4, 40])  # 40: more than one word of bits
def test_agrees_with_the_definition(num_classes):
    rng = np.random.default_rng(num_classes)
    tolerances = (0.02, 0.05, 0.1)
    counts = BoundaryCounts(num_classes, tolerances)
    expected = [[] for _ in tolerances]
    for shape in ((17, 23), (20, 15)):
        labels = np.kron(rng.integers(0, num_classes, (5, 6)), np.ones((4, 4), int))[
            : shape[0], : shape[1]
        ].astype(np.uint8)
        labels[rng.random(labels.shape) < 0.1] = 255
        predictions = np.roll(labels, 2, 1)
        predictions[predictions == 255] = 0
        counts.add(labels, predictions)
        for found, tolerance in zip(expected, tolerances, strict=True):
            radius = math.ceil(tolerance * math.hypot(*labels.shape))
            found.append(brute_force(labels, predictions, num_classes, radius))
    for result, found in zip(counts.scores(), expected, strict=True):
        for c, value in enumerate(result.class_f):
            own = [image[c] for image in found if image[c] is not None]
            assert value == (pytest.approx(sum(own) / len(own)) if own else None)
        every = [1.0 if f is None else f for image in found for f in image]
        assert result.mean_absent_as_one == pytest.approx(np.mean(every))


def test_shapes_must_agree():
    with pytest.raises(DataError, match="differ"):
        BoundaryCounts(2).add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
