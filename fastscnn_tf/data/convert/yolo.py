"""YOLO as Ultralytics defines it: a YAML, and polygons in text files or index masks.

`images/a/x.jpg` belongs to `labels/a/x.txt`; with `masks_dir` a data set is read as `ultralytics`
reads it. Of polygons the larger ones are drawn first, with corners cut to whole pixels and with
their outline, as Ultralytics trains on them; the background comes last. Its loader turns images by
EXIF.
"""

import functools
import os
import posixpath
from typing import Any

import msgspec
import numpy as np

from ...core.errors import DataError
from ...core.files.yaml_text import read_yaml
from ...core.images.image_file import read_label
from ...core.labels import MAX_CLASSES
from ..datasets.keys import check_names
from ..datasets.ultralytics import check_count, read_ultralytics
from .canvas import Canvas
from .source import Annotations, Format, ImageHeader, Item, Notes, with_background
from .source_folder import SourceFolder, stem

SPLITS = ("train", "val", "test")
_LARGEST_TEXT = 64 << 20


class _Yaml(msgspec.Struct):
    names: list[str | int | float] | dict[int, str | int | float]
    path: str | None = None
    train: str | list[str] | None = None
    val: str | list[str] | None = None
    test: str | list[str] | None = None
    nc: int | None = None
    kpt_shape: Any = None


def recognise(folder: SourceFolder) -> str | None:
    found = _descriptions(folder)
    return f"{found[0]} has names and splits, as Ultralytics' data sets" if found else None


def _descriptions(folder: SourceFolder) -> list[str]:
    found = []
    for name in folder.ending(".yaml", ".yml"):
        try:
            content = _content(folder, name)
        except DataError:
            continue
        if isinstance(content, dict) and "names" in content and {*SPLITS} & set(content):
            found.append(name)
    return found


def _content(folder: SourceFolder, name: str) -> Any:
    return read_yaml(folder.path(name), error=DataError)


def open_source(folder: SourceFolder) -> Annotations:
    described = _descriptions(folder)
    if not described:
        raise DataError(f"{folder.root}: no YAML file with names and train or val")
    if len(described) > 1:
        raise DataError(
            f"{folder.root}: {described[0]} and {described[1]} both describe a data set: give the "
            "one that is to be converted"
        )
    name = described[0]
    check_names(_content(folder, name), "names", f"{folder.path(name)}: ")
    if "masks_dir" in (told := _content(folder, name)):
        return _of_masks(folder, name, told)
    content: _Yaml = read_yaml(folder.path(name), _Yaml, what="description", error=DataError)
    listed: Any = content.names
    found = dict(enumerate(listed)) if isinstance(listed, list) else listed
    if set(found) != set(range(len(found))) or not 0 < len(found) < MAX_CLASSES:
        raise DataError(f"{folder.path(name)}: names must count up from 0, got {sorted(found)[:9]}")
    if content.kpt_shape:
        raise DataError(f"{folder.path(name)}: key points (kpt_shape) outline nothing")
    check_count(content.nc, len(found), folder.path(name))
    names, notes = [str(found[i]) for i in range(len(found))], Notes()
    items: list[Item] = []
    if len(set(names)) < len(names):
        raise DataError(f"{folder.path(name)}: names must be unique, got {', '.join(names)}")
    for split in _told_apart(told, notes):
        for image in _images(folder, name, content, split, notes):
            label = f"{_swapped(stem(image), 'labels')}.txt"
            key = label if folder.has(label) else None
            items.append(Item(stem(image), folder.path(image), split, key=key))
    classes, background = with_background(names, notes, last=True)
    return Annotations(classes, items, _PolygonReader(folder, len(names), background), notes=notes)


def _of_masks(folder: SourceFolder, name: str, told: dict[str, Any]) -> Annotations:
    found, notes, items = read_ultralytics(told, folder.path(name)), Notes(), []
    apart = _told_apart(told, notes)
    for split in (split for split in found.splits if split in apart):
        pairing = found.pairs(split)
        for image in pairing.without_label:
            notes.add("an image without a mask, left out", image.name)
        for image, mask in pairing.pairs:
            place, _ = (folder.inside(os.path.relpath(p, folder.root)) for p in (image, mask))
            items.append(Item(stem(place), image, split, key=mask))
    read = functools.partial(_read_mask, found.labels.lookup_table())
    return Annotations(found.labels.names, items, read, notes=notes)


