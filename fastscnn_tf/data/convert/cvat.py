"""CVAT for images 1.1: one XML file with polygons, boxes, ellipses and masks.

Shapes are drawn by `z_order`, those of one height in the order of the file, as CVAT lays them. A
pixel belongs to a shape if its centre does. CVAT turns images by EXIF before they are annotated.
"""

import math
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...core.errors import DataError
from ...core.labels.space import Color
from ...core.sizes import Size
from . import mask_formats
from .canvas import Canvas, DrawnLabels, ellipse_points, mask_of_runs, turned_points
from .source import Annotations, Format, Item, Notes, note_unused, with_background
from .source_folder import SourceFolder, split_named, stem

_DRAWN = ("polygon", "box", "mask", "ellipse")
_NO_AREA = ("polyline", "points", "cuboid", "skeleton", "tag")
_Shape = tuple[str, dict[str, str]]  # of an element: its name and attributes


def recognise(folder: SourceFolder) -> str | None:
    for name in folder.ending(".xml"):
        head = folder.head(name)
        if b"<annotations>" in head and (b"<meta>" in head or b"<image " in head):
            return f"{name} begins with <annotations>, as CVAT writes"
    return None


def open_source(folder: SourceFolder) -> Annotations:
    if not folder.ending(".xml") and any("SegmentationClass/" in name for name in folder.files):
        return mask_formats.voc.open(folder)
    notes, items = Notes(), []
    labels: dict[str, Color | None] = {}
    for name in folder.ending(".xml"):
        if b"<annotations>" not in folder.head(name):
            notes.add("an XML file that is not CVAT's, left out", name)
            continue
        root = _parsed(folder.read(name), str(folder.path(name)))
        for label in root.iterfind(".//label[name]"):
            color = hex_color(label.findtext("color", "").strip())
            told = label.findtext("name", "").strip()
            labels[told] = labels.get(told) or color
        for element in root.findall("image"):
            image, shapes = element.attrib, [(shape.tag, shape.attrib) for shape in element]
            for _, shape in shapes:
                labels.setdefault(shape.get("label", ""), None)
            found = folder.find_image(image.get("name", ""), name, image.get("subset"))
            if found is None:
                notes.add("the image is not there, left out", image.get("name", "without a name"))
                continue
            split = split_named(image.get("subset", "")) or split_named(name)
            items.append(Item(stem(found), folder.path(found), split, key=(image, shapes)))
    note_unused(folder, items, notes)
    classes, background = with_background(list(labels), notes)
    colors = {label: color for label, color in labels.items() if color}
    read = DrawnLabels(classes, background, _noted_size, _by_height, _draw)
    return Annotations(classes, items, read, colors, notes)


class _Builder(ElementTree.TreeBuilder):
    """Builds the tree; document types, with whose entities few bytes grow, are refused."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise DataError("a document type in it, which CVAT does not write: refused")


def _parsed(content: bytes, where: str) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=_Builder(), encoding="utf-8")
    try:
        parser.feed(content)
        root: ElementTree.Element = parser.close()
    except ElementTree.ParseError as error:
        raise DataError(f"{where}: not valid XML ({error})") from None
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    if root.find(".//track") is not None:
        raise DataError(f"{where}: tracks of a video: export it as `CVAT for images 1.1`")
    return root


def hex_color(text: str) -> Color | None:
    """`#ff8000` as (255, 128, 0); None where it is none."""
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        return None
    return red, green, blue


def _noted_size(key: tuple[dict[str, str], list[_Shape]], name: str) -> Size:
    height, width = _numbers(key[0], name, "height", "width")
    return int(height), int(width)


def _by_height(key: tuple[dict[str, str], list[_Shape]], name: str) -> list[_Shape]:
    def height(each: _Shape) -> float:
        return next(_numbers({"z_order": "0", **each[1]}, name, "z_order"))

    return sorted(key[1], key=height)


def _draw(canvas: Canvas, each: _Shape, index: Mapping[str, int], notes: Notes) -> None:
    kind, shape = each
    if kind in _DRAWN:
        _draw_area(canvas, kind, shape, index[shape.get("label", "")])
    else:
        why = "it has no area" if kind in _NO_AREA else "a shape that is not known"
        notes.add(f"{kind}: {why}, not drawn", canvas.name)


def _draw_area(canvas: Canvas, kind: str, shape: dict[str, str], value: int) -> None:
    name = canvas.name
    if kind == "mask":
        top, left, height, width = map(int, _numbers(shape, name, "top", "left", "height", "width"))
        rows, columns = canvas.label.shape
        if not (0 < height <= rows and 0 < width <= columns):
            raise DataError(f"{name}: a mask of {width}x{height} in an image of {columns}x{rows}")
        counts = shape.get("rle", "").split(",")
        canvas.paste(mask_of_runs(counts, (height, width), name), top, left, value)
        return
    if kind == "polygon":
        points = [pair.split(",") for pair in shape.get("points", "").split(";")]
        canvas.fill([points], value)
        return
    degrees = next(_numbers({"rotation": "0", **shape}, name, "rotation"))
    if kind == "box":
        left, top, right, bottom = _numbers(shape, name, "xtl", "ytl", "xbr", "ybr")
        outline = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        middle = (outline[0] + outline[2]) / 2
    else:
        x, y, rx, ry = _numbers(shape, name, "cx", "cy", "rx", "ry")
        middle = np.array([x, y])
        outline = ellipse_points(middle, np.array([rx, ry]))
    canvas.fill([turned_points(outline, degrees, middle)], value)


def _numbers(attributes: dict[str, str], name: str, *wanted: str) -> Any:
    for key in wanted:
        try:
            number = float(attributes[key])
        except (KeyError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(f"{name}: {key}={attributes.get(key)!r}, expected a number")
        yield number


FORMAT = Format("cvat", "CVAT for images 1.1 (XML), segmentation mask 1.1", recognise, open_source)
