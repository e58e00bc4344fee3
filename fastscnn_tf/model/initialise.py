"""`--init-from`: starting values for training out of another model's weights."""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

from ..core.aliases import StrPath
from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError
from ..core.keras_api import KerasModel, keras3
from ..core.named_weights import no_such_model
from .checkpoints.import_checkpoint import import_checkpoint
from .classifier import classifier_class
from .fast_scnn import fast_scnn
from .io import checkpoint_in, load_keras

# Their shapes follow the number of classes.
LOGITS = ("classifier.logits", "aux_ltd.logits", "aux_gfe.logits")
NEW_IN_SEGMENTATION = ("fusion.", "classifier.", "aux_")  # what an image classifier has not


@dataclasses.dataclass(frozen=True)
class Start:
    """A model to take weights from.

    Attributes:
        model: a Keras 3 model of this project, for segmentation or an image classifier.
        path: where it came from.
    """

    model: Any
    path: Path

    @property
    def config(self) -> FastSCNNConfig:
        """Its architecture and normalisation."""
        return self.model.config


def read_start(path: StrPath) -> Start:
    """Reads a `.keras` file or run folder of ours, or a checkpoint of another implementation.

    Raises:
        ModelFileError: missing, damaged or of another kind.
    """
    found = checkpoint_in(path)
    if not os.path.lexists(found):
        raise no_such_model(path)
    if found.suffix == ".keras":
        return Start(load_keras(found, classifier=None), found)
    return Start(import_checkpoint(found), found)


def for_classes(start: Start, num_classes: int) -> KerasModel:
    """A model of the same architecture for other classes, with generated names and colours.

    Args:
        start: where the weights come from.
        num_classes: classes of the new logits.

    Raises:
        ConfigError: no such number of classes.
    """
    config = start.config
    if num_classes != config.num_classes:
        config = config.replace(num_classes=num_classes, class_names=(), class_colors=())
    model = fast_scnn(config)
    logging.getLogger("fastscnn_tf").info(initialise(model, start))
    return model


def initialise(model: KerasModel, start: Start) -> str:
    """Copies what fits from `start` into a new model of the same architecture.

    Logits of another number of classes, and heads that `start` does not have, keep their random
    weights.

    Args:
        model: made by `fast_scnn` from `start.config` with other classes, size or heads.
        start: where the weights come from.

    Returns:
        One sentence that says what was taken and what is new.

    Raises:
        ConfigError: a layer between them is missing or of another shape.
    """
    source = {layer.name: layer for layer in start.model.layers}
    classifier = isinstance(start.model, classifier_class(keras3()))
    taken, new = 0, []
    for layer in model.layers:
        shapes = [tuple(w.shape) for w in layer.weights]
        if not shapes:
            continue
        found = source.get(layer.name)
        if found is not None and [tuple(w.shape) for w in found.weights] == shapes:
            layer.set_weights(found.get_weights())
            taken += 1
        elif _may_be_new(layer.name, found is None, classifier):
            new.append(layer.name)
        else:
            what = "is missing" if found is None else "has another shape"
            raise ConfigError(f"{start.path}: layer {layer.name!r} {what} in this checkpoint")
    return _sentence(start, model, taken, new)


def _may_be_new(name: str, missing: bool, classifier: bool) -> bool:
    logits = name.removesuffix(".bn") in LOGITS
    heads = ("aux_",) if not classifier else NEW_IN_SEGMENTATION
    return logits or (missing and name.startswith(heads))


def _sentence(start: Start, model: KerasModel, taken: int, new: list[str]) -> str:
    parts = [f"{start.path}: weights of {taken} layers taken"]
    before, after = start.config.num_classes, model.config.num_classes
    fresh = {name.split(".")[0] for name in new if name.removesuffix(".bn") not in LOGITS}
    if "classifier.logits" in new and "classifier" not in fresh:
        only = "" if fresh else "only "
        parts.append(f"{only}the logits start anew, for {after} classes instead of {before}")
    if fresh:
        parts.append(f"new: {', '.join(sorted(fresh))}")
    return "; ".join(parts)
