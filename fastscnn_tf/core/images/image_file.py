"""Reading and resizing images and label maps, whatever their format."""

import dataclasses
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import IO, Literal

import numpy as np
from PIL import Image

from ..aliases import StrPath
from ..errors import DataError
from ..files.reading import local, open_regular
from ..labels import IGNORE, UNKNOWN, Color
from ..sizes import Size
from .color_table import color_codes, color_of, color_table
from .decoding import decoding, open_image, read_image_file
from .formats import IMAGE_SUFFIXES, image_format
from .pixels import in_strips, to_rgb
from .plain_png import decode_plain_png

LARGE = 6  # times the pixels that Pillow allows: what is looked at in windows takes 3 bytes each


def read_image(path: StrPath, *, large: bool = False) -> np.ndarray:
    """Reads an image as (H, W, 3) uint8 RGB, upright; up to 89 megapixels, or 536 if `large`.

    EXIF rotation is applied, alpha is composed over black, palette, CMYK and grey images are
    converted, 16-bit ones are scaled to 8 bits, and floating-point ones from 0..1 (or 0..255).

    Raises:
        DataError: the file is missing, truncated, too large or no image.
    """
    room = LARGE if large else 1
    return decode_image(read_image_file(path, room), str(path), room)


def decode_image(content: bytes, name: str, room: int = 1) -> np.ndarray:
    """`read_image` of a file's content; `name` and `room` are as for `open_image`."""
    pixels = decode_plain_png(content, 3)
    if pixels is None:
        image = open_image(content, name, room)
        with decoding(name):
            pixels = to_rgb(image)
    return pixels


def read_label(path: StrPath, table: np.ndarray, *, first_channel: bool = False) -> np.ndarray:
    """Reads a label map as (H, W) uint8 class indices, 255 where ignored.

    The values are the samples as they are stored: those of 1, 2 and 4 bits too, palette indices,
    those of 16 bits and more where they are at most 255, and the grey of opaque grey+alpha.

    Args:
        path: a grey or palette PNG, BMP or TIFF (or RGB with three equal channels).
        table: (256,) uint8 from `LabelSpace.lookup_table`.
        first_channel: the channels of an RGB image may differ; the first one is the label, and
            alpha is not looked at.

    Raises:
        DataError: the file cannot be read, is lossy, colour-coded or transparent somewhere, or
            holds a value that the table does not know (the message names file, value and count).
    """
    return classes_of(label_values(path, first_channel=first_channel), table, str(path))


def label_values(path: StrPath, *, first_channel: bool = False) -> np.ndarray:
    """The values in a label map's file, (H, W) uint8; arguments and errors of `read_label`."""
    content = read_image_file(path)
    plain = decode_plain_png(content, 1)
    raw = _raw_label(content, path, first_channel) if plain is None else plain[..., 0]
    if raw.dtype != np.uint8:
        with np.errstate(invalid="ignore"):
            small = raw.astype(np.uint8)
        if (strange := raw != small).any():
            raise DataError(
                f"{path}: label value {raw[strange].max():g} is none of 0 to 255 "
                f"({int(strange.sum())} pixels are none)"
            )
        raw = small
    return raw


def classes_of(raw: np.ndarray, table: np.ndarray, name: str) -> np.ndarray:
    """The class indices of label values (H, W) uint8, by a table of `LabelSpace.lookup_table`.

    Raises:
        DataError: a value that the table does not know; the message calls the label map `name`.
    """
    found = bytearray(raw).translate(table.tobytes())  # in half of the time of `table.take`
    mapped = np.frombuffer(found, np.uint8).reshape(raw.shape)
    unknown = mapped == UNKNOWN
    if unknown.any():
        values, counts = np.unique(raw[unknown], return_counts=True)
        told = ", ".join(f"{v} ({c} pixels)" for v, c in zip(values[:5], counts[:5], strict=True))
        known = ", ".join(str(v) for v in np.flatnonzero(table != UNKNOWN)[:40])
        raise DataError(f"{name}: unknown label value {told}; known are {known}")
    return mapped


