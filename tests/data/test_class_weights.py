"""Weights of the classes of a data set, counted by hand."""

import numpy as np
import pytest

from fastscnn_tf.data.class_weights import training_class_weights
from fastscnn_tf.data.datasets.toy_streets import ToyStreets


class TwoMaps(ToyStreets):
    """Class 0 on 3 and 2 of 4 pixels, class 1 on 1 and 0, the rest is void."""

    def __len__(self):
        return 2

    def read_label(self, index):
        return np.array([[[0, 0], [0, 1]], [[0, 0], [255, 255]]][index], np.uint8)


@pytest.fixture
def data():
    return TwoMaps("train", (64, 96))


def test_enet_weights_of_all_label_maps(data):
    weights = training_class_weights(data, "enet")
    assert weights[:2] == pytest.approx((1 / np.log(1.02 + 5 / 6), 1 / np.log(1.02 + 1 / 6)))
    assert weights[2:] == (0.0,) * 7  # classes that never occur


def test_median_weights_count_the_maps_in_which_a_class_occurs(data):
    median = (5 / 6 + 1 / 4) / 2
    weights = training_class_weights(data, "median")
    assert weights[:2] == pytest.approx((median / (5 / 6), median / (1 / 4)))


def test_none(data):
    assert training_class_weights(data, "none") is None
