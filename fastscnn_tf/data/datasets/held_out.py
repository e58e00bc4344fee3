"""`--val-split`: a part of the training split that validates, where a data set has no `val`.

Which images these are depends on their names alone (see `splitting`), so that training,
fine-tuning and a later run with more images never train on what another of them validated.
"""

import os
from collections.abc import Sequence
from pathlib import PurePath

from .dataset import SegmentationDataset, Subset
from .splitting import assign, sequences_of

TRAIN, VAL = "train", "val"


class HeldOut(Subset):
    """The part of a training split that is left for `train`, or validates.

    Attributes:
        note: how it was chosen, one line.
    """

    note: str


def held_out(dataset: SegmentationDataset, share: float, split: str) -> HeldOut:
    """A part of a training split; images of one sequence, as their names tell, stay together.

    Args:
        dataset: the training split.
        share: of the images that validate, 0..1, exclusive; about, as each sequence is whole.
        split: `train` or `val`: which part.

    Raises:
        DataError: there are fewer than two images.
    """
    names = _below([dataset.sample_name(index) for index in range(len(dataset))])
    sequences = sequences_of(names)
    count = len(set(sequences))
    told = 1 < count < len(names)
    parts = assign(sequences if told else names, {TRAIN: 1 - share, VAL: share})
    part = HeldOut(dataset, [index for index, found in enumerate(parts) if found == split])
    part.split = split
    part.note = f"val: {parts.count(VAL)} of {len(names)} images of train, by their names; "
    if told:
        part.note += f"{count} sequences (what stands before the number), each in one split"
    else:
        part.note += "these tell no sequences: neighbours of a video may be in both splits"
    return part


def _below(paths: Sequence[str]) -> list[str]:
    """Names below the folder that they share, with `/` and without suffix: no matter where."""
    folders = [os.path.dirname(path) for path in paths]  # noqa: PTH120 - names of records, too
    shared = os.path.commonpath(folders) if all(folders) else ""
    names = [os.path.relpath(path, shared) if shared else path for path in paths]
    return [PurePath(name).with_suffix("").as_posix() for name in names]
