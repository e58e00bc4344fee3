"""Pruning: channels that give nothing go first and change nothing; the rest is as any network.

One trains on in `train/test_pretrain.py`.
"""

import json

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, ModelFileError
from fastscnn_tf.core.keras_api import tf_keras
from fastscnn_tf.model.complexity import complexity
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.importance import rectified
from fastscnn_tf.model.prune import prune
from fastscnn_tf.quantize.quantize_aware import quantize_aware
from tests.cli.test_network_commands import refused

SIZE = (96, 96)
FUSED = ("fusion.low", "fusion.high", "fusion.low_pointwise", "fusion.add")
INNER = [f"global_features.bottleneck{n}.depthwise" for n in ("1_2", "2_1")]
# One of each kind of fusion, pyramid and normalisation.
WIRINGS = ("paper", "tramac", "zh320", "kshitizrimal", "rachthree", "shrief")
NARROW = {"repeats": (2, 1, 1), "num_classes": 5}


def narrow(**changes):
    """Wide enough to be cut, small enough to be quick."""
    widths = {"stem_widths": (16, 16, 16), "head_widths": (32, 32, 24)}
    widths["bottleneck_widths"] = (16, 24, 32)
    return FastSCNNConfig(expansion=2, **{"input_size": SIZE, **NARROW, **widths, **changes})


def flatten(model, layer, channels, value=0.0):
    """Makes some channels of a batch normalisation the same value everywhere."""
    if found := next((x for x in model.layers if x.name == f"{layer}.bn"), None):
        gamma, beta, *rest = found.get_weights()
        gamma[channels], beta[channels] = 0, value
        found.set_weights([gamma, beta, *rest])


def idle(model, layer, channels):
    """Gives a batch normalisation the statistics of channels whose input was always zero."""
    found = next((x for x in model.layers if x.name == f"{layer}.bn"), None)
    if found is not None:
        gamma, beta, mean, variance = found.get_weights()
        _, *bias = model.get_layer(layer).get_weights()
        mean[channels], variance[channels] = bias[0][channels] if bias else 0, 0
        found.set_weights([gamma, beta, mean, variance])


def share(config, **changes):
    """What is left of the multiply-adds with some fields changed."""
    return complexity(config.replace(**changes)).macs / complexity(config).macs


