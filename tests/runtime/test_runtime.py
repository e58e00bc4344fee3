"""The runtime: exact interpolation, robust inputs, broken files, no TensorFlow."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import ConfigError, DataError, ModelFileError, NonFiniteLogits
from fastscnn_tf.core.images.visualize import legend, overlay
from fastscnn_tf.core.labels import TOY_STREETS
from fastscnn_tf.data.datasets.dataset import SegmentationDataset
from fastscnn_tf.evaluation.evaluate import evaluate
from fastscnn_tf.runtime.benchmark import benchmark
from fastscnn_tf.runtime.postprocess import labels_from_logits, labels_from_output
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.scoring.protocol import evaluate_predictor


@pytest.mark.parametrize("target", [(96, 160), (90, 170), (200, 100), (7, 5)])
def test_interpolation_is_tensorflows(target):
    import tensorflow as tf

    logits = np.random.default_rng(0).normal(size=(12, 20, 5)).astype(np.float32)
    full = tf.image.resize(logits, (96, 160))
    expected = tf.image.resize(full, target).numpy()
    got = labels_from_logits(logits, (96, 160), target)
    assert got.dtype == np.uint8
    assert np.mean(got == expected.argmax(-1)) > 0.9999


def test_lowest_index_wins_a_tie():
    assert (labels_from_logits(np.ones((4, 4, 3)), (32, 32), (30, 31)) == 0).all()


def test_label_maps_are_resized_nearest():
    labels = np.array([[0, 7], [3, 8]], np.uint8)
    assert set(np.unique(labels_from_output(labels, (2, 2), (9, 7)))) == {0, 3, 7, 8}


class Perfect(SegmentationDataset):
    """Two images of odd sizes whose labels the predictor below knows."""

    name, split, labels = "perfect", "val", TOY_STREETS

    def __len__(self):
        return 2

    def sample_name(self, index):
        return str(index)

    def read_image(self, index):
        image = np.zeros((64 + index, 96, 3), np.uint8)
        image[:, 48:] = 200
        return image

    def read_label(self, index):
        label = np.zeros((64 + index, 96), np.uint8)
        label[:, 48:] = 1
        label[0] = 255
        return label


class Threshold:
    input_size, num_classes = (64, 96), 9

    def run(self, image):
        logits = np.zeros((*image.shape[:2], 9), np.float32)
        logits[..., 0], logits[..., 1] = 100, image[..., 0]
        return logits


def test_every_image_counts_at_its_own_size():
    result = evaluate_predictor(Threshold(), Perfect())
    assert result.images == 2
    assert result.miou == pytest.approx(1.0, abs=1e-3)
    assert result.scores.matrix.sum() == 63 * 96 + 64 * 96  # void rows are not scored
    assert result.class_iou["sky"] is None
    assert "100.0" in result.table()


def test_classes_must_fit():
    other = Threshold()
    other.num_classes = 11
    with pytest.raises(ConfigError, match="the model has 11 classes but toy has 9"):
        evaluate_predictor(other, Perfect())


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (333, 77), (96, 160)])
def test_images_of_any_size(tflite_files, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for outputs in ("logits", "labels"):
        labels = Segmenter(tflite_files["int8-qat", outputs]).predict(image)
        assert labels.shape == size
        assert labels.dtype == np.uint8
        assert labels.max() < 9


def test_arrays_files_and_pillow_images_agree(tflite_files, tmp_path):
    segmenter = Segmenter(tflite_files["int8", "logits"])
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "straße.png")
    expected = segmenter.predict(image)
    for other in (tmp_path / "straße.png", str(tmp_path / "straße.png"), Image.fromarray(image)):
        assert np.array_equal(segmenter.predict(other), expected)


@pytest.mark.parametrize("array", [np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_are_refused(tflite_files, array):
    with pytest.raises(DataError, match="expected an image of uint8"):
        Segmenter(tflite_files["int8", "logits"]).predict(array)


def test_wrong_sizes_and_threads_are_refused(tflite_files):
    path = tflite_files["int8", "logits"]
    with pytest.raises(DataError, match="expected an image of"):
        Segmenter(path).run(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ConfigError, match="at least 1x1"):
        Segmenter(path).predict(np.zeros((8, 8, 3), np.uint8), size=(0, 3))
    with pytest.raises(ConfigError, match="threads"):
        Segmenter(path, threads=100_000)


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(NonFiniteLogits):
        labels_from_logits(np.full((2, 2, 3), np.nan, np.float32), (16, 16), (16, 16))


def test_broken_files_are_named(tflite_files, tmp_path):
    content = tflite_files["int8", "logits"].read_bytes()
    cases = {"empty": b"", "text": b"not a model at all", "half": content[: len(content) // 2]}
    cases["tail"] = content[:-5000]
    for name, broken in cases.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(broken)
        with pytest.raises(ModelFileError, match=rf"{name}\.tflite: "):
            Segmenter(path)
    with pytest.raises(ModelFileError, match="no such"):
        Segmenter(tmp_path / "missing.tflite")


def test_scores_of_keras_and_float_tflite_agree(run_folder, tflite_files):
    keras = evaluate(run_folder / "best.keras", "toy")
    tflite = evaluate(tflite_files["float32", "logits"], "toy")
    assert tflite.miou == pytest.approx(keras.miou, abs=1e-4)
    assert json.loads(json.dumps(tflite.to_dict()))["images"] == 60


def test_device_commands_run_without_tensorflow(tflite_files, tmp_path):
    """The runtime with every training package blocked: evaluate, predict, benchmark."""
    Image.new("RGB", (70, 50), (90, 90, 90)).save(tmp_path / "street.jpg")
    code = f"""
