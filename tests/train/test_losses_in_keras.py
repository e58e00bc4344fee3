"""The loss inside of models: the way around full-resolution logits, `fit`, saving, distribution."""

import numpy as np
import pytest

from fastscnn_tf import FastSCNNConfig, fast_scnn
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.images.interpolation import ALIGNED, HALF_PIXEL, interpolation_matrix
from fastscnn_tf.core.keras_api import keras3, tensorflow, tf_keras
from fastscnn_tf.model.io import load_keras
from fastscnn_tf.model.layers import COARSE, layers_for
from fastscnn_tf.train.losses.fused_cross_entropy import fits_fused, fused_probability
from fastscnn_tf.train.losses.segmentation_loss import SegmentationLoss, segmentation_losses
from fastscnn_tf.train.metrics import mean_iou
from fastscnn_tf.train.registered import register_training_objects

SIZE = (64, 96)
WEIGHED = "cross_entropy + 0.5*ohem(0.3, 0.6) + boundary(2)"
WEIGHTS = (1.0, 2.0, 0.5, 3.0, 1.5)


def cells_and_labels(scale=3.0):
    rng = np.random.default_rng(0)
    cells = scale * rng.normal(size=(3, 8, 12, 5))
    labels = np.kron(rng.integers(0, 5, (3, 8, 12)), np.ones((1, 8, 8), int))
    labels[0, 10:20, 30:50] = 255
    return cells.astype(np.float32), labels.astype(np.float32)


def value_and_gradient(loss, cells, labels, sampling, coarse):
    """In a graph, as in `fit`; without the way around where `coarse` is false."""
    tf, layer = tensorflow(), layers_for(keras3()).Resize(SIZE, sampling)

    @tf.function
    def run(x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            full = layer(x)
            if not coarse:
                delattr(full, COARSE)
            value = loss(y, full)
        return value, tape.gradient(value, x)

    value, gradient = run(tf.constant(cells), tf.constant(labels))
    return float(value), gradient.numpy()


@pytest.mark.train
@pytest.mark.parametrize("sampling", [HALF_PIXEL, ALIGNED])
@pytest.mark.parametrize(
    "terms", ["cross_entropy", WEIGHED, "dice + lovasz", "cross_entropy + focal + dice(2)"]
)
def test_the_way_around_full_resolution_logits_changes_nothing(terms, sampling):
    loss = SegmentationLoss(terms, WEIGHTS, label_smoothing=0.1)
    expected, slope = value_and_gradient(loss, *cells_and_labels(), sampling, False)
    value, gradient = value_and_gradient(loss, *cells_and_labels(), sampling, True)
    # A probability next to an edge of a bin or to the threshold may fall on its other side.
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, slope, atol=3e-3 * np.abs(slope).max())
    assert np.abs(slope).max() > 1e-4


def test_fused_cross_entropy_in_float64():
    cells, labels = cells_and_labels()
    rows, columns = (interpolation_matrix(n, m) for n, m in zip((8, 12), SIZE, strict=True))
    full = np.einsum("Hh,Ww,bhwc->bHWc", rows, columns, cells.astype(np.float64))
    p = np.exp(full) / np.exp(full).sum(-1, keepdims=True)
    valid = labels != 255
    true = np.take_along_axis(p, np.where(valid, labels, 0)[..., None].astype(int), -1)[..., 0]
    got = fused_probability(labels, tensorflow().constant(cells)).numpy()
    np.testing.assert_allclose(got[valid], true[valid], rtol=1e-5)
    weights = np.where(valid, np.take(WEIGHTS, np.where(valid, labels, 0).astype(int)), 0)
    expected = -(weights * (0.9 * np.log(true) + 0.02 * np.log(p).sum(-1))).sum() / weights.sum()
    loss = SegmentationLoss("cross_entropy", WEIGHTS, label_smoothing=0.1)
    value, gradient = value_and_gradient(loss, cells, labels, False, True)
    assert value == pytest.approx(expected, rel=1e-6)
    target = 0.9 * np.eye(5)[np.where(valid, labels, 0).astype(int)] + 0.02
    slope = (p - target) * (weights / weights.sum())[..., None]
    slope = np.einsum("Hh,Ww,bHWc->bhwc", rows, columns, slope)
    np.testing.assert_allclose(gradient, slope, atol=1e-5 * np.abs(slope).max())


