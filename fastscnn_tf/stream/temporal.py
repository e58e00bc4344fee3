"""Label maps of frames that follow each other: smoothed, doubted, and how much they flicker."""

from __future__ import annotations

import numpy as np

from ..core.arguments import check_number
from ..core.errors import ConfigError
from ..core.labels import IGNORE
from ..core.sizes import Size
from ..runtime.fit import Fitted
from ..runtime.postprocess import winners_and_probability
from ..runtime.segmenter import Segmenter


class FrameLabels:
    """Makes label maps of one frame after the other.

    Smoothing is exponential on the logits, before they are interpolated: with `smooth` s the n-th
    frame counts s^n as much as the newest. It begins anew where frames change their size.

    Args:
        segmenter: the model.
        smooth: weight of the past, 0 (none) to below 1.
        confidence: least probability of the winning class; below it a pixel is 255. It is the
            softmax of the (smoothed) logits at the frame's own size.

    Raises:
        ConfigError: out of range, or an output without logits.
    """

    def __init__(self, segmenter: Segmenter, smooth: float = 0.0, confidence: float | None = None):
        if not 0 <= smooth < 1:
            raise ConfigError(f"smooth must be 0 to below 1, got {smooth}")
        if confidence is not None:
            check_number("confidence", confidence, 0, 1)
        plain = not smooth and confidence is None
        if not plain and segmenter.outputs not in ("logits", "logits-full"):
            raise ConfigError(
                f"{segmenter.path}: smoothing and confidence need logits, its output is "
                f"{segmenter.outputs}: export it with --outputs logits"
            )
        self._segmenter, self._smooth, self._confidence = segmenter, smooth, confidence
        self._past: np.ndarray | None = None
        self._size: Size | None = None

    def __call__(self, seen: Fitted, output: np.ndarray, size: Size) -> np.ndarray:
        """The label map of the next frame.

        Args:
            seen: the frame at the model's size.
            output: what the model made of it.
            size: (height, width) of the frame.

        Returns:
            `size` uint8 class indices, 255 where unknown.
        """
        if self._smooth:
            output = self._smoothed(output, size)
        if self._confidence is None:
            return seen.labels(output, self._segmenter.frame, size)
        return self._sure(seen, output, size)

    def _smoothed(self, output: np.ndarray, size: Size) -> np.ndarray:
        now = output.astype(np.float32)
        if self._past is not None and self._size == size:
            now = self._smooth * self._past + np.float32(1 - self._smooth) * now
        self._past, self._size = now, size
        return now

    def _sure(self, seen: Fitted, output: np.ndarray, size: Size) -> np.ndarray:
        placed, frame = seen.placed(output, self._segmenter.frame)
        scale = self._segmenter.logit_scale
        ahead = self._segmenter.offset
        winners, sure = winners_and_probability(placed, frame, size, scale, offset=ahead)
        winners[sure < np.float32(self._confidence or 0)] = IGNORE
        return winners


class Flicker:
    """The share of pixels that change their class from one frame to the next."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._changed = self._compared = 0

    def add(self, labels: np.ndarray) -> None:
        """The next label map; one of another size is compared with none."""
        if self._last is not None and self._last.shape == labels.shape:
            self._changed += int(np.count_nonzero(self._last != labels))
            self._compared += labels.size
        self._last = labels

    @property
    def share(self) -> float | None:
        """0..1; None before the second frame."""
        return self._changed / self._compared if self._compared else None
