"""Image sizes: parsing `HxW` and the one rule a Fast-SCNN input must obey."""

from __future__ import annotations

import operator
import re

from .errors import ConfigError

STRIDE = 32  # the deepest feature map is at 1/32 (paper, table 1)
MAX_SIDE = 16384  # pixels; beyond it the interpreter's sizes overflow
LOGITS_STRIDE = 8  # the classifier works at 1/8

Size = tuple[int, int]


def parse_size(text: str, pad: bool = False) -> Size:
    """Reads `"352x480"` as (height, width) in pixels; `pad` as in `check_size`.

    Raises:
        ConfigError: the text is not two positive integers joined by `x`, or not a model size.
    """
    match = re.fullmatch(r"\s*(\d+)\s*[xX]\s*(\d+)\s*", text)
    if not match:
        raise ConfigError(f"size must be HEIGHTxWIDTH such as 352x480, got {text!r}")
    return check_size((int(match[1]), int(match[2])), pad)


def check_size(size: Size, pad: bool = False, name: str = "") -> Size:
    """Returns `size` as two ints if both sides are positive multiples of 32.

    Args:
        size: (height, width) in pixels.
        pad: the image will be padded to multiples of 32, so that any size is good.
        name: messages say it first, where there are several sizes.

    Raises:
        ConfigError: naming the nearest valid values.
    """
    try:
        height, width = (operator.index(side) for side in size)
    except (TypeError, ValueError):
        what = name or "size"
        raise ConfigError(f"{what} must be (height, width) in whole pixels, got {size!r}") from None
    first = f"{name}: " if name else ""
    for name, side in ((f"{first}height", height), (f"{first}width", width)):
        if side <= 0:
            raise ConfigError(f"{name} must be at least 1 pixel, got {side}")
        if side % STRIDE and not pad:
            raise ConfigError(
                f"{name} {side} is not a multiple of {STRIDE}: use {_nearest(side)}"
                ", or for inference pad (--pad, pad=True)"
            )
        if side > MAX_SIDE:
            raise ConfigError(f"{name} {side} is too large: use at most {MAX_SIDE}")
    return height, width


def _nearest(side: int) -> str:
    below = side // STRIDE * STRIDE
    return f"{below} or {below + STRIDE}" if below else str(STRIDE)


def padded_size(size: Size) -> Size:
    """(height, width) up to multiples of 32.

    Example:
        >>> padded_size((360, 480))
        (384, 480)
    """
    return -(-size[0] // STRIDE) * STRIDE, -(-size[1] // STRIDE) * STRIDE


def format_size(size: Size) -> str:
    """Writes (height, width) as `HxW`."""
    return f"{size[0]}x{size[1]}"
