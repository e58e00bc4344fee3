"""Knowledge distillation: a student learns a teacher's class probabilities at every cell.

The loss is that of Hinton et al. (2015, section 2), cell by cell as in Liu et al. ("Structured
knowledge distillation for semantic segmentation", CVPR 2019): T^2 KL(teacher || student) of the
softmax at temperature T. It is taken at the coarser of both logits, 1/8 of the input for this
network: what lies between the cells is interpolated and teaches nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.keras_api import KerasModel, Ours, Tensor, keras3, of_keras
from ...model.fast_scnn import logits_layer, model_class, require_fast_scnn
from ..settings import check_run_values
from .teacher import open_teacher

DISTILL = "distill"


def distillation_loss(temperature: float = 1.0) -> Callable[[Any, Any], Any]:
    """T^2 KL(teacher / T || student / T), averaged over cells.

    Args:
        temperature: T, above 0; larger ones show more of what the teacher holds possible. The
            factor T^2 keeps the gradient's size (Hinton et al., section 2).

    Returns:
        A Keras loss of (y_true, y_pred). `y_pred` is float32 (B, h, w, 2 classes): the logits of
        the student, then those of the teacher. `y_true` is (B, h, w), or broadcast to it: the
        weight of each cell; None for 1 everywhere. A cell whose label is void counts like any
        other: there the teacher knows more than the label. The result is a scalar, 0 where all
        weights are.

    Raises:
        ConfigError: no such temperature.
    """
    check_run_values(distill_temperature=temperature)
    ops = keras3().ops

    def distillation(y_true: Tensor, y_pred: Tensor) -> Tensor:
        student, teacher = ops.split(ops.cast(y_pred, "float32") / temperature, 2, axis=-1)
        told, learned = ops.log_softmax(teacher), ops.log_softmax(student)
        divergence = ops.sum(ops.exp(told) * (told - learned), -1) * temperature**2
        if y_true is None:
            return ops.mean(divergence)
        weight = ops.broadcast_to(ops.cast(y_true, "float32"), ops.shape(divergence))
        return ops.sum(divergence * weight) / ops.maximum(ops.sum(weight), 1.0)

    return distillation


def distilling_model(
    model: KerasModel, teacher: Any = None, temperature: float = 1.0, weight: float = 1.0
) -> KerasModel:
    """A model to train that holds the student's own layers and a frozen teacher.

    It takes what the student takes, its outputs are the student's and one more, `distill`, and its
    loss is the one it is compiled with plus `weight` times `distillation_loss`. Compile and fit it
    as the student, with the same data; compiling it compiles the student with the same optimizer.
    `save` writes the student alone, optimizer state included: load that file, and hand it in here
    again, to go on.

    Args:
        model: the student, from `fast_scnn` or `load_model`.
        teacher: a `.keras` file, a run folder or a Keras 3 model (see `teacher.open_teacher`).
            None: the teacher's logits come with the data, as `saved_logits.logits_batches` gives
            them, and the model has a second input, `teacher` (h, w, classes + 1) at 1/8.
        temperature: as in `distillation_loss`.
        weight: of the distillation, 0 or more.

    Returns:
        A Keras 3 model; `student` is the student. Its logs have `distill`, the mean of the
        distillation loss before the weight. For validation and checkpoints take the student.

    Raises:
        ConfigError: no Fast-SCNN, another number of classes, or a value out of range.
        ModelFileError: the teacher's file is missing, damaged or of another kind.
    """
    config = require_fast_scnn(model)
    check_run_values(distill_weight=weight)
    loss = distillation_loss(temperature)
    keras, names = keras3(), model.output_names
    logits = model.get_layer(logits_layer(config)).output
    layer = of_keras(TeacherAndStudent, keras.layers.Layer)
    inputs: Any = model.inputs[0]
    if teacher is None:
        given = keras.Input((*logits.shape[1:3], config.num_classes + 1), name="teacher")
        both, inputs = layer(None, name=DISTILL)([logits, given]), [inputs, given]
    else:
        both = layer(open_teacher(teacher, config), name=DISTILL)([logits, inputs])
    own = model.output if isinstance(model.output, dict) else {names[0]: model.output}
    training = of_keras(Distilling, model_class(keras))(inputs, {**own, DISTILL: both})
    training.config = config
    training.prepare(model, loss, weight)
    return training


class TeacherAndStudent:
    """The logits of both, side by side, at the coarser of both resolutions.

    Args:
        teacher: a `Teacher`, or None where its logits are an input.
    """

    def __init__(self, teacher: KerasModel, **kwargs):
        super().__init__(**kwargs)
        self.rule = teacher
        # Tracked, so that its weights are known to the backend; frozen for good.
        self.network = teacher.model if teacher else None
        self.trainable = False

    def call(self, inputs):
        ops = keras3().ops
        student, second = inputs
        if self.rule is None:
            return ops.concatenate([student, second], -1)
        # Without `training=False` the teacher's dropout and statistics would follow `fit`.
        told = ops.stop_gradient(self.rule(second, training=False))
        sizes = student.shape[1:3], told.shape[1:3]
        size = tuple(min(sides) for sides in zip(*sizes, strict=True))
        return ops.concatenate([_resized(student, size), _resized(told, size)], -1)


def _resized(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear without antialiasing: a cell shows its centre, where auxiliary heads read labels."""
    if tuple(logits.shape[1:3]) == size:
        return logits
    resize = keras3().ops.image.resize
    return resize(logits, size, antialias=False, data_format="channels_last")


class Distilling(Ours):
    """A student with its teacher; see `distilling_model`."""

    def prepare(self, student: KerasModel, loss: Any, weight: float) -> None:
        """Keeps what is not a layer here; Keras would track a model or a metric twice."""
        self._student = lambda: student
        self._distillation, self._weight = loss, weight
        self._mean_distillation = keras3().metrics.Mean(name=DISTILL)

    @property
    def student(self) -> Tensor:
        """The model that is trained, without its teacher."""
        return self._student()

    def compile(self, optimizer="rmsprop", **kwargs):
        self.student.compile(optimizer=optimizer, **kwargs)
        super().compile(optimizer=self.student.optimizer, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        own, both = _parted(y_pred)
        told = self._distilled(both)
        self._mean_distillation.update_state(told)
        return super().compute_loss(x, y, own, sample_weight, training) + self._weight * told

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, _parted(y_pred)[0], sample_weight)

    def save(self, filepath, overwrite=True, **kwargs):
        self.student.save(filepath, overwrite=overwrite, **kwargs)

    def _distilled(self, both):
        classes = self.config.num_classes
        if both.shape[-1] == 2 * classes:
            return self._distillation(None, both)
        return self._distillation(both[..., -1], both[..., :-1])


def _parted(outputs: Tensor) -> tuple[Any, Any]:
    """The student's outputs as its own model gives them, and the logits of both."""
    own = {name: value for name, value in outputs.items() if name != DISTILL}
    return (next(iter(own.values())) if len(own) == 1 else own), outputs[DISTILL]
