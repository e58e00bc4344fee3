"""Quantization-aware checkpoints: a `.npz` of weights, ranges and, to resume, the optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.errors import ConfigError, ModelFileError, retold
from ..core.files.json_text import decode_json, dump_json
from ..core.keras_api import KerasModel
from ..model.folded import load_folded, save_folded
from ..runs.run_files import check_state
from ..train.training_state import optimizer_arrays, restore_optimizer
from .quantize_aware import folded_of, qat_model

STATE = "state"


def save_qat(model: KerasModel, path: StrPath, state: dict[str, Any] | None = None) -> None:
    """Writes weights, ranges and configuration, whole or not at all.

    Args:
        model: what `quantize_aware` returned, its ranges set.
        path: the .npz.
        state: plain JSON: how far the run came; with it goes what the optimizer needs to go on.
    """
    network = folded_of(model)
    if state is not None:
        packed = np.frombuffer(dump_json(state).encode(), np.uint8)
        network = network.replace(extra={**optimizer_arrays(model.optimizer), STATE: packed})
    save_folded(network, path)


def load_qat(path: StrPath) -> KerasModel:
    """The quantization-aware tf_keras model that `save_qat` wrote.

    Raises:
        ModelFileError: missing, damaged or another kind of file.
    """
    with retold(ModelFileError, f"{path}: damaged checkpoint (", ")", of=ConfigError):
        return qat_model(load_folded(path))


def restore_run(model: KerasModel, path: StrPath) -> dict[str, Any]:
    """Sets the optimizer's variables of a compiled model from a checkpoint; returns its state.

    Raises:
        ModelFileError: the checkpoint belongs to another optimizer, or holds no state.
    """
    extra = load_folded(path).extra
    if STATE not in extra:
        raise ModelFileError(f"{path}: a model, but not a checkpoint to go on from")
    text = extra[STATE].tobytes()
    found: Any = decode_json(text, f"{path}: {STATE}", error=ModelFileError, mend=True)
    state = check_state(found, path)
    restore_optimizer(model, extra, path)
    return state
