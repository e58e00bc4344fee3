"""What `Segmenter` takes as an image."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from PIL import Image

from ..core.aliases import StrPath
from ..core.errors import ConfigError, DataError
from ..core.images import read_image, to_rgb
from ..core.picture_file import decoding
from ..core.sizes import Size

Picture = np.ndarray | Image.Image | StrPath


def check_target(size: Size | None) -> None:
    """Refuses a size of a label map that no image has.

    Raises:
        ConfigError: a side below 1.
    """
    if size is not None and min(size) < 1:
        raise ConfigError(f"size must be at least 1x1, got {size[0]}x{size[1]}")


def as_pixels(image: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB from an array, a Pillow image or a path.

    Raises:
        DataError: an array of another shape or dtype, or an unreadable file.
    """
    if isinstance(image, Image.Image):
        with decoding("the Pillow image"):  # it may have been opened, but not read yet
            return to_rgb(image)
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if not isinstance(image, np.ndarray):
        kind = type(image).__name__
        raise DataError(f"expected an array, a Pillow image or the path of a picture, got {kind}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise DataError(
            f"expected an RGB array (H, W, 3) of uint8, got {image.shape} of {image.dtype}"
        )
    return image


def check_several(images: Any) -> None:
    """Refuses a single image, whose letters or rows would be taken for images.

    Raises:
        DataError: it is one.
    """
    one = isinstance(images, str | os.PathLike | Image.Image)
    if one or (isinstance(images, np.ndarray) and images.ndim == 3):
        raise DataError(
            'expected pictures to go through, such as ["a.png", "b.png"], got a single one: '
            "that is for predict"
        )
