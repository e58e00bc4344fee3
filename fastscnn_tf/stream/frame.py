"""`Frame`: an image on its way from a source, and turning it upright."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..core.errors import ConfigError

ROTATIONS = (0, 90, 180, 270)


@dataclasses.dataclass(frozen=True)
class Frame:
    """An image to look at.

    Attributes:
        name: for files made of it.
        image: (H, W, 3) uint8 RGB, upright.
        seconds: that reading and decoding, or waiting for the camera, took.
        at: when it was there, by `time.perf_counter`.
        convert: seconds that bringing it to RGB and turning it upright took.
    """

    name: str
    image: np.ndarray
    seconds: float
    at: float
    convert: float = 0.0


@dataclasses.dataclass(frozen=True)
class Orientation:
    """How frames become upright; label maps are of the upright frame.

    Attributes:
        rotate: degrees clockwise: 0, 90, 180 or 270.
        mirror: swap left and right after that.

    Raises:
        ConfigError: another angle.
    """

    rotate: int = 0
    mirror: bool = False

    def __post_init__(self) -> None:
        if self.rotate not in ROTATIONS:
            angles = ", ".join(map(str, ROTATIONS))
            raise ConfigError(f"rotate must be one of {angles} (clockwise), got {self.rotate}")

    def __bool__(self) -> bool:
        return bool(self.rotate or self.mirror)

    def upright(self, image: np.ndarray) -> np.ndarray:
        """Turns (H, W, ...) into (H, W, ...) or (W, H, ...), in memory of its own."""
        turned = np.rot90(image, -(self.rotate // 90))
        return np.ascontiguousarray(turned[:, ::-1] if self.mirror else turned)
