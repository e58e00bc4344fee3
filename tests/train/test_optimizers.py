"""Updates against recurrences in NumPy, accumulation against large batches, and precisions."""

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.keras_api import keras3, tensorflow, tf_keras
from fastscnn_tf.train.losses.segmentation_loss import segmentation_losses
from fastscnn_tf.train.optimizers import optimizer, precision_policy
from fastscnn_tf.train.schedules import schedule
from fastscnn_tf.train.settings import PRECISIONS

BOTH = pytest.mark.parametrize("keras", [keras3, tf_keras], ids=["keras3", "tf_keras"])
STEPS, RATE, DECAY = 6, 0.1, 0.3


def gradients():
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(3, 2)), rng.normal(size=2)) for _ in range(STEPS)]


def updated(made, grads):
    """Kernel and vector, which begin as ones, after updates by these gradients."""
    tf = tensorflow()
    weights = [tf.Variable(np.ones((3, 2), np.float32)), tf.Variable(np.ones(2, np.float32))]
    for pair in grads:
        pair = [tf.constant(g, tf.float32) for g in pair]
        made.apply_gradients(zip(pair, weights, strict=True))
    return [w.numpy() for w in weights]


def poly(step):
    return RATE * (1 - step / STEPS) ** 0.9


def rate_of(keras):
    return schedule(keras, "poly", RATE, STEPS)


@BOTH
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum_decay_and_clipping(keras, nesterov):
    keras = keras()
    made = optimizer(keras, "sgd", rate_of(keras), 0.8, DECAY, clip_norm=0.5, nesterov=nesterov)
    weights, velocity = [np.ones((3, 2)), np.ones(2)], [0.0, 0.0]
    for step, pair in enumerate(gradients()):
        rate = poly(step)
        norm = np.sqrt(sum((g**2).sum() for g in pair))
        weights[0] = weights[0] * (1 - rate * DECAY)
        for i, gradient in enumerate(pair):
            slope = gradient * min(1, 0.5 / norm)
            velocity[i] = 0.8 * velocity[i] - rate * slope
            ahead = 0.8 * velocity[i] - rate * slope if nesterov else velocity[i]
            weights[i] = weights[i] + ahead
    for found, expected in zip(updated(made, gradients()), weights, strict=True):
        assert np.allclose(found, expected, rtol=2e-6, atol=2e-7)


@BOTH
def test_adamw(keras):
    keras = keras()
    made = optimizer(keras, "adamw", rate_of(keras), 0.8, DECAY)
    weights = [np.ones((3, 2)), np.ones(2)]
    first, second = [0.0, 0.0], [0.0, 0.0]
    for step, pair in enumerate(gradients()):
        rate = poly(step)
        weights[0] = weights[0] * (1 - rate * DECAY)
        for i, gradient in enumerate(pair):
            first[i] = 0.8 * first[i] + 0.2 * gradient
            second[i] = 0.999 * second[i] + 0.001 * gradient**2
            mean = first[i] / (1 - 0.8 ** (step + 1))
            deviation = np.sqrt(second[i] / (1 - 0.999 ** (step + 1)))
            weights[i] = weights[i] - rate * mean / (deviation + 1e-7)
    for found, expected in zip(updated(made, gradients()), weights, strict=True):
        assert np.allclose(found, expected, rtol=2e-5)


@BOTH
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_loaded_optimizer_decays_kernels_alone(keras, name):
    keras = keras()
    optimizers = keras.optimizers
    made = optimizer(keras, name, rate_of(keras), weight_decay=0.5)
    again = optimizers.deserialize(optimizers.serialize(made))
    assert again.get_config() == made.get_config()
    kernel, vector = updated(again, [(np.zeros((3, 2)), np.zeros(2))])
    assert np.allclose(kernel, 1 - 0.5 * RATE)
    assert vector.tolist() == [1, 1]


def linear_model():
    keras = keras3()
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])


def test_accumulated_batches_are_one_large_batch():
    keras = keras3()
    rng = np.random.default_rng(0)
    images, targets = rng.normal(size=(24, 5)), rng.normal(size=(24, 3))
    rate, results = schedule(keras, "poly", RATE, 5, warmup_steps=1), {}
    for batch, accumulate in ((12, 1), (4, 3)):
        model = linear_model()
        made = optimizer(keras, "sgd", rate, 0.9, clip_norm=0.5, accumulate=accumulate)
        model.compile(made, loss="mse")
        model.fit(images, targets, batch, 2, shuffle=False, verbose=0)
        assert int(made.iterations) == 4
        assert float(made.learning_rate) == pytest.approx(float(rate(4)), rel=1e-6)
        results[accumulate] = model.get_weights()
    start = linear_model().get_weights()
    for whole, parts, first in zip(results[1], results[3], start, strict=True):
        assert np.allclose(whole, parts, atol=1e-6)
        assert not np.allclose(whole, first, atol=1e-2)