def read_color_label(
    path: StrPath,
    colors: Sequence[Color],
    void: Sequence[Color],
    classes: Sequence[int] | None = None,
    tolerance: int = 0,
    palette: bool = False,
) -> np.ndarray:
    """Reads a colour-coded label map as (H, W) uint8 class indices, 255 where void.

    Args:
        path: a PNG, BMP or TIFF; alpha is not looked at. A grey one fits colours that are all grey.
        colors: the colour of each class, or of each of `classes`.
        void: colours that are ignored.
        classes: the class of each of `colors`; by default its place.
        tolerance: a channel may differ by so much; of several colours the nearest is taken.
        palette: the file must be a palette one.

    Raises:
        DataError: the file cannot be read, is lossy or no palette image, or has a colour that is
            none of these (the message names the commonest, with their counts).
    """
    image = _open_label(read_image_file(path), path)
    if palette and image.mode != "P":
        raise DataError(f"{path}: expected a palette PNG, got an image of mode {image.mode}")
    told = np.array((*colors, *void), np.uint8).reshape(-1, 3)
    if image.mode not in ("RGB", "RGBA", "P", "PA") and np.ptp(told, axis=1).any():
        raise DataError(f"{path}: expected a colour-coded label PNG, got one of mode {image.mode}")
    own = range(len(colors)) if classes is None else classes
    table = color_table((*colors, *void), (*own, *[IGNORE] * len(void)), tolerance)
    strange: Counter[int] = Counter()

    def classes_in(strip: Image.Image) -> np.ndarray:
        with decoding(str(path)):
            codes = color_codes(strip)
        label, _ = table.look_up(codes)
        if (unknown := label == UNKNOWN).any():
            values, counts = np.unique(codes[unknown], return_counts=True)
            strange.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        return label

    label = in_strips(image, classes_in)
    if strange:
        raise DataError(f"{path}: {_strange_colors(strange, tolerance)}")
    return label


def _strange_colors(strange: Counter[int], tolerance: int) -> str:
    listed = ", ".join(f"{color_of(code)} ({n} pixels)" for code, n in strange.most_common(5))
    within = f" within {tolerance} a channel" if tolerance else ""
    rest = f" ({len(strange)} such colours, {strange.total()} pixels)" if len(strange) > 1 else ""
    return f"colour {listed} is that of no class and of no void{within}{rest}"


def read_ids(path: StrPath) -> np.ndarray:
    """Reads a map of instance ids, a grey PNG of 8, 16 or 32 bits, as (H, W) int32.

    Raises:
        DataError: the file cannot be read or is not a grey image.
    """
    ids = in_strips(open_image(read_image_file(path), str(path)))
    if ids.ndim != 2 or ids.dtype.kind not in "ui":
        raise DataError(f"{path}: expected a grey PNG of instance ids, got a colour image")
    return ids.astype(np.int32)


LABEL_FORMATS = ("PNG", "BMP", "TIFF")  # those that keep samples as they were written


def _open_label(content: bytes, path: StrPath) -> Image.Image:
    form = image_format(content)
    image = open_image(content, str(path))
    if form not in LABEL_FORMATS or image.info.get("compression") in ("jpeg", "tiff_jpeg", "webp"):
        what = form if form not in LABEL_FORMATS else f"{form} with JPEG compression"
        raise DataError(f"{path}: {lossy(what or '')}")
    return image


def lossy(what: str) -> str:
    """Why a label map of this format is refused, and what to do."""
    return (
        f"a label map as {what}: expected {', '.join(LABEL_FORMATS)}; JPEG and its like change "
        "values at every border, so that they are no longer those of the classes (export the "
        "label maps as PNG from where they were drawn)"
    )


