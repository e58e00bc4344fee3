"""Turning frames upright when the camera is not."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..core.errors import ConfigError

ROTATIONS = (0, 90, 180, 270)


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