def _read_mask(table: np.ndarray, item: Item, header: ImageHeader, notes: Notes) -> np.ndarray:
    path: Any = item.key
    return header.upright(read_label(path, table), item.name, notes)


def _told_apart(told: dict[str, Any], notes: Notes) -> list[str]:
    """The splits but those of the same folders as one before: their images cannot be in both."""
    found: dict[str, str] = {}
    for split in SPLITS:
        place = posixpath.normpath(str(told.get(split) or f"?{split}"))
        if (first := found.setdefault(place, split)) != split:
            said = f"{first.upper()} AND {split.upper()} ARE ONE FOLDER IN THE YAML"
            notes.add(f"{said}: its images are {first} alone", place)
    return list(found.values())


def _swapped(path: str, kind: str) -> str:
    """A path with the last folder `images` replaced."""
    parts = path.split("/")
    places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = kind
    return "/".join(parts)


def _images(folder: SourceFolder, yaml: str, content: _Yaml, split: str, notes: Notes) -> list[str]:
    """The images of a split: of folders, or of text files that list them."""
    given = getattr(content, split)
    found: list[str] = []
    for text in [given] if isinstance(given, str) else given or []:
        place = _place(folder, yaml, content.path, text, notes)
        if place is None:
            notes.add(f"{split}: no such folder or list, left out", text)
        elif place.endswith(".txt"):
            for line in folder.read(place, _LARGEST_TEXT).decode("utf-8", "replace").splitlines():
                image = folder.find_image(line.strip(), place) if line.strip() else None
                if image:
                    found.append(image)
                elif line.strip():
                    notes.add("the image is not there, left out", line.strip())
        else:
            below = "" if place == "." else f"{place}/"
            found += [image for image in folder.images if image.startswith(below)]
    return list(dict.fromkeys(found))


def _place(
    folder: SourceFolder, yaml: str, path: str | None, text: str, notes: Notes
) -> str | None:
    """A folder or list that the YAML names; its `path` may be that of another machine."""
    tries = [f"{path}/{text}", text] if path else [text]
    plain = text.replace("\\", "/").lstrip("./") or "."
    tries += [plain] if plain != text else []  # `../train/images` of Roboflow's YAML
    for each in tries:
        try:
            place = folder.inside(each, yaml)
        except DataError:
            continue
        below = "" if place == "." else f"{place}/"
        if folder.has(place) or any(image.startswith(below) for image in folder.images):
            if each != tries[0]:
                notes.add(f"{tries[0]} is not there, taken: {place}")
            return place
    return None


class _PolygonReader:
    def __init__(self, folder: SourceFolder, named: int, background: int):
        self._folder, self._named, self._background = folder, named, background

    def __call__(self, item: Item, header: ImageHeader, notes: Notes) -> np.ndarray:
        label: Any = item.key
        header.seen(None, True, item.name, notes)
        canvas = Canvas(header.size, self._background, item.name)
        if label is None:
            notes.add("no text file of polygons: all background", item.name)
            return canvas.label
        for value, points in self._polygons(label, header, notes):
            canvas.outline(points, value)
        return canvas.label

    def _polygons(
        self, name: str, header: ImageHeader, notes: Notes
    ) -> list[tuple[int, np.ndarray]]:
        text = self._folder.read(name, _LARGEST_TEXT).decode("utf-8", "replace")
        height, width = header.size
        found = []
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words:
                continue
            where = f"{self._folder.path(name)}: line {number}"
            try:
                value, *rest = map(float, words)
            except ValueError:
                raise DataError(
                    f"{where}: expected a class and x y pairs, got {line[:40]!r}"
                ) from None
            if not (value.is_integer() and 0 <= value < self._named):
                raise DataError(f"{where}: class {words[0]}, expected 0..{self._named - 1}")
            if len(rest) == 4:
                notes.add("a box, no polygon: not drawn", f"{name}:{number}")
            elif len(rest) < 6 or len(rest) % 2:
                raise DataError(f"{where}: {len(rest)} numbers, expected at least 3 x y pairs")
            elif not all(-0.01 <= each <= 1.01 for each in rest):
                raise DataError(f"{where}: coordinates must be 0..1, got {min(rest)}..{max(rest)}")
            else:
                points = np.trunc(np.reshape(rest, (-1, 2)) * (width, height))
                found.append((int(value), points))
        return sorted(found, key=lambda each: -_area(each[1]))


def _area(points: np.ndarray) -> float:
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


FORMAT = Format("yolo", "polygons or masks_dir of Ultralytics", recognise, open_source)
