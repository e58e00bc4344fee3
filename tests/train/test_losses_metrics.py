import numpy as np
import pytest

from fastscnn_tf.core.keras_api import keras3, tf_keras
from fastscnn_tf.core.scores.confusion import confusion_matrix, scores
from fastscnn_tf.train.metrics import mean_iou


def example():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 8, 16, 4)).astype(np.float32)
    labels = rng.integers(0, 4, (2, 8, 16)).astype(np.uint8)
    labels[0, :3] = 255
    return labels, logits


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
