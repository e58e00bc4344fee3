"""Which class of the data set a model's class is: the same index, or a known class map."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..core.class_maps import class_map
from ..core.errors import ConfigError
from ..core.labels import IGNORE, LabelSpace
from ..data.datasets.dataset import SegmentationDataset
from .views import Predictor

NAMELESS = 255  # classes of a label map from a foreign file, which does not say how many it has


@dataclasses.dataclass(frozen=True)
class ClassMapping:
    """From a model's class indices to the data set's.

    Attributes:
        table: (256,) uint8, 255 where a class has no counterpart; None where indices agree.
        protocol: what it does, in one sentence; empty where the classes are the same.
    """

    table: np.ndarray | None = None
    protocol: str = ""

    def apply(self, prediction: np.ndarray) -> np.ndarray:
        """The prediction in the data set's classes."""
        return prediction if self.table is None else self.table[prediction]


def mapping_between(predictor: Predictor, dataset: SegmentationDataset) -> ClassMapping:
    """How a predictor's classes become the data set's.

    Raises:
        ConfigError: their numbers differ and no class map is known.
    """
    space, labels, count = label_space_of(predictor), dataset.labels, predictor.num_classes
    if not has_names(space) or space.names == labels.names:
        _check_number(count, dataset)
        return ClassMapping()
    table = class_map(space, labels)
    if table is not None:
        return ClassMapping(table, _sentence(space, labels, table))
    _check_number(count, dataset, space.names)
    first = next(
        f"{i} is {a} in the model and {b} in {dataset.name}"
        for i, (a, b) in enumerate(zip(space.names, labels.names, strict=True))
        if a != b
    )
    return ClassMapping(protocol=f"classes matched by index though names differ (class {first})")


def label_space_of(predictor: Predictor) -> LabelSpace:
    """Names and colours of a predictor's classes, generated where it has none."""
    holder = predictor if hasattr(predictor, "labels") else getattr(predictor, "config", None)
    space = getattr(holder, "labels", None)
    return space or LabelSpace.make("model", predictor.num_classes)


def has_names(space: LabelSpace) -> bool:
    """Whether the class names say something, or were generated."""
    return space.names != LabelSpace.make("model", len(space)).names


def _check_number(count: int, dataset: SegmentationDataset, names: tuple[str, ...] = ()) -> None:
    labels = dataset.labels
    if count in (len(labels), NAMELESS):
        return
    model = f"{count} classes ({names[0]}, ...)" if names else f"{count} classes"
    raise ConfigError(
        f"the model has {model} but {dataset.name} has {len(labels)} ({labels.names[0]}, ...), and "
        "no class map between them is known: score it on the data set it was trained for"
    )


def _sentence(space: LabelSpace, labels: LabelSpace, table: np.ndarray) -> str:
    lost = [name for i, name in enumerate(space.names) if table[i] == IGNORE]
    text = f"{len(space)} classes of the model mapped to the {len(labels)} of {labels.name}"
    if lost:
        text += f" ({', '.join(lost)}: no counterpart, a miss wherever predicted)"
    return text
