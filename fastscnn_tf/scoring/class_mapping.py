"""Which class of the data set a predictor's class is."""

from __future__ import annotations

from ..core.aliases import StrPath
from ..core.class_maps import ClassMatch, match_classes
from ..core.labels import LabelSpace
from ..data.datasets.dataset import SegmentationDataset
from .views import Predictor


def mapping_between(
    predictor: Predictor,
    dataset: SegmentationDataset,
    match: str = "name",
    class_map: StrPath | None = None,
) -> ClassMatch:
    """How a predictor's classes become the data set's: `match_classes` of both.

    Raises:
        ConfigError: they differ and no class map is known.
    """
    space = label_space_of(predictor)
    return match_classes(space, dataset.labels, match, class_map, predictor.num_classes)


def label_space_of(predictor: Predictor) -> LabelSpace:
    """Names and colours of a predictor's classes, generated where it has none."""
    holder = predictor if hasattr(predictor, "labels") else getattr(predictor, "config", None)
    space = getattr(holder, "labels", None)
    return space or LabelSpace.make("model", predictor.num_classes)
