"""An image of any size in a network's input, and the label map back at the image's own size.

`resize` stretches the image over the whole input. `letterbox` keeps its proportions: the image is
scaled until one side fills the input, lies in the middle, and the rest is the model's mean colour,
which is zero once normalised. Logits are interpolated bilinearly where the image lies; what they
say of the rest is cut off.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from ..core.aliases import StrPath
from ..core.errors import ConfigError, DataError
from ..core.images.decoding import LARGEST, decoding
from ..core.images.image_file import decode_image, read_image, resize_image, resize_label, to_rgb
from ..core.sizes import Size
from .postprocess import LogitsFrame, labels_from_output

FITS = ("resize", "letterbox")
GREY = (128.0, 128.0, 128.0)  # the default mean
ImageLike = np.ndarray | Image.Image | StrPath | bytes | IO[bytes]


class Box(NamedTuple):
    """Where an image lies in a network's input, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def letterbox(cls, image: Size, model: Size) -> Box:
        """The largest box of the image's proportions in the middle of the model's input.

        Sides are rounded to whole pixels, at least one; an odd rest is larger below and on the
        right.

        Example:
            >>> Box.letterbox((720, 1280), (256, 512))
            Box(top=0, left=28, height=256, width=455)
        """
        # Whole numbers decide which side fills the input: a float ratio may miss it by a pixel.
        if image[0] * model[1] >= image[1] * model[0]:
            height, width = model[0], max(1, round(image[1] * model[0] / image[0]))
        else:
            height, width = max(1, round(image[0] * model[1] / image[1])), model[1]
        return cls((model[0] - height) // 2, (model[1] - width) // 2, height, width)

    @property
    def rows(self) -> slice:
        """Rows of the input that it covers."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Columns of the input that it covers."""
        return slice(self.left, self.left + self.width)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """An image brought to a network's input size.

    Attributes:
        image: (H, W, 3) uint8 RGB of that size.
        box: where the image lies in it; None where it covers all of it.
    """

    image: np.ndarray
    box: Box | None = None

    def labels(self, output: np.ndarray, frame: LogitsFrame, size: Size) -> np.ndarray:
        """The image's label map.

        Args:
            output: logits (h, w, classes) or a label map (h, w) of `image`.
            frame: how it lies over `image`.
            size: (height, width) of the label map.

        Returns:
            `size` uint8 class indices.

        Raises:
            NonFiniteLogits: a logit is NaN or infinite.
        """
        box = self.box
        if box is None:
            return labels_from_output(output, frame, size)
        if output.ndim == 2:
            whole = resize_label(output.astype(np.uint8), frame.padded)
            if output.shape == self.image.shape[:2]:
                whole = output.astype(np.uint8)
            return resize_label(np.ascontiguousarray(whole[box.rows, box.columns]), size)
        placed, frame = self.placed(output, frame)
        return labels_from_output(placed, frame, size)

    def placed(self, logits: np.ndarray, frame: LogitsFrame) -> tuple[np.ndarray, LogitsFrame]:
        """Logits (h, w, classes) of `image`, and how they lie over the image alone."""
        box = self.box
        if box is None:
            return logits, frame
        inner = (box.height, box.width)
        if logits.shape[:2] == self.image.shape[:2]:  # the graph has upsampled them
            return logits[box.rows, box.columns], LogitsFrame(inner, inner)
        return logits, frame._replace(size=inner, origin=(box.top, box.left))


def fitted(image: np.ndarray, size: Size, fit: str, fill: Sequence[float] = GREY) -> Fitted:
    """Brings an image to a network's input size.

    Args:
        image: (H, W, 3) uint8 RGB of any size.
        size: (height, width) of the input.
        fit: `resize` or `letterbox`.
        fill: colour beside a letterboxed image, 0..255: the model's mean.
    """
    if fit == "resize" or image.shape[:2] == tuple(size):
        return Fitted(resize_image(image, size))
    box = Box.letterbox((image.shape[0], image.shape[1]), size)
    canvas = np.empty((*size, 3), np.uint8)
    canvas[:] = np.clip(np.rint(fill), 0, 255).astype(np.uint8)
    canvas[box.rows, box.columns] = resize_image(image, (box.height, box.width))
    return Fitted(canvas, box)


def check_fit(fit: str) -> str:
    """The name of a fit.

    Raises:
        ConfigError: there is none of this name.
    """
    if fit not in FITS:
        raise ConfigError(f"fit must be {' or '.join(FITS)}, got {fit!r}")
    return fit


def mean_color(predictor: Any) -> tuple[float, ...]:
    """The mean that a predictor subtracts, in 0..255; grey where it does not say."""
    return tuple(getattr(predictor, "mean_color", None) or GREY)


def check_target(size: Size | None) -> None:
    """Refuses a size of a label map that no image has.

    Raises:
        ConfigError: a side below 1.
    """
    if size is not None and min(size) < 1:
        raise ConfigError(f"size must be at least 1x1, got {size[0]}x{size[1]}")


def as_pixels(image: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB from an array, a Pillow image, a path, or a file's content.

    Arrays are RGB, RGBA (composed over black, as in files) or grey.

    Raises:
        DataError: an array of another shape or dtype, or an unreadable file.
    """
    if isinstance(image, Image.Image):
        with decoding("the Pillow image"):  # it may have been opened, but not read yet
            return to_rgb(image)
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if isinstance(image, np.ndarray):
        return _rgb(image)
    if hasattr(image, "read"):
        with contextlib.suppress(OSError, AttributeError):  # a stream that has no beginning
            image.seek(0)
        image = image.read(LARGEST + 1)
    if isinstance(image, bytes) and len(image) <= LARGEST:
        return decode_image(image, "the image's bytes")
    kind = f"over {LARGEST >> 20} MB" if isinstance(image, bytes) else type(image).__name__
    raise DataError(
        f"expected an array, a Pillow image, the path of an image or its bytes, got {kind}"
    )


def _rgb(image: np.ndarray) -> np.ndarray:
    shape = image.shape if image.ndim == 3 else (*image.shape, 1)
    if image.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3, 4) or 0 in shape:
        raise DataError(
            "expected an image of uint8, (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey, got "
            f"{image.shape} of {image.dtype}"
        )
    if shape[2] == 3:
        return image
    if shape[2] == 1:
        return np.repeat(image.reshape(shape), 3, axis=2)
    return to_rgb(Image.fromarray(image))


def check_several(images: Any) -> None:
    """Refuses a single image, whose letters or rows would be taken for images.

    Raises:
        DataError: it is one.
    """
    one = isinstance(images, str | os.PathLike | Image.Image | bytes) or hasattr(images, "read")
    if one or (isinstance(images, np.ndarray) and images.ndim <= 3):
        raise DataError(
            'expected images to go through, such as ["a.png", "b.png"], got a single one: '
            "that is for predict"
        )
