"""The moving average against its recurrence, and in the life of a run."""

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.keras_api import keras3, tf_keras
from fastscnn_tf.train.ema import ema_for

BOTH = pytest.mark.parametrize("keras", [keras3, tf_keras], ids=["keras3", "tf_keras"])
BATCH, BATCHES = 4, 6


def data():
    rng = np.random.default_rng(0)
    return rng.normal(2.0, 3.0, (BATCH * BATCHES, 5)).astype(np.float32), rng.normal(
        size=(BATCH * BATCHES, 2)
    ).astype(np.float32)


def small_model(keras, units=2):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((5,)), layers.BatchNormalization(momentum=0.5), layers.Dense(units)]
    )
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss="mse")
    return model


def fit(model, *callbacks, epochs=1):
    images, targets = data()
    options = {"shuffle": False, "verbose": 0, "callbacks": list(callbacks)}
    model.fit(images, targets, BATCH, epochs, **options)


def recorder(keras):
    """Keeps the weights before training and after each batch."""

    class Recorder(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.weights = [self.model.get_weights()]

        def on_train_batch_end(self, batch, logs=None):
            self.weights.append(self.model.get_weights())

    return Recorder()


def values(state):
    return [state[name] for name in sorted(state) if name != "batches"]


@BOTH
@pytest.mark.parametrize(("momentum", "every"), [(0.999, 1), (0.2, 2)])
def test_the_recurrence(keras, momentum, every):
    keras = keras()
    model = small_model(keras)
    ema, seen = ema_for(keras)(momentum, model, every), recorder(keras)
    fit(model, ema, seen)
    begin, *after = seen.weights
    expected = [w.astype(np.float64) for w in begin]
    for n, weights in enumerate(after[every - 1 :: every]):
        keep = min(momentum, (1 + n) / (10 + n))
        expected = [keep * e + (1 - keep) * w for e, w in zip(expected, weights, strict=True)]
    state = ema.state()
    assert state["batches"] == BATCHES
    for i, name in enumerate(["gamma", "beta", "moving_mean", "moving_variance", "kernel", "bias"]):
        assert np.allclose(state[f"{i:04d}/{name}"], expected[i], rtol=1e-5, atol=1e-6), name
        assert not np.allclose(expected[i], after[-1][i], rtol=1e-3), name


@BOTH
def test_it_begins_with_the_weights_that_training_begins_with(keras):
    keras = keras()
    model = small_model(keras)
    ema = ema_for(keras)(0.9, model, every=100)
    loaded = [w + 1 for w in model.get_weights()]
    model.set_weights(loaded)
    fit(model, ema)
    for found, expected in zip(values(ema.state()), loaded, strict=True):
        assert np.array_equal(found, expected)


@BOTH
def test_applied_validates_with_averaged_statistics(keras):
    keras = keras()
    model = small_model(keras)
    ema = ema_for(keras)(0.99, model)
    fit(model, ema)
    images, _ = data()
    own = model.predict(images, verbose=0)
    raw = model.get_weights()
    with ema.applied():
        averaged = model.predict(images, verbose=0)
    gamma, beta, mean, variance, kernel, bias = values(ema.state())
    scaled = (images - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    assert np.allclose(averaged, scaled @ kernel + bias, atol=1e-5)
    assert not np.allclose(averaged, own, atol=1e-2)
    for before, after in zip(raw, model.get_weights(), strict=True):
        assert np.array_equal(before, after)


@BOTH
def test_the_own_weights_come_back_after_an_error_and_training_goes_on(keras):
    keras = keras()
    model = small_model(keras)
    other = small_model(keras)
    ema = ema_for(keras)(0.9, model)

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            with pytest.raises(KeyboardInterrupt), ema.applied():
                raise KeyboardInterrupt

        on_epoch_end = on_train_batch_end

    fit(model, ema, Look(), epochs=2)
    fit(other, epochs=2)
    for disturbed, quiet in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(disturbed, quiet)


@BOTH
def test_restored_it_goes_on_bit_for_bit(keras, tmp_path):
    keras = keras()
    model, again = small_model(keras), small_model(keras)
    whole = ema_for(keras)(0.99, model)
    fit(model, whole, epochs=2)
    half = ema_for(keras)(0.99, again)
    fit(again, half)
    np.savez(tmp_path / "ema.npz", **half.state())
    rest = ema_for(keras)(0.99, again)
    with np.load(tmp_path / "ema.npz") as file:
        rest.restore(dict(file))
    fit(again, rest)
    expected, found = whole.state(), rest.state()
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert np.array_equal(found[name], value), name


def test_the_average_of_another_model_is_refused():
    keras = keras3()
    state = ema_for(keras)(0.9, small_model(keras)).state()
    other = ema_for(keras)(0.9, small_model(keras, units=3))
    before = values(other.state())
    with pytest.raises(ConfigError, match=r"'0004/kernel' is \(5, 2\), expected \(5, 3\)"):
        other.restore(state)
    state.pop("0005/bias")
    with pytest.raises(ConfigError, match="'0005/bias' is missing"):
        ema_for(keras)(0.9, small_model(keras)).restore(state)
    for kept, first in zip(values(other.state()), before, strict=True):
        assert np.array_equal(kept, first)


@pytest.mark.parametrize("options", [{"momentum": 1.0}, {"momentum": -0.1}, {"every": 0}])
def test_values_out_of_range_are_refused(options):
    keras = keras3()
    with pytest.raises(ConfigError, match=r"EMA|ema"):
        ema_for(keras)(**{"momentum": 0.9, "network": small_model(keras), **options})
