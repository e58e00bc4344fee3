"""Checkpoints to go on from: one file that is there whole or not at all.

Weights, optimizer, moving average, random streams and how far the run came must be of the same
moment. They are members of one archive, so that a process killed between two files cannot leave
halves of two epochs: the `.keras` file of the model with two members more, which Keras ignores.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.errors import ModelFileError, instead_of
from ..core.files.json_text import decode_json, dump_json
from ..core.files.writing import replacing
from ..core.files.zip_archive import read_npz
from ..core.keras_api import KerasModel, keras3
from ..model.checkpoints.keras_archive import open_keras
from ..model.fast_scnn import copy_weights
from ..model.io import load_keras, own_network
from ..runs.run_files import check_state

OPTIMIZER, EMA = "optimizer/", "ema/"
ARRAYS, STATE_MEMBER = "fastscnn/training.npz", "fastscnn/state.json"
LARGEST = 64 << 20  # bytes of the state; an epoch of the history takes a hundred


def save_checkpoint(
    network: Any,
    fitted: Any,
    path: StrPath,
    state: dict[str, Any],
    ema: Any = None,
) -> None:
    """Writes a network with all that a run needs to go on, whole or not at all.

    Args:
        network: what is trained.
        fitted: the compiled model that `fit` runs: the network, or one that holds it.
        path: the `.keras` file.
        state: plain JSON: how far the run came.
        ema: the callback with the moving average, if there is one.

    Raises:
        OutputError: the disk is full or the folder cannot be written; `path` stays as it was.
    """
    arrays = optimizer_arrays(fitted.optimizer)
    if ema:
        arrays.update({f"{EMA}{name}": value for name, value in ema.state().items()})
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    state = {**state, "dropout": dropout_state(network)}
    with replacing(path, sync=True) as temporary:
        save_model(network, temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(ARRAYS, packed.getvalue())
            archive.writestr(STATE_MEMBER, dump_json(state))


def save_model(model: KerasModel, path: Path) -> None:
    """`model.save` without the optimizer; what fails while writing is an OSError.

    Keras leaves `include_optimizer` unheard in `.keras` files: the moments would be in there twice.
    """
    optimizer = getattr(model, "optimizer", None)
    try:
        model.optimizer = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that another optimizer than Keras' keeps its state
            model.save(path)
    except (RuntimeError, ValueError) as error:  # how HDF5 and Keras report a full disk
        cause = str(error).strip().splitlines()[0][:160]
        raise OSError(cause) from error
    finally:
        model.optimizer = optimizer


def read_checkpoint(path: StrPath) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `save_checkpoint` wrote beside the model.

    Raises:
        ModelFileError: not a checkpoint of a run, or damaged.
    """
    with open_keras(path) as file:
        room = own_network(file, classifier=None).room
        wrong = ModelFileError(f"{path}: a model, but not a checkpoint to go on from")
        with instead_of(KeyError, wrong):
            state = file.archive.read(STATE_MEMBER, LARGEST)
            packed = file.archive.read(ARRAYS, room)
    found: Any = decode_json(state, f"{path}: {STATE_MEMBER}", error=ModelFileError, mend=True)
    arrays = read_npz(packed, f"{path}: {ARRAYS}", largest=room, error=ModelFileError)
    return check_state(found, path), arrays


def restore_checkpoint(network: Any, fitted: Any, path: Path, ema: Any = None) -> dict[str, Any]:
    """Puts weights, optimizer, moving average and random streams back.

    Args:
        network, fitted, ema: as for `save_checkpoint`, freshly built by the same settings.
        path: the checkpoint.

    Returns:
        The state that was saved with them.

    Raises:
        ModelFileError: damaged, or of another kind of run.
    """
    state, arrays = read_checkpoint(path)
    copy_weights(load_keras(path, classifier=None), network)
    restore_optimizer(fitted, arrays, path)
    restore_dropout(network, state.get("dropout", {}), path)
    if ema:
        average = {k.removeprefix(EMA): v for k, v in arrays.items() if k.startswith(EMA)}
        ema.restore(average)
    return state


def optimizer_arrays(optimizer: Any) -> dict[str, np.ndarray]:
    """The optimizer's variables by their place."""
    value = keras3().ops.convert_to_numpy
    return {f"{OPTIMIZER}{i:04d}": value(v) for i, v in enumerate(optimizer.variables)}


def restore_optimizer(model: KerasModel, arrays: dict[str, np.ndarray], path: Any) -> None:
    """Sets the optimizer's variables of a compiled model.

    Raises:
        ModelFileError: the checkpoint belongs to another optimizer.
    """
    model.optimizer.build(model.trainable_variables)
    variables = model.optimizer.variables
    values = [arrays[name] for name in sorted(arrays) if name.startswith(OPTIMIZER)]
    numbers = all(value.dtype.kind in "biuf" for value in values)
    if not numbers or [v.shape for v in values] != [tuple(v.shape) for v in variables]:
        raise ModelFileError(f"{path}: holds the state of another optimizer")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def dropout_state(model: KerasModel) -> dict[str, list[int]]:
    """Where each dropout layer's random stream stands; Keras does not save it with the model."""
    layers = [layer for layer in model.layers if hasattr(layer, "seed_generator")]
    value = keras3().ops.convert_to_numpy
    return {x.name: [int(v) for v in value(x.seed_generator.state)] for x in layers}


def restore_dropout(model: KerasModel, state: dict[str, list[int]], path: Any) -> None:
    """Puts the random streams of `dropout_state` back.

    Raises:
        ModelFileError: the model has no such layer.
    """
    names = {layer.name for layer in model.layers if hasattr(layer, "seed_generator")}
    if set(state) != names:
        raise ModelFileError(f"{path}: damaged, its random streams are of other layers")
    for name, values in state.items():
        variable = model.get_layer(name).seed_generator.state
        if len(values) != variable.shape[0] or not all(0 <= value < 1 << 32 for value in values):
            raise ModelFileError(f"{path}: damaged, no random stream is at {values[:4]}")
        variable.assign(keras3().ops.convert_to_tensor(values, variable.dtype))
