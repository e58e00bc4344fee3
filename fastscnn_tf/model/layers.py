"""The few custom layers, made once per Keras namespace.

They use `keras.ops`, which under tf_keras are TensorFlow operations too (Keras 3 then runs on the
TensorFlow backend). The only TensorFlow-specific code is the fused batch normalisation.
"""

from __future__ import annotations

import functools
from types import ModuleType, SimpleNamespace
from typing import Any

from ..core.images.interpolation import ALIGNED, HALF_PIXEL, NEAREST, interpolation_matrix
from ..core.keras_api import (
    Ours,
    Tensor,
    is_keras3,
    keras3,
    of_keras,
    on_tensorflow,
    tensorflow,
)
from ..core.sizes import Size
from .windows import Spans

PACKAGE = "fastscnn_tf"
COARSE = "_fastscnn_coarse"  # attribute of a bilinear map: (what was interpolated, sampling)

Shape = tuple[int | None, ...]


def registered(keras: ModuleType, own: Any) -> Any:
    """A class or function of ours, known to the loader of one Keras."""
    return keras.saving.register_keras_serializable(PACKAGE)(own)


@functools.cache
def model_of_keras(own: type, keras: ModuleType) -> Any:
    """A model of ours joined with one Keras, its `namespace`, and known to the loader of that."""
    model = of_keras(own, keras.Model)
    model.namespace = keras
    return registered(keras, model) if is_keras3(keras) else model


@functools.cache
def layers_for(keras: ModuleType) -> SimpleNamespace:
    """`WindowMeans`, `Resize` and `BatchNormalization` of a Keras namespace."""
    layers = keras.layers
    norm = layers.BatchNormalization
    if is_keras3(keras) and on_tensorflow(keras):
        norm = registered(keras, of_keras(BatchNormalization, norm))
    return SimpleNamespace(
        WindowMeans=registered(keras, of_keras(WindowMeans, layers.Layer)),
        Resize=registered(keras, of_keras(Resize, layers.Layer)),
        BatchNormalization=norm,
    )


class WindowMeans(Ours):
    """Means over the windows of one axis, or over the whole map.

    Args:
        spans: (start, stop) of each window; None pools over both axes and ignores `axis`.
        axis: 1 pools rows, 2 pools columns. Rows then columns is the exact pooling, since every
            window is a rectangle.
    """

    def __init__(self, spans: Spans | None = None, axis: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spans, self.axis = spans, int(axis)

    def call(self, x: Tensor) -> Tensor:
        ops = keras3().ops
        if self.spans is None:
            return ops.mean(x, axis=(1, 2), keepdims=True)
        parts = [
            ops.mean(x[:, a:b] if self.axis == 1 else x[:, :, a:b], self.axis, keepdims=True)
            for a, b in self.spans
        ]
        return ops.concatenate(parts, axis=self.axis)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = list(input_shape)
        for axis in (1, 2) if self.spans is None else (self.axis,):
            shape[axis] = len(self.spans or [()])
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "spans": self.spans, "axis": self.axis}


class Resize(Ours):
    """Interpolation to a fixed (height, width).

    Args:
        size: the target.
        sampling: bilinear with `HALF_PIXEL` centres or `ALIGNED` corners (PyTorch's
            `align_corners=True`), or `NEAREST`.
    """

    def __init__(self, size: Size, sampling: str = HALF_PIXEL, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.sampling = (int(size[0]), int(size[1])), sampling

    def call(self, x: Tensor) -> Tensor:
        ops = keras3().ops
        if on_tensorflow(keras3()):  # tf_keras' layers, too
            # TensorFlow interpolates every float type to float32.
            y = ops.cast(resized(x, self.size, self.sampling), x.dtype)
            if self.sampling != NEAREST:
                # For `segmentation_loss`, as Keras' softmax leaves its logits for its losses.
                setattr(y, COARSE, (x, self.sampling))
            return y
        if self.sampling != HALF_PIXEL:
            rows, columns = (
                ops.cast(interpolation_matrix(n, m, self.sampling), x.dtype)
                for n, m in zip(x.shape[1:3], self.size, strict=True)
            )
            return ops.einsum("Ww,bHwc->bHWc", columns, ops.einsum("Hh,bhwc->bHwc", rows, x))
        return ops.image.resize(x, self.size, antialias=False, data_format="channels_last")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *self.size, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": list(self.size), "sampling": self.sampling}


def resized(x: Tensor, size: Size, sampling: str) -> Tensor:
    """TensorFlow's interpolation."""
    tf = tensorflow()
    if sampling == ALIGNED:
        return tf.compat.v1.image.resize_bilinear(x, size, align_corners=True)
    return tf.image.resize(x, size, "nearest" if sampling == NEAREST else "bilinear")


class BatchNormalization(Ours):
    """Keras 3's layer on TensorFlow's fused kernel (NHWC, axis 3).

    The kernel reports a Bessel-corrected variance; the running variance is put back to the biased
    one that every Keras backend keeps.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Keras would otherwise compile with XLA, which is slower than no XLA on a CPU.
        self.supports_jit = bool(tensorflow().config.list_physical_devices("GPU"))

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        tf = tensorflow()
        learn = bool(training) and self.trainable
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=[] if learn else tf.convert_to_tensor(self.moving_mean),
            variance=[] if learn else tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            is_training=learn,
        )
        if learn:
            count = tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], variance.dtype)
            variance = variance * (tf.maximum(count - 1, 1) / count)
            for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return y
