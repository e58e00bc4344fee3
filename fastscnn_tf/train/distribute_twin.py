"""Which variable of a tf_keras twin is which of its Keras 3 model."""

from __future__ import annotations

from typing import Any

from ..core.errors import ConfigError
from ..keras_api import KerasModel


def paired_variables(model: KerasModel, twin: Any) -> tuple[list[Any], list[Any]]:
    """Weights and optimizer variables of a Keras 3 model, and those of its twin, in one order.

    Raises:
        ConfigError: the optimizers keep other variables.
    """
    ours, theirs = [], []
    for layer in model.layers:
        if layer.weights:
            ours += layer.weights
            theirs += twin.get_layer(layer.name).weights
    ours += _optimizer_variables(model)
    theirs += _optimizer_variables(twin)
    if [tuple(v.shape) for v in ours] != [tuple(v.shape) for v in theirs]:
        raise ConfigError("the optimizer of the twin keeps other variables than the model's")
    return ours, theirs


def _optimizer_variables(model: KerasModel) -> list[Any]:
    """The step, and what SGD and Adam keep of each trainable variable, by the layers' order."""
    optimizer = model.optimizer
    order = {id(v): i for i, v in enumerate(model.trainable_variables)}
    trainable = [v for layer in _weighted(model) for v in layer.trainable_weights]
    variables = [optimizer.iterations]
    for name in ("momentums", "_momentums", "_velocities"):
        if kept := getattr(optimizer, name, None):
            variables += [kept[order[id(v)]] for v in trainable]
    return variables


def _weighted(model: KerasModel) -> list[Any]:
    return sorted((x for x in model.layers if x.trainable_weights), key=lambda x: x.name)
