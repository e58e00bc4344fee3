"""`--init-from`: starting values for training out of another model's weights."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.class_maps import shared_classes
from ..core.config import FastSCNNConfig
from ..core.console import LOG
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
    LOG.info(initialise(model, start))
    return model


def initialise(
    model: KerasModel, start: Start, match: str = "name", class_map: StrPath | None = None
) -> str:
    """Copies what fits from `start` into a new model of the same architecture.

    Of the logits each class takes the weights of the class of its name. Classes that `start` does
    not have, and heads that it has not, keep their random weights.

    Args:
        model: made by `fast_scnn` from `start.config` with other classes, size or heads.
        start: where the weights come from.
        match, class_map: how classes are matched, see `core.class_maps.shared_classes`.

    Returns:
        One sentence that says what was taken and what is new.

    Raises:
        ConfigError: a layer between them is missing or of another shape, or the classes cannot be
            matched as asked.
    """
    classes = _Classes.of(start.config, model.config, match, class_map)
    source = {layer.name: layer for layer in start.model.layers}
    classifier = isinstance(start.model, classifier_class(keras3()))
    taken, new = 0, []
    for layer in model.layers:
        shapes = [tuple(w.shape) for w in layer.weights]
        if not shapes:
            continue
        found = source.get(layer.name)
        if found is not None and not classes.same and layer.name.removesuffix(".bn") in LOGITS:
            layer.set_weights(classes.carried(found.get_weights(), layer.get_weights()))
            taken += bool(classes.pairs)
        elif found is not None and [tuple(w.shape) for w in found.weights] == shapes:
            layer.set_weights(found.get_weights())
            taken += 1
        elif _may_be_new(layer.name, found is None, classifier):
            new.append(layer.name)
        else:
            what = "is missing" if found is None else "has another shape"
            raise ConfigError(f"{start.path}: layer {layer.name!r} {what} in this checkpoint")
    return _sentence(start, taken, new, str(classes))


@dataclasses.dataclass(frozen=True)
class _Classes:
    """The classes of a new model that a starting one knows.

    Attributes:
        names: of the new model.
        pairs: index in the new model -> in the starting one.
        how: how they were matched.
        before: classes of the starting model.
    """

    names: tuple[str, ...]
    pairs: dict[int, int]
    how: str
    before: int

    @classmethod
    def of(
        cls, before: FastSCNNConfig, after: FastSCNNConfig, match: str, class_map: StrPath | None
    ) -> _Classes:
        found, how = shared_classes(before.labels, after.labels, match, class_map)
        pairs = {i: index for i, index in enumerate(found) if index is not None}
        return cls(after.labels.names, pairs, how, before.num_classes)

    @property
    def same(self) -> bool:
        """Whether all are there, in the same order."""
        return list(self.pairs.items()) == [
            (i, i) for i in range(max(len(self.names), self.before))
        ]

    def carried(self, old: list[np.ndarray], new: list[np.ndarray]) -> list[np.ndarray]:
        """New weights whose last axis is the classes, with those of the shared ones."""
        for fresh, kept in zip(new, old, strict=True):
            fresh[..., list(self.pairs)] = kept[..., list(self.pairs.values())]
        return new

    def __str__(self) -> str:
        after = len(self.names)
        if self.same:
            return "" if self.how == "by name" else f"classes matched {self.how}"
        if not self.pairs:
            why = ", none of the same name" if self.how else ""
            return f"the logits start anew, for {after} classes instead of {self.before}{why}"
        if len(self.pairs) == after == self.before:
            return f"the logits of all {after} classes carried over {self.how}, in another order"
        fresh = [name for i, name in enumerate(self.names) if i not in self.pairs]
        lost = self.before - len(set(self.pairs.values()))
        said = f"the logits of {len(self.pairs)} of {after} classes carried over {self.how}"
        said += f", new: {', '.join(fresh)}" if fresh else ""
        return said + (f", {lost} left out" if lost else "")


def _may_be_new(name: str, missing: bool, classifier: bool) -> bool:
    return missing and name.startswith(NEW_IN_SEGMENTATION if classifier else ("aux_",))


def _sentence(start: Start, taken: int, new: list[str], classes: str) -> str:
    parts = [f"{start.path}: weights of {taken} layers taken"]
    fresh = sorted({name.split(".")[0] for name in new})
    if classes and "classifier" not in fresh:
        parts.append(f"{'' if fresh or 'anew' not in classes else 'only '}{classes}")
    if fresh:
        parts.append(f"new: {', '.join(fresh)}")
    return "; ".join(parts)
