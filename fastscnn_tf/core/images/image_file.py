"""Reading and resizing images and label maps, whatever their format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..aliases import StrPath
from ..errors import DataError
from ..files.reading import open_regular
from ..labels import IGNORE, UNKNOWN, Color
from ..sizes import Size
from .decoding import decoding, open_picture, read_picture
from .formats import IMAGE_SUFFIXES
from .pixels import in_strips, to_rgb
from .plain_png import decode_plain_png


def read_image(path: StrPath) -> np.ndarray:
    """Reads an image as (H, W, 3) uint8 RGB, upright.

    EXIF rotation is applied, alpha is composed over black, palette, CMYK and grey images are
    converted, 16-bit ones are scaled to 8 bits, and floating-point ones from 0..1 (or 0..255).

    Raises:
        DataError: the file is missing, truncated, too large or no image.
    """
    return decode_image(read_picture(path), str(path))


def decode_image(content: bytes, name: str) -> np.ndarray:
    """`read_image` of a file's content, which messages call `name`."""
    pixels = decode_plain_png(content, 3)
    if pixels is None:
        image = open_picture(content, name)
        with decoding(name):
            pixels = to_rgb(image)
    return pixels


def read_label(path: StrPath, table: np.ndarray, *, first_channel: bool = False) -> np.ndarray:
    """Reads a label map as (H, W) uint8 class indices, 255 where ignored.

    Args:
        path: an 8-bit grey or palette PNG (or RGB with three equal channels).
        table: (256,) uint8 from `LabelSpace.lookup_table`.
        first_channel: the channels of an RGB PNG may differ; the first one is the label.

    Raises:
        DataError: the file cannot be read, is colour-coded, or holds a value that the table does
            not know (the message names file, value and count).
    """
    return classes_of(label_values(path, first_channel=first_channel), table, str(path))


def label_values(path: StrPath, *, first_channel: bool = False) -> np.ndarray:
    """The values in a label map's file, (H, W) uint8; arguments and errors of `read_label`."""
    content = read_picture(path)
    plain = decode_plain_png(content, 1)
    if plain is None:
        raw = _raw_label(open_picture(content, str(path)), path, first_channel)
    else:
        raw = plain[..., 0]
    if int(raw.max(initial=0)) > 255:
        above = int((raw > 255).sum())
        raise DataError(f"{path}: label value {raw.max()} is above 255 ({above} pixels are)")
    return raw.astype(np.uint8, copy=False)


def classes_of(raw: np.ndarray, table: np.ndarray, name: str) -> np.ndarray:
    """The class indices of label values (H, W) uint8, by a table of `LabelSpace.lookup_table`.

    Raises:
        DataError: a value that the table does not know; the message calls the label map `name`.
    """
    mapped = table.take(raw)
    unknown = mapped == UNKNOWN
    if unknown.any():
        values, counts = np.unique(raw[unknown], return_counts=True)
        found = ", ".join(f"{v} ({c} pixels)" for v, c in zip(values[:5], counts[:5], strict=True))
        known = ", ".join(str(v) for v in np.flatnonzero(table != UNKNOWN)[:40])
        raise DataError(f"{name}: unknown label value {found}; known are {known}")
    return mapped


def read_color_label(path: StrPath, colors: Sequence[Color], void: Sequence[Color]) -> np.ndarray:
    """Reads a colour-coded label map as (H, W) uint8 class indices, 255 where void.

    Args:
        path: an RGB or palette PNG.
        colors: the colour of each class.
        void: colours that are ignored.

    Raises:
        DataError: the file cannot be read, or has a colour that is none of these.
    """
    image = open_picture(read_picture(path), str(path))
    if image.mode not in ("RGB", "RGBA", "P"):
        raise DataError(f"{path}: expected a colour-coded label PNG, got one of mode {image.mode}")
    return in_strips(image, lambda strip: _class_of_color(strip, path, colors, void))


def _class_of_color(
    image: Image.Image,
    path: StrPath,
    colors: Sequence[Color],
    void: Sequence[Color],
) -> np.ndarray:
    with decoding(str(path)):
        pixels = _color_codes(np.asarray(image.convert("RGB")))
    known = _color_codes(np.array((*colors, *void), np.uint8))
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known, pixels, sorter=order), len(known) - 1)]
    unknown = known[place] != pixels
    if unknown.any():
        code, count = np.unique(pixels[unknown], return_counts=True)
        color = tuple(int(code[0]) >> shift & 255 for shift in (16, 8, 0))
        raise DataError(
            f"{path}: colour {color} ({count[0]} pixels) is that of no class; expected the "
            f"{len(colors)} colours of the classes or void"
        )
    indices = np.append(np.arange(len(colors)), np.full(len(void), IGNORE)).astype(np.uint8)
    return indices[place]


def _color_codes(pixels: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 RGB as one int32 per pixel."""
    red, green, blue = np.moveaxis(pixels.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def read_ids(path: StrPath) -> np.ndarray:
    """Reads a map of instance ids, a grey PNG of 8, 16 or 32 bits, as (H, W) int32.

    Raises:
        DataError: the file cannot be read or is not a grey image.
    """
    ids = in_strips(open_picture(read_picture(path), str(path)))
    if ids.ndim != 2 or ids.dtype.kind not in "ui":
        raise DataError(f"{path}: expected a grey PNG of instance ids, got a colour picture")
    return ids.astype(np.int32)


def _raw_label(image: Image.Image, path: StrPath, first_channel: bool = False) -> np.ndarray:
    values = in_strips(image)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if values.ndim == 3:
        equal = first_channel or not np.ptp(values[..., :3], axis=2).any()
        if image.mode not in ("RGB", "RGBA") or not equal:
            raise DataError(
                f"{path}: expected an 8-bit label PNG of class indices, got a colour picture "
                f"(mode {image.mode}); convert colours to indices first"
            )
        values = values[..., 0]
    return values


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
    path = Path(path)
    try:
        listed = list(path.iterdir())
    except OSError:
        open_regular(path, "file or folder of pictures", error=DataError).close()  # or says why not
        return [path]
    found = sorted(filter(is_picture_name, listed))
    if not found:
        raise DataError(f"{path}: no pictures in this folder ({', '.join(IMAGE_SUFFIXES)})")
    return found


def is_picture_name(path: Path) -> bool:
    """Whether a file in a folder is taken for an image; macOS' hidden `._` companions are not."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def save_label(path: StrPath, label: np.ndarray, palette: np.ndarray) -> None:
    """Writes (H, W) uint8 class indices as a palette PNG that opens in colours."""
    image = Image.fromarray(label)
    image.putpalette(palette.astype(np.uint8).tobytes())
    image.save(path, format="PNG")
