"""Scoring a predictor on a data set: one protocol for .keras and .tflite.

Every image counts. By default the image is resized bilinearly to the model's size, the logits are
brought back bilinearly to the label's own size before the argmax (a label map: nearest), and one
confusion matrix collects all pixels that are not void; `views` has other ways.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ..core.aliases import Progress, StrPath
from ..core.class_maps import ClassMatch
from ..core.console import first_few, warn
from ..core.errors import ConfigError, DataError, OutputError, instead_of, retold
from ..core.files.journal import Journal
from ..core.files.json_text import Count
from ..core.overlap import overlapped, readers
from ..core.scores.boundary import BoundaryCounts, BoundaryFound
from ..core.scores.confusion import confusion_matrix, scores
from ..core.scores.instances import InstanceCounts, InstanceFound
from ..core.sizes import format_size
from ..data.datasets.dataset import WHOLE_IMAGES, SegmentationDataset, check_filled, key_of
from ..data.png_decoder import many_cores, use_fast_png
from ..runtime.fleet import Fleet
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
    fleet: Fleet | None = None,
    reopen: Callable[[], Inference] | None = None,
    journal: Journal | None = None,
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
        fleet: who shares the pairs; the sums are taken here and in order, so that the scores are
            the same to the last bit.
        reopen: makes the inference in each process of a fleet, which has none otherwise.
        journal: notes what is counted in each pair; pairs that it has are not scored again.

    Raises:
        ConfigError: the model's classes are not the data set's and there is no class map between
            them; iIoU is wanted of other classes than Cityscapes'; or processes are to share what
            only this one has.
        DataError: the split is empty or all void, a file is wrong, or there are no instance ids.
    """
    indices = dataset.indices()
    counted = isinstance(indices, range)  # else a stream
    if counted and not missing:
        check_filled(dataset)
    mapping = mapping_between(predictor, dataset, match, class_map)
    inference = inference or WholeImage(predictor)
    about = dataset, mapping, boundary, instances
    counts = _Counts(dataset, boundary, instances)
    skipped = list(missing)
    noted = _Noted(journal, dataset, counts)
    to_do = noted.left(indices)
    if fleet is None or reopen is None or fleet.alone:
        found = _overlapped(PairScorer(inference, *about), to_do)
    else:
        _check_shareable(dataset)
        make = functools.partial(_pair_scorer, reopen, *about)
        found = fleet.map(make, list(to_do), dataset.sample_name)
    shown = progress(to_do) if counted else itertools.repeat(0)
    with closing(found):
        for index, each in zip(shown, found, strict=counted):
            noted.add_before(index)
            if not isinstance(each, DataError):
                counts.add(each)
                noted.note(index, each)
            elif skip_bad:
                skipped.append(str(each))
            else:
                raise each
    noted.add_before(len(dataset) if counted else 0)
    if not counts.times and not skipped:
        raise DataError(f"{dataset.name}: it has no pairs")
    if not counts.times:
        raise DataError(f"none of the {len(skipped)} pairs can be used ({first_few(skipped)})")
    protocol = _protocol(inference, mapping, dataset)
    if skipped:
        total = len(counts.times) + len(skipped)
        protocol = protocol.replace("none dropped", f"{len(skipped)} of {total} pairs left out")
    result = counts.result(predictor, protocol)
    return dataclasses.replace(result, skipped_pairs=tuple(skipped))


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


class _Counted(NamedTuple):
    """What is counted in one image, and the network's time in milliseconds."""

    matrix: np.ndarray
    boundary: BoundaryFound | None
    instances: list[InstanceFound] | None
    milliseconds: float


class _NotedCounts(msgspec.Struct):
    """The same in a journal; of the matrix those cells, by their place in a row, that are not 0."""

    cells: list[Count]
    pixels: list[Count]
    boundary: tuple[list[list[float]], list[bool]] | None
    instances: list[InstanceFound] | None
    milliseconds: float


