"""YOLO as Ultralytics defines it: a YAML, and polygons in text files or index masks.

`images/a/x.jpg` belongs to `labels/a/x.txt`, or with `masks_dir: masks` to `masks/a/x.png`. Of
polygons the larger ones are drawn first, with corners cut to whole pixels and with their outline,
as Ultralytics trains on them; the background comes last. Its loader turns images by EXIF.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ...core.errors import DataError
from ...core.files.yaml_text import read_yaml
from ...core.images.image_file import read_label
from ...core.labels import MAX_CLASSES, LabelSpace
from .canvas import Canvas
from .source import Format, Item, Notes, Picture, Source, with_background
from .source_folder import SourceFolder, stem

SPLITS = ("train", "val", "test")
MASKS = (".png", ".PNG", ".bmp", ".tif")
_LARGEST_TEXT = 64 << 20


class _Yaml(msgspec.Struct):
    names: list[str | int | float] | dict[int, str | int | float]
    path: str | None = None
    train: str | list[str] | None = None
    val: str | list[str] | None = None
    test: str | list[str] | None = None
    masks_dir: str | None = None


def recognise(folder: SourceFolder) -> str | None:
    name = _description(folder)
    return f"{name} has names and splits, as Ultralytics' data sets" if name else None


def _description(folder: SourceFolder) -> str | None:
    for name in folder.ending(".yaml", ".yml"):
        try:
            content: Any = read_yaml(folder.path(name), error=DataError)
        except DataError:
            continue
        if isinstance(content, dict) and "names" in content and {*SPLITS} & set(content):
            return name
    return None


def open_source(folder: SourceFolder) -> Source:
    name = _description(folder)
    if name is None:
        raise DataError(f"{folder.root}: no YAML file with names and train or val")
    content: _Yaml = read_yaml(folder.path(name), _Yaml, what="description", error=DataError)
    listed: Any = content.names
    found = dict(enumerate(listed)) if isinstance(listed, list) else listed
    if set(found) != set(range(len(found))) or not 0 < len(found) < MAX_CLASSES:
        raise DataError(f"{folder.path(name)}: names must count up from 0, got {sorted(found)[:9]}")
    names, notes = [str(found[i]) for i in range(len(found))], Notes()
    items: list[Item] = []
    if len(set(names)) < len(names):
        raise DataError(f"{folder.path(name)}: names must be unique, got {', '.join(names)}")
    masks = content.masks_dir
    for split in SPLITS:
        for image in _images(folder, name, content, split, notes):
            suffixes, kind = (MASKS, masks) if masks else ((".txt",), "labels")
            base = _swapped(stem(image), kind)
            label = next((f"{base}{s}" for s in suffixes if folder.has(f"{base}{s}")), None)
            if label is None and masks:
                notes.add("an image without a mask, left out", image)
                continue
            items.append(Item(stem(image), folder.path(image), split, key=label))
    classes, background = (names, 0) if masks else with_background(names, notes, last=True)
    reader = _Reader(folder, classes, len(names), bool(masks), background)
    return Source(classes, items, reader, notes=notes)


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


class _Reader:
    def __init__(
        self, folder: SourceFolder, classes: list[str], named: int, masks: bool, background: int
    ):
        self._folder, self._named, self._masks = folder, named, masks
        self._background = background
        space = LabelSpace("yolo", tuple(classes), ())
        self._table = space.lookup_table()

    def __call__(self, item: Item, picture: Picture, notes: Notes) -> np.ndarray:
        label: Any = item.key
        if self._masks:
            mask = read_label(self._folder.path(label), self._table)
            size = (mask.shape[0], mask.shape[1])
            return mask if picture.seen(size, True, item.name, notes) else picture.turn(mask)
        picture.seen(None, True, item.name, notes)
        canvas = Canvas(picture.size, self._background, item.name)
        if label is None:
            notes.add("no text file of polygons: all background", item.name)
            return canvas.label
        for value, points in self._polygons(label, picture, notes):
            canvas.outline(points, value)
        return canvas.label

    def _polygons(self, name: str, picture: Picture, notes: Notes) -> list[tuple[int, np.ndarray]]:
        text = self._folder.read(name, _LARGEST_TEXT).decode("utf-8", "replace")
        height, width = picture.size
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