def _raw_label(content: bytes, path: StrPath, first_channel: bool) -> np.ndarray:
    """(H, W) of any type of numbers."""
    image = _open_label(content, path)
    values, bits = in_strips(image), _bits(image, content)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    elif image.mode == "L" and bits in (2, 4):  # which Pillow spreads over 0 to 255
        values = values // (255 // ((1 << bits) - 1))
    if values.ndim == 2:
        return values
    if bits == 16:  # of which Pillow keeps the upper half
        raise DataError(f"{path}: a label map of several 16-bit channels: save one of 8 bits")
    alpha = image.mode in ("LA", "PA", "RGBA")
    equal = first_channel or not np.ptp(values[..., : 3 if image.mode != "LA" else 1], axis=2).any()
    if image.mode not in ("LA", "PA", "RGB", "RGBA") or not (equal or image.mode == "PA"):
        raise DataError(
            f"{path}: expected a label map of class values, got a colour image (mode "
            f"{image.mode}); if colours say the class, dataset.yaml needs `encoding: color` and "
            "each class its color, and if red does, `encoding: red`"
        )
    if alpha and not first_channel and (clear := int((values[..., -1] != 255).sum())):
        raise DataError(
            f"{path}: {clear} pixels of the label map are transparent: save it without alpha"
        )
    return values[..., 0]


def _bits(image: Image.Image, content: bytes) -> int:
    """Bits of a sample, by the header of a PNG or the tags of a TIFF; 8 of others."""
    tags = getattr(image, "tag_v2", None)
    stored = content[24] if image_format(content) == "PNG" else tags and tags.get(258, 8)
    return int(stored[0] if isinstance(stored, tuple) else stored or 8)


def resize_image(image: np.ndarray, size: Size) -> np.ndarray:
    """Resizes (H, W, 3) uint8 to `size` (height, width): bilinear, antialiased when shrinking."""
    if image.shape[:2] == tuple(size):
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def resize_label(label: np.ndarray, size: Size) -> np.ndarray:
    """Resizes (H, W) uint8 class indices to `size` (height, width): nearest, always."""
    if label.shape == tuple(size):
        return label
    return np.asarray(Image.fromarray(label).resize(size[::-1], Image.Resampling.NEAREST))


def list_images(path: StrPath) -> list[Path]:
    """The image itself, or the images directly in a folder, sorted by name.

    Raises:
        DataError: the path does not exist or is not a regular file, or the folder holds no image.
    """
    path = local(path)
    try:
        listed = list(path.iterdir())
    except OSError:
        open_regular(path, "file or folder of images", error=DataError).close()  # or says why not
        return [path]
    found = sorted(filter(is_image_name, listed))
    if not found:
        raise DataError(f"{path}: no images in this folder ({', '.join(IMAGE_SUFFIXES)})")
    return found


def is_image_name(path: PurePath) -> bool:
    """Whether a file in a folder is taken for an image; macOS' hidden `._` companions are not."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def encode_png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) or (H, W) uint8, or (H, W) uint16, without loss."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def save_label(path: StrPath | IO[bytes], label: np.ndarray, palette: np.ndarray) -> None:
    """Writes (H, W) uint8 class indices as a palette PNG that opens in colours."""
    image = Image.fromarray(label)
    image.putpalette(palette.astype(np.uint8).tobytes())
    image.save(path, format="PNG")


Encoding = Literal["index", "color", "red", "palette-color"]


@dataclasses.dataclass(frozen=True)
class Coding:
    """How the pixels of label maps say the class.

    Args:
        encoding: `index`, a value for each class; `red`, the same in the first of several channels;
            `color`, its colour; `palette-color`, the colour that a palette has for the index.
        colors: of the classes, where colours say them; a class may have several.
        classes: the class of each of `colors`.
        void: colours that are ignored.
        tolerance: a channel may differ from a colour by so much; the nearest is taken.
    """

    encoding: Encoding = "index"
    colors: tuple[Color, ...] = ()
    classes: tuple[int, ...] = ()
    void: tuple[Color, ...] = ()
    tolerance: int = 0

    @property
    def by_color(self) -> bool:
        """Whether colours say the class."""
        return self.encoding in ("color", "palette-color")

    def read(self, path: StrPath, table: np.ndarray) -> np.ndarray:
        """A label map as (H, W) uint8 class indices, 255 where ignored.

        Args:
            path: the file.
            table: (256,) uint8 from the values of the label map, or from the class that its colour
                says, to class indices.

        Raises:
            DataError: it cannot be read, or holds a value or colour that is none of these.
        """
        if not self.by_color:
            return read_label(path, table, first_channel=self.encoding == "red")
        how = self.classes, self.tolerance, self.encoding == "palette-color"
        labels = read_color_label(path, self.colors, self.void, *how)
        return table[labels]


INDEX = Coding()
