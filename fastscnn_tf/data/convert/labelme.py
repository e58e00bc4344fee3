"""labelme: a JSON file beside each image, with shapes that are drawn in their order.

Drawn as labelme's own `shapes_to_label` does: a later shape covers earlier ones, polygons and
rectangles with their outline; `__ignore__` is void and `_background_` the background. Since 2019
labelme turns an image by EXIF before it is annotated; earlier files show by their size that theirs
was not.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np

from ...core.errors import DataError
from ...core.files.json_text import read_json
from ...core.images.decoding import open_image
from ...core.images.formats import IMAGE_SUFFIXES
from ...core.labels import IGNORE
from ...core.sizes import Size
from .canvas import Canvas, DrawnLabels, from_base64
from .class_tables import text_of
from .source import Annotations, Format, Item, Notes, json_of_image, note_unused, with_background
from .source_folder import LARGEST, SourceFolder, split_named, stem

_SPECIAL = ("__ignore__", "_background_")
_POLYGONS = ("polygon", "oriented_rectangle", "rotation")  # the last of X-AnyLabeling
_OF_TWO = ("rectangle", "circle", "mask")  # points
_NO_AREA = ("line", "linestrip", "point", "points")
_NULL = msgspec.Raw(b"null")


class _Shape(msgspec.Struct):
    label: str
    points: list[list[float]]
    shape_type: str | None = None  # early versions: polygons only
    mask: str | None = None  # a PNG in base64 that fills the box of the points


class _LabelmeFile(msgspec.Struct):
    shapes: list[_Shape] | None = None
    imagePath: str | None = None  # noqa: N815 - labelme's
    imageHeight: int | None = None  # noqa: N815
    imageWidth: int | None = None  # noqa: N815
    imageData: msgspec.Raw = _NULL  # noqa: N815 - the image in base64; see _Embedded


def recognise(folder: SourceFolder) -> str | None:
    return folder.json_with({"shapes", "imagePath"}.issubset, "has shapes and imagePath")


def open_source(folder: SourceFolder) -> Annotations:
    notes, items, names = Notes(), [], set()
    for name in folder.ending(".json"):
        content: _LabelmeFile | None = json_of_image(folder, name, _LabelmeFile, notes)
        if content is None:
            continue
        embedded, content.imageData = content.imageData != _NULL, _NULL  # kept, it fills the memory
        if content.shapes is None or content.imagePath is None:
            notes.add("a JSON file without shapes and imagePath, left out", name)
            continue
        image = folder.find_image(content.imagePath, name)
        if image is None and (image := folder.find_image(stem(name))):
            notes.add("the image beside was taken: what is named is not there", name)
        found: Callable[[], bytes] | None = None
        if image is None and embedded:
            notes.add("the image is no file: it was taken out of the JSON (imageData)", name)
            found = functools.partial(_embedded, folder.path(name))
            suffix = PurePosixPath(content.imagePath).suffix
            image = stem(name) + (suffix if suffix.lower() in IMAGE_SUFFIXES else ".png")
        if image is None:
            about = f"{name} names {content.imagePath}"
            notes.add("the image is not there, left out", about)
            continue
        names |= {shape.label for shape in content.shapes}
        items.append(Item(stem(image), folder.path(image), split_named(name), None, content, found))
    order: list[str] = []
    if "labels.txt" in folder.files:  # the order that labelme was given
        listed = text_of(folder, "labels.txt").splitlines()
        order = [line.strip() for line in listed if line.strip()]
        for name in sorted({name.strip() for name in names} - {*order, *_SPECIAL}):
            notes.add("a label that labels.txt lacks, a class behind those in it", name)
    else:
        notes.add("no labels.txt: classes are in the order of their names", count=len(names))
    order += sorted(names - set(order))
    note_unused(folder, items, notes)
    classes, background = with_background([n for n in order if n not in _SPECIAL], notes)
    special = {"_background_": background, "__ignore__": IGNORE}
    shapes = (classes, background, _noted_size, "shapes", _draw, special)
    return Annotations(classes, items, DrawnLabels(*shapes), notes=notes)


class _Embedded(msgspec.Struct):
    imageData: str  # noqa: N815


def _embedded(path: Path) -> bytes:
    """The image in a JSON file, as labelme's own export takes it out; read when it is needed."""
    content: _Embedded = read_json(path, _Embedded, largest=LARGEST, error=DataError)
    return from_base64(content.imageData, f"{path}: imageData")


def _noted_size(key: _LabelmeFile, _: str) -> Size | None:
    height, width = key.imageHeight, key.imageWidth
    return None if height is None or width is None else (height, width)


def _draw(canvas: Canvas, shape: _Shape, index: Mapping[str, int], notes: Notes) -> None:
    value, points, kind = index[shape.label], shape.points, shape.shape_type or "polygon"
    where = f"{canvas.name}: {shape.label}"
    if kind not in (*_NO_AREA, *_POLYGONS, *_OF_TWO):
        known = ", ".join((*_POLYGONS, *_OF_TWO, *_NO_AREA))
        raise DataError(f"{where}: unknown shape_type {kind!r}, labelme has {known}")
    if kind in _NO_AREA:
        notes.add(f"{kind}: it has no area, not drawn", where)
    elif kind in _POLYGONS and len(points) < 3:
        notes.add("a polygon of fewer than 3 points, not drawn", where)
    elif kind in _POLYGONS:
        canvas.outline(points, value)
    elif len(points) != 2 or any(len(point) != 2 for point in points):
        raise DataError(f"{where}: a {kind} of {len(points)} points, expected 2")
    elif kind == "rectangle":
        (left, top), (right, bottom) = points
        canvas.outline([left, top, right, top, right, bottom, left, bottom], value)
    elif kind == "circle":
        center, edge = points
        radius = float(np.hypot(edge[0] - center[0], edge[1] - center[1]))
        canvas.ellipse(center, (radius, radius), value)
    elif shape.mask is None:
        raise DataError(f"{where}: a mask without its pixels")
    else:
        left, top = (round(min(each)) for each in zip(*points, strict=True))
        canvas.paste(_decoded(shape.mask, canvas), top, left, value)


def _decoded(text: str, canvas: Canvas) -> np.ndarray:
    name = f"{canvas.name}: a mask"
    return np.asarray(open_image(from_base64(text, name), name).convert("L")) > 0


FORMAT = Format("labelme", "a JSON file beside each image", recognise, open_source)
