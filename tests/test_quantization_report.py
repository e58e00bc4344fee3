"""The report of what int8 costs: it finds faults, its figures hold, its files are whole."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, DataError, ModelFileError, OutputError
from fastscnn_tf.core.plots import pixels
from fastscnn_tf.data.pipeline import load_dataset
from fastscnn_tf.evaluation.evaluate import evaluate
from fastscnn_tf.export.export_tflite import export_tflite
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.folded import load_folded, save_folded
from fastscnn_tf.quantize.layer_report import OUTLIER
from fastscnn_tf.quantize.layer_stats import LayerComparison, weight_stats
from fastscnn_tf.reports.quantization_report_page import CSV, JSON
from fastscnn_tf.reports.quantization_reports import quantization_report

LAYERS = 46
SIZE = (64, 96)


@pytest.fixture
def copy(trained):
    model = fast_scnn(trained.config)
    model.set_weights(trained.get_weights())
    return model


@pytest.fixture
def small(randomise):
    few = {"width": 0.25, "repeats": (2, 1, 1), "pyramid_bins": (1, 2)}
    return randomise(fast_scnn(FastSCNNConfig.for_labels("toy", input_size=SIZE, **few)))


def report_of(model, images=4, **rest):
    return quantization_report(model, "toy", images=images, calibration_images=8, **rest)


def scale(layer, factor, channel=None):
    """Scales a layer's kernel, or one output channel of it."""
    values = layer.get_weights()
    depthwise = layer.name.endswith("depthwise")
    part = (..., channel, slice(None)) if depthwise else (..., channel)
    values[0][part if channel is not None else ...] *= factor
    layer.set_weights(values)


@pytest.fixture(scope="module")
def report(trained):
    return report_of(trained)


@pytest.mark.convert
def test_a_sound_network_has_no_findings(report):
    assert len(report.layers) == LAYERS
    assert sorted(layer.place for layer in report.layers) == list(range(LAYERS))
    assert all(layer.severity == 0 for layer in report.layers)
    assert 0.95 < report.agreement < 1
    assert report.sqnr_db > 20
    harms = [layer.harm for layer in report.layers]
    assert harms == sorted(harms, reverse=True)
    assert report.int8_miou is report.float_miou is None
    assert all(layer.hurts and layer.agreement_returned > 0 for layer in report.hurting)


def test_a_layer_is_not_named_where_the_agreement_gets_worse_without_it(report):
    """The divergence may shrink while cells lose float's class."""
    layers = tuple(
        dataclasses.replace(layer, harm=0.3, agreement_returned=gain)
        for layer, gain in zip(report.layers[:3], (-0.0001, 0.0, 0.0001), strict=True)
    )
    report = dataclasses.replace(report, layers=layers, agreement=0.99)
    assert [layer.hurts for layer in layers] == [False, False, True]
    name = layers[2].name
    assert report.to_dict()["hurting"] == [name]
    assert report.verdict() == (
        f"{name}: 30% of the harm; in float the agreement gains 0.01 of the 1.00 points that int8 "
        "loses"
    )
    wrong = dataclasses.replace(layers[0], findings=("it is wrong",), severity=1.0)
    report = dataclasses.replace(report, layers=(wrong, *layers[1:2]))
    assert report.verdict() == f"{wrong.name}: it is wrong"


@pytest.mark.convert
@pytest.mark.parametrize(
    "name",
    ["learning_to_downsample.ds2_depthwise", "pyramid.bin2", "fusion.low", "classifier.logits"],
)  # fmt: skip
def test_a_kernel_times_100_comes_first(small, name):
    """And the report leaves the model as it is."""
    scale(small.get_layer(name), 100)
    before = [w.copy() for w in small.get_weights()]
    worst, second = report_of(small).layers[:2]
    assert all(np.array_equal(a, b) for a, b in zip(before, small.get_weights(), strict=True))
    assert worst.name == name
    assert "times those of the other" in worst.findings[0]
    assert worst.severity > max(1, second.severity)


@pytest.mark.convert
def test_a_channel_times_100_comes_first_though_float_is_the_same(copy, noise):
    """What the next layer makes good in float costs int8 all its other channels."""
    name, behind = "learning_to_downsample.ds1_pointwise", "learning_to_downsample.ds2_depthwise"
    image = noise(copy.config.input_size, 1)
    before = np.asarray(copy(image, training=False))
    norm = copy.get_layer(f"{name}.bn")
    gamma, beta, mean, variance = norm.get_weights()
    channel = int(beta.argmax())  # one that its ReLU lets through
    mean[channel], beta[channel] = 100 * mean[channel], 100 * beta[channel]
    norm.set_weights([gamma, beta, mean, variance])
    scale(copy.get_layer(name), 100, channel)
    scale(copy.get_layer(behind), 1 / 100, channel)
    assert np.allclose(before, copy(image, training=False), atol=1e-3 * before.std())

    report = report_of(copy)
    worst = report.layers[0]
    assert worst.name == name
    assert worst.weights.spread > OUTLIER
    assert worst.activation.channel_levels < 8
    assert worst.harm == max(layer.harm for layer in report.layers)
    assert worst.harm > 0.5
    assert "one channel's weights are" in report.verdict().splitlines()[0]


