"""`quantize_aware`: a TFMOT model for fine-tuning, from a trained Keras 3 model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError, ExportError, ModelFileError
from ..core.keras_api import (
    KerasModel,
    Ours,
    PyDataset,
    TFDataset,
    as_it_is,
    keras3,
    of_keras,
    tensorflow,
    tf_keras,
)
from ..core.sizes import Size
from ..data.datasets.objects import Source
from ..data.reader import named_data_errors
from ..model.fast_scnn import inference_model, logits_layer, resize_model, resized_config
from ..model.folded import FoldedNetwork, check_finite, fold, on_bytes
from ..model.preprocess import without_bytes
from ..model.tf_blocks import logits_of
from ..model.topology import fast_scnn_outputs
from ..train.metrics import mean_iou
from ..train.optimizers import optimizers_for
from ..train.schedules import schedule_class
from .calibrate import calibrate
from .qat_blocks import QATBlocks
from .qat_layers import START

PARITY = 1e-4  # greatest difference of the folded twin, in standard deviations of the logits
CALIBRATION_IMAGES = 100


def quantize_aware(model: KerasModel, calibration: Source | None = None) -> KerasModel:
    """Makes a trained model quantization-aware.

    The Keras 3 model is rebuilt in tf_keras with its batch normalisation folded into the
    convolutions, its weights are carried over (parity is asserted), and every kernel and tensor
    of the int8 graph is wrapped by TFMOT. Before the first training step all activation ranges
    are set from float passes over images; in training they follow the mean extremes of the images,
    until `freeze_ranges` holds them.

    No batch normalisation is left that could be frozen late, as torchvision's
    `train_quantization.py` does it (`--num-batch-norm-update-epochs`): there kernels are folded
    with the statistics of each batch, which inference does not have (Jacob et al.,
    arXiv:1712.05877, section 3.2). Here they are folded once, with those that inference uses.

    Args:
        model: a model made by `fast_scnn` or `load_model`.
        calibration: images to set the ranges from, in any form (see
            `data.datasets.objects.as_dataset`); by default the first 100 given to `fit`.

    Returns:
        A tf_keras model from normalised float32 images (B, H, W, 3) to full-resolution logits:
        those of the int8 graph at 1/8, interpolated as `Segmenter` does it. For `compile`, `fit`,
        `export_tflite` and `save_model`. Keras 3 optimizers and `mean_iou` metrics may be passed
        to `compile`; they are translated.

    Raises:
        ConfigError: the model was not made by `fast_scnn`, or cannot be quantized.
        ModelFileError: its weights or activations are NaN or infinite.
    """
    licence = getattr(model, "licence", None)
    model = inference_model(model)
    network = fold(model)
    _check_parity(model, network)
    aware = qat_model(calibrate(network, calibration) if calibration is not None else network)
    aware.licence = licence
    return aware


def qat_model(network: FoldedNetwork) -> KerasModel:
    """The tf_keras model of a folded network; its ranges are taken over where it has any."""
    network = on_bytes(network)
    keras, blocks = tf_keras(), QATBlocks(network.config)
    # === Functional model ===
    image = keras.Input((*network.config.input_size, 3), name="image")
    outputs = as_it_is(fast_scnn_outputs)
    x = outputs(blocks, blocks.input(image), network.config)["logits"]
    model = of_keras(QuantizationAwareFastSCNN, keras.Model)(image, blocks.upsample(x))
    model.cells = keras.Model(image, x).__call__  # bound, so that Keras tracks no second model
    # === Weights ===
    model.config, model.blocks, model.calibrated = network.config, blocks, False
    for name, variables in blocks.weights.items():
        shapes = [tuple(variable.shape) for variable in variables]
        values = network.weights.get(name, ())
        if [value.shape for value in values] != shapes:
            raise ConfigError(f"layer {name!r}: expected weights {shapes}")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    if network.ranges:
        set_ranges(model, network.ranges)
    blocks.freeze(network.frozen)
    return model


def is_qat(model: KerasModel) -> bool:
    """Whether a model was made by `quantize_aware`."""
    return hasattr(model, "blocks") and isinstance(model.blocks, QATBlocks)


def set_ranges(model: KerasModel, ranges: dict[str, tuple[float, float]]) -> None:
    """Sets every activation range.

    Raises:
        ConfigError: a range is missing, empty or not finite.
    """
    for name, variables in model.blocks.ranges.items():
        if name not in ranges:
            raise ConfigError(f"no range for tensor {name!r}: calibrate again")
        if not np.isfinite(ranges[name]).all() or ranges[name][0] >= ranges[name][1]:
            raise ConfigError(f"range of tensor {name!r} is {ranges[name]}: calibrate again")
        variables["min_var"].assign(ranges[name][0])
        variables["max_var"].assign(ranges[name][1])
    model.calibrated = True


def folded_of(model: KerasModel) -> FoldedNetwork:
    """Weights and ranges of a quantization-aware model as plain arrays.

    Raises:
        ExportError: the ranges were never set.
    """
    ranges = {
        name: (float(variables["min_var"]), float(variables["max_var"]))
        for name, variables in model.blocks.ranges.items()
    }
    unset = [n for n, limits in ranges.items() if limits == (-START, START)]
    if unset or not model.calibrated:
        raise ExportError(
            f"{len(unset)} activation ranges were never set: call fit(), or quantize_aware() "
            "with calibration images"
        )
    frozen = model.blocks.frozen
    return _weights_of(model).replace(ranges=ranges, fine_tuned=True, frozen=frozen)


def network_of(model: KerasModel, size: Size | None = None, pad: bool = False) -> FoldedNetwork:
    """The folded network of a float model or of a quantization-aware one.

    Args:
        model: of `fast_scnn` or `quantize_aware`.
        size: another (height, width); None: the model's own.
        pad: as in `resize_model`.

    Raises:
        ConfigError: it is none of these.
        ExportError: its ranges were never set.
        ModelFileError: its weights are NaN or infinite.
    """
    network = folded_of(model) if is_qat(model) else fold(model)
    for name, weights in network.weights.items():
        check_finite(name, *weights)
    if size is None:
        return network
    return network.replace(config=resized_config(network.config, size, pad))


def _weights_of(model: KerasModel) -> FoldedNetwork:
    variables = model.blocks.weights.items()
    weights = {name: (kernel.numpy(), bias.numpy()) for name, (kernel, bias) in variables}
    return FoldedNetwork(model.config, weights, takes_bytes=True)


def resized(model: KerasModel, size: Size, pad: bool = False) -> KerasModel:
    """The same quantization-aware model at another input size; `pad` as in `resize_model`."""
    network = folded_of(model)
    return qat_model(network.replace(config=resized_config(network.config, size, pad)))


def _check_parity(model: KerasModel, network: FoldedNetwork) -> None:
    """Runs Keras 3 and the folded twin on the same noise at a small size.

    Raises:
        ExportError: they differ by more than rounding.
        ModelFileError: the model's logits are not finite.
    """
    size = (64, 96)
    small = model if model.config.input_size == size else resize_model(model, size)
    image = np.random.default_rng(0).uniform(-1, 1, (2, *size, 3)).astype(np.float32)
    head = keras3().Model(small.inputs, small.get_layer(logits_layer(small.config)).output)
    expected = np.asarray(head([image], training=False))
    got = logits_of(network.replace(config=small.config), tensorflow().constant(image)).numpy()
    if not np.isfinite(expected).all():
        raise ModelFileError("the model's logits are NaN or infinite: train it again")
    error = float(np.abs(got - expected).max() / max(expected.std(), 1e-12))
    if not error <= PARITY:
        raise ExportError(f"the tf_keras twin differs from the Keras 3 model by {error:.1e}")


class QuantizationAwareFastSCNN(Ours):
    """A TFMOT-wrapped Fast-SCNN; see `quantize_aware`."""

    config: FastSCNNConfig
    blocks: QATBlocks
    calibrated: bool
    licence: str | None = None
    cells: Callable[..., Any]  # normalised images to the logits at 1/8
    teacher: FoldedNetwork | None = None
    distill_weight: float

    def teach(self, model: KerasModel, weight: float = 1.0) -> None:
        """Has `fit` learn the probabilities of a float model, too (see `train_step`)."""
        model = resize_model(inference_model(model), self.config.input_size, self.config.pad)
        self.teacher, self.distill_weight = fold(model), weight
        self.distilled = tf_keras().metrics.Mean("distill")  # in the logs, as all metrics are

    def call(self, inputs, training=None, mask=None):
        images = without_bytes(inputs, self.config, tensorflow())
        return super().call(images, training=training, mask=mask)

    def train_step(self, data):
        """With a teacher the loss is the compiled one plus `distill_weight` times KL(teacher ||
        student), averaged over the cells of the logits, as in `distillation_loss`.
        """
        if self.teacher is None:
            return as_it_is(super().train_step)(data)
        return as_it_is(self._taught)(*data)

    def _taught(self, images, labels):
        tf = tensorflow()
        images = without_bytes(images, self.config, tf)
        told = tf.nn.log_softmax(logits_of(self.teacher, images))
        with tf.GradientTape() as tape:
            cells = self.cells(images, training=True)
            logits = self.blocks.upsample(cells)
            difference = tf.exp(told) * (told - tf.nn.log_softmax(cells))
            distilled = tf.reduce_mean(tf.reduce_sum(difference, -1))
            own = self.compute_loss(images, labels, logits, None)
            loss = own + self.distill_weight * distilled
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        self.distilled.update_state(distilled)
        return self.compute_metrics(images, labels, logits, None)

    def test_step(self, data):
        return as_it_is(super().test_step)(data)

    def predict_step(self, data):
        return as_it_is(super().predict_step)(data)

    def compile(self, optimizer="sgd", loss=None, metrics=None, **kwargs):
        super().compile(
            optimizer=_translate_optimizer(optimizer),
            loss=_only_logits(loss),
            metrics=[_translate_metric(m) for m in metrics or []],
            **{k: v for k, v in kwargs.items() if k != "loss_weights"},
        )

    def save(self, filepath, *args, **kwargs):
        raise ConfigError(
            "a quantization-aware model is saved by fastscnn_tf.save_model(model, 'x.npz')"
        )

    def fit(self, x=None, *args, **kwargs):
        _check_callbacks(kwargs.get("callbacks"))
        if not self.calibrated:
            calibrated = calibrate(_weights_of(self), x, CALIBRATION_IMAGES)
            set_ranges(self, calibrated.ranges)
        x = _for_tf_keras(x)
        if self.optimizer:  # else TensorFlow traces the first step twice
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        if "validation_data" in kwargs:
            kwargs["validation_data"] = _for_tf_keras(kwargs["validation_data"])
        with named_data_errors():
            return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        with named_data_errors():
            return super().evaluate(_for_tf_keras(x), *args, **kwargs)


def _check_callbacks(callbacks: Any) -> None:
    for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        if isinstance(callback, keras3().callbacks.Callback):
            name = type(callback).__name__
            raise ConfigError(
                f"{name} is a Keras 3 callback, but quantization-aware models are tf_keras models: "
                f"pass tf_keras.callbacks.{name}"
            )


def _only_logits(loss: Any) -> Any:
    return loss["logits"] if isinstance(loss, dict) else loss


def _for_tf_keras(data: Any) -> Any:
    """Data made for Keras 3: of dicts of equal labels, for auxiliary heads, one is enough."""
    if isinstance(data, keras3().utils.PyDataset):
        return _as_tf_data(data)
    spec = getattr(data, "element_spec", None)
    if isinstance(spec, tuple) and len(spec) > 1 and isinstance(spec[1], dict):
        return data.map(lambda images, labels: (images, labels["logits"]))
    return data


def _as_tf_data(batches: PyDataset) -> TFDataset:
    """A `PyDataset` of Keras 3, which tf_keras does not know, as a `tf.data.Dataset`."""
    tf = tensorflow()

    def batch(index: int) -> tuple[Any, Any]:
        images, labels = batches[index][:2]
        return images, labels["logits"] if isinstance(labels, dict) else labels

    def one_epoch() -> Iterator[tuple[Any, Any]]:
        batches.on_epoch_begin()
        for index in range(len(batches)):
            found = batch(index)
            if index == len(batches) - 1:  # TensorFlow asks for what follows when it likes
                batches.on_epoch_end()
            yield found

    spec = tuple(tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in batch(0))
    data = tf.data.Dataset.from_generator(one_epoch, output_signature=spec)
    return data.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(1)


def _translate_optimizer(optimizer: Any) -> Any:
    """The tf_keras optimizer with the settings of a Keras 3 one."""
    keras = tf_keras()
    if isinstance(optimizer, str | keras.optimizers.Optimizer):
        return optimizer
    values = optimizer.get_config()
    rate = values["learning_rate"]
    if values.get("gradient_accumulation_steps"):
        raise ConfigError("tf_keras cannot accumulate gradients: compile without it")
    if isinstance(rate, dict):
        name = rate["class_name"]
        own = name == schedule_class(keras3()).__name__
        schedule = schedule_class(keras) if own else getattr(keras.optimizers.schedules, name)
        values["learning_rate"] = schedule(**rate["config"])
    own = isinstance(optimizer, tuple(vars(optimizers_for(keras3())).values()))
    kind = getattr(optimizers_for(keras) if own else keras.optimizers, type(optimizer).__name__)
    known = set(kind().get_config())
    return kind(**{k: v for k, v in values.items() if k in known and v is not None})


def _translate_metric(metric: Any) -> Any:
    if isinstance(metric, keras3().metrics.Metric) and hasattr(metric, "matrix"):
        return mean_iou(metric.num_classes, tf_keras(), metric.name)
    return metric
