"""What a Keras model takes: normalised images, or bytes as they are."""

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.keras_api import keras3

CONFIG = FastSCNNConfig(
    num_classes=4,
    input_size=(64, 96),
    width=0.25,
    repeats=(1, 1, 1),
    pyramid_bins=(1, 2),
    mean=(100.0, 120.0, 130.0),
    std=(60.0, 50.0, 40.0),
)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model(randomise):
    return randomise(fs.fast_scnn(CONFIG))


def test_normalised_as_training_does(images, model):
    expected = (images - np.float32(CONFIG.mean)) / np.float32(CONFIG.std)
    for given in (images, images.astype(np.int64), images.astype(float)):
        got = fs.preprocess_input(given, model)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected)
    tensor = fs.preprocess_input(keras3().ops.convert_to_tensor(images), CONFIG)
    np.testing.assert_allclose(np.asarray(tensor), expected, atol=1e-6)
    assert fs.preprocess_input(np.full(3, 192)).tolist() == [0.5] * 3


@pytest.mark.parametrize("kind", ["Keras 3", "quantization-aware"])
def test_a_model_given_bytes_normalises_them(images, model, kind):
    given = fs.preprocess_input(images, model)
    network = model if kind == "Keras 3" else fs.quantize_aware(model, [given])
    expected = network.predict(given, verbose=0)
    for integers in (images, images.astype(np.int32)):
        np.testing.assert_allclose(network.predict(integers, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(np.asarray(network(images)), expected, atol=1e-5)


@pytest.mark.parametrize("given", ["bytes", "floats"])
def test_a_training_step_uses_the_statistics_of_its_batch(images, given):
    model = fs.fast_scnn(CONFIG)
    before = [layer.get_weights()[2] for layer in model.layers if layer.name.endswith(".bn")]
    model.compile("sgd", loss=fs.segmentation_loss)
    batch = images if given == "bytes" else fs.preprocess_input(images, model)
    model.train_on_batch(batch, np.zeros((2, 64, 96), np.uint8))
    after = [layer.get_weights()[2] for layer in model.layers if layer.name.endswith(".bn")]
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_calibration_takes_bytes_too(images, model, tmp_path):
    for name, batch in (("bytes", images), ("floats", fs.preprocess_input(images, model))):
        fs.export_tflite(model, tmp_path / f"{name}.tflite", "int8", calibration=[batch])
    first, second = (fs.Segmenter(tmp_path / f"{n}.tflite") for n in ("bytes", "floats"))
    assert np.array_equal(first.run(images[0]), second.run(images[0]))


def test_other_classes_keep_all_but_the_logits(model, tmp_path):
    fs.save_model(model, tmp_path / "m.keras")
    new = fs.load_model(tmp_path / "m.keras", num_classes=5)
    assert new.output_shape == (None, 64, 96, 5)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    for layer in new.layers:
        for value, old in zip(layer.get_weights(), before[layer.name], strict=True):
            if layer.name != "classifier.logits":
                np.testing.assert_array_equal(value, old)
            else:
                assert value.shape[-1] == 5
    same = fs.load_model(tmp_path / "m.keras", num_classes=4)
    np.testing.assert_array_equal(same.get_weights()[-1], model.get_weights()[-1])
    with pytest.raises(ConfigError, match=r"num_classes must be 2\.\.254, got 1"):
        fs.load_model(tmp_path / "m.keras", num_classes=1)
