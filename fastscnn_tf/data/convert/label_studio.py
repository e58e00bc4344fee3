"""Label Studio: one JSON file of tasks with results; brush strokes, polygons, boxes, ellipses.

Regions are drawn in their order, a pixel belongs to a polygon if its centre does, and of several
annotations of a task the first that was not cancelled counts. Browsers show images upright, as
EXIF says, unless the noted size says otherwise.
"""

import math
import re
import urllib.parse
from collections.abc import Mapping, Set
from pathlib import PurePosixPath
from typing import Any

import msgspec
import numpy as np

from ...core.errors import DataError, instead_of
from ...core.sizes import Size
from .canvas import Canvas, DrawnLabels, ellipse_points, turned_points
from .source import Annotations, Format, Item, Notes, note_unused, with_background
from .source_folder import SourceFolder, split_named, stem

_KEYS = {"[]data"}, {"[]annotations", "[]predictions"}  # of each one at least
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # in front of an uploaded file's name


class _Value(msgspec.Struct):
    points: list[list[float]] | None = None
    rle: list[int] | None = None
    x: float = math.nan
    y: float = math.nan
    width: float = math.nan
    height: float = math.nan
    radiusX: float | None = None  # noqa: N815 - Label Studio's
    radiusY: float | None = None  # noqa: N815
    rotation: float = 0
    labels: list[str] = []
    brushlabels: list[str] = []
    polygonlabels: list[str] = []
    rectanglelabels: list[str] = []
    ellipselabels: list[str] = []

    @property
    def names(self) -> list[str]:
        lists = self.brushlabels, self.polygonlabels, self.rectanglelabels, self.ellipselabels
        return next((each for each in (*lists, self.labels) if each), [])


class _Result(msgspec.Struct):
    value: _Value
    type: str = ""
    original_width: int | None = None
    original_height: int | None = None
    image_rotation: float = 0


class _TaskAnnotation(msgspec.Struct):
    result: list[_Result]
    was_cancelled: bool = False


class _LabellingTask(msgspec.Struct):
    data: dict[str, Any]
    annotations: list[_TaskAnnotation] = []
    predictions: list[msgspec.Raw] = []


def recognise(folder: SourceFolder) -> str | None:
    return folder.json_with(
        lambda keys: _is_of_tasks(keys) or _is_min(keys),
        "is a list of tasks with data and annotations",
    )


def _is_of_tasks(keys: Set[str]) -> bool:
    return not any(keys.isdisjoint(each) for each in _KEYS)


def _is_min(keys: Set[str]) -> bool:
    """JSON-MIN has the data at the top, and no `data`."""
    told = {"[]label", "[]annotator", "[]annotation_id"}
    return {"[]id", "[]image"} <= keys and "[]data" not in keys and not told.isdisjoint(keys)


def open_source(folder: SourceFolder) -> Annotations:
    notes, items = Notes(), []
    names: set[str] = set()
    for file in folder.ending(".json"):
        keys = folder.json_keys.get(file)
        if keys is not None and _is_min(keys):
            raise DataError(f"{folder.path(file)}: JSON-MIN of Label Studio: export it as JSON")
        if keys is not None and not _is_of_tasks(keys):
            notes.add("a JSON file that is not a list of tasks, left out", file)
            continue
        tasks: list[_LabellingTask] = folder.json(file, list[_LabellingTask])
        for task in tasks:
            texts = [value for value in task.data.values() if isinstance(value, str) and value]
            found = (_image(folder, text, file) for text in texts)
            image = next(filter(None, found), None)
            used = [each for each in task.annotations if not each.was_cancelled]
            if image is None:
                notes.add("the image is not there, left out", "".join(texts[:1]))
                continue
            if not used:
                alone = ", but with predictions: accept them in Label Studio first"
                alone = alone if task.predictions else ""
                notes.add(f"a task without annotation{alone}, left out", image)
                continue
            if len(used) > 1:
                notes.add("several annotations of a task: the first was taken", image)
            names.update(*(result.value.names for result in used[0].result))
            items.append(Item(stem(image), folder.path(image), split_named(file), key=used[0]))
    note_unused(folder, items, notes)
    notes.add("classes are in the order of their names", count=len(names))
    classes, background = with_background(sorted(names), notes)
    read = DrawnLabels(classes, background, _noted_size, "result", _draw)
    return Annotations(classes, items, read, notes=notes)


