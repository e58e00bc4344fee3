"""Label values that fit another table better than the data set's own.

Values are looked at in some label maps of a split: a wrong table is wrong in all of them.
"""

import contextlib
import json
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from ...core import labels as spaces
from ...core.errors import DataError
from ...core.images.decoding import look_at, read_image_file
from ...core.images.image_file import label_values
from ...core.labels import IGNORE, UNKNOWN, LabelSpace, generated_palette
from ..datasets.dataset import FileDataset, SegmentationDataset
from .pair_faults import Problem

Found = tuple[str, str] | None  # what is wrong, and what to do
TABLE, PALETTE = "label-table", "label-palette"
SAMPLE = 32  # label maps of a split that are looked at
SHOWN = 12  # values that a line lists
KNOWN = {
    "Cityscapes' labelIds": spaces.CITYSCAPES,
    "Cityscapes' trainIds": spaces.CITYSCAPES_TRAIN_IDS,
    "CARLA's tags of SynPASS": spaces.SYNPASS,
    "CARLA's tags of EventScape": spaces.EVENTSCAPE,
    **{s.name: s for s in (spaces.CAMVID, spaces.CAMVID32, spaces.PANORAMA13, spaces.TOY_STREETS)},
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
    palette: np.ndarray | None = None
    red = dataset.coding.encoding == "red"
    for path in paths:
        with contextlib.suppress(DataError):  # said elsewhere
            counts += np.bincount(label_values(path, first_channel=red).ravel(), minlength=256)
            palette = look_at(read_image_file(path), str(path)).palette
    space = dataset.stored or dataset.labels
    place = str(paths[0])
    found = _other_table(space, counts) or _scaled(space, counts) or _shifted(space, counts)
    if found:
        yield Problem(TABLE, place, *found)
    if found := _palette(space, counts, palette):
        yield Problem(PALETTE, place, *found)


def _holds_values(dataset: FileDataset) -> bool:
    """Not colours, and nothing that a loader of its own makes of them."""
    plain = type(dataset).read_label is FileDataset.read_label
    return plain and not dataset.coding.by_color


def _other_table(space: LabelSpace, counts: np.ndarray) -> Found:
    """A known table of the same classes that explains the values better."""
    names = {name.casefold() for name in space.names}
    own = _explained(space, counts)
    for name, other in KNOWN.items():
        same = names == {each.casefold() for each in other.names}
        explained = _explained(other, counts)
        if same and explained[0] and explained[1] > 1 and explained > own:
            pairs = zip(other.names, other.values_of_classes(), strict=True)
            values = {each.casefold(): value for each, (value,) in pairs}
            text = f"the values {_listed(counts)} are {name}, which are not this data set's"
            own_order = [values[name.casefold()] for name in space.names]
            return text, _mend(space, own_order, other.void_values)
    return None


def _explained(space: LabelSpace, counts: np.ndarray) -> tuple[bool, int]:
    """Whether all values are known, and how many classes occur."""
    table = space.lookup_table()
    seen = table[counts > 0]
    return bool((seen != UNKNOWN).all()), len(np.unique(seen[seen < len(space)]))


def _scaled(space: LabelSpace, counts: np.ndarray) -> Found:
    """Class indices spread over 0 to 255: masks of 0 and 255, samples of 2 or 4 bits, greys."""
    table, seen = space.lookup_table(), np.flatnonzero(counts)
    foreign = seen[(table[seen] >= len(space)) & (seen > 0)]
    step = _step(seen, len(space))
    if not step or 2 * len(foreign) <= len(seen) - 1:
        return None
    values = [round(index * step) for index in range(len(space))]
    values = [next((int(v) for v in seen if abs(v - each) <= 1), each) for each in values]
    text = f"the values {_listed(counts)} are class indices times {step:.4g}"
    if step in (85, 17):
        text += f", as samples of {2 if step == 85 else 4} bits are spread over 8"
    elif step == IGNORE:
        text = (
            "the values are 0 and 255 alone, as in masks, in which 255 is a class: here it is "
            f"ignored, {counts[IGNORE] / counts.sum():.0%} of the pixels"
        )
    return text, _mend(space, values, space.void_values)


def _step(seen: np.ndarray, classes: int) -> float:
    """By which so many class indices were multiplied to give these values; 0 if by nothing."""
    if len(seen) < 2:
        return 0.0
    factor = int(np.gcd.reduce(seen))
    if factor > 1 and seen[-1] // factor < classes:
        return float(factor)
    for steps in range(2, min(classes, 33)):  # 0, 127, 255 and their like: rounded
        step = 255 / steps
        if (np.abs(seen - np.rint(seen / step) * step) < 1).all() and seen[-1] == IGNORE:
            return step
    return 0.0


def _shifted(space: LabelSpace, counts: np.ndarray) -> Found:
    """Values from 0 or 1 to the number of classes, which no index reaches."""
    count = len(space)
    own = [value for each in space.values_of_classes() for value in each]
    ordered = own == list(range(count)) and not space.void_values
    if not ordered or not counts[count] or counts[count + 1 : IGNORE].any():
        return None
    if not counts[0]:
        text = f"the values go from 1 to {count}: class indices begin at 0"
        return text, _mend(space, range(1, count + 1))
    text = f"the values go from 0 to {count}: one more than there are classes"
    line = _mend(space, range(1, count + 1), (0,))
    return text, f"{line}; or name the class of value 0 in front"


def _palette(space: LabelSpace, counts: np.ndarray, palette: np.ndarray | None) -> Found:
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
    own = zip(space.names, space.values_of_classes(), strict=True)
    values = {name: value[0] for name, value in own}
    for value, name in drawn.items():
        if name:  # the class that has this value gets that of `name`: no value comes twice
            holder = next((other for other, v in values.items() if v == value), name)
            values[holder], values[name] = values[name], value
    return text, _mend(space, list(values.values()), space.void_values)


def _listed(counts: np.ndarray) -> str:
    seen = np.flatnonzero(counts).tolist()
    return ", ".join(map(str, seen[:SHOWN])) + (", ..." if seen[SHOWN:] else "")


def _mend(space: LabelSpace, values: Sequence[int], void: Collection[int] = ()) -> str:
    """The line of other values, and what becomes of `void:`, in which none of them may stand."""
    rest, line = sorted({*void} - {*values}), yaml_classes(space.names, values)
    if space.void_values:
        return f"{line} and void: {rest} (in place of the one there)"
    return f"{line} and void: {rest}" if rest else line


def yaml_classes(names: Sequence[str], values: Sequence[int | tuple[int, ...]]) -> str:
    """A line of dataset.yaml that gives classes these values."""
    told = [
        f"{{name: {json.dumps(name, ensure_ascii=False)}, value: {_plain(value)}}}"
        for name, value in zip(names, values, strict=True)
    ]
    return f"in dataset.yaml (--dataset folder): classes: [{', '.join(told)}]"


def _plain(value: int | tuple[int, ...]) -> int | list[int]:
    many = [value] if isinstance(value, int) else list(value)
    return many if many[1:] else many[0]
