"""`check_dataset`: reads everything a data set holds and says what is wrong with it."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from ...core.aliases import Progress
from ...core.errors import DataError
from ...core.files.reading import local_description
from ...core.labels import LabelSpace
from ...core.overlap import Sharing
from ...core.sizes import format_size
from ..datasets.dataset import FileDataset, SegmentationDataset
from ..datasets.description import folder, read_description
from ..datasets.published_sets import WithheldLabels
from ..datasets.registry import DataDir, find_splits, open_dataset
from .appearance import find_alike
from .findings import CheckReport, Finding, SplitReport
from .label_tables import PUBLISHED, table_problems
from .pair_faults import ALL_VOID, LIKE_IMAGE, Look, PairFacts, Problem, check_pairs
from .split_faults import class_findings, class_order, few_steps, unequal_sizes, unused_bits
from .usable import find_missing

OWN = ("folder", "records")  # whose classes their owner chose, unless they are published ones


@dataclasses.dataclass
class _Walked:
    """A split while it is walked; one that cannot be opened has no data set."""

    name: str
    dataset: SegmentationDataset | None
    problems: list[Problem]
    withheld: bool = False
    facts: list[PairFacts] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        return 0 if self.dataset is None else len(self.dataset)

    def looks(self) -> Iterator[tuple[str, Look]]:
        """The images that can be read: their paths, or names where they have none."""
        for index, fact in enumerate(self.facts):
            if fact.look is not None and self.dataset is not None:
                files = self.dataset.files(index)
                named = len(files) == 2
                yield str(files[0]) if named else self.dataset.sample_name(index), fact.look

    @property
    def pixels(self) -> list[np.ndarray]:
        """(classes + 1,) counts of the label maps that can be read."""
        return [fact.pixels for fact in self.facts if fact.pixels is not None]


def check_dataset(
    name: str,
    data_dir: DataDir = None,
    splits: Sequence[str] | None = None,
    workers: int | Sharing | None = None,
    progress: Progress = iter,
    model: LabelSpace | None = None,
) -> CheckReport:
    """Reads every file of a data set and reports what is wrong; needs no TensorFlow.

    Args:
        name: as for `open_dataset`.
        data_dir: where the data set lies; not needed for `toy`.
        splits: which ones; by default all that are there.
        workers: threads, one per core by default; or a `Fleet` of processes.
        progress: wraps the indices of all pairs, to show a progress bar.
        model: the classes of a model that is to be trained on or scored with it: others are a
            finding, and the same in another order or spelling a note.

    Raises:
        DataError: there is no such data set, folder or split.
        ConfigError: `workers` is below 1.
    """
    found = find_splits(name, data_dir)
    for wanted in splits or ():
        if wanted not in found:
            open_dataset(name, data_dir, wanted)  # knows best what to say of it
            raise DataError(f"{data_dir}: no split {wanted!r}; found {', '.join(found)}")
    walked = [_open(name, data_dir, split) for split in dict.fromkeys(splits or found)]
    if not walked:
        raise DataError(
            f"{data_dir}: no split of {name} is there; fastscnn data convert knows other layouts"
        )
    _read(walked, workers, progress)
    labels = next((s.dataset.labels for s in walked if s.dataset), LabelSpace(name, (), ()))
    reports = [_split_report(split, len(labels)) for split in walked]
    findings = [finding for split in walked for finding in _findings(split)]
    findings += _exclude(name, data_dir, walked[0].name)
    if name in OWN and labels.name not in PUBLISHED:
        for report in reports:
            findings += class_findings(report, labels, reports)
    notes = list(_notes(walked))
    if model is not None and labels.names:
        other, how = class_order(walked[0].name, labels, model)
        findings += other
        notes += [how] if how else []
    across, warnings = _duplicates(walked)
    near, neighbours = _near_duplicates(walked, {finding.path for finding in across})
    sizes = [fact.size for split in walked for fact in split.facts if fact.size]
    warnings += unequal_sizes(", ".join(split.name for split in walked), sizes)
    notes += [note for report in reports for note in few_steps(report)]
    wrong, odd = (*findings, *across, *near), (*warnings, *neighbours)
    place = None if data_dir is None else str(data_dir)
    return CheckReport(name, place, labels, tuple(reports), wrong, odd, tuple(notes))


def _open(name: str, data_dir: DataDir, split: str) -> _Walked:
    missing: list[Problem] = []
    try:
        missing = find_missing(name, data_dir, split)
        dataset = open_dataset(name, data_dir, split, missing="skip")
    except DataError as error:
        place, _, reason = str(error).partition(": ")
        return _Walked(split, None, [*missing, Problem("empty-split", place, reason or place)])
    if isinstance(dataset, WithheldLabels):  # which refuses what is to be looked at
        own = dataset.name, dataset.split, dataset.labels, dataset.pairs, dataset.stored
        return _Walked(split, FileDataset(*own), missing, withheld=True)
    return _Walked(split, dataset, missing)


def _read(splits: Sequence[_Walked], workers: int | Sharing | None, progress: Progress) -> None:
    pairs = [(s.dataset, index) for s in splits if s.dataset for index in range(len(s))]
    facts = iter(check_pairs(pairs, looks=True, workers=workers, progress=progress))
    for split in splits:
        split.facts = [next(facts) for _ in range(len(split))]


def _exclude(name: str, data_dir: DataDir, split: str) -> Iterator[Finding]:
    if name == folder.name and data_dir is not None:
        path = local_description(data_dir)
        for pattern in read_description(path).idle_patterns():
            text = f"exclude: {pattern!r} fits no file"
            yield Finding("exclude", split, str(path), text)


def _all_withheld(split: _Walked) -> bool:
    return split.withheld and not any(pixels[:-1].any() for pixels in split.pixels)


def _findings(split: _Walked) -> Iterator[Finding]:
    problems = [*split.problems]
    for fact in split.facts:
        problems += [*fact.problems, *(fact.look.problems if fact.look else ())]
    blurred = 2 * sum(problem.kind == LIKE_IMAGE for problem in problems) > len(split)
    if split.dataset and not _all_withheld(split) and not blurred:
        problems += table_problems(split.dataset)
    for problem in problems:
        if problem.kind != ALL_VOID or not _all_withheld(split):
            yield Finding(problem.kind, split.name, problem.path, problem.message, problem.mend)
    deep = [(p, look.deep) for p, look in split.looks() if look.deep is not None]
    if deep:
        yield from unused_bits(split.name, deep[0][0], [value for _, value in deep])


def _notes(splits: Sequence[_Walked]) -> Iterator[str]:
    for split in splits:
        if _all_withheld(split):
            yield (
                f"{split.name}: all {len(split)} label maps are void, as published: the true ones "
                "are withheld, so that this split cannot be scored here"
            )


def _duplicates(splits: Sequence[_Walked]) -> tuple[list[Finding], list[Finding]]:
    """Equal images: of several splits, and within one."""
    across, within = [], []
    seen: dict[bytes, dict[str, str]] = {}  # content -> split -> path
    for split in splits:
        for path, look in split.looks():
            known = seen.setdefault(look.content, {})
            if twin := known.get(split.name):
                text = f"the same image as {twin}"
                within.append(Finding("duplicate-within-split", split.name, path, text))
                continue
            if known:
                other, twin = next(iter(known.items()))
                text = f"the same image as {twin} of split {other}"
                across.append(Finding("duplicate-across-splits", split.name, path, text))
            known[split.name] = path
    return across, within


def _near_duplicates(
    splits: Sequence[_Walked], equal: Collection[str]
) -> tuple[list[Finding], list[Finding]]:
    """Copies that are not equal, and images next to one, of splits before; but for `equal`."""
    copies: list[Finding] = []
    neighbours: list[Finding] = []
    known: list[tuple[str, str, np.ndarray]] = []
    for split in splits:
        own = [(path, split.name, look.thumbnail) for path, look in split.looks()]
        new = [each for each in own if each[0] not in equal]
        for index, twin, copy in find_alike(_thumbnails(known), _thumbnails(new)):
            path, (other, where, _) = new[index][0], known[twin]
            kind = "near-duplicate-across-splits" if copy else "neighbours-across-splits"
            text = f"{'a copy of' if copy else 'very much like'} {other} of split {where}"
            (copies if copy else neighbours).append(Finding(kind, split.name, path, text))
        known += own
    return copies, neighbours


def _thumbnails(images: Sequence[tuple[str, str, np.ndarray]]) -> np.ndarray:
    return np.array([thumbnail for _, _, thumbnail in images], np.uint8)


def _split_report(split: _Walked, classes: int) -> SplitReport:
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
