"""Scoring a predictor on a data set: one protocol for .keras and .tflite.

Every image counts. By default the image is resized bilinearly to the model's size, the logits are
brought back bilinearly to the label's own size before the argmax (a label map: nearest), and one
confusion matrix collects all pixels that are not void; `views` has other ways.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from ..core.aliases import Progress, StrPath
from ..core.class_maps import ClassMatch
from ..core.errors import DataError
from ..core.overlap import overlapped, readers
from ..core.scores.boundary import BoundaryCounts
from ..core.scores.confusion import confusion_matrix, scores
from ..core.scores.instances import InstanceCounts
from ..core.sizes import format_size
from ..data.datasets.dataset import WHOLE_IMAGES, SegmentationDataset
from ..data.png_decoder import many_cores, use_fast_png
from .class_mapping import mapping_between
from .evaluation_result import Evaluation
from .views import WHOLE as PROTOCOL
from .views import Inference, Predictor, WholeImage, frame_of

__all__ = ["PROTOCOL", "Evaluation", "Predictor", "evaluate_predictor", "frame_of"]


def evaluate_predictor(
    predictor: Predictor,
    dataset: SegmentationDataset,
    progress: Progress = iter,
    *,
    inference: Inference | None = None,
    boundary: bool = False,
    instances: bool = False,
    skip_bad: bool = False,
    missing: Sequence[str] = (),
    match: str = "name",
    class_map: StrPath | None = None,
) -> Evaluation:
    """Scores a predictor on every image of a data set.

    Args:
        predictor: what is scored.
        dataset: the split.
        progress: wraps the indices, to show a progress bar.
        inference: how it looks at an image (see `views`); one look at the whole image by default.
        boundary: boundary F-scores, too (see `core.scores.boundary`).
        instances: iIoU, too, from the data set's instance ids (see `core.scores.instances`).
        skip_bad: leave out pairs that cannot be read, and count them.
        missing: pairs left out before, each with the reason: they are counted, too.
        match: how classes are matched, see `core.class_maps.match_classes`.
        class_map: likewise.

    Raises:
        ConfigError: the model's classes are not the data set's and there is no class map between
            them; or iIoU is wanted of other classes than Cityscapes'.
        DataError: the split is empty or all void, a file is wrong, or there are no instance ids.
    """
    indices = dataset.indices()
    counted = isinstance(indices, range)  # else a stream
    if counted and not len(dataset) and not missing:
        raise DataError(f"{dataset.name}: split {dataset.split!r} is empty")
    mapping = mapping_between(predictor, dataset, match, class_map)
    inference = inference or WholeImage(predictor)
    counts = _Counts(dataset, boundary, instances)
    skipped = list(missing)
    if not many_cores():  # decoding takes them half of the time that is not the network's
        use_fast_png(with_tensorflow=False)

    def look(samples: Iterable[_Sample | DataError]) -> Generator[tuple[_Sample, Any, float]]:
        """Runs the network in this thread: Keras and its strategies belong to one."""
        shown = progress(indices) if counted else itertools.repeat(0)
        for sample, _ in zip(samples, shown, strict=counted):
            if isinstance(sample, DataError):
                if not skip_bad:
                    raise sample
                skipped.append(str(sample))
                continue
            done = inference.run(sample.prepared)
            yield sample, done, inference.seconds

    def score(looked: tuple[_Sample, Any, float]) -> None:
        sample, done, seconds = looked
        counts.add(sample, mapping.apply(inference.finish(done)), seconds)

    def read(index: int) -> _Sample | DataError:
        return _read(dataset, index, instances, inference)

    # The next pairs are read and the last ones scored while the network runs.
    threads = readers()
    with (
        closing(overlapped(read, indices, 2 * threads, threads)) as samples,
        closing(look(samples)) as looks,
        closing(overlapped(score, looks, 2 * threads)) as scored,
    ):
        for _ in scored:
            pass
    if not counts.times and not skipped:
        raise DataError(f"{dataset.name}: it has no pairs")
    if not counts.times:
        raise DataError(f"none of the {len(skipped)} pairs can be used (first: {skipped[0]})")
    protocol = _protocol(inference, mapping, dataset)
    if skipped:
        total = len(counts.times) + len(skipped)
        protocol = protocol.replace("none dropped", f"{len(skipped)} of {total} pairs left out")
    result = counts.result(predictor, protocol)
    return dataclasses.replace(
        result, skipped=len(skipped), skipped_first=skipped[0] if skipped else None
    )


def _protocol(inference: Inference, mapping: ClassMatch, dataset: SegmentationDataset) -> str:
    """What was done, and what is particular to the data set."""
    own = dataset.protocol
    said = (inference.protocol, mapping.protocol, f"data: {own}" if own != WHOLE_IMAGES else "")
    return "; ".join(filter(None, said))


@dataclasses.dataclass(frozen=True)
class _Sample:
    """A pair: what `Inference.run` takes of its image, and what it is scored with."""

    prepared: Any
    label: np.ndarray
    instances: np.ndarray | None


def _read(
    dataset: SegmentationDataset, index: int, instances: bool, inference: Inference
) -> _Sample | DataError:
    """A pair, or why it cannot be used: whether that ends the work is decided in order."""
    try:
        image, label = dataset.read(index)
        ids = _read_instances(dataset, index, label) if instances else None
    except DataError as error:
        return error
    return _Sample(inference.prepare(image, label.shape), label, ids)


def _read_instances(dataset: SegmentationDataset, index: int, label: np.ndarray) -> np.ndarray:
    ids = dataset.read_instances(index)
    if ids is None:
        raise DataError(
            f"{dataset.sample_name(index)}: no instance ids, which iIoU needs, beside its label map"
        )
    if ids.shape != label.shape:
        raise DataError(
            f"{dataset.sample_name(index)}: its instance ids are {format_size(ids.shape)} but its "
            f"label map is {format_size(label.shape)}"
        )
    return ids


class _Counts:
    """Everything counted over the images."""

    def __init__(self, dataset: SegmentationDataset, boundary: bool, instances: bool):
        self.dataset, count = dataset, len(dataset.labels)
        self.matrix = np.zeros((count, count + 1), np.int64)  # the last column: no class
        self.boundary = BoundaryCounts(count) if boundary else None
        self.instances = InstanceCounts(dataset.labels) if instances else None
        self.times: list[float] = []

    def add(self, sample: _Sample, prediction: np.ndarray, seconds: float) -> None:
        """Adds one image."""
        count = len(self.dataset.labels)
        self.matrix += confusion_matrix(sample.label, prediction, count, extra=1)
        if self.boundary:
            self.boundary.add(sample.label, prediction)
        if self.instances and sample.instances is not None:
            self.instances.add(sample.instances, prediction)
        self.times.append(seconds * 1000)

    def result(self, predictor: Predictor, protocol: str) -> Evaluation:
        """The scores of what was counted.

        Raises:
            DataError: no pixel was scored.
        """
        dataset, count = self.dataset, len(self.dataset.labels)
        matrix = self.matrix if self.matrix[:, count].any() else self.matrix[:, :count]
        result = scores(matrix, dataset.labels.categories)
        if result.miou is None:
            raise DataError(f"{dataset.name}: every label of split {dataset.split!r} is void")
        return Evaluation(
            miou=result.miou,
            pixel_accuracy=result.pixel_accuracy,
            class_iou=dict(zip(dataset.labels.names, result.class_iou, strict=True)),
            images=len(self.times),
            latency_ms={
                "median": float(np.median(self.times)),
                "p90": float(np.percentile(self.times, 90)),
            },
            protocol=protocol,
            details={
                "dataset": dataset.name,
                "split": dataset.split,
                "input_size": format_size(predictor.input_size),
            },
            scores=result,
            boundary=tuple(self.boundary.scores()) if self.boundary else (),
            instances=self.instances.scores(matrix) if self.instances else None,
        )
