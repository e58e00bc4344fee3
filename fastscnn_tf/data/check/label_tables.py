"""Label values that fit another table better than the data set's own.

Values are looked at in some label maps of a split: a wrong table is wrong in all of them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import numpy as np

from ...core.errors import DataError
from ...core.images.decoding import PictureFile, look_at, read_picture
from ...core.images.image_file import label_values
from ...core.labels import (
    CAMVID,
    CAMVID32,
    CITYSCAPES,
    CITYSCAPES_TRAIN_IDS,
    EVENTSCAPE,
    IGNORE,
    PANORAMA13,
    SYNPASS,
    TOY_STREETS,
    UNKNOWN,
    LabelSpace,
    generated_palette,
)
from ..datasets.dataset import FileDataset, SegmentationDataset
from .pair_faults import Problem

TABLE, PALETTE = "label-table", "label-palette"
SAMPLE = 32  # label maps of a split that are looked at
SHOWN = 12  # classes that a line of YAML lists
KNOWN = {
    "Cityscapes' labelIds": CITYSCAPES,
    "Cityscapes' trainIds": CITYSCAPES_TRAIN_IDS,
    "CARLA's tags of SynPASS": SYNPASS,
    "CARLA's tags of EventScape": EVENTSCAPE,
    **{space.name: space for space in (CAMVID, CAMVID32, PANORAMA13, TOY_STREETS)},
}
PUBLISHED = {space.name for space in KNOWN.values()}


def table_problems(dataset: SegmentationDataset) -> Iterator[Problem]:
    """What the values and palettes of a split's label maps say against its table of classes.

    Args:
        dataset: the split; of anything but files of class values nothing is known.
    """
    if not isinstance(dataset, FileDataset) or not _holds_values(dataset):
        return
    step = -(-len(dataset) // SAMPLE) or 1
    paths = [dataset.files(index)[1] for index in range(0, len(dataset), step)]
    counts = np.zeros(256, np.int64)
    files: list[PictureFile] = []
    for path in paths:
        with contextlib.suppress(DataError):  # said elsewhere
            counts += np.bincount(label_values(path).ravel(), minlength=256)
            files.append(look_at(read_picture(path), str(path)))
    if not files:
        return
    space = dataset.stored or dataset.labels
    place = str(paths[0])
    found = _other_table(space, counts) or _scaled(space, counts, files) or _shifted(space, counts)
    if found:
        yield Problem(TABLE, place, *found)
    if found := _palette(space, counts, files[0].palette):
        yield Problem(PALETTE, place, *found)


def _holds_values(dataset: FileDataset) -> bool:
    return type(dataset).read_label is FileDataset.read_label


def _other_table(space: LabelSpace, counts: np.ndarray) -> tuple[str, str] | None:
    """A known table of the same classes that explains the values better."""
    names = {name.casefold() for name in space.names}
    own = _explained(space, counts)
    for name, other in KNOWN.items():
        same = names == {each.casefold() for each in other.names}
        explained = _explained(other, counts)
        if same and explained[0] and explained[1] > 1 and explained > own:
            values = {n.casefold(): v for n, v in zip(other.names, _values(other), strict=True)}
            text = f"the values {_listed(counts)} are {name}, which are not this data set's"
            return text, _yaml(space, [values[n.casefold()] for n in space.names])
    return None


def _explained(space: LabelSpace, counts: np.ndarray) -> tuple[bool, int]:
    """Whether all values are known, and how many classes occur."""
    table = space.lookup_table()
    seen = table[counts > 0]
    return bool((seen != UNKNOWN).all()), len(np.unique(seen[seen < len(space)]))


def _scaled(
    space: LabelSpace, counts: np.ndarray, files: list[PictureFile]
) -> tuple[str, str] | None:
    """Class indices times a number: masks of 0 and 255, samples of 2 or 4 bits."""
    table, seen = space.lookup_table(), np.flatnonzero(counts)
    foreign = seen[(table[seen] >= len(space)) & (seen > 0)]
    bits = files[0].bits if files[0].mode == "L" else 8
    factor = 255 // ((1 << bits) - 1) if bits < 8 else int(np.gcd.reduce(seen))
    fits = factor > 1 and seen[-1] // factor < len(space) and not (seen % factor).any()
    if not fits or len(seen) < 2 or 2 * len(foreign) < len(seen) - 1:
        return None
    text = f"the values {_listed(counts)} are class indices times {factor}"
    if bits < 8:
        text += f", as samples of {bits} bits are read"
    elif factor == IGNORE:
        share = counts[IGNORE] / counts.sum()
        text = (
            "the values are 0 and 255 alone, as in masks, in which 255 is a class: here it is "
            f"ignored, {share:.0%} of the pixels"
        )
    return text, _yaml(space, [index * factor for index in range(len(space))])


def _shifted(space: LabelSpace, counts: np.ndarray) -> tuple[str, str] | None:
    """Values from 0 to the number of classes: one more than there are."""
    count = len(space)
    ordered = _values(space) == list(range(count)) and not space.void_values
    if not ordered or not counts[0] or not counts[count] or counts[count + 1 : IGNORE].any():
        return None
    text = f"the values go from 0 to {count}: one more than there are classes"
    values = list(range(1, count + 1))
    return text, f"{_yaml(space, values)} and void: [0]; or name the class of value 0 in front"


def _palette(
    space: LabelSpace, counts: np.ndarray, palette: np.ndarray | None
) -> tuple[str, str] | None:
    """A palette in which classes have the colours of others."""
    if palette is None or space.colors == generated_palette(len(space)):
        return None
    names = dict(zip(space.colors, space.names, strict=True))
    table = space.lookup_table()
    seen = [v for v in np.flatnonzero(counts).tolist() if table[v] < len(space)]
    drawn = {v: names.get(tuple(palette[v].tolist()), "") for v in seen if v < len(palette)}
    wrong = [v for v, name in drawn.items() if name and name != space.names[table[v]]]
    if not wrong or 3 * sum(map(bool, drawn.values())) < 2 * len(seen):
        return None  # another palette altogether
    text = "; ".join(
        f"value {v} is {space.names[table[v]]}, in the palette it has the colour of {drawn[v]}"
        for v in wrong[:3]
    )
    values = {name: v for v, name in drawn.items()}
    own = zip(space.names, _values(space), strict=True)
    return text, _yaml(space, [values.get(name, value) for name, value in own])


def _values(space: LabelSpace) -> list[int]:
    return list(space.raw_values or range(len(space)))


def _listed(counts: np.ndarray) -> str:
    seen = np.flatnonzero(counts).tolist()
    return ", ".join(map(str, seen[:SHOWN])) + (", ..." if seen[SHOWN:] else "")


def _yaml(space: LabelSpace, values: list[int]) -> str:
    """A line of dataset.yaml that gives the classes these values."""
    pairs = list(zip(space.names, values, strict=True))
    classes = [f"{{name: {json.dumps(name, ensure_ascii=False)}, value: {v}}}" for name, v in pairs]
    listed = ", ".join([*classes[:SHOWN], *(["..."] if classes[SHOWN:] else [])])
    return f"in dataset.yaml (--dataset folder): classes: [{listed}]"
