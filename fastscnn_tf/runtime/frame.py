"""`Frame`: an image on its way from a source."""

from __future__ import annotations

import dataclasses

import numpy as np


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
