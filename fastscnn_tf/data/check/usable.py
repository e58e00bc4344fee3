"""The pairs of a split that can be used: all of them, or an error before the first step.

Training, fine-tuning and their validation read every pair once before they begin.
"""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...core import console
from ...core.aliases import Progress
from ...core.errors import DataError
from ...core.sizes import Size
from ..datasets.dataset import SegmentationDataset, Subset
from ..datasets.held_out import TRAIN, held_out
from ..datasets.registry import DataDir, find_pairs, find_splits, open_dataset
from .findings import KINDS
from .pair_faults import MISSING_IMAGE, MISSING_LABEL, Problem, check_pairs
from .split_faults import absent
from .verdicts import Verdicts

Warn = Callable[[str], None]


def usable(
    dataset: SegmentationDataset,
    skip_bad: bool = False,
    missing: Sequence[Problem] = (),
    progress: Progress = iter,
    warn: Warn = console.warn,
    may_skip: bool = True,
) -> SegmentationDataset:
    """Reads every pair and gives those that can be used.

    What was found good before is not read again while its files stay as they are (see `verdicts`);
    drawn pairs have no files and are not read. A label map that is all void stays, with a warning:
    a crop of a good one may be void, too. Another warning names classes that never occur.

    Args:
        dataset: the pairs.
        skip_bad: go on without those that cannot be used, with a counted warning.
        missing: files without a partner, which are in no pair of `dataset`.
        progress: wraps the indices, to show a progress bar.
        warn: gets the warnings.
        may_skip: the user may ask for `skip_bad`; the message says so.

    Returns:
        `dataset` itself where all is well, else a `Subset`.

    Raises:
        DataError: naming the first pair that cannot be used, or no pair can be used, or all label
            maps are void.
    """
    bad, classes = _judge(dataset, progress)
    problems, total = [*missing, *bad.values()], len(dataset) + len(missing)
    if problems and not skip_bad:
        advice = ", or leave them out with --skip-bad" if may_skip else ""
        raise DataError(
            f"{problems[0]} ({len(problems)} of {total} pairs cannot be used; see fastscnn data "
            f"check{advice})"
        )
    good = [index for index in range(len(dataset)) if index not in bad]
    if problems and not good:
        raise DataError(f"none of the {total} pairs can be used ({console.first_few(problems)})")
    if problems:
        told = console.first_few(problems)
        warn(f"skipped {len(problems)} of {total} pairs that cannot be used ({told})")
    _check_void(dataset, good, [i for i, found in classes.items() if not found], warn)
    seen = {index for found in classes.values() for index in found}
    if seen and (found := absent(dataset.labels, seen, len(classes))):
        kind, text = found
        warn(f"split {dataset.split!r}: {text}: {KINDS[kind].means} (see fastscnn data check)")
    return Subset(dataset, good) if bad else dataset


def _judge(
    dataset: SegmentationDataset, progress: Progress
) -> tuple[dict[int, Problem], dict[int, list[int]]]:
    """The first problem of each pair that cannot be used, and the classes in those that can."""
    if not any(dataset.files(index) for index in range(len(dataset))):
        return {}, {}
    verdicts = Verdicts(dataset)
    unknown = [index for index in range(len(dataset)) if verdicts.classes(index) is None]
    bad = {}
    if unknown:
        facts = check_pairs([(dataset, index) for index in unknown], progress=progress)
        for index, fact in zip(unknown, facts, strict=True):
            if fact.usable and fact.pixels is not None:
                verdicts.add(index, np.flatnonzero(fact.pixels[:-1]).tolist())
            else:
                bad[index] = fact.problems[0]
        verdicts.save()
    known = ((index, verdicts.classes(index)) for index in range(len(dataset)))
    return bad, {index: found for index, found in known if found is not None}


def _check_void(dataset: SegmentationDataset, good: list[int], void: list[int], warn: Warn) -> None:
    if not void:
        return
    if len(void) == len(good):
        raise DataError(f"{dataset.name}: every label map of split {dataset.split!r} is void")
    first = dataset.files(void[0])[-1]
    warn(
        f"{len(void)} of {len(good)} label maps of split {dataset.split!r} are void everywhere "
        f"(first: {first})"
    )


def open_usable(
    name: str,
    data_dir: DataDir,
    split: str,
    size: Size | None = None,
    skip_bad: bool = False,
    progress: Progress = iter,
    val_split: float | None = None,
) -> SegmentationDataset:
    """`open_dataset` and `usable` in one; files without a partner count as bad pairs.

    With `val_split`, `train` and `val` are parts of the split `train` (see `held_out`).

    Raises:
        DataError: as for both.
    """
    source = split if val_split is None else TRAIN
    missing = find_missing(name, data_dir, source)
    dataset = open_dataset(name, data_dir, source, size, missing="skip")
    say = console.warn if split == source else lambda line: None  # of one split, once
    good = usable(dataset, skip_bad, missing, progress, say)
    return good if val_split is None else held_out(good, val_split, split)


class _ReadLater(Subset):
    """A data set whose pairs nobody has read: the error of a bad one says how to go on."""

    def __init__(self, dataset: SegmentationDataset):
        super().__init__(dataset, range(len(dataset)))

    def ask(self, what: str, index: int) -> Any:
        try:
            return super().ask(what, index)
        except DataError as error:
            raise type(error)(f"{error}; --skip-bad goes on without such pairs") from None


def open_split(
    name: str, data_dir: DataDir, split: str, size: Size | None, skip_bad: bool
) -> SegmentationDataset:
    """`open_usable` to leave bad pairs out, else `open_dataset`: a bad one shows when read."""
    source = name, data_dir, split, size
    return open_usable(*source, skip_bad=True) if skip_bad else _ReadLater(open_dataset(*source))


def find_missing(name: str, data_dir: DataDir, split: str) -> list[Problem]:
    """Images of a split without a label map, then label maps without an image.

    A label map that belongs to an image of another split is not among them: splits may share a
    folder of label maps.

    Raises:
        DataError: as for `find_pairs`.
    """
    found = find_pairs(name, data_dir, split)
    elsewhere = _label_maps_elsewhere(name, data_dir, split) if found.without_image else set()
    count = len(found.without_label)
    lacking = zip(found.without_label, found.missing[:count], strict=True)
    orphans = zip(found.without_image, found.missing[count:], strict=True)
    alone = [pair for pair in orphans if pair[0] not in elsewhere]
    return [
        *(Problem(MISSING_LABEL, str(p), f"no label map, expected {w}") for p, w in lacking),
        *(Problem(MISSING_IMAGE, str(p), f"no image, expected {w}") for p, w in alone),
    ]


def _label_maps_elsewhere(name: str, data_dir: DataDir, split: str) -> set[Path]:
    """Those that the other splits use."""
    used: set[Path] = set()
    for other in find_splits(name, data_dir):
        if other != split:
            with contextlib.suppress(DataError):  # a broken split uses nothing
                used |= {label for _, label in find_pairs(name, data_dir, other).pairs}
    return used
