"""Which class of a data set a model's class is: by name, and by index only where that is said.

A model of one label space is used with another: the indices of its classes become those of the
other's. `match_classes` decides it for everything that has a model and a data set.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from .aliases import StrPath
from .arguments import check_name
from .errors import ConfigError
from .files.yaml_text import read_yaml
from .labels import CAMVID, CAMVID32, CITYSCAPES, IGNORE, PANORAMA13, SYNPASS, LabelSpace

MATCHES = ("name", "index")
NAMELESS = 255  # classes of a label map from a foreign file, which does not say how many it has
BY_MAP = (
    "evaluate, compare, agreement, quantize and train take a --class-map FILE (YAML, MODEL'S "
    "CLASS: DATA SET'S CLASS)"
)
HINT = f"{BY_MAP}, or --match index where they are the same in the same order"
VOID_NAMES = ("void", "unlabelled", "unlabeled", "ignore", "ignored")  # of what is not scored

# Trans4PASS, adaptations/dataset/dp13_dataset.py: a rider is a person, and every vehicle a car but
# the train.
_CITYSCAPES_TO_13 = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 12, 12, 12, IGNORE, 12, 12)

# Trans4PASS, adaptations/dataset/sp13_dataset.py, without its first entry, which is for void.
_SYNPASS_TO_13 = (
    *(2, 4, IGNORE, 11, 5, 0, 0, 1, 8, 12, 3, 7, 10),
    *(IGNORE, IGNORE, IGNORE, IGNORE, 6, IGNORE, IGNORE, IGNORE, 9),
)

# SegNet's merge, as MathWorks' example "Semantic Segmentation Using Deep Learning" lists it.
_CAMVID_GROUPS = {
    "Sky": ("Sky",),
    "Building": ("Archway", "Bridge", "Building", "Tunnel", "Wall"),
    "Pole": ("Column_Pole", "TrafficCone"),
    "Road": ("LaneMkgsDriv", "LaneMkgsNonDriv", "Road"),
    "Pavement": ("ParkingBlock", "RoadShoulder", "Sidewalk"),
    "Tree": ("Tree", "VegetationMisc"),
    "SignSymbol": ("Misc_Text", "SignSymbol", "TrafficLight"),
    "Fence": ("Fence",),
    "Car": ("Car", "OtherMoving", "SUVPickupTruck", "Train", "Truck_Bus"),
    "Pedestrian": ("Animal", "CartLuggagePram", "Child", "Pedestrian"),
    "Bicyclist": ("Bicyclist", "MotorcycleScooter"),
}
_CAMVID_TO_11 = tuple(
    CAMVID.names.index(next(group for group, names in _CAMVID_GROUPS.items() if name in names))
    for name in CAMVID32.names
)

_MAPS = {
    (CITYSCAPES.names, PANORAMA13.names): _CITYSCAPES_TO_13,
    (SYNPASS.names, PANORAMA13.names): _SYNPASS_TO_13,
    (CAMVID32.names, CAMVID.names): _CAMVID_TO_11,
}


def class_map(source: LabelSpace, target: LabelSpace) -> np.ndarray | None:
    """The class of `target` that each class of `source` is.

    Spaces are told by their class names: colours and raw values may differ.

    Returns:
        (256,) uint8 from class index to class index, 255 where `target` has no counterpart; the
        identity where the names are equal; None where no map is known.
    """
    same = source.names == target.names
    indices = range(len(source)) if same else _MAPS.get((source.names, target.names))
    return None if indices is None else _table(indices)


@dataclasses.dataclass(frozen=True)
class ClassMatch:
    """From a model's class indices to a data set's.

    Attributes:
        table: (256,) uint8, 255 where a class has no counterpart; None where indices agree.
        how: how they were matched, in one sentence; empty where the classes are the same.
        lost: classes of the model without a counterpart.
        absent: classes of the data set that the model does not have.
    """

    table: np.ndarray | None = None
    how: str = ""
    lost: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    def apply(self, prediction: np.ndarray) -> np.ndarray:
        """The prediction in the data set's classes."""
        return prediction if self.table is None else self.table[prediction]

    @property
    def protocol(self) -> str:
        """What it does to scores: void that is predicted counts as the field counts it."""
        lost = f" ({', '.join(self.lost)}: no counterpart, a miss wherever predicted)"
        absent = f"; never predicted: {', '.join(self.absent)}"
        return f"{self.how}{lost if self.lost else ''}{absent if self.absent else ''}"

    def of_labels(self) -> np.ndarray:
        """(256,) uint8 from the data set's class indices to the model's; 255: no counterpart.

        Raises:
            ConfigError: several classes of the model are one of the data set.
        """
        table = np.full(256, IGNORE, np.uint8)
        found = np.arange(256) if self.table is None else self.table.astype(int)
        used, counts = np.unique(found[found != IGNORE], return_counts=True)
        if (counts > 1).any():
            raise ConfigError(
                f"{self.how}: several classes of the model are class {used[counts > 1][0]} of the "
                "data set, which tells the way to the scores, but not that of the labels back"
            )
        places = np.flatnonzero(found != IGNORE)
        table[found[places]] = places
        return table


