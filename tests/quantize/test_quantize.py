"""From a trained Keras 3 model to int8: parity, ranges, grids, resume."""

import json

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.errors import (
    ConfigError,
    DataError,
    ExportError,
    ModelFileError,
    OutputError,
)
from fastscnn_tf.core.keras_api import keras3, tensorflow
from fastscnn_tf.data.pipeline import load_dataset
from fastscnn_tf.evaluation.evaluate import evaluate, load_model
from fastscnn_tf.evaluation.saving import save_model
from fastscnn_tf.export.export_tflite import export_tflite
from fastscnn_tf.model.fast_scnn import fast_scnn, resize_model
from fastscnn_tf.model.folded import fold, load_folded, save_folded
from fastscnn_tf.model.ranges import INPUT
from fastscnn_tf.model.tf_blocks import TFBlocks, logits_of, quantized_kernel
from fastscnn_tf.quantize.calibrate import calibrate
from fastscnn_tf.quantize.fine_tune import QuantizeSettings, run_quantization
from fastscnn_tf.quantize.qat_checkpoint import load_qat
from fastscnn_tf.quantize.qat_layers import START
from fastscnn_tf.quantize.quantize_aware import folded_of, quantize_aware
from fastscnn_tf.train.losses.segmentation_loss import segmentation_loss
from fastscnn_tf.train.metrics import mean_iou


@pytest.fixture(scope="module")
def small(config):
    """Few layers, since a step of a twin is traced for seconds."""
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    return config.replace(input_size=(64, 96), **few)


@pytest.fixture(scope="module")
def images(trained):
    return load_dataset("toy", split="train", config=trained.config, batch_size=4).take(3)


def test_folding_changes_nothing(trained, images):
    image = next(iter(images))[0]
    head = keras3().Model(trained.inputs, trained.get_layer("classifier.logits").output)
    expected = np.asarray(head([image], training=False))
    got = logits_of(fold(trained), image).numpy()
    assert np.abs(got - expected).max() < 1e-4 * expected.std()


def test_every_range_leaves_its_start(trained, images):
    """TFMOT starts at +-6; calibration must reach every tensor, none may stay near."""
    ranges = calibrate(fold(trained), images).ranges
    model = quantize_aware(trained, images)
    assert set(model.blocks.ranges) == set(ranges)
    for name, variables in model.blocks.ranges.items():
        low, high = float(variables["min_var"]), float(variables["max_var"])
        assert (low, high) == pytest.approx(ranges[name], rel=1e-6)
        assert abs(low + START) > 1e-3 or abs(high - START) > 1e-3, name
        assert low <= 0 < high


def test_ranges_are_those_of_the_float_activations(trained, images):
    network = fold(trained)
    ranges = calibrate(network, images).ranges
    seen = {}
    for batch, _ in images:
        for image in batch:
            logits_of(network, image[None], lambda n, x: seen.setdefault(n, []).append(x.numpy()))
    for name in ("learning_to_downsample.conv", "pyramid.pool1", "fusion.add", "classifier.logits"):
        low = min(np.mean([x.min() for x in seen[name]]), 0)
        high = np.mean([x.max() for x in seen[name]])
        assert ranges[name] == pytest.approx((low, high), rel=1e-4, abs=1e-5)


def test_input_range_is_pinned_to_the_byte_grid(qat_folder):
    assert load_folded(qat_folder / "best.npz").ranges[INPUT] == (-1.0, 127 / 128)
    last = load_folded(qat_folder / "last.npz")
    assert last.ranges[INPUT] == (-1.0, 127 / 128)


@pytest.mark.train
def test_uncalibrated_ranges_are_set_by_fit(small):
    data = load_dataset("toy", split="val", config=small, augment="gentle", batch_size=4, seed=0)
    model = quantize_aware(fast_scnn(small))
    with pytest.raises(ExportError, match="never set"):
        folded_of(model)
    keras = keras3()
    schedule = keras.optimizers.schedules.PolynomialDecay(1e-4, 10)
    model.compile(
        optimizer=keras.optimizers.SGD(schedule, momentum=0.9),
        loss=segmentation_loss,
        metrics=[mean_iou(9)],
    )
    history = model.fit(data.take(2), epochs=1, verbose=0).history
    assert set(history) == {"loss", "miou"}
    assert all(limits != (-START, START) for limits in folded_of(model).ranges.values())


