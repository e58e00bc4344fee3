"""What a format gives to the converter: classes, items, and label maps one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ...core.errors import DataError
from ...core.images.pixels import turned
from ...core.labels.space import Color
from ...core.sizes import Size, format_size
from .source_folder import SourceFolder

BACKGROUND = "background"  # the class of pixels that lie in no shape
UNDRAWN = f"pixels in no shape are the class {BACKGROUND}"
EXAMPLES = 3  # of each note
# What is noted of images that EXIF turns: how they were annotated, taken for granted or by size.
HOW = ("as stored, without EXIF's turn", "upright")
EXIF = (
    "EXIF turns the image: annotations taken as drawn on it {}",
    "EXIF turns the image: by the noted size, annotations are drawn on it {}",
)


@dataclasses.dataclass(frozen=True)
class Item:
    """An image with annotations.

    Attributes:
        name: a relative posix path without suffix; the last part becomes the file's name.
        image: the file.
        split: `train`, `val`, `test` or another, where the source names one.
        group: what may not be divided between splits, where the source names it.
        key: anything by which `read_label` finds its annotations.
        content: gives the image's bytes, where they are no file; `image` names them.
    """

    name: str
    image: Path
    split: str | None = None
    group: str | None = None
    key: object = None
    content: Callable[[], bytes] | None = None


@dataclasses.dataclass(frozen=True)
class ImageHeader:
    """What the head of an image's file says.

    Attributes:
        stored: (height, width) of the pixels as they are stored.
        orientation: of EXIF, 1 to 8; 1 is upright.
    """

    stored: Size
    orientation: int = 1

    @property
    def size(self) -> Size:
        """(height, width) of the upright image, as this package reads it."""
        return self.stored[::-1] if self.orientation > 4 else self.stored

    def turn(self, label: np.ndarray) -> np.ndarray:
        """A label map of the stored pixels, turned as EXIF turns the image."""
        return turned(label, self.orientation)

    def upright(self, label: np.ndarray, name: str, notes: Notes) -> np.ndarray:
        """A label map drawn on what a viewer shows, unless its size says: on the stored pixels."""
        seen = self.seen((label.shape[0], label.shape[1]), True, name, notes)
        return label if seen else self.turn(label)

    def seen(self, size: Size | None, upright: bool, name: str, notes: Notes) -> bool:
        """Whether an annotator saw the image upright (else as it is stored).

        Args:
            size: of the annotated image, where the source notes it: it decides if it can.
            upright: what the format's own tools do, if it does not.
            name: of the item, for messages.
            notes: gets what was taken for granted.

        Raises:
            DataError: the image has another size than the annotated one.
        """
        if size is not None and size not in (self.size, self.stored):
            raise DataError(
                f"{name}: annotated at {format_size(size)}, but the image is "
                f"{format_size(self.size)}: use the image that was annotated"
            )
        if self.orientation == 1:
            return True
        sized = size is not None and self.size != self.stored
        upright = size == self.size if sized else upright
        notes.add(EXIF[sized].format(HOW[upright]), name)
        return upright


class Notes:
    """What was dropped, merged or taken for granted, counted by reason.

    Attributes:
        counts: how often, by reason.
        examples: the first names, by reason.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}

    def add(self, reason: str, example: str = "", count: int = 1) -> None:
        """Counts a reason; `example` names a file or an object."""
        self.counts[reason] = self.counts.get(reason, 0) + count
        known = self.examples.setdefault(reason, [])
        if example and len(known) < EXAMPLES and example not in known:
            known.append(example)

    def update(self, other: Notes) -> None:
        """Adds what another one counted."""
        for reason, count in other.counts.items():
            self.add(reason, count=count)
            for example in other.examples[reason]:
                self.add(reason, example, 0)

    def say_of_turns(self) -> None:
        """Adds where some sizes say that images were annotated in another way than was taken."""
        for taken, sized in (HOW, HOW[::-1]):
            guess, known = EXIF[0].format(taken), EXIF[1].format(sized)
            if guess in self.counts and known in self.counts:
                turn = sized == HOW[1]
                way = "turn these files upright" if turn else "take EXIF's note out of them"
                self.add(
                    f"IMAGES TAKEN AS ANNOTATED {taken.upper()}, WHERE OTHERS OF THIS SOURCE WERE "
                    f"ANNOTATED {sized.upper()}: look at them; if they are wrong, {way}",
                    self.examples[guess][0],
                    self.counts[guess],
                )


def with_background(
    names: Sequence[str], notes: Notes, last: bool = False
) -> tuple[list[str], int]:
    """The classes of a format of shapes, and the index of what lies in none.

    A class of the source that is called background is it; else one is put in front, or behind.

    Args:
        names: of the source, unique.
        notes: gets what that means.
        last: put it behind the others.
    """
    classes = list(names)
    index = next((i for i, name in enumerate(names) if is_background(name)), None)
    if index is None:
        index = len(classes) if last else 0
        classes.insert(index, BACKGROUND)
        notes.add(UNDRAWN)
    return classes, index


def is_background(name: str) -> bool:
    """Whether a class is that of pixels in no shape."""
    return name.strip(" _").casefold() == BACKGROUND  # labelme's COCO has _background_


ReadLabel: TypeAlias = Callable[[Item, ImageHeader, Notes], np.ndarray]


@dataclasses.dataclass
class Annotations:
    """An opened source.

    Args:
        classes: names in index order, at most 254; `BACKGROUND` is among them where pixels may lie
            in no shape.
        items: all images with annotations, in order.
        read_label: (item, image, notes) -> (H, W) uint8 class indices of the upright image,
            255 void; called by several threads at once, or in other processes, which it travels to.
        colors: of some classes, by name.
        notes: what was found while it was opened.
        made: the values or colours of classes that have several.
    """

    classes: Sequence[str]
    items: Sequence[Item]
    read_label: ReadLabel
    colors: dict[str, Color] = dataclasses.field(default_factory=dict)
    notes: Notes = dataclasses.field(default_factory=Notes)
    made: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def json_of_image(folder: SourceFolder, name: str, schema: Any, notes: Notes) -> Any:
    """The annotations of one image in a JSON file; None of a bad one that may be skipped.

    Raises:
        DataError: it cannot be read, or does not fit the schema, and is not to be skipped.
    """
    try:
        return folder.json(name, schema)
    except DataError as error:
        if not folder.skip_bad:
            raise
        notes.add("cannot be used, left out", str(error))
        return None


def note_unused(folder: SourceFolder, items: Sequence[Item], notes: Notes) -> None:
    """Counts the images that no annotation names."""
    used = {item.image for item in items}
    if left := [name for name in folder.images if folder.path(name) not in used]:
        notes.add("images that no annotation names, left out", left[0], len(left))


@dataclasses.dataclass(frozen=True)
class Format:
    """A format that can be converted.

    Attributes:
        name: on the command line.
        about: what it is, in a few words.
        recognise: what makes a folder look like it, in a few words; None if nothing does.
        open: reads the annotations.
    """

    name: str
    about: str
    recognise: Callable[[SourceFolder], str | None]
    open: Callable[[SourceFolder], Annotations]
