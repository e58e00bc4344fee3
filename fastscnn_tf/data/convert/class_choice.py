"""Which classes of a source are kept, under which names and indices.

`road,vehicle=car+truck,background=*`: in this order; `=` renames, `+` merges, and `*` is every
class that is named nowhere else: one class behind a `=`, alone each as it is. What is not chosen
becomes void. Spaces around a name count for nothing.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np

from ...core.errors import ConfigError, DataError
from ...core.labels import IGNORE, MAX_CLASSES, LabelSpace, generated_palette
from ...core.labels.space import Color

REST = "*"
# A class and what it is made of; None: all classes as they are.
Choice = str | Sequence[str] | Mapping[str, Sequence[str]] | None


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The classes of the result.

    Attributes:
        labels: their names and colours.
        table: (256,) uint8 from the source's indices to theirs.
        merged: classes that are made of others, by name.
        dropped: classes of the source that become void.
    """

    labels: LabelSpace
    table: np.ndarray
    merged: dict[str, tuple[str, ...]]
    dropped: tuple[str, ...]


def choose(name: str, classes: Sequence[str], colors: dict[str, Color], choice: Choice) -> Chosen:
    """The classes to write.

    Args:
        name: of the data set.
        classes: of the source, unique.
        colors: of some of them.
        choice: see above; a mapping from names to lists of the source's names, in Python.

    Raises:
        ConfigError: a class that the source lacks, or that is chosen twice.
        DataError: fewer than two classes remain, or more than 254.
    """
    if len(classes) > MAX_CLASSES:
        raise DataError(
            f"{name}: {len(classes)} classes, and label maps hold at most {MAX_CLASSES}: remove "
            "from the annotations what is not needed"
        )
    if not all(each.strip() for each in classes):
        raise DataError(f"{name}: a class without a name: give it one in the annotations")
    spelled: dict[str, list[str]] = {}  # as the source writes them, with spaces around
    for each in classes:
        spelled.setdefault(each.strip(), []).append(each)
    parts = _parts(choice) if choice is not None else {REST: [REST]}
    named = [old for olds in parts.values() for old in olds if old != REST]
    for old in named:
        if old not in spelled:
            raise ConfigError(f"--classes: no class {old!r}; there are {', '.join(spelled)}")
        if named.count(old) > 1:
            raise ConfigError(f"--classes: {old!r} stands twice")
    if sum(olds.count(REST) for olds in parts.values()) > 1:
        raise ConfigError(f"--classes: {REST} stands twice")
    rest = [each for each in spelled if each not in named]
    made: dict[str, list[str]] = {}
    for new, olds in parts.items():
        if (new, olds) == (REST, [REST]):
            if twice := next((each for each in rest if each in parts), None):
                raise ConfigError(f"--classes: {twice!r} is made of others, and {REST} has it, too")
            made |= {each: spelled[each] for each in rest}
            continue
        found = [old for part in olds for old in (rest if part == REST else [part])]
        made[new] = [each for old in found for each in spelled[old]]
    table = np.full(256, IGNORE, np.uint8)
    for index, olds in enumerate(made.values()):
        table[[classes.index(old) for old in olds]] = index
    dropped = tuple(each for each in classes if table[classes.index(each)] == IGNORE)
    palette = generated_palette(len(made))
    known = [
        next((colors[each] for each in (new, *olds) if each in colors), None)
        for new, olds in made.items()
    ]
    chosen = tuple(color or made_up for color, made_up in zip(known, palette, strict=True))
    labels = LabelSpace(name, tuple(made), chosen)
    if len(made) < 2:
        raise DataError(
            f"{name}: expected at least 2 classes, got {', '.join(made) or 'none'}: a network "
            f"learns nothing from one; the source has {', '.join(classes) or 'none'}"
        )
    merged = {new: tuple(olds) for new, olds in made.items() if olds != [new]}
    return Chosen(labels, table, merged, dropped)


def nearly_equal(classes: Sequence[str], table: np.ndarray) -> list[list[str]]:
    """Classes whose names differ only in case, spaces, _ and -, and that do not become one."""
    alike: dict[str, list[str]] = {}
    for each in classes:
        alike.setdefault(re.sub(r"[\s_-]+", "", each).casefold(), []).append(each)
    groups = (found for found in alike.values() if found[1:])
    return [each for each in groups if len({table[classes.index(name)] for name in each}) > 1]


def _parts(choice: str | Sequence[str] | Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    if isinstance(choice, Mapping):
        return {new: list(olds) for new, olds in choice.items()}
    parts: dict[str, list[str]] = {}
    for text in choice.split(",") if isinstance(choice, str) else choice:
        new, renamed, olds = text.strip().partition("=")
        new = new.strip()
        if not new or new in parts or (renamed and not olds.strip()):
            raise ConfigError(
                f"--classes: expected names as road,vehicle=car+truck, each once, got {text!r}"
            )
        parts[new] = [old.strip() for old in olds.split("+")] if renamed else [new]
    return parts