import sys
class Block:
    def find_spec(self, name, *rest):
        top = name.split(".")[0]
        if top in ("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization"):
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Block())
import fastscnn_tf as fs
model, folder = {str(tflite_files["int8-qat", "logits"])!r}, {str(tmp_path)!r}
assert fs.evaluate(model, "toy", split="test").images == 60
assert fs.Segmenter(model).predict(folder + "/street.jpg").shape == (50, 70)
from fastscnn_tf.cli.main import main
for arguments in (["benchmark", model, "--runs", "2"], ["predict", model, folder, "--output",
                  folder + "/out"]):
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code == 0, arguments
assert not {{"tensorflow", "keras", "tf_keras"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "out" / "street_overlay.png").exists()


def test_benchmark_reports_what_it_measured(tflite_files):
    result = benchmark(tflite_files["int8", "logits"], threads=1, runs=3, warmup=1)
    assert result["runs"] == 3
    assert 0 < result["latency_ms"]["min"] <= result["latency_ms"]["median"]
    assert result["latency_ms"]["median"] <= result["latency_ms"]["p90"]
    with pytest.raises(ConfigError, match="runs"):
        benchmark(tflite_files["int8", "logits"], runs=0)


def test_overlay_and_legend():
    image = np.full((2, 2, 3), 100, np.uint8)
    labels = np.array([[0, 4], [255, 5]], np.uint8)
    shown = overlay(image, labels, TOY_STREETS, 0.5)
    assert shown[0, 1].tolist() == [85, 115, 140]  # halfway to sky
    assert shown[1, 0].tolist() == [100, 100, 100]  # void stays
    assert legend(TOY_STREETS).shape[2] == 3


def test_a_large_overlay_is_that_of_its_rows():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (600, 1000, 3), np.uint8)  # more than is mixed at once
    labels = rng.integers(0, len(TOY_STREETS), image.shape[:2], np.uint8)
    rows = [overlay(image[i : i + 1], labels[i : i + 1], TOY_STREETS) for i in range(len(image))]
    assert np.array_equal(overlay(image, labels, TOY_STREETS), np.concatenate(rows))
