"""`fast_scnn`: the trainable Keras functional model."""

from __future__ import annotations

import difflib
import fnmatch
import os
from types import ModuleType
from typing import Any

from ..core.config import AUX_HEADS, FastSCNNConfig, config_of
from ..core.errors import ConfigError
from ..core.keras_api import KerasModel, Ours, is_keras3, keras3, tensorflow
from ..core.sizes import Size, check_size, padded_size
from ..data.reader import named_data_errors
from .complexity import complexity
from .keras_blocks import KerasBlocks
from .layers import model_of_keras
from .preprocess import without_bytes
from .topology import FullSizeBlocks, Tensor, fast_scnn_outputs


def fast_scnn(config: FastSCNNConfig, keras: ModuleType | None = None) -> KerasModel:
    """Builds Fast-SCNN as a flat functional model with every layer named.

    Args:
        config: the network; it travels with the model as `model.config`.
        keras: the Keras namespace, Keras 3 by default; tf_keras gives the same layer names and
            weight order.

    Returns:
        A model from float32 images (B, H, W, 3) that are normalised (see `preprocess_input`), or
        integers of 0..255 that are not, to float32 logits (B, H, W, classes)
        at input resolution; with `config.aux_heads` a dict of `logits` (full resolution) and, as
        `config.aux_layout` says, `aux_ltd` (1/8) and `aux_gfe` (1/32).

    Raises:
        ConfigError: no configuration, or a pattern of its `conv_bias` names no convolution.

    Example:
        >>> fast_scnn(FastSCNNConfig(num_classes=11, input_size=(64, 96))).output_shape
        (None, 64, 96, 11)
    """
    keras = keras or keras3()
    # === Functional model ===
    config = config_of(config)
    check_patterns(config)
    blocks = KerasBlocks(keras, config)
    image = keras.Input((*config.input_size, 3), name="image")
    outputs = fast_scnn_outputs(blocks, image, config)
    outputs["logits"] = full_resolution(blocks, outputs["logits"], config)
    # === Config ===
    model = model_class(keras)(image, outputs if config.aux_heads else outputs["logits"])
    model.config = config
    return model


def full_resolution(
    blocks: FullSizeBlocks[Tensor], logits: Tensor, config: FastSCNNConfig
) -> Tensor:
    """Upsamples logits at 1/8 to the input's size, in any vocabulary that can `crop`."""
    sampling, padded = config.sampling("logits"), config.padded_size
    if padded == config.input_size:
        return blocks.resize(logits, padded, sampling=sampling, name="logits")
    x = blocks.resize(logits, padded, sampling=sampling, name="logits.padded")
    return blocks.crop(x, config.input_size, name="logits")


def logits_layer(config: FastSCNNConfig) -> str:
    """Name of the layer of a Keras model that gives the logits at 1/8."""
    if not config.logits_norm:
        return "classifier.logits"
    return "classifier.logits.relu" if config.logits_relu else "classifier.logits.bn"


def check_patterns(config: FastSCNNConfig) -> None:
    """Makes sure that every pattern of `conv_bias` names a convolution.

    Raises:
        ConfigError: one matches none.
    """
    if not config.conv_bias:
        return
    whole = config.replace(aux_heads=True, aux_layout=AUX_HEADS, pad=False, input_size=(32, 32))
    names = [layer.name for layer in complexity(whole).layers]
    for pattern in config.conv_bias:
        if not fnmatch.filter(names, pattern):
            close = difflib.get_close_matches(pattern, names, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"conv_bias {pattern!r} matches no convolution{hint}")


def model_class(keras: Any) -> type:
    """`keras.Model` that carries its `FastSCNNConfig` and is rebuilt from it."""
    return model_of_keras(FastSCNN, keras)


class FastSCNN(Ours):
    """Fast-SCNN; see `fastscnn_tf.fast_scnn`."""

    namespace: Any  # the Keras that it is a model of
    config: FastSCNNConfig
    licence: str | None = None  # of the weights, where a file said one

    # Keras passes `training` to those that name it.
    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        ops = self.namespace.ops if is_keras3(self.namespace) else tensorflow()
        images = without_bytes(inputs, self.config, ops)
        return super().call(images, training=training, mask=mask)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        if hasattr(x, "element_spec") or hasattr(x, "epoch"):  # our data shuffle themselves
            kwargs.setdefault("shuffle", False)
        with named_data_errors():
            return super().fit(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        with named_data_errors():
            return super().evaluate(x, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"fast_scnn": self.config.to_dict()}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> KerasModel:
        return fast_scnn(FastSCNNConfig.from_dict(config["fast_scnn"]), cls.namespace)


def require_fast_scnn(model: KerasModel) -> FastSCNNConfig:
    """The configuration of a model that `fast_scnn` built.

    Raises:
        ConfigError: another model, or one whose graph was edited; the first foreign layer is
            named.
    """
    config = getattr(model, "config", None)
    if isinstance(config, FastSCNNConfig):
        return config
    if isinstance(model, str | os.PathLike):
        raise ConfigError(f"expected a model, got a path: fs.load_model({str(model)!r})")
    if not hasattr(model, "layers"):
        raise ConfigError(f"expected a model made by fast_scnn(), got {type(model).__name__}")
    expected = {layer.name for layer in fast_scnn(FastSCNNConfig(input_size=(32, 32))).layers}
    foreign = next((x.name for x in model.layers if x.name not in expected), None)
    what = f"layer {foreign!r} is not one of its layers" if foreign else "its graph was rebuilt"
    raise ConfigError(
        f"expected a model made by fast_scnn(), got {type(model).__name__}: {what}; "
        "change the FastSCNNConfig instead of the graph"
    )


def copy_weights(source: KerasModel, target: KerasModel) -> None:
    """Copies weights by layer name; every weighted layer of `target` must be in `source`.

    Raises:
        ConfigError: a layer is missing or of another shape.
    """
    by_name = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        weights = layer.get_weights()
        if not weights:
            continue
        if layer.name not in by_name:
            raise ConfigError(f"layer {layer.name!r} is missing in the source model")
        values = by_name[layer.name].get_weights()
        shapes = [w.shape for w in weights], [v.shape for v in values]
        if shapes[0] != shapes[1]:
            raise ConfigError(f"layer {layer.name!r}: expected shapes {shapes[0]}, got {shapes[1]}")
        layer.set_weights(values)


def resize_model(model: KerasModel, size: Size, pad: bool = False) -> KerasModel:
    """The same weights at another input size, as an inference model without auxiliary heads.

    Args:
        model: what `fast_scnn`, `import_checkpoint` or `load_model` returned.
        size: (height, width), multiples of 32.
        pad: take any other size as well: the image is padded at the bottom and on the right with
            its mean, and the logits are cropped.

    Returns:
        A Keras 3 model from normalised float32 images (B, *size, 3) to logits (B, *size, classes).

    Raises:
        ConfigError: the size is not a multiple of 32 and `pad` is false, or another kind of model.
    """
    config = resized_config(require_fast_scnn(model), size, pad)
    resized = fast_scnn(config)
    copy_weights(model, resized)
    return resized


def resized_config(config: FastSCNNConfig, size: Size, pad: bool = False) -> FastSCNNConfig:
    """The configuration for inference at another input size."""
    size = check_size(size, pad)
    return config.replace(input_size=size, pad=size != padded_size(size), aux_heads=False)


def inference_model(model: KerasModel) -> KerasModel:
    """The model itself, or a copy without its auxiliary heads."""
    config = require_fast_scnn(model)
    return resize_model(model, config.input_size, config.pad) if config.aux_heads else model