def match_classes(
    model: LabelSpace,
    data: LabelSpace,
    match: str = "name",
    class_map: StrPath | Mapping[str, str | None] | None = None,
    count: int | None = None,
    hint: str = HINT,
) -> ClassMatch:
    """How a model's classes become a data set's.

    The same names in any order or spelling (case, spaces, `_` and `-` aside) are one class; a void
    class that the model has besides, and a known class map of the literature, will do, too.
    Generated names (`class_0`, ...) say nothing: then, and only then, the index decides unasked,
    and `how` says so.

    Args:
        model: classes of the model.
        data: classes of the data set.
        match: `name`, or `index` for the same index whatever the names.
        class_map: a YAML file, or what it holds: `model's class: data set's class`, or nothing
            for none; classes that are not listed are matched by name. Classes of the data set
            that nothing is matched with are never predicted, and `protocol` says so.
        count: of the model's classes; `NAMELESS`: unknown.
        hint: what messages say is to be done.

    Raises:
        ConfigError: the names differ, the numbers do where the index decides, or a class map names
            classes that are not there, or leaves out one that has no counterpart by name.
    """
    count, check = count or len(model), check_name("match", match, MATCHES)
    if class_map is not None:
        if check != "name":
            raise ConfigError("choose one of --class-map and --match index")
        return _by_map(model, data, class_map, strict=count != NAMELESS)
    if check == "index":
        return _by_index(model, data, count, "as asked for", hint)
    if model.names == data.names:
        return ClassMatch()
    for space, whose in ((model, "the model's classes"), (data, f"the classes of {data.name}")):
        if not has_names(space):
            return _by_index(model, data, count, f"{whose} have no names", hint)
    return _by_name(model, data, hint)


def check_same_order(began: LabelSpace, data: LabelSpace) -> None:
    """Makes sure that what goes on has the classes that it began with, in their order.

    Raises:
        ConfigError: naming the first one that is another.
    """
    pairs = itertools.zip_longest(began.names, data.names)
    for index, (before, now) in enumerate(pairs):
        if before != now:
            raise ConfigError(
                f"cannot resume: class {index} was {before or 'none'} when this run began, and is "
                f"{now or 'none'} in {data.name} now; give the data set with its classes as they "
                "were, or train on in a new folder (train --init-from takes them by name)"
            )


def shared_classes(
    model: LabelSpace, data: LabelSpace, match: str = "name", class_map: StrPath | None = None
) -> tuple[list[int | None], str]:
    """For each class of a data set the model's of that name, None where it has none; and how.

    Differing names are no error here: what starts from a model's weights learns the others anew.

    Raises:
        ConfigError: as `match_classes`, where the index or a class map decides.
    """
    nameless = class_map is None and match == "name"
    if nameless and (model.names == data.names or (has_names(model) and has_names(data))):
        return common_classes(data.names, model.names), "by name"
    if nameless and len(model) != len(data):
        return [None] * len(data), ""
    count = None if class_map is None else NAMELESS  # what a class map leaves out starts anew
    found = match_classes(model, data, match, class_map, count)
    table = [int(index) for index in found.of_labels()[: len(data)]]
    why = "no names" if nameless else "as asked for"
    how = f"by {class_map or f'index: {why}'}"
    return [None if index == IGNORE else index for index in table], how


def has_names(space: LabelSpace) -> bool:
    """Whether the class names say something, or were generated."""
    return space.names != LabelSpace.make("model", len(space)).names


def _by_index(model: LabelSpace, data: LabelSpace, count: int, why: str, hint: str) -> ClassMatch:
    how = f"classes matched by index with those of {data.name}: {why}"
    if count == len(data) or NAMELESS in (count, len(data)):
        return ClassMatch(how=how)
    if data.names == CAMVID.names and count == len(CAMVID) + 1:
        table = _table(range(len(CAMVID)))
        return ClassMatch(table, f"{how}, the 12th is void", (model.names[-1],))
    raise ConfigError(
        f"the model has {count} classes but {data.name} has {len(data)} ({data.names[0]}, ...), "
        f"which cannot be matched by index: {BY_MAP if hint == HINT else hint}"
    )