def same_outputs(first, second, noise):
    images = noise(SIZE)
    outputs = (np.array(model(images, training=False)) for model in (first, second))
    return np.allclose(*outputs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset", WIRINGS)
def test_every_architecture_loses_the_channels_that_give_nothing(preset, randomise, noise):
    few = {"repeats": (1, 1, 1), "aux_heads": False, "input_size": SIZE}
    config = FastSCNNConfig.preset(preset, **few)
    model = randomise(fast_scnn(config))
    for layer in FUSED:
        flatten(model, layer, slice(5, 13))
    idle(model, "classifier.ds1_depthwise", slice(5, 13))
    first, second, third = config.head_widths
    expected = (first, second - 8, third)
    smaller = prune(model, share(config, head_widths=expected) + 1e-9)
    assert smaller.model.config.head_widths == expected
    assert smaller.widths["stem_widths"] == (config.stem_widths,) * 2
    assert same_outputs(model, smaller.model, noise)


def test_layers_that_are_added_lose_the_same_channels(randomise, noise):
    config = narrow()
    model = randomise(fast_scnn(config))
    dead = [0, 2, 3, 5, 8, 11, 12, 15]
    for block in ("1_1", "1_2"):
        flatten(model, f"global_features.bottleneck{block}.project", dead)
    # What is expanded is twice as wide. A constant channel is no loss: the bias takes it.
    for layer in INNER:
        flatten(model, layer, slice(3, 19), 0.4)
    expected = (8, 24, 32)
    smaller = prune(model, share(config, bottleneck_widths=expected) + 1e-9)
    assert smaller.widths["bottleneck_widths"] == ((16, 24, 32), expected)
    kept = [c for c in range(16) if c not in dead]
    name = "global_features.bottleneck1_2.project.bn"
    old, new = (m.get_layer(name).get_weights()[:2] for m in (model, smaller.model))
    assert np.array_equal(np.array(old)[:, kept], new)
    assert same_outputs(model, smaller.model, noise)


def test_what_matters_most_stays(randomise):
    """Of the stem's channels those with the larger scale, where all else is alike."""
    model = fast_scnn(narrow())
    gamma = np.linspace(0.1, 2, 16)[np.random.default_rng(0).permutation(16)]
    layer = model.get_layer("learning_to_downsample.ds1_depthwise.bn")
    layer.set_weights([gamma, *layer.get_weights()[1:]])
    reader = model.get_layer("learning_to_downsample.ds1_pointwise")
    reader.set_weights([np.ones_like(reader.get_weights()[0])])
    smaller = prune(model, share(model.config, stem_widths=(8, 16, 16)))
    assert smaller.widths["stem_widths"][1][0] == 8
    found = smaller.model.get_layer(layer.name).get_weights()[0]
    assert np.allclose(found, gamma[gamma > np.median(gamma)])


@pytest.mark.parametrize("widths", [(16, 24, 32), (16, 32, 32)])
def test_the_architecture_stays_as_it_is(widths, randomise):
    """Groups of one width have an addition between them, others none."""
    config = narrow(bottleneck_widths=widths, aux_heads=True)
    model = randomise(fast_scnn(config))
    for macs in (0.7, 0.4):
        smaller = prune(model, macs)
        assert smaller.macs[1] <= macs * smaller.macs[0]
        assert [x.name for x in smaller.model.layers] == [x.name for x in model.layers]
        counts = [n for _, after in smaller.widths.values() for n in np.atleast_1d(after)]
        assert all(n % 8 == 0 for n in counts[:-1])  # the last is a factor
        alone = smaller.model.config.replace(aux_heads=False)
        assert complexity(alone).macs == smaller.macs[1]
        assert complexity(alone).parameters == smaller.parameters[1]


@pytest.fixture(scope="module")
def aware(noise):
    """A quantization-aware model."""
    config = narrow(input_size=(32, 32), repeats=(1, 1, 1))
    return quantize_aware(fast_scnn(config), [noise((32, 32))])


def test_what_cannot_be_had_is_said(aware):
    model = fast_scnn(narrow())
    for wrong in (0, 1, 1.5, float("nan"), True, "0.7"):
        with pytest.raises(ConfigError, match=r"macs must be a share of 0\.01\.\.0\.99, got"):
            prune(model, wrong)
    with pytest.raises(ConfigError, match=r"macs 0\.01 is out of reach: at least 0\.\d+ stay") as e:
        prune(model, 0.01)
    least = float(str(e.value).split()[-3])
    assert prune(model, least).macs[1] <= least * prune(model, least).macs[0]
    with pytest.raises(ConfigError, match="prune takes a float model"):
        prune(aware, 0.9)
    with pytest.raises(ConfigError, match="prune takes a float model"):
        prune(fast_scnn(narrow(), tf_keras()), 0.9)
    with pytest.raises(ConfigError, match="expected a model, got a path"):
        prune("RUN", 0.9)
    layer = model.get_layer("fusion.low")
    layer.set_weights([np.full_like(w, np.nan) for w in layer.get_weights()])
    with pytest.raises(ModelFileError, match=r"'fusion\.low' are NaN"):
        prune(model, 0.9)


def test_moments_of_a_rectified_normal_distribution():
    rng = np.random.default_rng(0)
    mean, sigma = np.array([-2.0, -0.3, 0.0, 0.7, 3.0]), np.array([1.0, 0.5, 2.0, 1.5, 0.2])
    drawn = np.maximum(rng.normal(mean, sigma, (400_000, 5)), 0)
    found = rectified(mean, sigma**2)
    assert np.allclose(found, (drawn.mean(0), drawn.var(0)), rtol=0.02, atol=0.002)


@pytest.mark.convert
def test_from_a_run_to_a_file_for_devices(run_folder, tmp_path, run):
    small, result, file = (tmp_path / name for name in ("small.keras", "p.json", "small.tflite"))
    command = ["prune", run_folder, "--macs", "0.8", "--output", small]
    code, out, err = run(*command, "--dataset", "toy", "--json", result)
    assert (code, err) == (0, "")
    assert "multiply-adds" in out
    assert f"train --init-from {small}" in out
    found = json.loads(result.read_text())
    assert found["miou"]["after"] == fs.evaluate(small, "toy").miou
    assert found["miou"]["before"] == fs.evaluate(run_folder, "toy").miou
    assert run("export", small, "--recipe", "float16", "--output", file)[0] == 0
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    labels = fs.load_predictor(small).predict(image)
    assert np.mean(fs.Segmenter(file).predict(image) == labels) > 0.99
    refused(run(*command), "exists")


def test_bad_input_is_one_line(small_weights, aware, tmp_path, run):
    fs.save_model(aware, tmp_path / "aware.npz")
    output = tmp_path / "small.keras"
    command = ["prune", small_weights, "--output", output]
    for wrong in ("0", "1", "1.2", "nan", "lots"):
        code, _, err = run(*command, "--macs", wrong)
        assert (code, err.count("\n")) == (2, 1), err
    refused(run(*command, "--macs", "0.02"), "out of reach")
    refused(run(*command, "--size", "64x96"), "pass --dataset, too")
    refused(run("prune", small_weights, "--output", small_weights, "--force"), "is an input")
    refused(run("prune", small_weights, "--output", tmp_path / "m.tflite"), "must end in .keras")
    refused(run("prune", tmp_path / "aware.npz", "--output", output), "prune takes a float model")
    refused(run("prune", tmp_path / "no.keras", "--output", output), "no such model")
    other = tmp_path / "m.tflite"
    other.write_bytes(b"TFL3")
    refused(run("prune", other, "--output", output), "expected a .keras")
    assert not output.exists()
