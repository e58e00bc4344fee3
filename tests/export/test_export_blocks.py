"""The exported graph's rewrites compute what the topology says."""

from pathlib import Path

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.images.image_file import read_image, resize_image
from fastscnn_tf.core.keras_api import keras3, tensorflow
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.export import export_tflite as exporting
from fastscnn_tf.export.export_blocks import kernel_of_pairs
from fastscnn_tf.export.export_tflite import export_tflite
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.tf_blocks import TFBlocks
from fastscnn_tf.runtime.native import interpreter
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.file import graph_summary

IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


def test_kernel_of_pairs_by_hand():
    kernel = np.arange(9.0).reshape(3, 3, 1, 1)
    pairs = kernel_of_pairs(kernel)
    assert pairs.shape == (3, 2, 2, 1)
    assert pairs[0, :, :, 0].tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("height", [10, 11])
def test_pairs_are_the_convolution(padding, height):
    tf, rng = tensorflow(), np.random.default_rng(0)
    x = rng.integers(-128, 128, (1, height, 12, 3)).astype(np.float64)
    kernel = rng.integers(-127, 128, (3, 3, 3, 5)).astype(np.float64)
    expected = tf.nn.conv2d(x, kernel, 2, padding)
    pairs = x.reshape(1, height, 6, 6)
    got = tf.nn.conv2d(pairs, kernel_of_pairs(kernel), [1, 2, 1, 1], padding)
    np.testing.assert_array_equal(got, expected)


def plainly(monkeypatch, *arguments, **options):
    """An export without the rewrites."""
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "ExportBlocks", TFBlocks)
        return export_tflite(*arguments, **options)


@pytest.mark.convert
@pytest.mark.parametrize(
    ("stem", "normalisation", "rewritten"),
    [
        ("same", {}, True),
        ("same", IMAGENET, True),  # framed by the mean colour
        ("symmetric", {}, False),  # XNNPACK takes the PAD into the convolution: left alone
        ("symmetric", IMAGENET, True),
        ("valid", IMAGENET, True),
    ],
)
def test_int8_logits_are_the_same_bytes(
    stem, normalisation, rewritten, randomise, noise, tmp_path, monkeypatch
):
    keras3().utils.set_random_seed(0)
    config = FastSCNNConfig(
        num_classes=5,
        input_size=(64, 96),
        stem_padding=stem,
        width=0.5,
        repeats=(2, 1, 1),
        **normalisation,
    )
    model = randomise(fast_scnn(config))
    options = {"recipe": "int8", "calibration": [noise(config.input_size)]}
    fast = export_tflite(model, tmp_path / "fast.tflite", **options)
    plain = plainly(monkeypatch, model, tmp_path / "plain.tflite", **options)
    assert fast.graph.ops.get("RESHAPE", 0) == rewritten
    assert "RESHAPE" not in plain.graph.ops
    first, second = Segmenter(fast.path), Segmenter(plain.path)
    for i in range(4):
        image = ToyStreets("val", config.input_size).read_image(i)
        np.testing.assert_array_equal(first.run(image), second.run(image))
    opened = interpreter(fast.path.read_bytes(), 2, {})
    assert "DELEGATE" in {op["op_name"] for op in opened._get_ops_details()}


@pytest.mark.convert
def test_int8_logits_are_the_same_bytes_on_real_pictures(camvid_dir, tmp_path, monkeypatch):
    """The shipped weights at their size, on images from a camera."""
    from fastscnn_tf.data.pipeline import load_dataset
    from fastscnn_tf.evaluation.evaluate import load_model

    model = load_model(Path(__file__).parents[2] / "tflite" / "fastscnn_camvid.keras")
    images = load_dataset("camvid", camvid_dir, split="train", config=model.config, batch_size=1)
    options = {"recipe": "int8", "calibration": images.take(4)}
    fast = export_tflite(model, tmp_path / "fast.tflite", **options)
    plain = plainly(monkeypatch, model, tmp_path / "plain.tflite", **options)
    assert graph_summary(fast.path.read_bytes()).ops["RESHAPE"] == 1
    first, second = Segmenter(fast.path), Segmenter(plain.path)
    for path in sorted((camvid_dir / "val").iterdir())[:8]:
        image = resize_image(read_image(path), model.config.input_size)
        np.testing.assert_array_equal(first.run(image), second.run(image))
