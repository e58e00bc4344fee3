import numpy as np
import pytest

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.scores import confusion_matrix, scores


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


def test_nothing_to_score_gives_none():
    result = scores(np.zeros((3, 3), np.int64))
    assert result.miou is None
    assert result.pixel_accuracy is None


@pytest.mark.parametrize(
    ("label", "prediction"), [(3, 0), (0, 3), (254, 0)], ids=["label", "prediction", "254"]
)
def test_values_out_of_range_are_refused(label, prediction):
    with pytest.raises(DataError, match="not below 3"):
        confusion_matrix(np.uint8([[label]]), np.uint8([[prediction]]), 3)


def test_shapes_must_agree():
    with pytest.raises(DataError, match="differ"):
        confusion_matrix(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 2)
