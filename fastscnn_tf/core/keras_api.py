"""The one place that knows there are two Keras, and why.

Keras 3 is what people write today, and what models are built, trained and saved with. TensorFlow
Model Optimization refuses Keras 3 models and needs tf_keras (Keras 2), so quantization-aware
training happens there. Importing it sets TF_USE_LEGACY_KERAS and thereby flips what `tf.keras`
means for the rest of the process; `tfmot` puts the variable back.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

from .console import quiet_stderr
from .environment import environment
from .errors import ConfigError
from .extras import BACKEND, OTHER_BACKENDS, import_extra, training_extra

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Neither framework ships types: to mypy these are `Any`, editors find the classes.
KerasModel: TypeAlias = "keras.Model"  # of Keras 3 or tf_keras, as the others
KerasLayer: TypeAlias = "keras.layers.Layer"
Tensor: TypeAlias = "tf.Tensor"  # or the tensor of Keras' backend
Variable: TypeAlias = "tf.Variable"
TFDataset: TypeAlias = "tf.data.Dataset"
PyDataset: TypeAlias = "keras.utils.PyDataset"


@functools.cache
def keras3() -> ModuleType:
    """Keras 3, imported without TensorFlow's start-up messages.

    Raises:
        InputError: the training extra is not installed.
        ConfigError: KERAS_BACKEND names another backend than TensorFlow, JAX and PyTorch.
    """
    _prepare()
    backend = os.environ.get(BACKEND) or "tensorflow"
    if backend not in ("tensorflow", *OTHER_BACKENDS):
        raise ConfigError(f"{BACKEND} is {backend!r}: expected tensorflow, jax or torch")
    return _import("keras")


@functools.cache
def tensorflow() -> ModuleType:
    """TensorFlow, imported without its start-up messages.

    Raises:
        InputError: the training extra is not installed.
    """
    _prepare()
    module = _import("tensorflow")
    module.get_logger().setLevel("ERROR")
    _import("absl.logging").set_verbosity("error")
    _keep_convolutions_apart(module)
    return module


def as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that AutoGraph does not convert, nor what it calls.

    Nothing of this package depends on the values of tensors; converting costs seconds of a trace.
    """
    return tensorflow().autograph.experimental.do_not_convert(function)


@functools.cache
def tf_keras() -> ModuleType:
    """tf_keras (Keras 2), for quantization-aware training.

    Raises:
        ConfigError: Keras 3 runs on another backend than TensorFlow.
    """
    if training_extra() == "train":
        tensorflow()  # before Keras asks for it, so that it starts quietly
    if keras3().backend.backend() != "tensorflow":
        raise ConfigError("tf_keras models need KERAS_BACKEND=tensorflow")
    return _import("tf_keras")


@functools.cache
def tfmot() -> ModuleType:
    """tensorflow_model_optimization; the environment variable it sets is restored."""
    tf_keras()
    with environment(TF_USE_LEGACY_KERAS=None):
        return _import("tensorflow_model_optimization")


def is_keras3(keras: ModuleType) -> bool:
    """Whether a Keras namespace is Keras 3."""
    return keras.__version__.startswith("3.")


def on_tensorflow(keras: ModuleType) -> bool:
    """Whether models of this namespace run on TensorFlow."""
    return not is_keras3(keras) or keras.backend.backend() == "tensorflow"


# What `of_keras` completes derives from it, so that type checkers take `super()` for Keras'.
Ours: Any = object


@functools.cache
def of_keras(own: type, base: type) -> Any:
    """A class of ours that knows neither Keras, made a subclass of a class of one of them."""
    return type(own.__name__, (own, base), {"__module__": own.__module__, "__doc__": own.__doc__})


class Callback:
    """What a callback of ours has before `callback_of` makes it one of Keras', which sets these."""

    model: Any
    params: Any


def callback_of(keras: Any, own: type) -> Any:
    """A callback of ours as a callback of one Keras."""
    return of_keras(own, keras.callbacks.Callback)


def _prepare() -> None:
    """Keeps start-up lines off the console; what the user set in the environment stays.

    TensorFlow leaves oneDNN's kernels off on x86 without AVX-512 (AMD before Zen 4, most laptops),
    where a training step takes 1.8 times as long without them.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _keep_convolutions_apart(tf: ModuleType) -> None:
    """Stops TensorFlow from merging convolution and batch normalisation in inference on a CPU.

    oneDNN has no fast kernel for what comes out: without AVX-512 one image of 352x480 takes a
    second instead of 60 ms. Training steps are not merged, and have nothing to lose.
    """
    with quiet_stderr():
        gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        tf.config.optimizer.set_experimental_options({"remapping": False})


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Python looks for garbage 900 times otherwise, a fifth of what importing TensorFlow takes."""
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks:
            gc.enable()


def _import(name: str) -> Any:
    with quiet_stderr(), warnings.catch_warnings(), _without_collection():
        warnings.simplefilter("ignore")
        return import_extra(name, training_extra() if name == "keras" else "train")
