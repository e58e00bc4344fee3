"""COCO: one JSON file with images, annotations and categories; polygons, run lengths or panoptic.

COCO gives objects no order, so that they are drawn in that of the file, crowds first; the parts of
an object are joined, as pycocotools does, and none is a hole. A pixel belongs to a polygon if its
centre does. COCO's tools do not turn images by EXIF: coordinates are those of the stored pixels,
unless the noted size says otherwise.
"""

import functools
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ...core.errors import DataError
from ...core.files.json_text import convert, explain
from ...core.images.decoding import open_image, read_image_file
from ...core.images.pixels import in_strips
from ...core.labels import IGNORE, MAX_CLASSES
from .canvas import Canvas, coco_counts, mask_of_runs
from .masks import opaque
from .source import Annotations, Format, ImageHeader, Item, Notes, note_unused, with_background
from .source_folder import SourceFolder, split_named, stem

_KEYS = {"images", "annotations", "categories"}


class _Image(msgspec.Struct):
    id: int | str
    file_name: str
    height: int | None = None
    width: int | None = None


class _Category(msgspec.Struct):
    id: int
    name: str
    color: Any = None
    keypoints: Any = None


class _Runs(msgspec.Struct):
    counts: list[int] | str
    size: tuple[int, int]


class _Segment(msgspec.Struct):
    id: int
    category_id: int
    iscrowd: int = 0


class _CocoAnnotation(msgspec.Struct):
    image_id: int | str
    category_id: int = 0
    iscrowd: int = 0
    segmentation: msgspec.Raw = msgspec.Raw(b"[]")  # decoded where it is drawn: it may be large
    file_name: str | None = None  # of a panoptic label map
    segments_info: list[_Segment] = []


class _CocoFile(msgspec.Struct):
    images: list[_Image]
    annotations: list[_CocoAnnotation]
    categories: list[_Category]


class _Table(msgspec.Struct):
    of_id: dict[int, int]  # from category ids to class indices
    background: int


class _AnnotatedImage(msgspec.Struct):
    """What `read_label` needs of an image."""

    image: _Image
    annotations: list[_CocoAnnotation]
    table: _Table
    file: str


def recognise(folder: SourceFolder) -> str | None:
    return folder.json_with(_KEYS.issubset, "has images, annotations and categories")


def open_source(folder: SourceFolder) -> Annotations:
    notes, files = Notes(), {}
    for name in folder.ending(".json"):
        if not folder.json_keys.get(name, _KEYS) >= _KEYS:
            notes.add("a JSON file without images, annotations and categories, left out", name)
            continue
        content: _CocoFile = folder.json(name, _CocoFile)
        if any(each.keypoints for each in content.categories) and not folder.given:
            notes.add("a file of keypoints, left out", name)
            continue
        files[name] = content
    classes, colors, tables = _classes(files, notes)
    items: list[Item] = []
    owners: dict[str, str] = {}
    for name, content in files.items():
        items += _items(folder, name, content, tables[name], owners, notes)
    if not any(each.file_name for content in files.values() for each in content.annotations):
        note_unused(folder, items, notes)  # of a panoptic set label maps would be among them
    return Annotations(classes, items, functools.partial(_read, folder), colors, notes)


def _classes(
    files: dict[str, _CocoFile], notes: Notes
) -> tuple[list[str], dict[str, Any], dict[str, _Table]]:
    """Names in the order of the ids; colours; and the index of each id, by file."""
    panoptic = any(each.file_name for content in files.values() for each in content.annotations)
    listed = [each for content in files.values() for each in content.categories]
    names = {each.name: None for each in sorted(listed, key=lambda each: each.id)}
    classes, background = (list(names), 0) if panoptic else with_background(list(names), notes)
    if len(classes) > MAX_CLASSES:  # which no table holds
        raise DataError(f"{next(iter(files))}: {len(classes)} categories, at most {MAX_CLASSES}")
    index = {name: i for i, name in enumerate(classes)}
    tables: dict[str, _Table] = {}
    for file, content in files.items():
        of_id: dict[int, int] = {}
        known: dict[str, int] = {}
        for each in content.categories:
            if each.id != known.setdefault(each.name, each.id):
                notes.add("several categories of one name, merged", each.name)
            if of_id.setdefault(each.id, index[each.name]) != index[each.name]:
                raise DataError(
                    f"{file}: the categories {classes[of_id[each.id]]!r} and {each.name!r} have "
                    f"one id, {each.id}: give each its own, as annotations name them by it"
                )
        tables[file] = _Table(of_id, background)
    colors: dict[str, Any] = {
        each.name: convert(each.color, "color", tuple[int, int, int])
        for each in listed
        if isinstance(each.color, list) and len(each.color) == 3
        if all(isinstance(part, int) and 0 <= part <= 255 for part in each.color)
    }
    return classes, colors, tables


