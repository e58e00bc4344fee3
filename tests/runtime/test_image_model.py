"""Images in, label maps out: by weights of a name, of any kind of image, and how sure."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core import named_weights
from fastscnn_tf.core.errors import ConfigError, DataError, ModelFileError


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def camvid():
    return fs.Segmenter("camvid")


def test_weights_by_name_are_the_shipped_files(camvid):
    assert camvid.path.name == "fastscnn_camvid_int8.tflite"
    assert fs.Segmenter("camvid-float16").path.name == "fastscnn_camvid_float16.tflite"
    assert isinstance(fs.load_predictor("camvid"), fs.Segmenter)
    assert fs.inspect("camvid", load=False).path == str(camvid.path)
    assert fs.load_model("camvid").config.class_names == camvid.labels.names
    assert fs.load_predictor("camvid", size=(64, 96)).input_size == (64, 96)  # Keras' file
    assert fs.Segmenter("camvid-0.5").path.name == "fastscnn_camvid_0.5_int8.tflite"
    for width in (0.5, 1.5):
        assert fs.load_model(f"camvid-{width}").config.width == width
        name = f"fastscnn_camvid_{width}_float16.tflite"
        assert fs.Segmenter(f"camvid-{width}-float16").path.name == name


def test_terms_are_said_once(caplog):
    named_weights._say_terms.cache_clear()
    with caplog.at_level(logging.INFO, "fastscnn_tf"):
        fs.Segmenter("camvid"), fs.Segmenter("camvid")
    assert caplog.messages == [
        "camvid: weights trained on CamVid, for research only (CC BY-NC 4.0)"
    ]


def test_what_lies_here_counts_before_a_name(tmp_path, monkeypatch, tflite_files):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "camvid").mkdir()  # a data set
    assert fs.Segmenter("camvid").num_classes == 11
    (tmp_path / "camvid" / "best.keras").touch()  # a run
    with pytest.raises(ModelFileError, match=r"camvid/best\.keras"):
        fs.load_model("camvid")
    (tmp_path / "camvid-float16").write_bytes(tflite_files["float32", "logits"].read_bytes())
    assert fs.Segmenter("camvid-float16").num_classes == 9


@pytest.mark.parametrize("name", ["cityscapes", "camvid-0.7", "CamVid-0.5-int8"])
def test_other_names_are_told_which_there_are(name):
    with pytest.raises(ModelFileError, match="no such model file; weights by name: camvid, camvid"):
        fs.load_model(name)
    with pytest.raises(ModelFileError, match="weights by name: camvid"):
        fs.evaluate("cityscapes", "toy")
    with pytest.raises(
        ModelFileError, match=r"is a \.tflite, to be run; camvid-1\.5 has the Keras"
    ):
        fs.load_model("camvid-1.5-float16")


def test_without_their_files_the_place_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(named_weights, "_CHECKOUT", tmp_path)
    with pytest.raises(ModelFileError, match=r"camvid: the weights of this name are not there \(/"):
        fs.Segmenter("camvid")


def test_images_of_every_kind(camvid, image):
    expected = camvid.predict(image)
    png = io.BytesIO()
    Image.fromarray(image).save(png, "PNG")
    alpha = np.full((50, 70, 1), 255, np.uint8)
    for same in (np.concatenate([image, alpha], 2), png.getvalue(), png):
        png.seek(0)
        assert np.array_equal(camvid.predict(same), expected)
    grey = image[..., 0]
    expected = camvid.predict(grey.repeat(3).reshape(image.shape))
    for same in (grey, grey[..., None], Image.fromarray(grey)):
        assert np.array_equal(camvid.predict(same), expected)
    clear = np.concatenate([image, 0 * alpha], 2)
    assert np.array_equal(camvid.predict(clear), camvid.predict(0 * image))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"no image", "the image's bytes: "),
        (np.zeros((8, 8, 2), np.uint8), r"RGB, .* or \(H, W\) grey, got \(8, 8, 2\) of uint8"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"got \(2, 8, 8, 3\) of uint8"),
        (3, "expected an array, a Pillow image, the path of an image or its bytes, got int"),
    ],
)
def test_no_images(camvid, image, message):
    with pytest.raises(DataError, match=message):
        camvid.predict(image)


@pytest.mark.parametrize("recipe", ["float32", "int8-qat"])
@pytest.mark.parametrize("fit", ["resize", "letterbox"])
def test_confidence_is_the_winners_softmax(tflite_files, image, recipe, fit):
    segmenter = fs.Segmenter(tflite_files[recipe, "logits"])
    labels, sure = segmenter.predict(image, fit=fit, confidence=True)
    assert np.array_equal(labels, segmenter.predict(image, fit=fit))
    assert (sure.shape, sure.dtype) == ((50, 70), np.float32)
    seen = fs.fitted(image, segmenter.input_size, fit, segmenter.mean_color)
    placed, frame = seen.placed(segmenter.run(seen.image), segmenter.frame)
    whole = np.concatenate([strip for _, strip in fs.logit_strips(placed, frame, (50, 70))])
    values = np.exp((whole - whole.max(-1, keepdims=True)) * segmenter.logit_scale)
    np.testing.assert_allclose(sure, (values / values.sum(-1, keepdims=True)).max(-1), atol=1e-5)


def test_confidence_of_probabilities_and_of_label_maps(tflite_files, image):
    _, sure = fs.Segmenter(tflite_files["float32", "prob"]).predict(image, confidence=True)
    _, expected = fs.Segmenter(tflite_files["float32", "logits"]).predict(image, confidence=True)
    assert np.abs(sure - expected).mean() < 0.02  # interpolated after the softmax, and before it
    with pytest.raises(ConfigError, match=r"confidence needs logits, the output of .* is labels"):
        fs.Segmenter(tflite_files["float32", "labels"]).predict(image, confidence=True)


def test_a_keras_model_does_the_same(trained, tflite_files, image):
    keras, segmenter = fs.load_predictor(trained), fs.Segmenter(tflite_files["float32", "logits"])
    labels, sure = keras.predict(image, confidence=True)
    expected, sure_there = segmenter.predict(image, confidence=True)
    assert np.mean(labels == expected) > 0.999
    np.testing.assert_allclose(sure, sure_there, atol=1e-3)
    assert np.array_equal(next(keras.stream([image])), labels)
    assert repr(keras) == "<KerasPredictor of a Keras model: 96x160, 9 classes, logits>"


def test_overlay_and_what_it_says_of_itself(camvid, image):
    labels = camvid.predict(image)
    expected = fs.overlay(image, labels, camvid.labels)
    assert np.array_equal(camvid.overlay(image), expected)
    assert np.array_equal(camvid.overlay(image, labels, opacity=0), image)
    text = "<Segmenter of fastscnn_camvid_int8.tflite: 448x608, 11 classes, logits>"
    assert repr(camvid) == text


def test_a_segmenter_says_what_runs_keras_models(trained, run_folder):
    keras = (trained, "FastSCNN"), (run_folder / "best.keras", r"\S+best\.keras")
    for model, what in (*keras, (run_folder, r"\S+shared-float"), (5, "int")):
        message = f"expected the path of a .tflite or .onnx, got {what}: a Keras model is converted"
        with pytest.raises(ConfigError, match=message):
            fs.Segmenter(model)
