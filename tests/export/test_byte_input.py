"""int8 graphs with any normalisation, and graphs that pad."""

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.keras_api import keras3, tensorflow, tf_keras
from fastscnn_tf.core.presets import PRESETS
from fastscnn_tf.model.byte_input import border_colour, byte_range, byte_weights, centre
from fastscnn_tf.model.fast_scnn import fast_scnn, resize_model
from fastscnn_tf.model.folded import fold, on_bytes
from fastscnn_tf.model.tf_blocks import TFBlocks, image_bytes
from fastscnn_tf.model.topology import Conv
from fastscnn_tf.train.predictor import KerasPredictor

SMALL = {"width": 0.5, "repeats": (2, 1, 1)}  # every kind of layer, each once or twice
# A map of 4x5, which windows neither fill nor fit, with remainders and equal ones among the bins.
WINDOWS = {
    name: {"input_size": (128, 160)}
    for name in ("rachthree", "kshitizrimal", "kshitizrimal-notebook", "mindspore", "shrief")
}
WINDOWS["mindspore"] |= {"pyramid_windows": (9, 4, 2, 1)}
IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


@pytest.fixture(autouse=True)
def same_kernels():
    """The share of labels that int8 keeps depends on the kernels, which Keras draws."""
    keras3().utils.set_random_seed(0)


def pictures(size, count=4, seed=0):
    """Smooth images over the whole range of bytes."""
    tf = tensorflow()
    small = np.random.default_rng(seed).uniform(0, 256, (count, 6, 9, 3))
    return np.clip(np.rint(tf.image.resize(small, size, "bicubic").numpy()), 0, 255).astype("uint8")


def normalised(images, config):
    mean, std = np.float32(config.mean), np.float32(config.std)
    return ((images - mean) / std).astype(np.float32)


def test_grid_and_border_of_a_normalisation():
    assert centre(FastSCNNConfig()) == 128
    assert byte_range(FastSCNNConfig()) == (-1.0, 127 / 128)
    assert border_colour(FastSCNNConfig()) is None
    assert byte_range(FastSCNNConfig(mean=(100.0,) * 3)) == (-100 / 128, 155 / 128)
    config = FastSCNNConfig(**IMAGENET)
    assert (border_colour(config) * 128).tolist() == [-4.0, -12.0, -24.0]
    assert border_colour(FastSCNNConfig.preset("paddleseg")) is None  # 127.5 rounds to 128


@pytest.mark.parametrize("stem", ["same", "symmetric", "valid"])
def test_first_layer_is_exact_inside_and_within_half_a_grey_level_at_the_border(stem, randomise):
    """On a constant image, in float arithmetic: what the framing alone changes."""
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    config = FastSCNNConfig(3, (64, 96), stem_padding=stem, **few, **IMAGENET)
    model = randomise(fast_scnn(config))
    name = "learning_to_downsample.conv"
    head = keras3().Model(model.inputs, model.get_layer(f"{name}.relu").output)
    image = np.full((1, 64, 96, 3), (200, 30, 90), np.uint8)
    expected = np.asarray(head([normalised(image, config)]))
    network = on_bytes(fold(model))
    data = image_bytes(tensorflow().constant(normalised(image, config)), config)
    got = TFBlocks(network).conv(data, Conv(name, 8, 3, stride=2, padding=stem)).numpy()
    difference = np.abs(got - expected)[0]
    assert difference[1:-1, 1:-1].max() < 1e-4
    kernel = fold(model).weights[name][0]
    half = (np.abs(kernel) * (0.5 / np.float32(config.std))[:, None]).sum((0, 1, 2))
    assert (difference <= half + 1e-4).all()
    if stem == "valid":
        assert difference.max() < 1e-4


def test_weights_for_bytes_worked_by_hand():
    config = FastSCNNConfig(mean=(128.0, 64.0, 0.0), std=(128.0, 64.0, 32.0))
    kernel = np.ones((1, 1, 3, 1))
    scaled, bias = byte_weights(kernel, np.array([0.5]), config)
    assert scaled.ravel().tolist() == [1.0, 2.0, 4.0]
    # (128 - mean) / std summed: 0 + 1 + 4
    assert bias.tolist() == [5.5]


def assert_only_int8(result, config):
    """No float tensor, and nothing changes its scale but what has to."""
    ops = result.graph.ops
    assert result.graph.float_tensors == 0
    resizes = ops["RESIZE_BILINEAR"], ops.get("RESIZE_NEAREST_NEIGHBOR", 0)
    nearest = "fusion" in config.nearest
    assert resizes == (1 + len(config.pyramid_bins) - nearest, int(nearest))
    clamps = config.fusion_order == "depthwise_first" and not nearest
    assert (ops["QUANTIZE"], ops.get("DEQUANTIZE", 0)) == (2 + clamps, 0)
    first, *inside, last = [change.reason for change in fs.inspect(result.path).scale_changes]
    assert first == "uint8 to int8 at the graph's input: the same values 128 apart"
    assert last == "int8 to uint8 at the graph's output: the same values 128 apart"
    for reason in inside:
        assert reason.startswith("cuts off what is below 0, as a RELU behind RESIZE_BILINEAR")


