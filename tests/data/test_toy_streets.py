import numpy as np
import pytest

from fastscnn_tf.core.scores.confusion import confusion_matrix, scores
from fastscnn_tf.data.datasets.toy_streets import ToyStreets

SIZE = (128, 224)


def test_same_seed_same_scene():
    first, second = ToyStreets("train", SIZE).read(3), ToyStreets("train", SIZE).read(3)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_scenes_seeds_and_splits_differ():
    scene = ToyStreets("train", SIZE).read(3)[0]
    for other in (
        ToyStreets("train", SIZE).read(4),
        ToyStreets("val", SIZE).read(3),
        ToyStreets("train", SIZE, seed=1).read(3),
    ):
        assert not np.array_equal(scene, other[0])


def test_every_class_occurs():
    toy = ToyStreets("val", SIZE)
    seen = np.unique(np.concatenate([np.unique(toy.read(i)[1]) for i in range(len(toy))]))
    assert seen.tolist() == list(range(9))


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_single_pixel_colours_do_not_tell_the_class(balance):
    """A classifier by colour, fitted on the training scenes, stays under 0.45 mIoU."""
    bins = 24

    def cells(image):
        r, g, b = np.moveaxis(image.astype(int) * bins // 256, -1, 0)
        return (r * bins + g) * bins + b

    train, held_out = ToyStreets("train", SIZE), ToyStreets("val", SIZE)
    counts = np.zeros((bins**3, 9))
    for i in range(200):
        image, label = train.read(i)
        pairs = np.bincount((cells(image) * 9 + label).ravel(), minlength=counts.size)
        counts += pairs.reshape(counts.shape)
    frequency = counts.sum(0)
    # Colours never seen take the most frequent class; rarer classes are favoured by `balance`.
    classifier = ((counts + frequency / frequency.sum()) / frequency**balance).argmax(1)
    matrix = np.zeros((9, 9), np.int64)
    for i in range(len(held_out)):
        image, label = held_out.read(i)
        matrix += confusion_matrix(label, classifier[cells(image)].astype(np.uint8), 9)
    assert 0.1 < scores(matrix).miou < 0.45
