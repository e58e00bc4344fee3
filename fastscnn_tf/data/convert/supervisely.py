"""Supervisely: `meta.json`, and for each image `img/x.jpg` a file `ann/x.jpg.json`.

Objects are drawn in their order, polygons with their outline and their `interior` as holes;
bitmaps are PNGs that are laid down at their `origin`. Supervisely shows images upright, as EXIF
says, unless the noted size says otherwise.
"""

import zlib
from collections.abc import Mapping

import msgspec
import numpy as np

from ...core.errors import DataError, retold
from ...core.images.decoding import open_image
from ...core.labels.space import Color
from ...core.sizes import Size
from .canvas import Canvas, DrawnLabels, from_base64
from .cvat import hex_color
from .source import Annotations, Format, Item, Notes, json_of_image, note_unused, with_background
from .source_folder import SourceFolder, split_named, stem

_LARGEST_PNG = 64 << 20  # bytes of a bitmap, unpacked


class _SuperviselyClass(msgspec.Struct):
    title: str
    color: str = ""


class _SuperviselyMeta(msgspec.Struct):
    classes: list[_SuperviselyClass]


class _Points(msgspec.Struct):
    exterior: list[list[float]] = []
    interior: list[list[list[float]]] = []


class _Bitmap(msgspec.Struct):
    data: str
    origin: tuple[int, int]


class _SuperviselyObject(msgspec.Struct, rename="camel"):
    class_title: str
    geometry_type: str | None = None  # early files tell it by what they hold
    points: _Points | None = None
    bitmap: _Bitmap | None = None


class _Size(msgspec.Struct):
    height: int
    width: int


class _SuperviselyFile(msgspec.Struct):
    size: _Size
    objects: list[_SuperviselyObject]


def recognise(folder: SourceFolder) -> str | None:
    return folder.json_with({"size", "objects"}.issubset, "has size and objects")


def open_source(folder: SourceFolder) -> Annotations:
    notes, items = Notes(), []
    colors: dict[str, Color | None] = {}
    for name in folder.ending("meta.json"):
        meta: _SuperviselyMeta = folder.json(name, _SuperviselyMeta)
        colors |= {each.title: hex_color(each.color) for each in meta.classes}
    for name in folder.ending(".json"):
        above, _, last = name.rpartition("/")
        if above.rpartition("/")[2] != "ann":
            continue
        content: _SuperviselyFile | None = json_of_image(folder, name, _SuperviselyFile, notes)
        if content is None:
            continue
        for each in content.objects:
            colors.setdefault(each.class_title, None)
        image = folder.find_image(f"../img/{last.removesuffix('.json')}", name)
        if image is None:
            notes.add("the image is not there, left out", name)
            continue
        items.append(Item(stem(image), folder.path(image), split_named(above), key=content))
    note_unused(folder, items, notes)
    classes, background = with_background(list(colors), notes)
    known = {title: color for title, color in colors.items() if color}
    read = DrawnLabels(classes, background, _noted_size, "objects", _draw)
    return Annotations(classes, items, read, known, notes)


def _noted_size(key: _SuperviselyFile, _: str) -> Size:
    return key.size.height, key.size.width


def _draw(canvas: Canvas, each: _SuperviselyObject, index: Mapping[str, int], notes: Notes) -> None:
    value, where = index[each.class_title], f"{canvas.name}: {each.class_title}"
    kind = each.geometry_type or ("bitmap" if each.bitmap else "polygon")
    if kind in ("bitmap", "alpha_mask") and each.bitmap:
        column, row = each.bitmap.origin
        canvas.paste(_decoded(each.bitmap.data, where), row, column, value)
    elif kind == "polygon" and each.points:
        canvas.outline(each.points.exterior, value, each.points.interior)
    elif kind == "rectangle" and each.points and len(each.points.exterior) == 2:
        left_top, right_bottom = each.points.exterior
        (left, top), (right, bottom) = left_top[:2], right_bottom[:2]
        canvas.outline([left, top, right, top, right, bottom, left, bottom], value)
    else:
        notes.add(f"{kind}: it has no area that is known, not drawn", where)


def _decoded(text: str, where: str) -> np.ndarray:
    """A bitmap: base64 of a zlib stream of a PNG; its alpha, or what is not 0, is the object."""
    unpacking = zlib.decompressobj()
    with retold(DataError, f"{where}: a bitmap that is damaged (", ")", of=zlib.error):
        content = unpacking.decompress(from_base64(text, where), _LARGEST_PNG)
    if unpacking.unconsumed_tail:
        raise DataError(f"{where}: a bitmap of more than {_LARGEST_PNG:,} bytes: refused")
    image = open_image(content, f"{where}: a bitmap")
    alpha = "A" in image.mode or "transparency" in image.info
    return np.asarray(image.convert("RGBA").getchannel("A") if alpha else image.convert("L")) > 0


FORMAT = Format("supervisely", "meta.json, img/ and ann/", recognise, open_source)