@pytest.mark.convert
@pytest.mark.parametrize("name", [n for n in PRESETS if n not in ("gluon", "skywa7ch3r")])
def test_int8_of_every_preset(name, randomise, tmp_path):
    """PTQ and QAT: no float inside, and the QAT model computes its file's integers.

    Without its auxiliary heads gluon's network is tramac's; skywa7ch3r's is the notebook's.
    """
    changes = WINDOWS.get(name, {"input_size": (64, 96)})
    config = FastSCNNConfig.preset(name, **{"num_classes": 5, **SMALL, **changes})
    model = randomise(fast_scnn(config))
    images = pictures(config.input_size)
    qat = fs.quantize_aware(model, [normalised(images, config)])
    norm = tf_keras().layers.BatchNormalization
    assert not [layer for layer in qat.submodules if isinstance(layer, norm)]
    assert len(qat.trainable_variables) == 2 * len(qat.blocks.weights)  # kernels and biases
    turned = config.input_size[::-1]  # for one of both: they have the same graph
    for recipe, source, size in (("int8", model, turned), ("int8-qat", qat, None)):
        path, calibration = tmp_path / f"{recipe}.tflite", normalised(pictures(turned), config)
        result = fs.export_tflite(source, path, recipe, size=size, calibration=[calibration])
        assert_only_int8(result, config)
    segmenter, predictor = fs.Segmenter(tmp_path / "int8-qat.tflite"), KerasPredictor(qat)
    assert segmenter.frame == predictor.frame
    for image in images:
        steps = predictor.run(image) - segmenter.run(image)
        steps -= np.median(steps)  # the zero point
        assert np.abs(steps).max() <= 1
        assert np.mean(steps != 0) < 0.001
    ptq, images = fs.Segmenter(tmp_path / "int8.tflite"), pictures(turned)
    expected = np.asarray(resize_model(model, turned)(normalised(images, config))).argmax(-1)
    got = np.stack([ptq.predict(image) for image in images])
    assert np.mean(got == expected) > 0.9


@pytest.mark.convert
@pytest.mark.parametrize(
    ("size", "every"), [((60, 90), ("logits-full", "prob")), ((64, 70), ("logits", "labels"))]
)
@pytest.mark.parametrize("name", ["paper", "mmseg", "tramac"])
def test_padding_is_excluded_from_the_result(name, size, every, randomise, tmp_path):
    """The same as padding by hand with the mean colour and cropping; int8 at one of the sizes."""
    config = FastSCNNConfig.preset(name, num_classes=5, input_size=(64, 96), **SMALL)
    model = randomise(fast_scnn(config))
    images = pictures(size)
    small = resize_model(model, size, pad=True)
    padded = np.zeros((len(images), 64, 96, 3), np.float32)
    padded[:, : size[0], : size[1]] = normalised(images, config)
    expected = np.asarray(model(padded))[:, : size[0], : size[1]]
    got = np.asarray(small(normalised(images, config)))
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < 1e-4 * expected.std()
    labels = expected.argmax(-1)
    for outputs in every:
        path = tmp_path / f"{outputs}.tflite"
        fs.export_tflite(model, path, "float32", outputs, size=size, pad=True)
        segmenter = fs.Segmenter(path)
        assert segmenter.input_size == size
        assert np.mean(segmenter.predict(images[0]) == labels[0]) > 0.999
    if size == (64, 70):
        return
    calibration = [normalised(pictures((64, 96)), config)]
    qat = fs.quantize_aware(model, calibration)
    fs.export_tflite(qat, tmp_path / "q.tflite", "int8-qat", size=size, pad=True)
    got = fs.Segmenter(tmp_path / "q.tflite").predict(images[0])
    assert np.mean(got == labels[0]) > 0.9


def test_sizes_are_refused_without_pad(randomise):
    model = fast_scnn(FastSCNNConfig(3, (64, 96), **SMALL, pyramid_bins=(1, 2)))
    with pytest.raises(
        fs.FastSCNNError, match=r"64 or 96, or for inference pad \(--pad, pad=True\)"
    ):
        resize_model(model, (90, 96))
    with pytest.raises(fs.FastSCNNError, match="at least 1 pixel, got 0"):
        resize_model(model, (0, 96), pad=True)


@pytest.mark.convert
@pytest.mark.parametrize("name", ["fusion.low_depthwise", "classifier.ds1_pointwise"])
def test_a_layer_that_is_always_zero_does_not_break_int8(name, randomise, tmp_path):
    config = FastSCNNConfig(3, (64, 96), **SMALL, pyramid_bins=(1, 2))
    model = randomise(fast_scnn(config))
    norm = model.get_layer(f"{name}.bn")
    gamma, beta, mean, variance = norm.get_weights()
    norm.set_weights([gamma * 0, beta * 0 - 1.0 * ("point" in name), mean, variance])
    images = [normalised(pictures((64, 96)), config)]
    for outputs in ("logits", "labels"):
        path = tmp_path / f"{outputs}.tflite"
        fs.export_tflite(model, path, "int8", outputs, calibration=images)
        assert np.isfinite(fs.Segmenter(path).run(pictures((64, 96))[0])).all()
