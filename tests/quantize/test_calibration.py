"""Calibration methods: what they make of a tensor's values, and what they refuse."""

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.export.export_tflite import export_tflite
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.folded import fold
from fastscnn_tf.model.ranges import INPUT
from fastscnn_tf.model.tf_blocks import logits_of
from fastscnn_tf.quantize.calibrate import calibrate
from fastscnn_tf.quantize.clipping import METHODS, mse_range, percentile_range, squared_error
from fastscnn_tf.quantize.histogram import BINS, Histogram

SIZE = (64, 96)


@pytest.fixture(scope="module")
def model(randomise):
    keras3().utils.set_random_seed(0)
    config = FastSCNNConfig.for_labels("toy", input_size=SIZE, width=0.25, repeats=(1, 1, 1))
    return randomise(fast_scnn(config))


def filled(*parts):
    histogram = Histogram()
    for part in parts:
        histogram.add(np.asarray(part, np.float32))
    return histogram


@pytest.mark.parametrize("scales", [(1.0,), (1e-3, 1.0, 40.0), (40.0, 1e-3), (1e-30, 1e30)])
def test_histogram_counts_every_value_however_it_grows(scales):
    rng = np.random.default_rng(0)
    parts = [(scale * rng.normal(size=(3, 1000))).astype(np.float32) for scale in scales]
    histogram = filled(*parts, np.zeros(7))
    values = np.sort(np.concatenate([np.ravel(part) for part in (*parts, np.zeros(7))]))
    middles, counts = histogram.values()
    assert histogram.total == counts.sum() == values.size
    assert histogram.zeros == 7 == counts[middles == 0.0].sum()
    assert (histogram.low, histogram.high) == (values[0], values[-1])
    width = 2 * np.abs(values).max() / (BINS / 2)
    for share in (0.0, 0.001, 0.3, 0.5, 0.999, 1.0):
        expected = values[min(int(share * values.size), values.size - 1)]
        assert histogram.quantile(share) == pytest.approx(expected, abs=width)


def test_histogram_of_nothing_but_zeros():
    histogram = filled(np.zeros(5), np.zeros(3))
    assert histogram.quantile(0.5) == 0.0
    assert mse_range(histogram) == percentile_range(histogram) == (0.0, 0.0)


def test_percentile_leaves_out_one_value_in_ten_thousand():
    values = np.linspace(-1, 3, 100_001)
    values[:5], values[-5:] = -50.0, 70.0
    low, high = percentile_range(filled(values))
    assert low == pytest.approx(-1 + 4e-4, abs=0.02)
    assert high == pytest.approx(3 - 4e-4, abs=0.02)


def test_mse_finds_the_best_clip_of_one_end():
    rng = np.random.default_rng(1)
    values = (np.maximum(rng.laplace(size=50_000), 0) ** 2).astype(np.float32)
    low, high = mse_range(filled(values))
    exact, ones = values.astype(np.float64), np.ones(values.size)
    tried = np.linspace(0.1, 1, 91) * float(values.max())
    errors = [squared_error(exact, ones, 0.0, end) for end in tried]
    assert low == 0.0
    assert 0.1 < high / values.max() < 0.98
    assert squared_error(exact, ones, 0.0, high) <= 1.01 * min(errors)
    assert min(errors) < errors[-1]


def test_mse_weighs_an_outlier_against_the_steps_of_all():
    """Of n values in -1..1 and one of 9, with h the end: n ((1 + h) / 255)^2 / 12 + (9 - h)^2."""
    rng = np.random.default_rng(2)
    values = rng.uniform(-1, 1, 200_000)
    cost = values.size / (12 * 255**2)
    low, high = mse_range(filled(values, [9.0]))
    assert low == pytest.approx(-1, abs=0.03)
    assert high == pytest.approx((9 - cost) / (1 + cost), abs=0.1)
    assert mse_range(filled(values)) == (pytest.approx(-1, abs=0.02), pytest.approx(1, abs=0.02))


def test_squared_error_by_hand():
    """Steps of 1 from -55 to 200: 0.25 is rounded away, 203 is cut to 200."""
    values, counts = np.array([-60.0, 0.0, 0.25, 100.0, 203.0]), np.array([1, 9, 2, 5, 1])
    assert squared_error(values, counts, -55.0, 200.0) == 25.0 + 2 * 0.0625 + 9.0


def test_methods_narrow_the_ranges_and_keep_the_bytes(model, noise):
    batches = [noise(SIZE, 2, seed) for seed in range(2)]
    network = fold(model)
    seen: dict = {}
    for images in batches:
        logits_of(network, images, lambda n, x: seen.setdefault(n, []).append(x.numpy()))
    ranges = {m: calibrate(network, iter(batches), method=m).ranges for m in METHODS}
    assert ranges["minmax"] == calibrate(network, batches).ranges
    assert ranges["minmax"] != ranges["percentile"] != ranges["mse"]
    for found in ranges.values():
        assert set(found) == set(ranges["minmax"])
        assert found[INPUT] == (-1.0, 127 / 128)
    for name in ("learning_to_downsample.conv", "pyramid.concat", "classifier.logits"):
        values = np.concatenate([x.ravel() for x in seen[name]])
        low, high = ranges["percentile"][name]
        span = float(np.ptp(values))
        ends = np.quantile(values, (1e-4, 1 - 1e-4), method="inverted_cdf")
        expected = min(ends[0], 0), ends[1]
        assert (low, high) == pytest.approx(expected, abs=span / 250)
        low, high = ranges["mse"][name]
        assert values.min() - 1e-6 <= low <= 0 < high <= values.max() + 1e-6


@pytest.mark.convert
def test_export_takes_the_method(model, noise, tmp_path):
    from fastscnn_tf.runtime.segmenter import Segmenter

    images = [noise(SIZE, 24)]  # of fewer logits than 10,000 a percentile can be the extremes
    scales = []
    for method in METHODS:
        path = tmp_path / f"{method}.tflite"
        export_tflite(model, path, "int8", calibration=images, calibration_method=method)
        scales.append(Segmenter(path).logit_scale)
        low, high = calibrate(fold(model), images, method=method).ranges["classifier.logits"]
        assert scales[-1] == pytest.approx((high - low) / 255, rel=1e-5)
    assert len(set(scales)) == 3


def test_what_calibration_refuses(model, noise, tmp_path):
    network = fold(model)
    good = noise(SIZE)
    with pytest.raises(DataError, match="at least one image, got none"):
        calibrate(network, [], method="mse")
    with pytest.raises(DataError, match="images are 32x64, the network takes 64x96: resize"):
        calibrate(network, [good, noise((32, 64))])
    with pytest.raises(DataError, match="NaN or infinity"):
        calibrate(network, [np.where(good > 0.9, np.nan, good)])
    with pytest.raises(DataError, match=r"bytes or floats, got bool \(2, 64, 96, 3\)"):
        calibrate(network, [np.zeros((2, *SIZE, 3), bool)])
    with pytest.raises(DataError, match=r"values -2.* are not normalised as the model does it"):
        calibrate(network, [good * 2])
    with pytest.raises(ConfigError, match="'entropy': expected one of minmax, percentile, mse"):
        calibrate(network, [good], method="entropy")
    with pytest.raises(ConfigError, match="'kl'"):
        export_tflite(model, tmp_path / "m.tflite", "float32", calibration_method="kl")
    assert not list(tmp_path.iterdir())
