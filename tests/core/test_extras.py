"""What is said of something optional that is not installed."""

import importlib

import pytest

from fastscnn_tf.core import extras
from fastscnn_tf.core.errors import ConfigError, InputError
from fastscnn_tf.core.extras import import_extra, training_extra
from fastscnn_tf.core.keras_api import tf_keras


@pytest.mark.parametrize(
    ("backend", "extra"),
    [(None, "train"), ("tensorflow", "train"), ("jax", "keras"), ("torch", "keras")],
)
def test_the_extra_that_trains_is_that_of_the_backend(monkeypatch, backend, extra):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if backend:
        monkeypatch.setenv("KERAS_BACKEND", backend)
    assert training_extra() == extra


@pytest.mark.parametrize("missing", ["jax", "torch", "keras", "tensorflow"])
def test_a_missing_backend_is_installed_by_itself(monkeypatch, missing):
    def no_module(name):
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(extras.importlib, "import_module", no_module)
    with pytest.raises(InputError) as caught:
        import_extra("keras", "keras")
    assert str(caught.value) == {
        "jax": "jax is not installed, which KERAS_BACKEND=jax needs: "
        'pip install "fastscnn-tf[cluster]"',
        "torch": "torch is not installed, which KERAS_BACKEND=torch needs: pip install torch",
    }.get(missing, f'{missing} is not installed: pip install "fastscnn-tf[keras]"')


def test_quantization_on_another_backend_says_so_before_it_asks_for_tensorflow(monkeypatch):
    from fastscnn_tf.core import keras_api

    class Keras:
        class backend:  # noqa: N801
            backend = staticmethod(lambda: "jax")

    def not_asked():
        raise AssertionError("TensorFlow was asked for")

    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(keras_api, "keras3", lambda: Keras)
    monkeypatch.setattr(keras_api, "tensorflow", not_asked)
    with pytest.raises(ConfigError, match="tf_keras models need KERAS_BACKEND=tensorflow"):
        tf_keras.__wrapped__()


def test_what_is_installed_is_imported():
    assert import_extra("json", "train") is importlib.import_module("json")


def test_batches_without_tensorflow_are_pointed_to(monkeypatch):
    from fastscnn_tf.core.config import FastSCNNConfig
    from fastscnn_tf.data import pipeline

    def missing():
        raise InputError("tensorflow is not installed: ...")

    monkeypatch.setattr(pipeline, "tensorflow", missing)
    with pytest.raises(
        InputError, match=r"not installed: .*; load_pydataset gives batches without"
    ):
        pipeline.load_dataset("toy", config=FastSCNNConfig.for_labels("toy", input_size=(64, 96)))
