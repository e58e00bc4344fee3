"""Formats that store masks: images here, masks there, and a table of what the pixels mean.

All of them are one reader; a format is a few `Masks` (`mask_formats.py`).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from ...core.class_maps import VOID_NAMES
from ...core.errors import DataError
from ...core.images.color_table import color_codes, color_of
from ...core.images.decoding import decoding, open_image, read_image_file
from ...core.images.formats import IMAGE_SUFFIXES, LOSSY, image_format
from ...core.images.pixels import in_strips
from ...core.labels import UNKNOWN
from .class_tables import ClassTable
from .source import Annotations, Format, ImageHeader, Item, Notes
from .source_folder import SourceFolder, split_named

IMAGE = rf"\.(?:{'|'.join(suffix[1:] for suffix in IMAGE_SUFFIXES)})"
DEEPEST = 32  # folders in one another; a pattern is tried at each
GREY = ("1", "L", "I", "I;16", "F")  # modes whose pixels are values
LISTED = 5  # unknown values that an error names

Splits = dict[str, str | None]  # of an image's name; None: in no split
ReadMask = Callable[[SourceFolder, str, ClassTable, Notes], np.ndarray]


def read_mask(folder: SourceFolder, name: str, table: ClassTable, notes: Notes) -> np.ndarray:
    """A mask as (H, W) uint8 class indices, 255 void.

    Args:
        folder: that is converted.
        name: of the mask.
        table: what its pixels mean.
        notes: gets how many pixels were only near a colour.

    Raises:
        DataError: it cannot be read, its format loses colours, or it has a value or colour that
            the table does not know.
    """
    path = str(folder.path(name))
    return classes_of(open_mask(path, table.tolerance > 0), path, table, notes)


def open_mask(path: str, lossy: bool = False) -> Image.Image:
    """A mask, decoded; `lossy` ones are refused unless a tolerance for them was stated.

    Raises:
        DataError: it cannot be read, or its format loses colours.
    """
    content = read_image_file(path)
    if (kind := image_format(content)) in LOSSY and not lossy:
        raise DataError(
            f"{path}: a mask as {kind}, which blurs values and colours at every edge: export the "
            "masks as PNG, or state in a table (--table FILE) beside the values or colours how far "
            "pixels may be off, with a line tolerance,16: the nearest is taken"
        )
    return open_image(content, path)


def opaque(image: Image.Image, path: str) -> Image.Image:
    """A mask whose alpha hides nothing; that of grey+alpha becomes grey.

    Raises:
        DataError: pixels are transparent: what they hide was not meant as a class.
    """
    if image.mode in ("LA", "PA", "RGBA"):
        alpha = np.asarray(image.getchannel("A"))
        if clear := int((alpha != 255).sum()):
            raise DataError(f"{path}: {clear:,} pixels are transparent: save it without alpha")
    return image.getchannel("L") if image.mode == "LA" else image


def classes_of(
    image: Image.Image, path: str, table: ClassTable, notes: Notes, red: bool = False
) -> np.ndarray:
    """A mask as `read_mask` gives it.

    Args:
        image: the mask.
        path: for messages.
        table: what its pixels mean.
        notes: gets how many pixels were only near a colour.
        red: the value is the first channel of a colour image.

    Raises:
        DataError: it has a value or colour that the table does not know, or transparent pixels.
    """
    image = image if red else opaque(image, path)  # simulators leave anything in alpha
    by_palette = image.mode == "P" and table.palette and table.by_color is not None
    plain = image.mode in (*GREY, "P") and not by_palette
    values = table.by_value if plain or red or table.by_color is None else None
    with decoding(path):
        codes = in_strips(image, color_codes) if values is None else in_strips(image)
    if values is None:
        assert table.by_color is not None  # each row has a value or a colour
        label, near = table.by_color.look_up(codes)
        if near:
            about = f"pixels whose colour is only near one, within {table.tolerance} a channel"
            notes.add(about, path, near)
        return _without_unknown(label, codes, "colour", path, table)
    if codes.ndim == 3:
        if not red and np.ptp(codes[..., :3], axis=2).any():
            raise DataError(
                f"{path}: a colour image (mode {image.mode}), but {table.said} has no colours"
            )
        codes = codes[..., 0]
    if codes.dtype.kind == "f":
        if (odd := ~((codes == np.rint(codes)) & (codes >= 0) & (codes < 256))).any():
            raise DataError(f"{path}: values such as {codes[odd][0]:g}, which are none of 0 to 255")
        codes = codes.astype(np.uint8)
    codes = codes.astype(np.uint8) if codes.dtype == bool else codes
    there = (codes >= 0) & (codes < 256)
    label = np.where(there, values.take(codes, mode="clip"), np.uint8(UNKNOWN))
    return _without_unknown(label, codes, "value", path, table)


def _without_unknown(
    label: np.ndarray, codes: np.ndarray, what: str, path: str, table: ClassTable
) -> np.ndarray:
    """The label map, if each of its pixels is in the table."""
    if not (unknown := label == UNKNOWN).any():
        return label
    values, counts = np.unique(codes[unknown], return_counts=True)
    listed = ", ".join(
        f"{color_of(int(values[at])) if what == 'colour' else values[at]} ({counts[at]:,} pixels)"
        for at in np.argsort(-counts)[:LISTED]
    )
    more = f" and {len(values) - LISTED} more" if len(values) > LISTED else ""
    hint = f": add a line for it; one named {VOID_NAMES[0]} is ignored" if table.palette else ""
    raise DataError(f"{path}: {what} {listed}{more} is not in {table.said}{hint}")


@dataclasses.dataclass(frozen=True)
class Masks:
    """How one kind of masks lies in a folder.

    Args:
        about: what it is, for people.
        images: a pattern of paths, at any depth; its groups, such as `split` and `name`, are the
            same in an image and its mask.
        masks: a pattern of paths.
        table: reads what the pixels mean, or knows it.
        splits: the splits by the lists of the format, where folders do not tell them.
        read: (folder, path of the mask, table) -> (H, W) uint8 class indices, 255 void.
        sequences: each folder at that depth is a drive, whose frames belong together.
        telling: whether a folder with such names is taken for this format.
    """

    about: str
    images: str
    masks: str
    table: Callable[[SourceFolder], ClassTable]
    splits: Callable[[SourceFolder, str], Splits] | None = None
    read: ReadMask = read_mask
    sequences: bool = False
    telling: Callable[[SourceFolder], bool] = lambda folder: True

    def pairs(self, folder: SourceFolder) -> MaskPairs:
        """Which images have which masks."""
        masks, twice = _matches(self.masks, folder.files)
        taken = set(masks.values())  # without any, nothing is looked at twice
        others = [name for name in folder.files if name not in taken] if taken else []
        images, again = _matches(self.images, others)
        return MaskPairs(images, masks, tuple(twice + again))


@dataclasses.dataclass(frozen=True)
class MaskPairs:
    """Paths of images and masks by their keys, and those that have one in common."""

    images: dict[Key, str]
    masks: dict[Key, str]
    twice: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return not self.images.keys().isdisjoint(self.masks)


@dataclasses.dataclass(frozen=True, order=True)
class Key:
    """What an image and its mask have in common.

    Attributes:
        root: the path above what the pattern describes, with a slash; or empty.
        split: as the folders say; or empty.
        name: of the image, without what the pattern describes.
    """

    root: str
    split: str
    name: str


def _matches(pattern: str, names: Sequence[str]) -> tuple[dict[Key, str], list[tuple[str, str]]]:
    # The root is as short as can be, so that it does not swallow a folder that names the split.
    whole = re.compile(rf"(?P<root>(?:.+?/)??){pattern}", re.IGNORECASE)
    found: dict[Key, str] = {}
    twice = []
    for name in names:
        if name.count("/") < DEEPEST and (match := whole.fullmatch(name)):
            groups = match.groupdict()
            root, split = groups.pop("root"), groups.pop("split", "") or groups.pop("inner", "")
            key = Key(root, (split or "").lower(), "_".join(filter(None, groups.values())))
            if found.setdefault(key, name) != name:
                twice.append((found[key], name))
    return found, twice


def mask_format(name: str, about: str, *layouts: Masks) -> Format:
    """A format of which a folder has one of these layouts, the preferred first."""

    def recognise(folder: SourceFolder) -> str | None:
        telling = (layout for layout in layouts if layout.telling(folder))
        return next((layout.about for layout in telling if layout.pairs(folder)), None)

    def open_source(folder: SourceFolder) -> Annotations:
        if folder.given:  # whose neighbours may be of another data set
            raise DataError(
                f"{folder.path(folder.given)}: {name} is read from a folder, not from a file: give "
                "the folder, and a table of classes with --table FILE"
            )
        found = [(layout, pairs) for layout in layouts if (pairs := layout.pairs(folder))]
        if not found:
            masks = [mask for each in layouts for mask in each.pairs(folder).masks.values()]
            alone = f"; {len(masks)} masks are there, export the images with them" if masks else ""
            known = " or ".join(layout.about for layout in layouts)
            raise DataError(
                f"{folder.root}: no image with a mask as {name} has them: {known}{alone}"
            )
        source = _open(folder, *found[0])
        for layout, _ in found[1:]:
            source.notes.add(f"also there, not read: {layout.about}")
        return source

    return Format(name, about, recognise, open_source)


def _open(folder: SourceFolder, layout: Masks, pairs: MaskPairs) -> Annotations:
    notes = Notes()
    table = layout.table(folder).check(notes)
    notes.add(f"read as {layout.about}; what pixels mean says {table.said}")
    for one, two in pairs.twice:
        raise DataError(f"{folder.root}: {one} and {two} are for the same image: keep one of them")
    for what, here, there in (
        ("images without a mask, left out", pairs.images, pairs.masks),
        ("masks without an image, left out", pairs.masks, pairs.images),
    ):
        for key in sorted(here.keys() - there.keys()):
            notes.add(what, here[key])
    keys = sorted(pairs.images.keys() & pairs.masks.keys())
    roots = {key.root for key in keys}
    listed = {root: layout.splits(folder, root) for root in roots} if layout.splits else {}
    items = []
    for key in keys:
        split: str | None = split_named(key.split) or None
        if key.root in listed:
            if key.name not in listed[key.root]:
                notes.add("images in none of the lists, left out", pairs.images[key])
                continue
            split = listed[key.root].pop(key.name)
        name = key.name if len(roots) == 1 else key.root + key.name
        group = key.root if layout.sequences and len(roots) > 1 else None
        items.append(Item(name, folder.path(pairs.images[key]), split, group, key=pairs.masks[key]))

    for names in listed.values():
        for missing in names:
            notes.add("named in a list, but image or mask is not there", missing)

    reader = functools.partial(_read_label, layout.read, folder, table)
    return Annotations(table.classes, items, reader, table.colors, notes, table.made)


def _read_label(
    read: ReadMask,
    folder: SourceFolder,
    table: ClassTable,
    item: Item,
    header: ImageHeader,
    notes: Notes,
) -> np.ndarray:
    label = read(folder, str(item.key), table, notes)
    return header.upright(label, item.name, notes)


def named(folder: SourceFolder, *names: str) -> str:
    """The table of one of these names, the nearest to the top; the one that was given comes first.

    Raises:
        DataError: there is none.
    """
    if folder.table is not None:
        folder.table_used = True
        return str(folder.table)
    wanted = {name.lower() for name in names}
    found = [name for name in folder.files if name.rpartition("/")[2].lower() in wanted]
    if not found:
        raise DataError(
            f"{folder.root}: no {' or '.join(names)}, which says what the masks mean: put it "
            "there, or give it with --table FILE"
        )
    return min(found, key=lambda name: (name.count("/"), name))
