"""Pictures of label maps."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from ..core.labels import LabelSpace


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
    """
    colors = space.palette()[labels].astype(np.float32)
    share = np.where(labels[..., None] == 255, 0.0, opacity)
    return np.rint(image * (1 - share) + colors * share).astype(np.uint8)


def legend(space: LabelSpace, height: int = 18) -> np.ndarray:
    """A picture that names the colours: (rows, width, 3) uint8."""
    width = 30 + 7 * max(map(len, space.names))
    picture = Image.new("RGB", (width, height * len(space)), "white")
    draw = ImageDraw.Draw(picture)
    for i, (name, color) in enumerate(zip(space.names, space.colors, strict=True)):
        draw.rectangle((2, i * height + 2, 20, (i + 1) * height - 2), fill=color)
        draw.text((25, i * height + 3), name, fill="black")
    return np.asarray(picture)