def test_the_rate_changes_with_each_update_and_not_before():
    keras = keras3()
    rate = schedule(keras, "poly", RATE, 4)
    made = optimizer(keras, "sgd", rate, accumulate=3)
    variable = keras.Variable(np.ones(2, np.float32))
    seen = []
    for _ in range(9):
        seen.append(float(made.learning_rate))
        made.apply([keras.ops.ones(2)], [variable])
    assert seen == [float(rate(i // 3)) for i in range(9)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "adam"}, "optimizer must be one of sgd, adamw, got 'adam'"),
        ({"momentum": 1.0}, "momentum"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"clip_norm": 0.0}, "clip_norm must be 1e-12"),
        ({"accumulate": 0}, "accumulate must be 1"),
        ({"name": "adamw", "nesterov": True}, "nesterov goes with sgd"),
    ],
)
def test_what_makes_no_optimizer_is_refused(change, message):
    options = {"name": "sgd", "schedule": 0.1, **change}
    with pytest.raises(ConfigError, match=message):
        optimizer(keras3(), **options)


def test_accumulation_is_refused_where_it_would_be_wrong():
    with pytest.raises(ConfigError, match="tf_keras cannot accumulate 2 batches"):
        optimizer(tf_keras(), "sgd", 0.1, accumulate=2)
    foreign = keras3().optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    with pytest.raises(ConfigError, match="got ExponentialDecay: it would count batches"):
        optimizer(keras3(), "sgd", foreign, accumulate=2)
    assert float(optimizer(keras3(), "sgd", 0.1, accumulate=2).learning_rate) == np.float32(0.1)


@BOTH
def test_a_precision_ends_with_its_block(keras):
    keras = keras()

    def precision_of_new_layer():
        return keras.layers.Dense(1).compute_dtype

    with pytest.raises(RuntimeError), precision_policy(keras, "mixed_bfloat16"):
        assert precision_of_new_layer() == "bfloat16"
        raise RuntimeError
    assert precision_of_new_layer() == "float32"
    with pytest.raises(ConfigError, match="precision must be one of float32, mixed"):
        precision_policy(keras, "float16").__enter__()


@pytest.mark.train
@pytest.mark.parametrize("precision", PRECISIONS[1:])  # the rest of the tests run in float32
def test_fast_scnn_learns_in_mixed_precision(precision):
    keras = keras3()
    keras.utils.set_random_seed(0)
    few = {"width": 0.25, "repeats": (2, 1, 1), "pyramid_bins": (1, 2)}
    config = fs.FastSCNNConfig(num_classes=4, input_size=(64, 96), dropout=0.0, **few)
    with precision_policy(keras, precision):
        model = fs.fast_scnn(config)
    model.compile(optimizer(keras, "sgd", 0.02, clip_norm=5.0), **segmentation_losses(False))
    images = np.random.default_rng(0).normal(size=(4, 64, 96, 3)).astype(np.float32)
    labels = np.zeros((4, 64, 96), np.uint8)
    labels[:, 32:] = 1
    losses = []
    for _ in range(10):
        model.reset_metrics()
        losses.append(model.train_on_batch(images, labels, return_dict=True)["loss"])
    assert np.isfinite(losses).all()
    assert int(model.optimizer.iterations) >= 5  # loss scaling may skip the first ones
    assert losses[-1] < 0.9 * losses[0]
    scaled = type(model.optimizer).__name__ == "LossScaleOptimizer"
    assert scaled == (precision == "mixed_float16")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("preset", ["paper", "zh320"])
def test_weights_and_logits_are_float32_in_every_precision(precision, preset):
    small = {"input_size": (64, 96), "repeats": (2, 1, 1)}
    config = fs.FastSCNNConfig.preset(preset, num_classes=4, **small)
    with precision_policy(keras3(), precision):
        model = fs.fast_scnn(config.replace(aux_heads=bool(config.aux_layout)))
    assert {str(w.dtype) for w in model.weights} == {"float32"}
    assert {x.dtype for x in model.outputs} == {"float32"}
    compute = model.get_layer("learning_to_downsample.conv").compute_dtype
    assert compute == precision.removeprefix("mixed_")
