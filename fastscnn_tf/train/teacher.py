"""A teacher for distillation: any Keras 3 model from images to logits or probabilities."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError
from ..core.sizes import format_size
from ..keras_api import KerasModel, keras3
from ..model.fast_scnn import logits_layer, resize_model
from .teacher_file import load_teacher

_LEAST = 1e-7  # a probability of 0 has no logarithm


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
    probabilities is seen from what it gives for one picture: they sum to 1. The classes have to be
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
    picture = np.linspace(-1, 1, wanted[0] * wanted[1] * 3, dtype=np.float32).reshape(1, *wanted)
    output = keras3().ops.convert_to_numpy(_logits(model(picture, training=False)))
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