def _image(folder: SourceFolder, url: str, file: str) -> str | None:
    """The image of a task: `/data/local-files/?d=a/x.jpg`, `/data/upload/1/0a1b2c3d-x.jpg`..."""
    parts = urllib.parse.urlsplit(url)
    given = urllib.parse.parse_qs(parts.query).get("d", [parts.path])[0]
    path = urllib.parse.unquote(given)
    last = PurePosixPath(path).name
    return folder.find_image(path, file) or folder.find_image(_UPLOADED.sub("", last), file)


def _noted_size(key: _TaskAnnotation, name: str) -> Size | None:
    noted = ((each.original_height, each.original_width) for each in key.result)
    sizes = {(height, width) for height, width in noted if height is not None and width is not None}
    if len(sizes) > 1:
        raise DataError(f"{name}: regions of images of several sizes: {sorted(sizes)}")
    return next(iter(sizes), None)


def _draw(canvas: Canvas, each: _Result, indices: Mapping[str, int], notes: Notes) -> None:
    names, value = each.value.names, each.value
    if not names:
        notes.add(f"a result without a label ({each.type or 'no type'}), not drawn", canvas.name)
        return
    if each.image_rotation % 360:
        raise DataError(
            f"{canvas.name}: annotated while turned by {each.image_rotation:g} degrees in "
            "Label Studio: turn it back there and export again"
        )
    if len(set(names)) > 1:
        said = f"a region with the labels {', '.join(names)}: drawn as {names[0]}, its first"
        notes.add(said, canvas.name)
    index = indices[names[0]]
    height, width = canvas.label.shape
    scale = np.array([width, height]) / 100  # coordinates are percent
    if value.rle is not None:
        canvas.paste(brush_mask(value.rle, (height, width), canvas.name), 0, 0, index)
    elif value.points is not None:
        with instead_of(ValueError, DataError(f"{canvas.name}: points that are not (x, y) pairs")):
            points = np.asarray(value.points, np.float64) * scale
        if len(points) < 3:
            notes.add("a polygon of fewer than 3 points, not drawn", canvas.name)
        else:
            canvas.fill([points], index)
    else:
        start = np.array([value.x, value.y]) * scale
        if value.radiusX is not None and value.radiusY is not None:
            points = ellipse_points(start, scale * (value.radiusX, value.radiusY))
        else:
            corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (value.width, value.height)
            points = start + corners * scale
        canvas.fill([turned_points(points, value.rotation, start)], index)  # a box by its corner


def brush_mask(rle: list[int], size: Size, name: str) -> np.ndarray:
    """Label Studio's brush strokes: runs of RGBA bytes in a stream of bits; alpha is the mask.

    The stream (thi.ng's rle-pack) holds the count of bytes (32 bits), their width less one (5),
    four widths of counts less one (4 each), and then runs: whether it repeats (1), which width (2),
    the count less one, and one byte or as many as counted.

    Args:
        rle: bytes.
        size: (height, width) of the image.
        name: of the item, for messages.

    Returns:
        (H, W) bool.

    Raises:
        DataError: another count of bytes than the image has, or a stream that ends too early.
    """
    wanted = 4 * size[0] * size[1]
    with instead_of(ValueError, DataError(f"{name}: a brush stroke that is damaged")):
        bits = _Bits(bytes(rle))
        count, word = bits.read(32), bits.read(5) + 1
        widths = [bits.read(4) + 1 for _ in range(4)]
        out = np.zeros(wanted if (count, word) == (wanted, 8) else 0, np.uint8)
        i = 0
        while i < len(out):
            repeated = bits.read(1)
            end = i + 1 + bits.read(widths[bits.read(2)])
            if end > count:
                raise ValueError
            out[i:end] = [bits.read(8) for _ in range(1 if repeated else end - i)]
            i = end
    if len(out) != wanted:
        raise DataError(f"{name}: a brush stroke of {count:,} bytes, expected {wanted:,} of RGBA")
    return out[3::4].reshape(size) > 0


class _Bits:
    """Reads up to 32 bits at a time from the highest one on."""

    def __init__(self, content: bytes):
        self._content, self._at = content, 0

    def read(self, count: int) -> int:
        first, self._at = self._at, self._at + count
        if self._at > 8 * len(self._content):
            raise ValueError("the stream ends")
        last = (self._at + 7) // 8
        value = int.from_bytes(self._content[first // 8 : last], "big")
        return value >> (8 * last - self._at) & ((1 << count) - 1)


FORMAT = Format("label-studio", "JSON with brush strokes and polygons", recognise, open_source)
