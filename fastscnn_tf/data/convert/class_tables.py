"""What the values or the colours of masks stand for, as the files beside the masks say.

A row is a name with a value, a colour or both. Rows named void, unlabeled or ignore are no class:
their pixels are 255.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Sequence

import numpy as np

from ...core.class_maps import VOID_NAMES
from ...core.errors import DataError, instead_of
from ...core.images.color_table import ColorTable
from ...core.labels import IGNORE, MAX_CLASSES, UNKNOWN, Color, LabelSpace
from .source import Notes
from .source_folder import SourceFolder

TOLERANCE = "tolerance"
LARGEST = 64 << 20  # bytes of a table or a list
LINE = 300  # letters
_GAP = r"[\s,;:]+"
_COLOR = rf"(?P<r>\d{{1,3}}){_GAP}(?P<g>\d{{1,3}}){_GAP}(?P<b>\d{{1,3}})"
# The lines of tables: a name with red, green and blue, with #rrggbb, or with a value.
_LINES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<name>.+?){_GAP}{_COLOR}(?::[^:]*:[^:]*|[\s,;]*)",
        rf"{_COLOR}{_GAP}(?P<name>.+)",
        rf"(?P<name>.+?){_GAP}#(?P<hex>[0-9a-fA-F]{{6}})",
        rf"(?P<value>\d{{1,3}}){_GAP}(?P<name>.+)",
        r"(?P<name>.+?) ?[,;:\t]+ *(?P<value>\d{1,3})",
    )
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A class, or a kind of void.

    Attributes:
        name: of the class; several rows may be one class.
        value: in a mask of values.
        color: in a mask of colours.
        void: no class.
    """

    name: str
    value: int | None = None
    color: Color | None = None
    void: bool = False


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """The rows of a table, and how masks are read by it.

    Attributes:
        said: where it comes from, for messages.
        rows: in order; the classes are their names in this order.
        palette: a palette PNG is read by its colours, not by its indices.
        tolerance: a channel may differ from a colour by so much; of several the nearest is taken.
        void_255: the value 255 is void although no row says so, as the format defines it.
    """

    said: str
    rows: tuple[Row, ...]
    palette: bool = False
    tolerance: int = 0
    void_255: bool = True

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.name for row in self.rows if not row.void))

    @functools.cached_property
    def colors(self) -> dict[str, Color]:
        """The first colour of each class that has one."""
        found = [(row.name, row.color) for row in self.rows if row.color and not row.void]
        return dict(reversed(found))

    @property
    def made(self) -> dict[str, tuple[str, ...]]:
        """The colours or values of classes that have several lines of a table of the user's."""
        found: dict[str, tuple[str, ...]] = {}
        for row in self.rows if self.palette else ():
            code = ",".join(map(str, row.color)) if row.color else str(row.value)
            found[row.name] = (*found.get(row.name, ()), code)
        return {name: codes for name, codes in found.items() if codes[1:]}

    @functools.cached_property
    def by_value(self) -> np.ndarray | None:
        """(256,) uint8 from value to class index, 255 void, 254 unknown; None without values."""
        table = np.full(256, UNKNOWN, np.uint8)
        if self.void_255:
            table[IGNORE] = IGNORE
        for row in self.rows:
            if row.value is not None:
                table[row.value] = self._index(row)
        return table if any(row.value is not None for row in self.rows) else None

    @functools.cached_property
    def by_color(self) -> ColorTable | None:
        """The classes of colours; None without colours."""
        classes = tuple(self._index(row) for row in self.rows if row.color)
        colors = tuple(row.color for row in self.rows if row.color)
        return ColorTable(colors, classes, self.tolerance) if colors else None

    def _index(self, row: Row) -> int:
        return IGNORE if row.void else self.classes.index(row.name)

    def check(self, notes: Notes) -> ClassTable:
        """Makes sure that masks can be read by it; notes what is void.

        Raises:
            DataError: it has too few or too many classes, or two of them look the same in a mask.
        """
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise DataError(
                f"{self.said}: expected 1 to {MAX_CLASSES} classes, got {len(self.classes)}"
            )
        for what in ("value", "color"):
            seen: dict[object, Row] = {}
            for row in self.rows:
                code = getattr(row, what)
                first = seen.setdefault(code, row)
                if code is not None and self._index(first) != self._index(row):
                    raise DataError(
                        f"{self.said}: {first.name!r} and {row.name!r} have the same {what} "
                        f"{code}, so that masks cannot tell them apart: draw them anew, or give "
                        "both one name in the table"
                    )
        for row in self.rows:
            if row.void:
                notes.add(f"{row.name!r} of {self.said} is not a class: its pixels are void")
        return self