@pytest.mark.train
def test_without_labels_the_float_network_is_learned(small, noise):
    """All void: what is left is what the teacher says, here of another network's classes."""
    images, void = noise((64, 96)), np.full((2, 64, 96), 255, np.int32)
    teacher = fast_scnn(small)
    last = teacher.get_layer("classifier.logits")
    last.set_weights([100 * weight for weight in last.get_weights()])  # it is sure of what it sees
    qat = quantize_aware(fast_scnn(small), [images])
    qat.teach(teacher, 2.0)
    qat.compile(keras3().optimizers.Adam(0.003), loss=segmentation_loss)
    logs = qat.fit(images, void, epochs=6, verbose=0).history
    assert not any(logs["loss"])
    assert (np.diff(logs["distill"]) < 0).all()


def test_a_pydataset_of_keras_3_is_trained_on(small):
    """With auxiliary heads, and at the size at which the twin is compared with the model."""
    config = small.replace(aux_heads=True)
    batches = fs.load_pydataset("toy", split="val", config=config, batch_size=8)
    qat = quantize_aware(fast_scnn(config))
    qat.compile("sgd", loss=segmentation_loss, metrics=[mean_iou(9)])
    history = qat.fit(batches, epochs=2, verbose=0, validation_data=batches).history
    assert np.isfinite(history["loss"]).all()
    assert len(history["val_miou"]) == 2
    assert batches.epoch == 4  # two of training, two of validation


@pytest.mark.train
def test_what_the_optimizer_keeps_lies_on_all_devices_of_a_strategy(small, noise):
    tf, keras = tensorflow(), keras3()
    network = fast_scnn(small)
    images, labels = noise((64, 96)), np.zeros((2, 64, 96), np.int32)
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = quantize_aware(network, [images])
        model.compile(optimizer=keras.optimizers.SGD(1e-3, momentum=0.9), loss=segmentation_loss)
    model.fit(images, labels, batch_size=2, verbose=0)
    kept = model.optimizer.momentums
    assert kept
    assert all(isinstance(variable, tf.distribute.DistributedValues) for variable in kept)


def test_fake_quantized_operations_stay_close_to_the_integers(quantized, images):
    """Calibration and export see fake quantization; the Keras model computes the integers."""
    image = next(iter(images))[0]
    keras_logits = quantized(image, training=False).numpy()
    network = folded_of(quantized)
    full = TFBlocks(network).resize(
        logits_of(network, image), network.config.input_size, name="logits"
    )
    low, high = network.ranges["classifier.logits"]
    steps = np.abs(keras_logits - full.numpy()) / ((high - low) / 255)
    assert steps.mean() < 1.0
    assert np.mean(keras_logits.argmax(-1) == full.numpy().argmax(-1)) > 0.98


@pytest.mark.parametrize("name", ["x_depthwise", "x_pointwise"])
def test_kernels_are_quantized_per_output_channel(name):
    rng = np.random.default_rng(0)
    scales = np.exp(rng.normal(size=8)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 8, 1) if "depthwise" in name else (3, 3, 4, 8))
    kernel = kernel * (scales[:, None] if "depthwise" in name else scales)
    kernel = kernel.astype(np.float32)
    axes = (0, 1, 3) if "depthwise" in name else (0, 1, 2)
    grid = quantized_kernel(name, kernel) / (np.abs(kernel).max(axes, keepdims=True) / 127)
    assert np.allclose(grid, np.rint(grid), atol=1e-3)
    assert np.allclose(np.abs(grid).max(axes), 127, atol=1e-3)


def test_training_quantizer_agrees_with_the_exported_kernel(quantized):
    tf = tensorflow()
    for name in ("fusion.low_depthwise", "pyramid.output"):
        wrapper = quantized.get_layer(f"quant_{name}")
        kernel, quantizer, variables = wrapper._weight_vars[0]
        got = quantizer(tf.convert_to_tensor(kernel), False, variables).numpy()
        expected = quantized_kernel(name, kernel.numpy())
        steps = np.abs(got - expected) / np.abs(expected).max() * 127
        assert steps.max() < 1.01  # a value on a half may go either way
        assert np.mean(steps > 0.01) < 1e-3


def test_checkpoint_keeps_everything(quantized, tmp_path, images):
    save_model(quantized, tmp_path / "q.npz")
    image = next(iter(images))[0]
    again = load_qat(tmp_path / "q.npz")
    assert np.array_equal(again(image).numpy(), quantized(image).numpy())
    with pytest.raises(ConfigError, match=r"\.npz"):
        save_model(quantized, tmp_path / "q.keras")
    with pytest.raises(ConfigError, match="save_model"):
        quantized.save(tmp_path / "q.keras")