def _items(
    folder: SourceFolder,
    file: str,
    content: _CocoFile,
    table: _Table,
    owners: dict[str, str],
    notes: Notes,
) -> list[Item]:
    of_image: dict[int | str, list[_CocoAnnotation]] = {}
    for each in content.annotations:
        of_image.setdefault(each.image_id, []).append(each)
    split, items = split_named(file), []
    twice = [i for i, count in Counter(image.id for image in content.images).items() if count > 1]
    if twice:
        raise DataError(f"{folder.path(file)}: several images have the id {twice[0]}")
    for image in content.images:
        found = folder.find_image(image.file_name, file, split)
        annotations = of_image.pop(image.id, [])
        if found is None:
            notes.add("the image is not there, left out", image.file_name)
            continue
        if (other := owners.setdefault(found, file)) != file:
            raise DataError(
                f"{folder.path(file)}: describes {found}, as {other} does: give the one file that "
                "is to be converted as SOURCE"
            )
        if not annotations:
            notes.add("an image without annotations: all background", image.file_name)
        key = _AnnotatedImage(image, annotations, table, file)
        items.append(Item(stem(found), folder.path(found), split, key=key))
    if of_image:
        lost = sum(map(len, of_image.values()))
        notes.add("annotations of images that are not listed, left out", file, lost)
    return items


def _read(folder: SourceFolder, item: Item, header: ImageHeader, notes: Notes) -> np.ndarray:
    content: Any = item.key
    noted = (content.image.height, content.image.width)
    upright = header.seen(None if None in noted else noted, False, item.name, notes)
    size = header.size if upright else header.stored
    panoptic = [each for each in content.annotations if each.file_name]
    if panoptic:
        path = folder.find_label(str(panoptic[0].file_name), content.file)
        label = _panoptic(path, content, panoptic[0], item.name, notes)
    else:
        canvas = Canvas(size, content.table.background, item.name)
        for each in sorted(content.annotations, key=lambda each: not each.iscrowd):
            _draw(canvas, each, content.table.of_id, notes)
        label = canvas.label
    return label if upright or label.shape != header.stored else header.turn(label)


def _draw(canvas: Canvas, each: _CocoAnnotation, table: dict[int, int], notes: Notes) -> None:
    value = table.get(each.category_id)
    if value is None:
        raise DataError(f"{canvas.name}: category {each.category_id}, which is not listed")
    try:
        shape: Any = msgspec.json.decode(each.segmentation, type=list[list[float]] | _Runs | None)
    except (ValueError, RecursionError, OverflowError) as error:
        raise DataError(f"{canvas.name}: a segmentation that is none ({explain(error)})") from None
    if each.iscrowd:
        notes.add("crowds (iscrowd): drawn as their class, below all other objects", canvas.name)
    if not shape:
        notes.add("an object without an outline, not drawn", canvas.name)
    elif isinstance(shape, _Runs):
        if shape.size != canvas.label.shape:
            raise DataError(f"{canvas.name}: a mask of {shape.size}, expected {canvas.label.shape}")
        text = isinstance(shape.counts, str)
        counts = coco_counts(str(shape.counts), canvas.name) if text else shape.counts
        canvas.paste(mask_of_runs(counts, shape.size, canvas.name, by_column=True), 0, 0, value)
    else:
        for part in shape:
            if len(part) < 6:
                notes.add("a polygon of fewer than 3 points, not drawn", canvas.name)
            else:
                canvas.fill([part], value)


def _panoptic(
    path: Path, content: _AnnotatedImage, each: _CocoAnnotation, name: str, notes: Notes
) -> np.ndarray:
    """The classes of a PNG whose colours are numbers of segments; 0 is void."""
    image = opaque(open_image(read_image_file(path), str(path)), str(path))
    if image.mode not in ("RGB", "RGBA"):
        raise DataError(f"{path}: expected an RGB PNG of segment numbers, got mode {image.mode}")
    red, green, blue = np.moveaxis(in_strips(image)[..., :3].astype(np.int32), -1, 0)
    numbers, inverse = np.unique(red + 256 * green + 65536 * blue, return_inverse=True)
    values = {0: IGNORE}
    for segment in each.segments_info:
        if segment.category_id not in content.table.of_id:
            raise DataError(f"{name}: category {segment.category_id}, which is not listed")
        values[segment.id] = content.table.of_id[segment.category_id]
        if segment.iscrowd:
            notes.add("crowds (iscrowd): drawn as their class", name)
    if unknown := set(numbers.tolist()) - set(values):
        raise DataError(f"{path}: segment {min(unknown)} is not in segments_info of {content.file}")
    table = np.array([values[number] for number in numbers.tolist()], np.uint8)
    return table[inverse].reshape(red.shape)


FORMAT = Format("coco", "instances and panoptic, polygons and run lengths", recognise, open_source)
