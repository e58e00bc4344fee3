"""Drawing shapes into a label map, and run lengths as masks; within bounds, whatever comes."""

import base64
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ...core.errors import DataError, instead_of
from ...core.sizes import Size
from .source import ImageHeader, Item, Notes

FARTHEST = 1e6  # pixels from the origin; no image is as large
CROSSINGS = 1 << 22  # of a shape's edges with rows of pixels
LOOKS = 1 << 28  # at points of an outline: Pillow looks at each of them in each row


class Canvas:
    """A label map that shapes are drawn into, one over the other.

    Args:
        size: (height, width).
        value: of all pixels.
        name: of the item, for messages.

    Attributes:
        label: (H, W) uint8.
    """

    def __init__(self, size: Size, value: int, name: str):
        self.label = np.full(size, value, np.uint8)
        self.name = name

    def fill(self, rings: Iterable[object], value: int) -> None:
        """Fills what lies inside an odd number of rings: the pixels whose centres do.

        Args:
            rings: of (x, y) points or of x, y, x, y...; pixel (row, column) is the square from
                (column, row) to (column + 1, row + 1). A ring within another is a hole.
            value: to fill with.

        Raises:
            DataError: a ring has fewer than three points, or absurd ones.
        """
        height, width = self.label.shape
        edges = [_edges(self._ring(ring, 3), height) for ring in rings]
        x0, y0, a, x1, y1, b = edges[0] if len(edges) == 1 else np.concatenate(edges, axis=1)
        # Rows whose middle lies between the ends of an edge, from `first` on.
        counts = np.abs(a - b).astype(np.intp)
        (crossing,) = counts.nonzero()
        counts = counts[crossing]
        first = np.minimum(a, b)[crossing].astype(np.intp)
        if not (total := int(counts.sum())):
            return
        if total > CROSSINGS:
            raise DataError(f"{self.name}: a shape that crosses {total:,} rows of pixels: refused")
        x0, y0, x1, y1 = x0[crossing], y0[crossing], x1[crossing], y1[crossing]
        slope = (x1 - x0) / (y1 - y0)
        edge = np.arange(len(counts)).repeat(counts)
        row = np.arange(total) + (first - counts.cumsum() + counts)[edge]
        x = x0[edge] + (row + 0.5 - y0[edge]) * slope[edge]
        column = _between(np.ceil(x - 0.5), width)
        top, bottom = int(row.min()), int(row.max()) + 1
        left, right = int(column.min()), int(column.max())
        # Each crossing turns what is to its right from outside to inside, or back.
        across = right - left + 1
        turns = np.zeros((bottom - top) * across, np.uint8)
        np.bitwise_xor.at(turns, (row - top) * across + (column - left), np.uint8(1))
        grid = turns.reshape(bottom - top, across)
        np.bitwise_xor.accumulate(grid, axis=1, out=grid)
        place = self.label[top:bottom, left:right]
        np.copyto(place, np.uint8(value), where=grid[:, :-1].view(bool))

    def outline(self, ring: object, value: int, holes: Iterable[object] = ()) -> None:
        """Fills a ring and the pixels that its outline passes through, as Pillow and OpenCV do.

        Args:
            ring: as for `fill`.
            value: to fill with.
            holes: rings that stay free.

        Raises:
            DataError: as for `fill`.
        """
        points = self._ring(ring, 3)
        inner = [self._ring(hole, 3) for hole in holes]
        low = np.floor(points.min(0)).astype(int).clip(0)
        high = (np.ceil(points.max(0)).astype(int) + 1).clip(0, self.label.shape[::-1])
        if (high <= low).any():
            return
        if (high - low)[1] * (len(points) + sum(map(len, inner))) > LOOKS:
            raise DataError(f"{self.name}: a shape of {len(points):,} points: refused")
        drawn = Image.new("L", (int(high[0] - low[0]), int(high[1] - low[1])))
        draw = ImageDraw.Draw(drawn)
        for each, inside in ((points, 1), *((hole, 0) for hole in inner)):
            draw.polygon([tuple(point) for point in (each - low).tolist()], inside, inside)
        self.paste(np.asarray(drawn).view(bool), int(low[1]), int(low[0]), value)

    def ellipse(self, center: Sequence[float], radii: Sequence[float], value: int) -> None:
        """Fills the pixels whose centres lie in an upright ellipse; points are (x, y).

        Raises:
            DataError: absurd numbers.
        """
        (x, y), (rx, ry) = self._ring([center, radii], 2)
        if min(rx, ry) <= 0:
            return
        height, width = self.label.shape
        top, bottom = np.clip([np.floor(y - ry), np.ceil(y + ry)], 0, height).astype(int)
        left, right = np.clip([np.floor(x - rx), np.ceil(x + rx)], 0, width).astype(int)
        rows = (np.arange(top, bottom)[:, None] + 0.5 - y) / ry
        columns = (np.arange(left, right) + 0.5 - x) / rx
        self.paste(rows**2 + columns**2 <= 1, int(top), int(left), value)

    def paste(self, mask: np.ndarray, top: int, left: int, value: int) -> None:
        """Draws a mask (h, w) bool whose first pixel is at (top, left); the rest is cut off."""
        up, back = max(0, -top), max(0, -left)
        place = self.label[max(0, top) :, max(0, left) :]
        mask = mask[up : up + place.shape[0], back : back + place.shape[1]]
        np.copyto(place[: mask.shape[0], : mask.shape[1]], np.uint8(value), where=mask)

    def _ring(self, ring: object, least: int) -> np.ndarray:
        try:
            points = np.asarray(ring, np.float64)
            points = points.reshape(-1, 2) if points.ndim == 1 else points
        except ValueError:
            points = np.zeros(0)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < least:
            raise DataError(
                f"{self.name}: a shape of {len(points)} points; expected at least {least} of "
                "(x, y) each"
            )
        if not (np.abs(points) <= FARTHEST).all():  # NaN is not, either
            raise DataError(f"{self.name}: a shape with the coordinate {np.abs(points).max()}")
        return points


