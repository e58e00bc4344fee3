"""Reading a teacher from a `.keras` file of anybody.

Keras' safe mode refuses layers with code, and those that open further files. Beside it the classes
come from the parts of Keras that make networks, and the weights that they ask for have to be in
the file. What the layers then compute, and how long, is theirs.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.errors import ModelFileError
from ..keras_api import KerasModel, keras3
from ..model.io import checkpoint_in, load_keras
from ..model.keras_archive import keras_model, line_of, open_keras
from ..model.layers import PACKAGE

LARGEST = 4 << 30  # bytes of weights: a thousand million parameters
OBJECTS = 50_000  # in a configuration; a network of 800 layers takes 10,000
SLACK = 1 << 20  # bytes of weights that need not be in the file: random streams and counters
# What of Keras a network is made of. Not among them: data sets, applications, utilities, callbacks.
MODULES = (
    *("activations", "constraints", "dtype_policies", "initializers", "layers", "losses"),
    *("metrics", "models", "ops", "optimizers", "quantizers", "random", "regularizers", "src"),
)


def load_teacher(path: StrPath) -> KerasModel:
    """Reads a `.keras` file of this project or of anyone.

    Only what Keras can load without executing code of the file is loaded; custom layers have to be
    registered before.

    Raises:
        ModelFileError: missing, damaged or not loadable.
    """
    path = checkpoint_in(path)
    with open_keras(path) as file:
        if not (file.config.registered_name or "").startswith(f"{PACKAGE}>"):
            config = {**file.whole, "compile_config": None}
            _check_objects(config, path)
            weights = file.weights(LARGEST)
            _check_size(config, sum(array.nbytes for array in weights.values()), path)
            return keras_model(config, weights, path)
    return load_keras(path)


def _check_objects(config: dict[str, Any], path: Path) -> None:
    """Makes sure that a configuration names parts of a network only.

    Raises:
        ModelFileError: naming what else it asks for.
    """
    waiting, count = [config], 0
    while waiting:
        item = waiting.pop()
        waiting += [x for x in (item.values() if isinstance(item, dict) else item) if _holds(x)]
        if not isinstance(item, dict) or "class_name" not in item:
            continue
        count += 1
        if count > OBJECTS:
            raise ModelFileError(f"{path}: more than {OBJECTS:,} objects: no network has so many")
        parts = str(item.get("module") or "").split(".")
        if parts[0].startswith("keras") and not set(parts[1:2]) <= set(MODULES):
            name = ".".join([*parts, str(item["class_name"])])[:80]
            raise ModelFileError(f"{path}: asks for {name!r}, which is no part of a network")


def _holds(value: object) -> bool:
    return isinstance(value, dict | list)


def _check_size(config: dict[str, Any], present: int, path: Path) -> None:
    """Makes sure that a network's weights are in the file, before there is memory for them.

    Raises:
        ModelFileError: they are not, or Keras cannot make the network.
    """
    keras = keras3()
    try:
        with keras.StatelessScope(initialize_variables=False):
            made = keras.saving.deserialize_keras_object(copy.deepcopy(config), safe_mode=True)
            needed = sum(math.prod(w.shape) * np.dtype(np.float32).itemsize for w in made.weights)
    except Exception as error:  # a layer may raise anything at a configuration made by hand
        keras.utils.clear_session()  # forgets the weights that have no values yet
        raise ModelFileError(f"{path}: cannot be loaded ({line_of(error)})") from None
    if needed > 2 * present + SLACK:
        keras.utils.clear_session()
        raise ModelFileError(
            f"{path}: its network takes {needed:,} bytes of weights, but it holds {present:,}"
        )


__all__ = ["load_teacher"]
