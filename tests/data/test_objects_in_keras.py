"""Data as people hold them, in what trains, scores and calibrates: the same as by name."""

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.core.keras_api import tensorflow
from fastscnn_tf.model.folded import fold
from fastscnn_tf.quantize.calibrate import calibrate

COUNT = 6


@pytest.fixture(scope="module")
def data(config):
    return fs.open_dataset("toy", split="val", size=config.input_size)[:COUNT]


@pytest.fixture(scope="module")
def model(small_weights):
    return fs.load_model(small_weights)


def forms(data, config):
    """Name -> a function that gives the pairs in a form that people hold, anew each time."""
    tf = tensorflow()
    images, labels = (np.stack(part) for part in zip(*data, strict=True))

    def pairs():
        yield from zip(images, labels, strict=True)

    kinds = tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((None, None), tf.uint8)
    return {
        "arrays": lambda: (images, labels),
        "generator": pairs,
        "tf.data": lambda: tf.data.Dataset.from_tensor_slices((images, labels)),
        "tf.data in batches": lambda: tf.data.Dataset.from_tensor_slices((images, labels)).batch(4),
        "tf.data without a length": lambda: tf.data.Dataset.from_generator(
            pairs, output_signature=kinds
        ),
        "what load_dataset returned": lambda: fs.load_dataset(data, config=config, batch_size=4),
        "what load_pydataset returned": lambda: fs.load_pydataset(
            data, config=config, batch_size=4
        ),
    }


FORMS = (
    *("arrays", "generator", "tf.data", "tf.data in batches", "tf.data without a length"),
    *("what load_dataset returned", "what load_pydataset returned"),
)


@pytest.fixture(scope="module")
def usual(data, model, config):
    """The batch and the scores of the data set itself."""
    given = fs.load_dataset(data, config=config, batch_size=COUNT)
    return next(iter(given)), fs.evaluate(model, data)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_trains_scores_and_calibrates_alike(data, model, config, form, usual):
    made = forms(data, config)[form]
    images, labels = next(iter(fs.load_dataset(made(), config=config, batch_size=COUNT)))
    (expected, expected_labels), usual = usual
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(labels, expected_labels)
    scored = fs.evaluate(model, made())
    assert scored.images == COUNT
    assert (scored.miou, scored.class_iou) == (usual.miou, usual.class_iou)


def test_calibration_needs_images_alone(data, model):
    aware = fs.quantize_aware(model, calibration=data)
    images = [data.read_image(index) for index in range(COUNT)]
    for source in (images, np.stack(images), fs.load_dataset(data, config=model.config)):
        ranges = calibrate(fold(model), source).ranges  # as `quantize_aware` does
        for name, limits in aware.blocks.ranges.items():
            expected = [float(limits[end]) for end in ("min_var", "max_var")]
            assert ranges[name] == pytest.approx(expected)
    with pytest.raises(DataError, match=r"expected images.*got int"):
        fs.quantize_aware(model, calibration=3)


def test_what_belongs_to_names_is_refused(data, model, config):
    tf = tensorflow()
    with pytest.raises(ConfigError, match="data_dir is for data sets by name"):
        fs.evaluate(model, data, "CamVid")
    with pytest.raises(ConfigError, match="are for data sets by name"):
        fs.load_dataset(data, "CamVid", config=config)
    with pytest.raises(ConfigError, match="'toy' has its own classes"):
        fs.evaluate(model, "toy", classes=["a", "b"])
    with pytest.raises(DataError, match="repeats for ever"):
        fs.evaluate(model, tf.data.Dataset.from_tensors(data[0]).repeat())
    with pytest.raises(DataError, match="it has no pairs"):
        fs.evaluate(model, iter([]))
    with pytest.raises(DataError, match=r"\[1\]: an image without a label map"):
        fs.evaluate(model, iter([data[0], data[0][0]]))