def _edges(ring: np.ndarray, height: int) -> np.ndarray:
    """(6, N): x, y and the first row whose middle is below, of each edge's start and its end."""
    found = np.empty((6, len(ring)))
    found[:2] = ring.T
    found[2] = _between(np.ceil(found[1] - 0.5), height)
    found[3:, :-1], found[3:, -1] = found[:3, 1:], found[:3, 0]
    return found


def _between(values: np.ndarray, most: int) -> np.ndarray:
    """Whole numbers of 0..most, for less than `np.clip` takes."""
    return np.minimum(np.maximum(values, 0), most).astype(np.intp)


def mask_of_runs(counts: object, size: Size, name: str, by_column: bool = False) -> np.ndarray:
    """Run lengths, of zeros first, as a mask.

    Args:
        counts: whole numbers.
        size: (height, width) of the mask, of a size that may be made.
        name: of the item, for messages.
        by_column: pixels are counted down the columns (COCO), not along the rows.

    Returns:
        (H, W) bool.

    Raises:
        DataError: the runs do not give this size.
    """
    height, width = size
    wrong = DataError(f"{name}: run lengths that are no whole numbers")
    with instead_of((ValueError, TypeError, OverflowError), wrong):
        runs = np.asarray(counts, np.int64).reshape(-1)
    pixels = height * width
    fit = len(runs) <= 2 * pixels + 2 and runs.min(initial=0) >= 0 and runs.max(initial=0) <= pixels
    if not fit or (total := int(runs.sum())) != pixels:
        got = f"{total:,}" if fit else "absurdly many"
        raise DataError(f"{name}: run lengths of {got} pixels, expected {width}x{height}")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T if by_column else flat.reshape(height, width)


def coco_counts(text: str, name: str) -> np.ndarray:
    """COCO's compressed run lengths: five bits a letter, as differences to the one before last.

    Raises:
        DataError: letters that cannot be there.
    """
    codes = np.frombuffer(text.encode("utf-8", "replace"), np.uint8).astype(np.int64) - 48
    last = np.flatnonzero((codes & 32) == 0)
    if not len(codes):
        return codes
    if codes.min() < 0 or codes.max() > 63 or not len(last) or last[-1] != len(codes) - 1:
        raise DataError(f"{name}: compressed run lengths that are damaged")
    first = np.concatenate([[0], last[:-1] + 1])
    length = last - first + 1
    if length.max() > 8:  # 40 bits: more than any image has pixels
        raise DataError(f"{name}: compressed run lengths that are absurd")
    shift = 5 * (np.arange(len(codes)) - np.repeat(first, length))
    values = np.add.reduceat((codes & 31) << shift, first)
    values -= np.where(codes[last] & 16, np.int64(1) << (5 * length), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


@dataclasses.dataclass
class DrawnLabels:
    """Reads label maps that are drawn, as `Source.read_label`; `Item.key` is what is drawn.

    Args:
        classes: names in index order.
        background: the index of pixels that lie in no shape.
        size: (key, name) -> (height, width) of the annotated image; None if it is not told.
        shapes: (key, name) -> shapes in the order of the format; or the attribute that has them.
        draw: (canvas, shape, indices of the classes by name, notes) draws one.
        special: more names and their values.
    """

    classes: dataclasses.InitVar[Sequence[str]]
    background: int
    size: Callable[[Any, str], Size | None]
    shapes: Callable[[Any, str], Iterable[Any]] | str
    draw: Callable[[Canvas, Any, Mapping[str, int], Notes], None]
    special: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self, classes: Sequence[str]) -> None:
        self._index = {name: index for index, name in enumerate(classes)} | dict(self.special)

    def __call__(self, item: Item, header: ImageHeader, notes: Notes) -> np.ndarray:
        """Images were seen upright unless a noted size says otherwise."""
        upright = header.seen(self.size(item.key, item.name), True, item.name, notes)
        canvas = Canvas(header.size if upright else header.stored, self.background, item.name)
        told, key = self.shapes, item.key
        for shape in getattr(key, told) if isinstance(told, str) else told(key, item.name):
            self.draw(canvas, shape, self._index, notes)
        return canvas.label if upright else header.turn(canvas.label)


def from_base64(text: str, where: str) -> bytes:
    """The bytes of base64 text.

    Raises:
        DataError: it is none; the message begins with `where`.
    """
    with instead_of(ValueError, DataError(f"{where} is not base64: damaged")):
        return base64.b64decode(text, validate=True)


def turned_points(points: np.ndarray, degrees: float, middle: np.ndarray) -> np.ndarray:
    """(N, 2) points (x, y) turned clockwise around one."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return (points - middle) @ np.array([[cos, sin], [-sin, cos]]) + middle


def ellipse_points(middle: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """(360, 2) points (x, y) of an upright ellipse."""
    around = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    return middle + radii * np.stack([np.cos(around), np.sin(around)], 1)
