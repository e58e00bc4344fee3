"""A teacher for distillation: any Keras 3 model from images to logits or probabilities.

It may be read from a `.keras` file of anybody. Keras' safe mode refuses layers with code, and those
that open further files. Beside it the classes come from the parts of Keras that make networks, and
the weights that they ask for have to be in the file. What the layers then compute, and how long, is
theirs.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from ...core.aliases import StrPath
from ...core.config import FastSCNNConfig
from ...core.errors import ConfigError, ModelFileError
from ...core.keras_api import KerasModel, keras3
from ...core.sizes import format_size
from ...model.checkpoints.keras_archive import keras_model, line_of, open_keras
from ...model.fast_scnn import logits_layer, resize_model
from ...model.io import checkpoint_in, load_keras
from ...model.layers import PACKAGE

_LEAST = 1e-7  # a probability of 0 has no logarithm
LARGEST = 4 << 30  # bytes of weights: a thousand million parameters
OBJECTS = 50_000  # in a configuration; a network of 800 layers takes 10,000
SLACK = 1 << 20  # bytes of weights that need not be in the file: random streams and counters
# What of Keras a network is made of. Not among them: data sets, applications, utilities, callbacks.
MODULES = (
    *("activations", "constraints", "dtype_policies", "initializers", "layers", "losses"),
    *("metrics", "models", "ops", "optimizers", "quantizers", "random", "regularizers", "src"),
)


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A frozen network and what is done around it.

    Attributes:
        model: the network, not trainable.
        scale: (3,) factor from the student's normalised image to the teacher's.
        shift: (3,) added to it.
        probabilities: it gives probabilities, whose logarithms are its logits.
    """

    model: Any
    scale: tuple[float, ...] = (1.0, 1.0, 1.0)
    shift: tuple[float, ...] = (0.0, 0.0, 0.0)
    probabilities: bool = False

    def __call__(self, image: Any, training: bool = False) -> Any:
        """Logits (B, h, w, classes) of the student's images (B, H, W, 3), both float32."""
        ops = keras3().ops
        if (self.scale, self.shift) != ((1.0,) * 3, (0.0,) * 3):
            image = image * ops.array(self.scale, "float32") + ops.array(self.shift, "float32")
        output = ops.cast(_logits(self.model(image, training=training)), "float32")
        return ops.log(ops.maximum(output, _LEAST)) if self.probabilities else output


def open_teacher(source: Any, student: FastSCNNConfig) -> Teacher:
    """Freezes a teacher and fits it to a student.

    One of this project's models may be of any size and normalisation: it is rebuilt for the
    student's size, read at 1/8, and gets images normalised as its own configuration says. Any
    other Keras 3 model takes (B, H, W, 3) of the student's size, or of any size, normalised as the
    student's; it gives one output (B, h, w, classes), or a dict with `logits`. Whether those are
    probabilities is seen from what it gives for one image: they sum to 1. The classes have to be
    the student's in the same order; only names that both know can be compared.

    Args:
        source: path of a `.keras` file or run folder, or a Keras 3 model. The model's own
            `trainable` is set to false.
        student: the student's configuration.

    Raises:
        ConfigError: another number of classes or other class names, or an input or output that is
            none of the above.
        ModelFileError: the file is missing, damaged, or not of Keras 3.
    """
    model = load_teacher(source) if isinstance(source, str | os.PathLike) else source
    config = getattr(model, "config", None)
    teacher = _own(model, config, student) if isinstance(config, FastSCNNConfig) else None
    teacher = teacher or _foreign(model, student)
    teacher.model.trainable = False
    return teacher


def _own(model: KerasModel, config: FastSCNNConfig, student: FastSCNNConfig) -> Teacher:
    _check_classes(config.num_classes, student)
    named = config.class_names and student.class_names
    if named and config.class_names != student.class_names:
        pairs = zip(config.class_names, student.class_names, strict=True)
        index, (told, own) = next((i, p) for i, p in enumerate(pairs) if p[0] != p[1])
        raise ConfigError(
            f"the teacher's class {index} is {told} but the student's is {own}: distillation needs "
            "the same classes in the same order"
        )
    # A copy even at the same size: a student may be its own teacher without being frozen.
    resized = resize_model(model, student.input_size, student.pad)
    head = keras3().Model(
        resized.inputs[0], resized.get_layer(logits_layer(config)).output, name="teacher"
    )
    mean, std = np.array(config.mean), np.array(config.std)
    scale = np.array(student.std) / std
    shift = (np.array(student.mean) - mean) / std
    return Teacher(head, tuple(map(float, scale)), tuple(map(float, shift)))


def _foreign(model: KerasModel, student: FastSCNNConfig) -> Teacher:
    wanted = (*student.input_size, 3)
    shapes = [tuple(x.shape[1:]) for x in getattr(model, "inputs", None) or ()]
    fits = len(shapes) == 1 and len(shapes[0]) == 3
    if not fits or any(a not in (None, b) for a, b in zip(shapes[0], wanted, strict=True)):
        found = ", ".join(map(str, shapes)) or "no input of known shape"
        raise ConfigError(
            f"the teacher takes {found}, expected one input {wanted}: load it at the student's "
            f"size {format_size(student.input_size)}, or train the student at the teacher's"
        )
    image = np.linspace(-1, 1, wanted[0] * wanted[1] * 3, dtype=np.float32).reshape(1, *wanted)
    output = keras3().ops.convert_to_numpy(_logits(model(image, training=False)))
    if output.ndim != 4:
        raise ConfigError(f"the teacher gives {output.shape}, expected (batch, h, w, classes)")
    _check_classes(output.shape[-1], student)
    sums = output.astype(np.float64).sum(-1)
    probabilities = bool(output.min() >= 0 and np.abs(sums - 1).max() < 1e-2)
    return Teacher(model, probabilities=probabilities)


def _logits(output: Any) -> Any:
    """The logits among a model's outputs.

    Raises:
        ConfigError: there are several, and none has that name.
    """
    if isinstance(output, dict):
        if "logits" not in output:
            raise ConfigError(f"the teacher gives {', '.join(output)}, expected one named logits")
        return output["logits"]
    if isinstance(output, list | tuple):
        raise ConfigError(f"the teacher gives {len(output)} outputs, expected one, or a dict")
    return output


def _check_classes(count: int, student: FastSCNNConfig) -> None:
    if count != student.num_classes:
        raise ConfigError(
            f"the teacher has {count} classes but the student has {student.num_classes}: "
            "distillation needs the same classes"
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
            raise ModelFileError(f"{path}: asks for {name!r}, which is not part of a network")


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