def text_of(folder: SourceFolder, name: str) -> str:
    """A text file.

    Raises:
        DataError: it is too large, or not UTF-8.
    """
    wrong = DataError(f"{folder.path(name)}: not UTF-8: save it as that")
    with instead_of(UnicodeDecodeError, wrong):
        return folder.read(name, LARGEST).decode("utf-8-sig")


def of_space(said: str, space: LabelSpace, void_colors: Iterable[Color] = ()) -> ClassTable:
    """The table of a built-in label space, whose masks hold its raw values or its colours."""
    raw = space.raw_values or tuple(range(len(space)))
    rows = [
        Row(name, value, color)
        for name, values, color in zip(space.names, raw, space.colors, strict=True)
        for value in (values if isinstance(values, tuple) else (values,))
    ]
    rows += [Row("void", value, void=True) for value in space.void_values]
    rows += [Row("void", None, color, void=True) for color in void_colors]
    return ClassTable(said, tuple(rows))


def read_table(folder: SourceFolder, name: str) -> ClassTable:
    """A table of classes in a file.

    It is one of: labelmap.txt of CVAT and Datumaro (`road:128,64,128::`), lines of a name and three
    numbers in either order (`class_dict.csv`, `label_colors.txt`), of a name and a colour such as
    #804080, or of a value and a name (Roboflow's `_classes.csv`). A first line
    without a number is a heading; those that begin with # are comments. A line `tolerance,16` says
    how far the channels of a pixel may be off. A value that has no line is
    unknown, 255 like any other.

    Raises:
        DataError: it is none of these.
    """
    where = str(folder.path(name))
    lines = [line.strip() for line in text_of(folder, name).splitlines()]
    lines = [line for line in lines if line and not re.match(r"#(?![0-9a-fA-F]{6}\b)", line)]
    rows = [row for at, line in enumerate(lines) if (row := _row(line, where, heading=at == 0))]
    if not rows:
        raise DataError(
            f"{where}: no class found; expected lines such as 'road,128,64,128' (name, red, green, "
            "blue) or '1,road' (value, name)"
        )
    tolerance = next((row.value for row in rows if row.name.lower() == TOLERANCE), None)
    rows = [row for row in rows if row.value is None or row.name.lower() != TOLERANCE]
    if tolerance and not any(row.color for row in rows):  # values are greys, of which one is near
        rows = [Row(row.name, None, (row.value or 0,) * 3, row.void) for row in rows]
    if any(row.color for row in rows) and not all(row.color for row in rows):
        raise DataError(f"{where}: some lines have a colour and some have none")
    return ClassTable(where, tuple(rows), True, tolerance or 0, void_255=False)


def _row(line: str, where: str, heading: bool) -> Row | None:
    for pattern in _LINES:
        match = pattern.fullmatch(line[:LINE])
        if not match or not re.search(r"[^\W\d_]", match["name"]):  # a name has a letter
            continue
        found, name = match.groupdict(), match["name"].strip(" \t\"'")
        if "hex" in found:
            numbers = list(bytes.fromhex(match["hex"]))
        else:
            numbers = [int(found[part]) for part in ("value", "r", "g", "b") if part in found]
        if max(numbers) > 255:
            break
        void = name.lower() in VOID_NAMES
        if len(numbers) == 1:
            return Row(name, numbers[0], void=void)
        return Row(name, None, (numbers[0], numbers[1], numbers[2]), void)
    if heading and not re.search(r"\d", line):
        return None
    raise DataError(
        f"{where}: {line[:80]!r} is not a name with a colour (three numbers of 0 to 255) or with "
        "one value"
    )


def numbered(
    said: str, names: Sequence[str], colors: Sequence[Color | None] = (), void: Sequence[int] = ()
) -> ClassTable:
    """Names that stand at their values; those at `void` are no classes."""
    colors = colors or [None] * len(names)
    rows = [
        Row(name, value, color, value in void)
        for value, (name, color) in enumerate(zip(names, colors, strict=True))
    ]
    return ClassTable(said, tuple(rows))
