"""Images of label maps."""

import functools
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ..arguments import check_number
from ..errors import DataError
from ..labels import IGNORE, Color, LabelSpace
from .fonts import lettering

STRIP = 1 << 18  # pixels that are mixed at once
HATCH = 8  # pixels from line to line
LONGEST = 60  # letters of a name in the legend
PAPER: Color = (160, 160, 160)  # behind the hatching in the legend


def overlay(
    image: np.ndarray, labels: np.ndarray, space: LabelSpace, opacity: float = 0.5
) -> np.ndarray:
    """The image with its label map laid over it.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class indices; 255 stays as it is.
        space: colours of the classes.
        opacity: 0 shows the image, 1 the colours.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: no such arrays, or of different sizes.
        ConfigError: an opacity outside of 0..1.
    """
    check_number("opacity", opacity, 0, 1)
    arrays = isinstance(image, np.ndarray) and isinstance(labels, np.ndarray)
    if not arrays or labels.ndim != 2 or image.shape != (*labels.shape, 3):
        got = " and ".join(str(getattr(x, "shape", type(x).__name__)) for x in (image, labels))
        raise DataError(
            f"expected arrays, an image (H, W, 3) and a label map (H, W) of its size, got {got}"
        )
    if image.dtype != np.uint8 or labels.dtype.kind not in "ui":
        raise DataError(f"expected integers, got {image.dtype} and labels of {labels.dtype}")
    table = _mixtures(space.colors, opacity)
    mixed = np.empty_like(image)
    rows = max(1, STRIP // max(1, image.shape[1]))  # the places of a large image take gigabytes
    for top in range(0, len(image), rows):
        part = slice(top, top + rows)
        place = labels[part].astype(np.intp) << 8
        for channel in range(3):
            values = place + image[part, :, channel]
            np.take(table[channel], values, out=mixed[part, :, channel], mode="clip")
    return mixed


@functools.lru_cache(maxsize=4)
def _mixtures(colors: tuple[Color, ...], opacity: float) -> np.ndarray:
    """(3, 256 x 256) uint8: each class's colour over each value of a channel."""
    palette = np.zeros((256, 3))
    palette[: len(colors)] = colors
    share = np.full((256, 1), opacity)
    share[IGNORE] = 0
    values = np.arange(256.0)
    mixed = values * (1 - share) + palette.T[..., None] * share
    return np.rint(mixed).astype(np.uint8).reshape(3, -1)


def legend(
    space: LabelSpace, height: int = 18, shares: Sequence[float] = (), width: int | None = None
) -> np.ndarray:
    """An image that names the colours.

    Args:
        space: names and colours of the classes.
        height: of an entry in pixels.
        shares: of the pixels, 0..1: one for each class and a last one for void, which then gets an
            entry, too.
        width: of the image in pixels: as many columns as fit, at least one; by default one.

    Returns:
        (rows, width, 3) uint8 RGB, black on white. A name that no font of this system can write
        has its class's index before it.
    """
    cut, colors = [name[:LONGEST] for name in space.names], [*space.colors]
    texts, type_face = lettering(cut, height)
    if "?" in "".join(texts):
        pairs = enumerate(zip(texts, cut, strict=True))
        texts = [text if text == name else f"{i}: {text}" for i, (text, name) in pairs]
    if shares:
        named = zip((*texts, "void"), shares, strict=True)
        texts = [f"{name}  {share:.1%}" for name, share in named]
        colors.append(PAPER)
    column = 2 * height + math.ceil(max(map(type_face.getlength, texts)))
    width = max(width or column, column)
    columns = min(len(texts), width // column)
    rows = -(-len(texts) // columns)
    image = Image.new("RGB", (width, rows * height), "white")
    draw = ImageDraw.Draw(image)
    for i, (text, color) in enumerate(zip(texts, colors, strict=True)):
        x, y = i // rows * column, i % rows * height
        box = (x + 2, y + 2, x + height + 2, y + height - 3)
        draw.rectangle(box, fill=color, outline="black")
        if i == len(space):
            image.paste(_hatching(box), box[:2])
        draw.text((x + height + 8, y + height / 2), text, "black", type_face, anchor="lm")
    return np.asarray(image)


def hatched(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with thin diagonal lines where the label map is void.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class indices; 255 is void.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    rows, columns = np.ogrid[: labels.shape[0], : labels.shape[1]]
    phase = (rows + columns) % HATCH
    result = image.copy()
    result[(labels == IGNORE) & (phase == 0)] = 255
    result[(labels == IGNORE) & (phase == 1)] = 0
    return result


def _hatching(box: tuple[int, int, int, int]) -> Image.Image:
    shape = box[3] - box[1] + 1, box[2] - box[0] + 1
    paper = np.full((*shape, 3), PAPER, np.uint8)
    return Image.fromarray(hatched(paper, np.full(shape, IGNORE, np.uint8)))
