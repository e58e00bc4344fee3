"""Quantization-aware checkpoints: a `.npz` of weights, ranges and, to resume, the optimizer."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..core.errors import ConfigError, ModelFileError
from ..model.folded import load_folded, save_folded
from .quantize_aware import folded_of, qat_model

OPTIMIZER = "optimizer"


def save_qat(model: Any, path: str | os.PathLike[str], optimizer: bool = False) -> None:
    """Writes weights, ranges and configuration, whole or not at all.

    Args:
        model: what `quantize_aware` returned, its ranges set.
        path: the .npz.
        optimizer: add the optimizer's variables, to go on training.
    """
    network = folded_of(model)
    if optimizer:
        variables = enumerate(model.optimizer.variables)
        network = network.replace(
            extra={f"{OPTIMIZER}{i:04d}": np.asarray(v) for i, v in variables}
        )
    save_folded(network, path)


def load_qat(path: str | os.PathLike[str]) -> Any:
    """The quantization-aware tf_keras model that `save_qat` wrote.

    Raises:
        ModelFileError: missing, damaged or another kind of file.
    """
    try:
        return qat_model(load_folded(path))
    except ConfigError as error:
        raise ModelFileError(f"{path}: damaged checkpoint ({error})") from None


def restore_optimizer(model: Any, path: str | os.PathLike[str]) -> None:
    """Sets the optimizer's variables of a compiled model from a checkpoint.

    Raises:
        ModelFileError: the checkpoint belongs to another optimizer.
    """
    extra = load_folded(path).extra
    values = [extra[name] for name in sorted(extra) if name.startswith(OPTIMIZER)]
    model.optimizer.build(model.trainable_variables)
    variables = model.optimizer.variables
    if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
        raise ModelFileError(f"{path}: holds the state of another optimizer")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