def test_keras3_callbacks_are_refused_by_name(quantized, images):
    with pytest.raises(ConfigError, match=r"tf_keras\.callbacks\.EarlyStopping"):
        quantized.fit(images, callbacks=[keras3().callbacks.EarlyStopping(monitor="loss")])


def test_damaged_checkpoints_are_named(tmp_path, qat_folder):
    content = (qat_folder / "best.npz").read_bytes()
    for i, broken in enumerate((b"", b"no zip", content[:3000])):
        path = tmp_path / f"{i}.npz"
        path.write_bytes(broken)
        with pytest.raises(ModelFileError, match=rf"{i}\.npz"):
            load_model(path)


def test_incomplete_checkpoints_are_named(tmp_path, qat_folder):
    network = load_folded(qat_folder / "best.npz")
    name, (kernel, bias) = next(iter(network.weights.items()))
    without = {n: w for n, w in network.weights.items() if n != name}
    ranges = dict(list(network.ranges.items())[1:])
    for broken in (
        network.replace(weights=without),
        network.replace(weights={**without, name: (kernel[..., :3], bias)}),
        network.replace(ranges=ranges),
        network.replace(ranges=dict.fromkeys(network.ranges, (-np.inf, np.inf))),
    ):
        save_folded(broken, tmp_path / "b.npz")
        with pytest.raises(ModelFileError, match=r"b\.npz: damaged"):
            load_model(tmp_path / "b.npz")


def test_broken_models_are_refused(trained, images, tmp_path):
    model = resize_model(trained, (32, 64))
    layer = model.get_layer("classifier.logits")
    layer.kernel.assign(np.full(layer.kernel.shape, 3e38))  # finite weights, infinite logits
    with pytest.raises(ModelFileError, match="NaN or infinite"):
        quantize_aware(model)
    calibration = [batch[:, :32, :64] for batch, _ in images]
    with pytest.raises(ModelFileError, match="NaN or infinite"):
        export_tflite(model, tmp_path / "m.tflite", "int8", calibration=calibration)
    with pytest.raises(ModelFileError, match="NaN or infinite"):
        evaluate(model, "toy")
    variance = model.get_layer("fusion.high.bn").moving_variance
    variance.assign(np.full(variance.shape, np.inf))  # would fold to a kernel of zeros
    with pytest.raises(ModelFileError, match=r"weights of 'fusion\.high'"):
        export_tflite(model, tmp_path / "m.tflite", "float32")
    variance.assign(np.ones(variance.shape))
    layer.kernel.assign(np.full(layer.kernel.shape, np.nan))
    with pytest.raises(ModelFileError, match=r"weights of 'classifier\.logits'"):
        export_tflite(model, tmp_path / "m.tflite", "float32")
    assert not list(tmp_path.iterdir())


def test_calibration_alone_takes_part_in_the_choice(qat_folder):
    state = json.loads((qat_folder / "state.json").read_text())
    assert state["epochs_done"] == 1
    assert state["best_epoch"] in (0, 1)
    assert state["best"] > 0.2


def test_a_folder_that_is_not_empty_and_other_settings_are_refused(run_folder, qat_folder):
    place = (str(run_folder), "toy", None)
    with pytest.raises(OutputError, match="not empty"):
        run_quantization(QuantizeSettings(*place, epochs=1, batch_size=8), qat_folder)
    other = QuantizeSettings(*place, epochs=1, batch_size=8, learning_rate=0.5)
    with pytest.raises(ConfigError, match=r"learning_rate 0\.5: it began with 0\.0001"):
        run_quantization(other, qat_folder, resume=True)


def test_calibration_without_images(trained):
    with pytest.raises(DataError, match="at least one image"):
        calibrate(fold(trained), [])


def test_data_set_of_another_model_is_refused(small_weights, tmp_path, own_data):
    text = (own_data / "dataset.yaml").read_text().replace("  - {name: sign, value: 28}\n", "")
    (own_data / "dataset.yaml").write_text(text)
    settings = QuantizeSettings(str(small_weights), "folder", str(own_data), epochs=1, batch_size=2)
    with pytest.raises((ConfigError, DataError), match=r"unknown label value|classes"):
        run_quantization(settings, tmp_path / "q", verbose=0)
