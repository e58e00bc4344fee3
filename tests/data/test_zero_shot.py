"""A Cityscapes model on data sets that share its classes: the scores of a perfect prediction."""

import numpy as np
import pytest
from miniature import MAKERS, TRAIN_IDS, grey

from fastscnn_tf.core.labels import CITYSCAPES, SYNPASS
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.scoring.protocol import evaluate_predictor


class Knows:
    """Predicts one label map of class indices, whatever it sees."""

    def __init__(self, labels, answer):
        self.labels, self.num_classes, self.answer = labels, len(labels), answer
        self.input_size = answer.shape

    def run(self, image):
        return np.float32(self.answer[..., None] == np.arange(self.num_classes))


@pytest.fixture
def data(tmp_path, request):
    MAKERS[request.param]().write(tmp_path)
    return open_dataset(request.param, tmp_path, "val")


@pytest.mark.parametrize("data", ["densepass", "densepass13"], indirect=True)
def test_densepass_in_both_label_spaces(data):
    """The answer is right in 19 classes, so it is in 13, where the train is void."""
    answer = grey(TRAIN_IDS, (25, 128))[1]
    result = evaluate_predictor(Knows(CITYSCAPES, answer), data)
    assert result.miou == 1
    assert data.protocol in result.protocol


@pytest.mark.parametrize("data", ["densepass13"], indirect=True)
def test_a_merged_class_cannot_be_confused_with_its_parts(data):
    """Rider for person and bus for car are right in 13 classes, road for sidewalk is not."""
    answer = grey(TRAIN_IDS, (25, 128))[1]
    for right, said in ((11, 12), (13, 15), (1, 0)):
        answer[answer == right] = said
    result = evaluate_predictor(Knows(CITYSCAPES, answer), data)
    scores = dict(result.class_iou)
    assert scores.pop("sidewalk") == 0
    assert scores.pop("road") == pytest.approx(0.5, abs=0.01)  # as many pixels of either
    assert set(scores.values()) == {1.0}


@pytest.mark.parametrize("data", ["dada-seg"], indirect=True)
def test_dada_seg_at_the_size_of_its_protocol(data):
    result = evaluate_predictor(Knows(CITYSCAPES, MAKERS["dada-seg"]().expected), data)
    assert result.pixel_accuracy == 1


@pytest.mark.parametrize("data", ["synpass13"], indirect=True)
def test_a_synpass_model_in_the_shared_classes(data):
    result = evaluate_predictor(Knows(SYNPASS, MAKERS["synpass"]().expected), data)
    assert result.miou == 1