@pytest.mark.convert
def test_weights_that_left_their_ranges_come_first(qat_folder, tmp_path):
    """A quantization-aware checkpoint whose kernel grew after its ranges were set."""
    network = load_folded(qat_folder / "best.npz")
    name = "global_features.bottleneck1_1.project"
    kernel, bias = network.weights[name]
    weights = {**network.weights, name: (100 * kernel, bias)}
    save_folded(network.replace(weights=weights), tmp_path / "q.npz")
    report = report_of(tmp_path / "q.npz")
    assert report.recipe == "int8-qat"
    assert report.ranges == "the model's own"
    assert report.layers[0].name == name
    assert report.layers[0].activation.clipped > 0.1
    assert any("beyond its range" in text for text in report.layers[0].findings)


@pytest.mark.convert
def test_scores_are_those_of_the_keras_model_and_of_its_tflite(trained, own_data, tmp_path):
    report = quantization_report(
        trained, "folder", own_data, calibration_images=4, sensitivity=True
    )
    assert report.images == 3
    calibration = load_dataset("folder", own_data, split="train", config=trained.config)
    path = tmp_path / "m.tflite"
    export_tflite(trained, path, "int8", calibration=calibration.take(4))
    assert report.int8_miou == evaluate(path, "folder", own_data).miou
    assert report.float_miou == pytest.approx(evaluate(trained, "folder", own_data).miou, abs=1e-3)
    assert all(layer.miou_returned is not None for layer in report.layers)
    assert "mIoU back" in report.text()


@pytest.mark.convert
def test_command_writes_the_report(run, run_folder, tmp_path):
    folder = tmp_path / "report"
    options = ("--dataset", "toy", "--images", 2, "--calibration-images", 4, "--output", folder)
    code, out, err = run("quantization-report", run_folder, *options)
    assert (code, err) == (0, "")
    assert "% of the cells float's class" in out
    assert out.splitlines()[-1] == str(folder / "report.html")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["harm.png", "layers.csv", "layers.png", "report.html", "report.json"]
    values = json.loads((folder / JSON).read_text())
    rows = list(csv.DictReader((folder / CSV).read_text().splitlines()))
    page = (folder / "report.html").read_text()
    assert [row["layer"] for row in rows] == [layer["name"] for layer in values["layers"]]
    assert len(rows) == LAYERS
    for row, layer in zip(rows, values["layers"], strict=True):
        assert float(row["harm_percent"]) == 100 * layer["harm"]
        assert (row["scale_max"] == "") == (layer["weights"] is None)
        assert layer["name"] in page
    assert values["recipe"] == "int8"
    assert values["ranges"] == "minmax over 4 images of train"
    assert "<script" not in page
    for name in ("harm.png", "layers.png"):
        assert pixels((folder / name).read_bytes()).std() > 5

    code, _, err = run("quantization-report", run_folder, *options)
    assert code == 2
    assert "is not empty" in err


def test_what_a_report_refuses(small, tmp_path, own_data):
    with pytest.raises(ModelFileError, match=r"m\.tflite: expected a \.keras"):
        (tmp_path / "m.tflite").write_bytes(b"TFL3")
        report_of(tmp_path / "m.tflite")
    with pytest.raises(ConfigError, match="'best': expected one of minmax"):
        report_of(small, calibration_method="best")
    with pytest.raises(DataError, match="at least one image, got 0"):
        report_of(small, images=0)
    with pytest.raises(OutputError, match="is not empty"):
        report_of(small, output=own_data)
    layer = small.get_layer("fusion.high")
    layer.set_weights([np.full(w.shape, np.nan) for w in layer.get_weights()])
    with pytest.raises(ModelFileError, match=r"weights of 'fusion\.high'"):
        report_of(small)


def test_sqnr_and_cosine_by_hand():
    compared = LayerComparison()
    assert compared.sqnr_db is compared.cosine is None
    for expected, got in (([3.0], [3.0]), ([4.0], [3.0])):
        compared.add(np.float32(expected), np.float32(got))
    assert compared.sqnr_db == pytest.approx(10 * np.log10(25 / 1))
    assert compared.cosine == pytest.approx(21 / (5 * np.sqrt(18)))


def test_kernel_statistics_by_hand():
    kernel = np.zeros((3, 3, 4, 1), np.float32)
    kernel[0, 0, :, 0], kernel[1, 1, :, 0] = (127, 254, 381, 1270), (0, -254, 0, 0)
    stats = weight_stats("x_depthwise", kernel)
    assert (stats.low, stats.high) == (-254, 1270)
    assert (stats.scale_min, stats.scale_median, stats.scale_max) == (1, 2.5, 10)
    assert (stats.spread, stats.sqnr_db) == (4, None)  # every weight lies on its grid
    assert stats.norm == pytest.approx((254 * np.sqrt(2) + 381) / 2)