def test_logits_too_far_apart_take_the_plain_way():
    cells, labels = cells_and_labels(scale=300.0)
    assert not bool(fits_fused(tensorflow().constant(cells)))
    loss = SegmentationLoss(WEIGHED)
    expected, slope = value_and_gradient(loss, cells, labels, False, False)
    value, gradient = value_and_gradient(loss, cells, labels, False, True)
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, slope, atol=1e-6)


def test_nothing_but_void_on_the_way_around():
    cells, labels = cells_and_labels()
    void = np.full_like(labels, 255)
    value, gradient = value_and_gradient(SegmentationLoss(WEIGHED), cells, void, False, True)
    assert value == 0.0
    assert not gradient.any()


def test_a_wrong_label_is_named_on_the_way_around():
    cells, labels = cells_and_labels()
    labels[1, 5, 5] = 19
    error = tensorflow().errors.InvalidArgumentError
    with pytest.raises(error, match=r"(?s)expected labels from 0 to 4.*19"):
        value_and_gradient(SegmentationLoss(), cells, labels, False, True)


def batch(classes=5):
    rng = np.random.default_rng(1)
    images = rng.uniform(-1, 1, (2, *SIZE, 3)).astype(np.float32)
    labels = np.kron(rng.integers(0, classes, (2, 8, 12)), np.ones((1, 8, 8), int))
    return images, labels.astype(np.uint8)


def compiled(keras, loss, aux_heads=True):
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    config = FastSCNNConfig(num_classes=5, input_size=SIZE, aux_heads=aux_heads, **few)
    model = fast_scnn(config, keras=keras)
    losses = segmentation_losses(aux_heads, config.aux_layout, loss, 0.2)
    model.compile(optimizer=keras.optimizers.SGD(0.02), **losses)
    return model


@pytest.mark.train
def test_a_compiled_model_is_saved_and_trained_on(tmp_path):
    images, labels = batch()
    loss = SegmentationLoss("ohem + 0.5*dice", WEIGHTS, 0.1)
    model = compiled(keras3(), loss)
    y = dict.fromkeys(model.loss, labels)
    expected = model.evaluate(images, y, verbose=0)
    model.save(tmp_path / "m.keras")
    register_training_objects()
    again = load_keras(tmp_path / "m.keras", compile=True)
    assert {name: x.get_config() for name, x in again.loss.items()} == dict.fromkeys(
        ("logits", "aux_ltd", "aux_gfe"), loss.get_config()
    )
    assert again.evaluate(images, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    again.fit(images, y, epochs=1, verbose=0)


def test_fit_reports_the_loss_of_its_arithmetic():
    images, labels = batch()
    loss = SegmentationLoss(WEIGHED + " + 0.5*dice", WEIGHTS, 0.1)
    model = compiled(keras3(), loss, aux_heads=False)
    decay = sum(float(x) for x in model.losses)
    expected = float(loss(labels, model.predict(images, verbose=0))) + decay
    assert model.evaluate(images, labels, verbose=0) == pytest.approx(expected, rel=1e-4)


@pytest.mark.train
def test_tf_keras_trains_with_it_on_replicas():
    tf, (images, labels) = tensorflow(), batch()
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        model = compiled(tf_keras(), SegmentationLoss(WEIGHED + " + 0.5*dice"), aux_heads=False)
    history = model.fit(images, labels, batch_size=2, epochs=3, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < history[0]


def test_checkpoints_are_kept_by_the_name_that_the_metric_has_in_the_logs(tmp_path):
    keras = keras3()
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 1)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True), metrics=[mean_iou(4)])
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(2, 8, 8, 3)), rng.integers(0, 4, (2, 8, 8))
    path = tmp_path / "best.keras"
    kept = keras.callbacks.ModelCheckpoint(
        path, monitor="val_miou", mode="max", save_best_only=True
    )
    history = model.fit(*pairs, validation_data=pairs, callbacks=[kept], verbose=0).history
    assert path.exists()
    assert {"miou", "val_miou"} <= history.keys()
    assert "`val_miou`" in mean_iou.__doc__


def test_a_metric_of_other_classes_names_itself_as_the_logs_do():
    with pytest.raises(ConfigError, match=r"in the logs miou and val_miou\) is for 5 classes, got"):
        mean_iou(5).update_state(np.zeros((1, 8, 8)), np.zeros((1, 8, 8, 4), np.float32))
    with pytest.raises(ConfigError, match=r"num_classes of the metric 'iou' must be 2\.\.254"):
        mean_iou(1, name="iou")