class _Noted:
    """Pairs that a journal has: each is added when it is its turn, as sums depend on the order.

    Args:
        journal: None has none, and takes none.
        dataset: the pairs; one whose files have changed is another one.
        counts: where they are added.
    """

    def __init__(self, journal: Journal | None, dataset: SegmentationDataset, counts: _Counts):
        self._journal, self._dataset, self._counts = journal, dataset, counts
        self._waiting: deque[tuple[int, str]] = deque()  # indices and names in the journal
        if journal is not None:
            journal.begin(())
            names = enumerate(map(self._name, range(len(dataset))))
            self._waiting.extend((i, name) for i, name in names if journal.is_done(name))
            if self._waiting:
                warn(f"{len(self._waiting)} of {len(dataset)} pairs are scored already")

    def left(self, indices: Iterable[int]) -> Iterable[int]:
        """Those of the pairs that are to be scored."""
        waiting = {index for index, _ in self._waiting}
        return [index for index in indices if index not in waiting] if waiting else indices

    def add_before(self, index: int) -> None:
        """Adds what comes before a pair."""
        while self._journal and self._waiting and self._waiting[0][0] < index:
            _, name = self._waiting.popleft()
            found: _NotedCounts = self._journal.result(name, _NotedCounts)
            matrix = np.zeros_like(self._counts.matrix)
            damaged = OutputError(f"{self._journal.path}: damaged at {name}: remove it")
            with instead_of((IndexError, ValueError), damaged):
                matrix.ravel()[found.cells] = found.pixels
                edges = found.boundary and (
                    np.array(found.boundary[0]),
                    np.array(found.boundary[1]),
                )
                self._counts.add(_Counted(matrix, edges, found.instances, found.milliseconds))

    def note(self, index: int, found: _Counted) -> None:
        """Notes what was counted in a pair."""
        if self._journal is None:
            return
        cells = np.flatnonzero(found.matrix)
        line = {
            "cells": cells.tolist(),
            "pixels": found.matrix.ravel()[cells].tolist(),
            "boundary": found.boundary and [part.tolist() for part in found.boundary],
            "instances": found.instances,
            "milliseconds": found.milliseconds,
        }
        self._journal.note(self._name(index), line)

    def _name(self, index: int) -> str:
        return f"{index} {key_of(*self._dataset.state(index))}"


class PairScorer:
    """What is done with a pair: in three steps, which may overlap between pairs, or at once.

    A pair that cannot be used is handed on as its error: whether that ends the work is decided in
    order.

    Args:
        inference: what looks at an image.
        dataset: the pairs.
        mapping: from the model's classes to the data set's.
        boundary: boundary F-scores, too.
        instances: iIoU, too.
    """

    def __init__(
        self,
        inference: Inference,
        dataset: SegmentationDataset,
        mapping: ClassMatch,
        boundary: bool,
        instances: bool,
    ):
        self._inference, self._dataset, self._mapping = inference, dataset, mapping
        self._counts = _Counts(dataset, boundary, instances)  # which looks, and is never added to
        if not many_cores():  # decoding takes them half of the time that is not the network's
            use_fast_png(with_tensorflow=False)

    def read(self, index: int) -> _Sample | DataError:
        """A pair."""
        dataset = self._dataset
        try:
            image, label = dataset.read(index)
            wanted = self._counts.instances
            ids = _read_instances(dataset, index, label) if wanted else None
        except DataError as error:
            return error
        return _Sample(self._inference.prepare(image, label.shape), label, ids)

    def look(self, sample: _Sample | DataError) -> tuple[_Sample, Any, float] | DataError:
        """Runs the network, in one thread: Keras and its strategies belong to one."""
        if isinstance(sample, DataError):
            return sample
        done = self._inference.run(sample.prepared)
        return sample, done, self._inference.seconds

    def count(self, looked: tuple[_Sample, Any, float] | DataError) -> _Counted | DataError:
        """What is counted."""
        if isinstance(looked, DataError):
            return looked
        sample, done, seconds = looked
        prediction = self._mapping.apply(self._inference.finish(done))
        return self._counts.look(sample, prediction, seconds)

    def __call__(self, index: int) -> _Counted | DataError:
        """All three."""
        return self.count(self.look(self.read(index)))


def _pair_scorer(reopen: Callable[[], Inference], *about: Any) -> PairScorer:
    return PairScorer(reopen(), *about)


def _overlapped(scorer: PairScorer, indices: Iterable[int]) -> Generator[_Counted | DataError]:
    """The next pairs are read and the last ones scored while the network runs."""
    threads = readers()
    with (
        closing(overlapped(scorer.read, indices, 2 * threads, threads)) as samples,
        closing(overlapped(scorer.count, map(scorer.look, samples), 2 * threads)) as counted,
    ):
        yield from counted


def _check_shareable(dataset: SegmentationDataset) -> None:
    if not isinstance(dataset.indices(), range):
        raise ConfigError(f"{dataset.name} can be gone through once: processes cannot share it")
    refused = f"{dataset.name}: processes cannot share a data set that cannot be pickled ("
    with retold(ConfigError, refused, "): name one, or use one process", of=Exception):
        pickle.dumps(dataset)


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

    def look(self, sample: _Sample, prediction: np.ndarray, seconds: float) -> _Counted:
        """What `add` adds of one image."""
        count = len(self.dataset.labels)
        return _Counted(
            confusion_matrix(sample.label, prediction, count, extra=1),
            self.boundary.look(sample.label, prediction) if self.boundary else None,
            self.instances.look(sample.instances, prediction)
            if self.instances and sample.instances is not None
            else None,
            seconds * 1000,
        )

    def add(self, found: _Counted) -> None:
        """Adds one image."""
        self.matrix += found.matrix
        if self.boundary and found.boundary:
            self.boundary.take(found.boundary)
        if self.instances and found.instances:
            self.instances.take(found.instances)
        self.times.append(found.milliseconds)

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
