"""`compare_models`: two models on the same images, such as a float file and its int8 twin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import Progress, StrPath
from ..core.console import warn
from ..core.errors import ConfigError, DataError
from ..core.files.writing import check_output_folder
from ..core.labels import IGNORE
from ..core.overlap import overlapped
from ..core.scores.confusion import confusion_matrix, ratio, scores
from ..data.check.usable import open_usable
from ..data.datasets.dataset import SegmentationDataset, check_filled
from ..delegates.kernels import using_kernels
from ..scoring.class_mapping import mapping_between
from ..scoring.views import AnyModel
from .evaluate import name_of, open_inference
from .model_comparison_result import ComparedImage, Departure, ModelComparison
from .model_pair import ModelPair

LISTED = 10  # pairs of classes
DRAWN = 5


def compare_models(
    first: AnyModel,
    second: AnyModel,
    dataset: str,
    data_dir: StrPath | None = None,
    split: str = "val",
    output: StrPath | None = None,
    *,
    threads: int | None = None,
    pictures: int | None = None,
    force: bool = False,
    skip_bad: bool = False,
    match: str = "name",
    class_map: StrPath | None = None,
    kernels: tuple[str | None, str | None] = (None, None),
    progress: Progress = iter,
) -> ModelComparison:
    """Compares two models on every image of a split, one look at the whole image each.

    Args:
        first: a path or a model, as for `evaluate`; two .tflite files need no TensorFlow.
        second: another one; its input size may differ.
        dataset: its name, as for `open_dataset`.
        data_dir: where it lies.
        split: which split.
        output: a folder that gets `report.html`, self-contained, `comparison.json` and the worst
            images as PNG.
        threads: CPU threads of a .tflite, as for `evaluate`.
        pictures: how many of the worst images are drawn into `output`, 5 by default; 0 where the
            data's licence forbids to pass them on.
        force: write into a folder that is not empty.
        skip_bad: leave out pairs that are incomplete or cannot be read, with a counted warning.
        match: how each model's classes are matched with the data set's, as for `evaluate`.
        class_map: likewise; one file for both models.
        kernels: of the first and of the second, as for `evaluate`; so that one file can be
            compared with itself.
        progress: wraps the image indices, to show a progress bar.

    Raises:
        ModelFileError, DataError, ConfigError: models or data cannot be used, or `pictures` without
            `output`.
        OutputError: the folder is in use, or cannot be written.
    """
    if output is not None:
        check_output_folder(output, force)
    elif pictures is not None:
        raise ConfigError("--pictures would do nothing without --output, the folder they go to")
    looks, predictors = [], []
    for model, chosen in zip((first, second), kernels, strict=True):
        with using_kernels(chosen):
            look, predictor = open_inference(model, threads)
        looks.append(look)
        predictors.append(predictor)
    data = open_usable(dataset, data_dir, split, predictors[0].input_size, skip_bad)
    check_filled(data)
    mappings = tuple(mapping_between(p, data, match, class_map) for p in predictors)
    for model, mapping in zip((first, second), mappings, strict=True):
        if mapping.how:
            warn(f"{name_of(model)}: {mapping.protocol}")
    pair = ModelPair(tuple(looks), mappings, data)
    names = [
        name_of(model) + (f" ({chosen})" if chosen else "")
        for model, chosen in zip((first, second), kernels, strict=True)
    ]
    result = _Tally(data).result((names[0], names[1]), pair, progress)
    if output is not None:
        from .model_comparison_report import write_report

        write_report(Path(output), result, pair, DRAWN if pictures is None else pictures)
    return result


class _Tally:
    """Everything counted over the images."""

    def __init__(self, data: SegmentationDataset):
        self.data, count = data, len(data.labels)
        self.matrices = [np.zeros((count, count + 1), np.int64) for _ in range(2)]
        self.pairs = np.zeros((256, 256), np.int64)
        self.right = np.zeros(3, np.int64)
        self.pictures: list[ComparedImage] = []

    def result(
        self, models: tuple[str, str], pair: ModelPair, progress: Progress
    ) -> ModelComparison:
        """Counts over all images; label maps are made and counted while the networks run."""

        def add(seen: tuple[int, np.ndarray, list[Any]]) -> None:
            index, label, done = seen
            self._add(index, label, *pair.finish(done))

        with closing(pair.seen(progress)) as looks, closing(overlapped(add, looks)) as added:
            for _ in added:
                pass
        count, total = len(self.data.labels), int(self.pairs.sum())
        used = [m if m[:, count].any() else m[:, :count] for m in self.matrices]
        first, second = (scores(m, self.data.labels.categories) for m in used)
        if first.miou is None:
            raise DataError(f"{self.data.name}: every label of split {self.data.split!r} is void")
        shares = self.right / self.right.sum() if self.right.any() else None
        return ModelComparison(
            models,
            self.data.name,
            self.data.split,
            tuple(self.data.labels.names),
            int(np.trace(self.pairs)) / total,
            (first, second),
            None if shares is None else (float(shares[0]), float(shares[1]), float(shares[2])),
            tuple(self._departures(total)),
            tuple(sorted(self.pictures, key=lambda p: (p.agreement, p.index))),
        )

    def _add(self, index: int, label: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
        codes = (first.astype(np.uint16) << 8) | second
        pairs = np.bincount(codes.ravel(), minlength=1 << 16).reshape(256, 256)
        self.pairs += pairs
        count, ious = len(self.data.labels), []
        for matrix, prediction in zip(self.matrices, (first, second), strict=True):
            own = confusion_matrix(label, prediction, count, extra=1)
            matrix += own
            ious.append(scores(own).miou)
        differ = (first != second) & (label != IGNORE)
        truth = label[differ]
        hits = [np.count_nonzero(p[differ] == truth) for p in (first, second)]
        self.right += (*hits, truth.size - sum(hits))
        share = ratio(np.trace(pairs), codes.size) or 0.0
        name = self.data.sample_name(index)
        self.pictures.append(ComparedImage(index, name, share, (ious[0], ious[1])))

    def _departures(self, total: int) -> Iterator[Departure]:
        counts = self.pairs.copy()
        np.fill_diagonal(counts, 0)
        names = dict(enumerate(self.data.labels.names))
        for place in np.argsort(-counts, axis=None, kind="stable")[:LISTED]:
            a, b = divmod(int(place), 256)
            if counts[a, b]:
                first, second = names.get(a, "no class"), names.get(b, "no class")
                yield Departure(first, second, int(counts[a, b]) / total)
