import numpy as np
import pytest

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.labels import CITYSCAPES
from fastscnn_tf.core.scores.confusion import confusion_matrix, mean_of_known, scores


def test_matrix_and_scores_worked_by_hand():
    labels = np.array([[0, 0, 1, 255], [1, 1, 2, 255]], np.uint8)
    predictions = np.array([[0, 1, 1, 0], [1, 0, 0, 2]], np.uint8)
    matrix = confusion_matrix(labels, predictions, 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [1, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    result = scores(matrix)
    # class 0: 1 / (1 + 1 + 2), class 1: 2 / (2 + 1 + 1), class 2: 0 / 1, class 3 never occurs
    assert result.class_iou == (0.25, 0.5, 0.0, None)
    assert result.miou == pytest.approx(0.25)
    assert result.pixel_accuracy == pytest.approx(0.5)
    assert result.category_iou == {}
    assert result.category_miou is None


def test_every_score_of_one_matrix_worked_by_hand():
    matrix = np.array([[3, 1, 0], [0, 2, 2], [0, 0, 2]])
    result = scores(matrix, ("flat", "object", "object"))
    assert result.class_iou == (3 / 4, 2 / 5, 2 / 4)
    assert result.miou == pytest.approx(0.55)
    assert result.pixel_accuracy == 7 / 10
    assert result.class_accuracy == (3 / 4, 2 / 4, 2 / 2)
    assert result.mean_accuracy == pytest.approx(0.75)
    # 0.4 x 0.75 + 0.4 x 0.4 + 0.2 x 0.5
    assert result.frequency_weighted_iou == pytest.approx(0.56)
    # object: 6 of 4 + 2 pixels are hit, and 1 pixel of flat is called object
    assert result.category_iou == {"flat": 3 / 4, "object": 6 / 7}
    assert result.category_miou == pytest.approx((3 / 4 + 6 / 7) / 2)


def test_predictions_that_are_no_class_are_misses_and_no_false_positives():
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1, 255], np.uint8)
    predictions = np.array([0, 0, 255, 0, 1, 1, 1, 255, 255], np.uint8)
    matrix = confusion_matrix(labels, predictions, 2, extra=1)
    assert matrix.tolist() == [[2, 0, 1], [1, 3, 1]]
    result = scores(matrix, ("a", "a"))
    assert result.class_iou == (2 / 4, 3 / 5)
    assert result.pixel_accuracy == 5 / 8
    assert result.class_accuracy == (2 / 3, 3 / 5)
    assert result.category_iou == {"a": 6 / 8}


def test_unscored_classes_have_columns_of_their_own():
    labels, predictions = np.uint8([0, 0, 1, 1]), np.uint8([2, 255, 1, 2])
    matrix = confusion_matrix(labels, predictions, 2, extra=2)
    assert matrix.tolist() == [[0, 0, 1, 1], [0, 1, 1, 0]]
    with pytest.raises(DataError, match="prediction value 3"):
        confusion_matrix(labels, np.uint8([3, 0, 0, 0]), 2, extra=2)


def test_a_class_that_is_only_predicted_has_an_iou_but_no_accuracy():
    result = scores(np.array([[2, 2], [0, 0]]))
    assert result.class_iou == (0.5, 0.0)
    assert result.class_accuracy == (0.5, None)
    assert (result.miou, result.mean_accuracy) == (0.25, 0.5)


def test_nothing_to_score_gives_none():
    result = scores(np.zeros((3, 3), np.int64))
    assert result.miou is None
    assert result.pixel_accuracy is None
    assert result.mean_accuracy is None
    assert result.frequency_weighted_iou is None


def test_means_are_summed_one_by_one():
    """Ten times 0.1 is 0.9999999999999999 that way; numpy and Python 3.12 make it 1."""
    assert mean_of_known([None, *[0.1] * 10]) == 0.09999999999999999


def test_cityscapes_has_seven_categories():
    assert len(CITYSCAPES.categories) == len(CITYSCAPES)
    by_category = {c: CITYSCAPES.categories.count(c) for c in CITYSCAPES.categories}
    names = ("flat", "construction", "object", "nature", "sky", "human", "vehicle")
    assert by_category == dict(zip(names, (2, 3, 3, 2, 1, 2, 6), strict=True))


@pytest.mark.parametrize(
    ("label", "prediction"), [(3, 0), (0, 3), (254, 0), (0, 255)], ids=["l", "p", "254", "none"]
)
def test_values_out_of_range_are_refused(label, prediction):
    with pytest.raises(DataError, match="not below 3"):
        confusion_matrix(np.uint8([[label]]), np.uint8([[prediction]]), 3)


def test_shapes_must_agree():
    with pytest.raises(DataError, match="differ"):
        confusion_matrix(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 2)
