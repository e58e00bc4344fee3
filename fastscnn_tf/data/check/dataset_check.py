"""`check_dataset`: reads everything a data set holds and says what is wrong with it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ...core.aliases import Progress
from ...core.errors import DataError
from ...core.labels import LabelSpace
from ...core.sizes import format_size
from ..datasets.cityscapes import WithheldLabels
from ..datasets.dataset import FileDataset, SegmentationDataset
from ..datasets.registry import DataDir, find_splits, open_dataset
from .findings import CheckReport, Finding, SplitReport
from .pair_faults import ALL_VOID, PairFacts, Problem, check_pairs
from .usable import find_missing


@dataclasses.dataclass
class _Split:
    """A split while it is walked; one that cannot be opened has no data set."""

    name: str
    dataset: SegmentationDataset | None
    problems: list[Problem]
    withheld: bool = False
    facts: list[PairFacts] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        return 0 if self.dataset is None else len(self.dataset)

    @property
    def pixels(self) -> list[np.ndarray]:
        """(classes + 1,) counts of the label maps that can be read."""
        return [fact.pixels for fact in self.facts if fact.pixels is not None]


def check_dataset(
    name: str,
    data_dir: DataDir = None,
    splits: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Progress = iter,
) -> CheckReport:
    """Reads every file of a data set and reports what is wrong; needs no TensorFlow.

    Args:
        name: as for `open_dataset`.
        data_dir: where the data set lies; not needed for `toy`.
        splits: which ones; by default all that are there.
        workers: threads; one per core by default.
        progress: wraps the indices of all pairs, to show a progress bar.

    Raises:
        DataError: there is no such data set, folder or split.
        ConfigError: `workers` is below 1.
    """
    found = find_splits(name, data_dir)
    for split in splits or ():
        if split not in found:
            open_dataset(name, data_dir, split)  # knows best what to say of it
            raise DataError(f"{data_dir}: no split {split!r}; found {', '.join(found)}")
    walked = [_open(name, data_dir, split) for split in dict.fromkeys(splits or found)]
    if not walked:
        raise DataError(
            f"{data_dir}: no split of {name} is there; fastscnn data convert knows other layouts"
        )
    _read(walked, workers, progress)
    labels = next((s.dataset.labels for s in walked if s.dataset), LabelSpace(name, (), ()))
    across, within = _duplicates(walked)
    return CheckReport(
        name,
        None if data_dir is None else str(data_dir),
        labels,
        tuple(_split_report(split, len(labels)) for split in walked),
        tuple(finding for split in walked for finding in _findings(split)) + tuple(across),
        tuple(within),
        tuple(_notes(walked)),
    )


def _open(name: str, data_dir: DataDir, split: str) -> _Split:
    missing: list[Problem] = []
    try:
        missing = find_missing(name, data_dir, split)
        dataset = open_dataset(name, data_dir, split, missing="skip")
    except DataError as error:
        place, _, reason = str(error).partition(": ")
        return _Split(split, None, [*missing, Problem("empty-split", place, reason or place)])
    if isinstance(dataset, WithheldLabels):  # which refuses what is to be looked at
        own = dataset.name, dataset.split, dataset.labels, dataset.pairs, dataset.stored
        return _Split(split, FileDataset(*own), missing, withheld=True)
    return _Split(split, dataset, missing)


def _read(splits: Sequence[_Split], workers: int | None, progress: Progress) -> None:
    pairs = [(s.dataset, index) for s in splits if s.dataset for index in range(len(s))]
    facts = iter(check_pairs(pairs, content=True, workers=workers, progress=progress))
    for split in splits:
        split.facts = [next(facts) for _ in range(len(split))]


def _all_withheld(split: _Split) -> bool:
    return split.withheld and not any(pixels[:-1].any() for pixels in split.pixels)


def _findings(split: _Split) -> Iterator[Finding]:
    for problem in [*split.problems, *(p for fact in split.facts for p in fact.problems)]:
        if problem.kind != ALL_VOID or not _all_withheld(split):
            yield Finding(problem.kind, split.name, problem.path, problem.message)


def _notes(splits: Sequence[_Split]) -> Iterator[str]:
    for split in splits:
        if _all_withheld(split):
            yield (
                f"{split.name}: all {len(split)} label maps are void, as published: the true ones "
                "are withheld, so that this split cannot be scored here"
            )


def _duplicates(splits: Sequence[_Split]) -> tuple[list[Finding], list[Finding]]:
    """Equal pictures: of several splits, and within one."""
    across, within = [], []
    seen: dict[bytes, dict[str, str]] = {}  # content -> split -> path
    for split in splits:
        for index, fact in enumerate(split.facts):
            if fact.content is None or split.dataset is None:
                continue
            files = split.dataset.files(index)
            path = str(files[0]) if len(files) == 2 else split.dataset.sample_name(index)
            known = seen.setdefault(fact.content, {})
            if twin := known.get(split.name):
                text = f"the same picture as {twin}"
                within.append(Finding("duplicate-within-split", split.name, path, text))
                continue
            if known:
                other, twin = next(iter(known.items()))
                text = f"the same picture as {twin} of split {other}"
                across.append(Finding("duplicate-across-splits", split.name, path, text))
            known[split.name] = path
    return across, within


def _split_report(split: _Split, classes: int) -> SplitReport:
    counts = np.array(split.pixels, np.int64).reshape(-1, classes + 1)
    pixels, present = counts[:, :-1], counts[:, :-1] > 0
    where_present = (present * pixels.sum(1, keepdims=True)).sum(0)
    sizes = Counter(format_size(fact.size) for fact in split.facts if fact.size)
    return SplitReport(
        split.name,
        pairs=len(split),
        usable=sum(fact.usable for fact in split.facts),
        sizes=dict(sizes.most_common()),
        pixels=tuple(pixels.sum(0).tolist()),
        void=int(counts[:, -1].sum()),
        label_maps=tuple(present.sum(0).tolist()),
        pixels_where_present=tuple(where_present.tolist()),
    )
