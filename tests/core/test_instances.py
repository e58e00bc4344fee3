import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.core.labels import CAMVID, CITYSCAPES
from fastscnn_tf.core.scores.instances import MEAN_SIZES, InstanceCounts

PERSON, RIDER, CAR = (CITYSCAPES.names.index(name) for name in ("person", "rider", "car"))


def matrix_of(**cells):
    """A confusion matrix with a column for none; `car_person=2`: 2 pixels of car called person."""
    matrix = np.zeros((19, 20), np.int64)
    for names, count in cells.items():
        row, column = names.split("_")
        matrix[CITYSCAPES.names.index(row), CITYSCAPES.names.index(column)] = count
    return matrix


def test_worked_by_hand():
    """Two persons of 4 and 1 pixels; the small one is missed, and called a rider."""
    instances = np.array([[24000, 24001, 24001, 24001, 24001, 7, 26003]])
    instances[0, 0] = 24002
    predictions = np.array([[RIDER, PERSON, PERSON, PERSON, CAR, PERSON, CAR]], np.uint8)
    counts = InstanceCounts(CITYSCAPES)
    counts.add(instances, predictions)
    result = counts.scores(matrix_of(person_rider=1, person_person=3, person_car=1, road_person=1))
    size = MEAN_SIZES["person"]
    hits, misses = 3 * size / 4, 1 * size / 4 + size  # of the large, of both
    assert result.class_iiou["person"] == pytest.approx(hits / (hits + 1 + misses))
    assert result.class_iiou["rider"] == 0.0  # one false positive
    assert result.class_iiou["car"] == pytest.approx(MEAN_SIZES["car"] / (MEAN_SIZES["car"] + 1))
    assert result.class_iiou["bus"] is None
    # human: 3/4 and 1/1 are hits, 1/4 a miss, and one pixel of road is called human
    human = (3 / 4 + 1) * size / (2 * size + 1)
    assert result.category_iiou["human"] == pytest.approx(human)
    assert set(result.category_iiou) == {"human", "vehicle"}
    three = (result.class_iiou["person"] + result.class_iiou["car"]) / 3
    assert result.mean == pytest.approx(three)


def test_groups_and_unscored_classes_have_no_instances():
    """A label id alone is a group; 29 and 30 are caravans and trailers."""
    counts = InstanceCounts(CITYSCAPES)
    counts.add(np.array([[24, 26, 1000, 29001, 30001]]), np.full((1, 5), CAR, np.uint8))
    result = counts.scores(matrix_of())
    assert set(result.class_iiou.values()) == {None}
    assert result.mean is None


def test_an_unscored_vehicle_is_a_vehicle():
    instances = np.array([[26001, 26001]])
    counts = InstanceCounts(CITYSCAPES, extra=("vehicle",))
    counts.add(instances, np.array([[19, 255]], np.uint8))
    result = counts.scores(np.zeros((19, 21), np.int64))
    assert result.class_iiou["car"] == 0.0
    assert result.category_iiou["vehicle"] == 0.5


def test_other_classes_sizes_and_ids_are_refused():
    with pytest.raises(ConfigError, match="19 classes of Cityscapes; camvid has others"):
        InstanceCounts(CAMVID)
    counts = InstanceCounts(CITYSCAPES)
    with pytest.raises(DataError, match="differ"):
        counts.add(np.zeros((2, 2), int), np.zeros((2, 3), np.uint8))
    with pytest.raises(DataError, match="instance id 300000"):
        counts.add(np.array([[300000]]), np.zeros((1, 1), np.uint8))
