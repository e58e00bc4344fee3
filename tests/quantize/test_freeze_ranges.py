"""Activation ranges in fine-tuning: what they follow, and that they stay where they are to."""

import itertools

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.keras_api import keras3, tf_keras
from fastscnn_tf.model.folded import fold, load_folded
from fastscnn_tf.model.ranges import CONCAT, INPUT
from fastscnn_tf.quantize.calibrate import calibrate
from fastscnn_tf.quantize.freeze_ranges import frozen_epochs
from fastscnn_tf.quantize.qat_checkpoint import load_qat
from fastscnn_tf.quantize.qat_layers import EMA_DECAY
from fastscnn_tf.quantize.quantize_aware import folded_of, qat_model, set_ranges

SIZE = (64, 96)


@pytest.fixture(scope="module")
def network(randomise):
    """A folded network with the ranges of 12 images."""
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    config = fs.FastSCNNConfig.for_labels("toy", input_size=SIZE, **few)
    keras3().utils.set_random_seed(0)
    model = randomise(fs.fast_scnn(config))
    return calibrate(fold(model), pictures(config, 12))


def pictures(config, batch_size):
    data = fs.load_dataset("toy", split="train", config=config, batch_size=batch_size)
    return data.take(12 // batch_size)


@pytest.fixture(scope="module")
def only_model(network):
    return compiled(network)


@pytest.fixture
def start(only_model):
    """(network, rate) -> the one model with its weights and ranges: a step is traced but once."""

    def reset(network, rate=1e-3):
        for name, variables in only_model.blocks.weights.items():
            for variable, value in zip(variables, network.weights[name], strict=True):
                variable.assign(value)
        set_ranges(only_model, network.ranges)
        only_model.blocks.freeze(network.frozen)
        only_model.optimizer.learning_rate.assign(rate)
        return only_model

    return reset


def compiled(network):
    model = qat_model(network)
    model.compile(keras3().optimizers.SGD(1e-3), loss=fs.segmentation_loss)
    return model


def fitted(model, epochs, *callbacks, batch_size=4, first=0):
    """Trains; gives the folded network after each epoch."""
    seen = []
    look = tf_keras().callbacks.LambdaCallback(
        on_epoch_end=lambda *_: seen.append(folded_of(model))
    )
    model.fit(
        pictures(model.config, batch_size),
        initial_epoch=first,
        epochs=epochs,
        verbose=0,
        callbacks=[*callbacks, look],
    )
    return seen


def moved(before, after):
    """Names of the ranges that differ."""
    return {name for name, limits in after.ranges.items() if limits != before.ranges[name]}


def weights_moved(before, after):
    return any(
        not np.array_equal(kernel, before.weights[name][0])
        for name, (kernel, _) in after.weights.items()
    )


@pytest.mark.train
def test_the_last_epochs_hold_every_range_to_the_bit_and_train_the_weights(network, start):
    seen = [network, *fitted(start(network), 5, fs.freeze_ranges())]
    assert [n.frozen for n in seen] == [False, False, False, False, True, True]
    for before, after in itertools.pairwise(seen):
        assert weights_moved(before, after)
        if after.frozen:
            assert not moved(before, after)
        else:
            assert len(moved(before, after)) > len(network.ranges) / 2
            assert CONCAT in moved(before, after)
            assert INPUT not in moved(before, after)


@pytest.mark.parametrize(("last", "held"), [(0, 0), (1, 1), (3, 3)])
def test_any_number_of_epochs_may_be_held(network, start, last, held):
    seen = [network, *fitted(start(network), 3, fs.freeze_ranges(last))]
    still = [not moved(a, b) for a, b in itertools.pairwise(seen)]
    assert still == [False] * (3 - held) + [True] * held


@pytest.mark.train
def test_a_saved_model_knows_that_its_ranges_are_held(network, start, tmp_path):
    model = start(network)
    before = fitted(model, 1, fs.freeze_ranges(1))[-1]
    fs.save_model(model, tmp_path / "q.npz")
    assert load_folded(tmp_path / "q.npz").frozen
    again = compiled(load_folded(tmp_path / "q.npz"))
    assert not moved(before, fitted(again, 1)[-1])
    assert load_qat(tmp_path / "q.npz").blocks.frozen
    assert moved(before, fitted(again, 1, fs.freeze_ranges(0))[-1])
    assert not folded_of(again).frozen


def test_an_epochs_number_decides_and_not_how_many_were_seen(network, start):
    """`fit` that goes on at epoch 3 of 5 holds the ranges from epoch 3 on."""
    seen = [network, *fitted(start(network), 5, fs.freeze_ranges(2), first=3)]
    assert [n.frozen for n in seen[1:]] == [True, True]
    assert not moved(seen[0], seen[-1])


@pytest.mark.train
@pytest.mark.parametrize(("batch_size", "factor"), [(4, 0.5), (4, 2.0), (12, 2.0)])
def test_following_goes_where_calibration_would_go(network, start, batch_size, factor):
    """From ranges of half the width, and of twice; however many images a step sees."""
    wrong = {n: (factor * low, factor * high) for n, (low, high) in network.ranges.items()}
    wrong[INPUT] = network.ranges[INPUT]
    model, steps = start(network.replace(ranges=wrong), rate=1e-12), 60
    found = fitted(model, steps * batch_size // 12, batch_size=batch_size)[-1].ranges
    widths = {n: (high - low) / np.ptp(network.ranges[n]) for n, (low, high) in found.items()}
    assert widths.pop(INPUT) == 1
    expected = 1 + EMA_DECAY**steps * (factor - 1)
    assert np.median(list(widths.values())) == pytest.approx(expected, abs=0.05)
    assert widths[CONCAT] == pytest.approx(expected, abs=0.1)


def test_a_tensor_that_is_always_zero_keeps_its_range(network, start):
    name = "global_features.bottleneck1_1.expand"
    kernel, bias = network.weights[name]
    weights = {**network.weights, name: (np.zeros_like(kernel), np.zeros_like(bias))}
    before = network.replace(weights=weights, ranges={**network.ranges, name: (0.0, 1.0)})
    assert fitted(start(before), 2)[-1].ranges[name] == (0.0, 1.0)


def test_the_default_is_a_third_of_the_epochs():
    assert [frozen_epochs(n, None) for n in range(1, 11)] == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


@pytest.mark.parametrize("epochs", [-1, 1.5, True, "2"])
def test_what_is_no_number_of_epochs_is_refused(epochs):
    with pytest.raises(ConfigError, match="freeze_ranges must be at least 0, got"):
        fs.freeze_ranges(epochs)


def test_more_epochs_than_there_are_is_refused(network, start, run):
    with pytest.raises(ConfigError, match=r"freeze_ranges must be 0\.\.2"):
        fitted(start(network), 2, fs.freeze_ranges(3))
    options = ("--dataset", "toy", "--epochs", 2, "--output", "q", "--freeze-ranges")
    for given, said in ((3, "0..2, the number of epochs, got 3"), (-1, "at least 0, got -1")):
        code, _, err = run("quantize", "m.keras", *options, given)
        assert code == 2
        assert f"--freeze-ranges must be {said}" in err


def test_another_model_is_refused():
    keras = tf_keras()
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    with pytest.raises(ConfigError, match="a model that quantize_aware made"):
        model.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0, callbacks=[fs.freeze_ranges(1)])
