import numpy as np
import pytest

from fastscnn_tf.core.scores import confusion_matrix, scores
from fastscnn_tf.keras_api import keras3, tf_keras
from fastscnn_tf.train.losses import segmentation_loss
from fastscnn_tf.train.metrics import mean_iou


def example():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 8, 16, 4)).astype(np.float32)
    labels = rng.integers(0, 4, (2, 8, 16)).astype(np.uint8)
    labels[0, :3] = 255
    return labels, logits


def cross_entropy(labels, logits):
    valid = labels != 255
    chosen = np.take_along_axis(logits, np.where(valid, labels, 0)[..., None].astype(int), -1)
    return (np.log(np.exp(logits).sum(-1)) - chosen[..., 0])[valid].mean()


def test_loss_is_cross_entropy_over_what_is_not_void():
    labels, logits = example()
    expected = cross_entropy(labels, logits.astype(np.float64))
    assert float(segmentation_loss(labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_loss_of_nothing_but_void_is_zero():
    labels, logits = example()
    assert float(segmentation_loss(np.full_like(labels, 255), logits)) == 0.0


def test_smaller_logits_read_the_label_at_cell_centres():
    labels, _ = example()
    logits = np.random.default_rng(1).normal(size=(2, 2, 4, 4)).astype(np.float32)
    expected = cross_entropy(labels[:, 2::4, 2::4], logits.astype(np.float64))
    assert float(segmentation_loss(labels, logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("keras", [keras3, tf_keras], ids=["keras3", "tf_keras"])
def test_metric_agrees_with_the_confusion_matrix(keras):
    labels, logits = example()
    metric = mean_iou(4, keras())
    for half in (slice(0, 1), slice(1, 2)):
        metric.update_state(labels[half], logits[half])
    matrix = confusion_matrix(labels, logits.argmax(-1).astype(np.uint8), 4)
    assert float(metric.result()) == pytest.approx(scores(matrix).miou, rel=1e-5)
    metric.reset_state()
    assert float(metric.result()) == 0.0
