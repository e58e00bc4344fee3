"""Reading and resizing images and label maps: the only place that opens picture files."""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .errors import DataError
from .labels import IGNORE, UNKNOWN
from .sizes import Size

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm")


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a picture as (H, W, 3) uint8 RGB, upright.

    EXIF rotation is applied, alpha is composed over black, palette, CMYK and grey pictures are
    converted, and 16-bit ones are scaled to 8 bits.

    Raises:
        DataError: the file is missing, truncated, too large or no picture.
    """
    return to_rgb(_open(path))


def to_rgb(image: Image.Image) -> np.ndarray:
    """Converts any Pillow image to (H, W, 3) uint8 RGB, upright."""
    # A broken EXIF block is no reason to refuse the pixels.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image).astype(np.float64))
        if image.mode.startswith("I;16") or values.max(initial=0) > 255:
            values = values / 257.0  # 65535 -> 255
        grey = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return np.asarray(image.convert("RGB"))


def read_label(path: str | os.PathLike[str], table: np.ndarray) -> np.ndarray:
    """Reads a label map as (H, W) uint8 class indices, 255 where ignored.

    Args:
        path: an 8-bit grey or palette PNG (or RGB with three equal channels).
        table: (256,) uint8 from `LabelSpace.lookup_table`.

    Raises:
        DataError: the file cannot be read, is colour-coded, or holds a value that the table does
            not know (the message names file, value and count).
    """
    raw = _raw_label(_open(path), path)
    if int(raw.max(initial=0)) > 255:
        raise DataError(f"{path}: label value {raw.max()} is above 255")
    mapped = table[raw.astype(np.uint8)]
    unknown = mapped == UNKNOWN
    if unknown.any():
        values, counts = np.unique(raw[unknown], return_counts=True)
        found = ", ".join(f"{v} ({c} pixels)" for v, c in zip(values[:5], counts[:5], strict=True))
        known = ", ".join(str(v) for v in np.flatnonzero(table != UNKNOWN)[:40])
        raise DataError(f"{path}: unknown label value {found}; known are {known}")
    return mapped


def _raw_label(image: Image.Image, path: str | os.PathLike[str]) -> np.ndarray:
    values = np.asarray(image)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if values.ndim == 3:
        if image.mode not in ("RGB", "RGBA") or np.ptp(values[..., :3], axis=2).any():
            raise DataError(
                f"{path}: expected an 8-bit label PNG of class indices, got a colour picture "
                f"(mode {image.mode}); convert colours to indices first"
            )
        values = values[..., 0]
    return values


def _open(path: str | os.PathLike[str]) -> Image.Image:
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            image = Image.open(file)
            image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path}: refused, {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = str(error).split(" <_io")[0]  # Pillow names its file object
        raise DataError(f"{path}: not a readable picture ({reason})") from None
    return image


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


def list_images(path: str | os.PathLike[str]) -> list[Path]:
    """The picture itself, or the pictures directly in a folder, sorted by name.

    Raises:
        DataError: the path does not exist, or the folder holds no picture.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder")
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataError(f"{path}: no pictures in this folder ({', '.join(IMAGE_SUFFIXES)})")
    return found


def save_label(path: str | os.PathLike[str], label: np.ndarray, palette: np.ndarray) -> None:
    """Writes (H, W) uint8 class indices as a palette PNG that opens in colours."""
    image = Image.fromarray(label)
    image.putpalette(palette.astype(np.uint8).tobytes())
    image.save(path, format="PNG")


__all__ = [
    "IGNORE",
    "IMAGE_SUFFIXES",
    "list_images",
    "read_image",
    "read_label",
    "resize_image",
    "resize_label",
    "save_label",
    "to_rgb",
]