def _by_name(model: LabelSpace, data: LabelSpace, hint: str) -> ClassMatch:
    table = class_map(model, data)
    if table is not None:
        how = f"{len(model)} classes of the model mapped to the {len(data)} of {data.name}"
        return _matched(model, data, table, how)
    found = common_classes(model.names, data.names)
    others = [name for name, index in zip(model.names, found, strict=True) if index is None]
    absent = [name for i, name in enumerate(data.names) if i not in found]
    if absent or any(name.casefold() not in VOID_NAMES for name in others):
        if hint == HINT and len(model) != len(data):  # where the index does not help
            hint = BY_MAP
        raise ConfigError(f"{_difference(model, data, others, absent)}: {hint}")
    table = _table([IGNORE if index is None else index for index in found])
    return _matched(model, data, table, f"classes matched by name with those of {data.name}")


def _matched(model: LabelSpace, data: LabelSpace, table: np.ndarray, how: str) -> ClassMatch:
    lost = tuple(name for i, name in enumerate(model.names) if table[i] == IGNORE)
    absent = tuple(name for i, name in enumerate(data.names) if i not in table)
    return ClassMatch(table, how, lost, absent)


def common_classes(names: tuple[str, ...], others: tuple[str, ...]) -> list[int | None]:
    """For each name its index among others, whatever the spelling; None where it is not there."""
    spelled = _plain if all(len({*map(_plain, n)}) == len(n) for n in (names, others)) else str
    places = {spelled(name): index for index, name in enumerate(others)}
    return [places.get(spelled(name)) for name in names]


def _plain(name: str) -> str:
    return name.casefold().translate({ord(c): None for c in " _-"})


def _table(indices: Sequence[int]) -> np.ndarray:
    table = np.full(256, IGNORE, np.uint8)
    table[: len(indices)] = indices
    return table


def _difference(model: LabelSpace, data: LabelSpace, others: list[str], absent: list[str]) -> str:
    model_name = "the model" if model.name in ("model", data.name) else model.name
    only = [
        f"only {whose} has {', '.join(names[:3])}{', ...' if names[3:] else ''}"
        for whose, names in ((model_name, others), (data.name, absent))
        if names
    ]
    return (
        f"the {len(model)} classes of {model_name} and the {len(data)} of {data.name} differ "
        f"({'; '.join(only)}) and no class map between them is known"
    )


def _by_map(
    model: LabelSpace, data: LabelSpace, given: StrPath | Mapping[str, str | None], strict: bool
) -> ClassMatch:
    """Strict: what the map leaves out needs a counterpart by name."""
    what = "class map"
    if isinstance(given, Mapping):
        wanted = dict(given)
    else:
        wanted = read_yaml(given, dict[str, str | None], what=what, error=ConfigError)
        what = str(given)

    def known(name: str, space: LabelSpace, whose: str) -> str:
        if name in space.names:
            return name
        alike = [each for each in space.names if _plain(each) == _plain(str(name))]
        if len(alike) == 1:
            return alike[0]
        names = ", ".join(space.names[:40])
        raise ConfigError(f"{what}: {whose} has no class {name!r}; expected one of {names}")

    lines = [(known(own, model, "the model"), other) for own, other in wanted.items()]
    wanted = {own: known(other, data, data.name) if other else None for own, other in lines}
    if len(wanted) < len(lines):
        raise ConfigError(f"{what}: names a class of the model twice, in different spellings")
    table = class_map(model, data)
    found = common_classes(model.names, data.names) if table is None else table.tolist()
    own = dict(zip(model.names, found, strict=False))
    lost = [name for name in model.names if own[name] is None and name not in wanted]
    lost = [name for name in lost if name.casefold() not in VOID_NAMES]
    if lost and strict:
        raise ConfigError(
            f"{what}: says nothing of {', '.join(lost[:6])}{', ...' if lost[6:] else ''}, and "
            f"{data.name} has no class of that name: add a line for each, {lost[0]!r}: one of its "
            f"classes ({', '.join(data.names[:6])}{', ...' if data.names[6:] else ''}), or nothing "
            "behind the colon for none"
        )
    own |= {
        name: None if other is None else data.names.index(other) for name, other in wanted.items()
    }
    table = _table([IGNORE if index is None else index for index in own.values()])
    if (table == IGNORE).all():
        raise ConfigError(f"{what}: no class of the model is one of {data.name}")
    return _matched(model, data, table, f"classes matched with those of {data.name} by {what}")
