"""Several looks at an image: scaled and mirrored views, or windows, their probabilities averaged.

Probabilities of views and windows are summed at the label's own size before the argmax (the sum
and the mean have the same argmax), as PSPNet (Zhao et al., CVPR 2017) and mmsegmentation do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.errors import ConfigError
from ..core.images.image_file import resize_image
from ..core.sizes import Size, format_size
from ..runtime.postprocess import logit_strips
from .views import Inference, Predictor, TimedPredictor, frame_of

GREY = 128  # fills what a window reaches beyond a small image: the default mean


class AveragedViews(Inference):
    """The whole image at several sizes and, if wanted, mirrored; probabilities averaged.

    Args:
        predictors: the same network at each size.
        flip: every view mirrored from left to right as well.

    Raises:
        ConfigError: an output is a label map.
    """

    def __init__(self, predictors: Sequence[Predictor], flip: bool = False):
        self._networks = [TimedPredictor(p) for p in predictors]
        self._flips = (False, True) if flip else (False,)
        sizes = ", ".join(format_size(p.input_size) for p in predictors)
        self.protocol = (
            f"whole images, none dropped; image resized bilinearly to {sizes}"
            f"{' and each mirrored' if flip else ''}, softmax of the logits at the label's own "
            "size averaged before the argmax; void ignored"
        )

    @property
    def seconds(self) -> float:
        """As in `Inference`, all views together."""
        return sum(network.seconds for network in self._networks)

    def label_map(self, image: np.ndarray, size: Size) -> np.ndarray:
        """As in `Inference`."""
        return self._summed(image, size).argmax(-1).astype(np.uint8)

    def probabilities(self, image: np.ndarray, size: Size) -> np.ndarray:
        """(height, width, classes) float32 that sum to 1, of a (H, W, 3) uint8 RGB image."""
        total = self._summed(image, size)
        total /= len(self._networks) * len(self._flips)
        return total

    def _summed(self, image: np.ndarray, size: Size) -> np.ndarray:
        total = np.zeros((*size, self._networks[0].predictor.num_classes), np.float32)
        for network in self._networks:
            network.seconds = 0.0
            resized = resize_image(image, network.predictor.input_size)
            for flip in self._flips:
                _add_probabilities(network, resized, total, flip)
        return total


class SlidingWindows(Inference):
    """Windows of the model's input size over the image at its own size; overlaps averaged.

    The last window of a row or column ends at the image's edge. An image smaller than the window
    is filled up with grey.

    Args:
        predictor: its input size is the window.
        stride: (height, width) from one window to the next.
        flip: every window mirrored from left to right as well.

    Raises:
        ConfigError: a stride outside 1..window.
    """

    def __init__(self, predictor: Predictor, stride: Size, flip: bool = False):
        window = predictor.input_size
        if any(not 1 <= step <= side for step, side in zip(stride, window, strict=True)):
            raise ConfigError(
                f"stride must be 1x1 to the window's {format_size(window)}, got "
                f"{format_size(stride)}"
            )
        self._network, self.stride = TimedPredictor(predictor), stride
        self._flips = (False, True) if flip else (False,)
        self.protocol = (
            f"windows of {format_size(window)} every {format_size(stride)} over whole images at "
            f"their own size, none dropped{'; each window mirrored as well' if flip else ''}; "
            "softmax of the logits averaged where windows overlap, before the argmax; void ignored"
        )

    @property
    def seconds(self) -> float:
        """As in `Inference`, all windows together."""
        return self._network.seconds

    def label_map(self, image: np.ndarray, size: Size) -> np.ndarray:
        """As in `Inference`."""
        self._network.seconds = 0.0
        image, window = resize_image(image, size), self._network.predictor.input_size
        padding = [(0, max(0, w - side)) for w, side in zip(window, size, strict=True)]
        if any(more for _, more in padding):
            image = np.pad(image, (*padding, (0, 0)), constant_values=GREY)
        height, width = image.shape[:2]
        rows, columns = (
            [min(start, side - w) for start in range(0, max(side - w, 0) + step, step)]
            for side, w, step in zip((height, width), window, self.stride, strict=True)
        )
        labels = np.empty((height, width), np.uint8)
        # Sums are kept for one row of windows: those of all classes of a whole image are large.
        total = np.zeros((window[0], width, self._network.predictor.num_classes), np.float32)
        for top, below in zip(rows, [*rows[1:], height], strict=True):
            for left in columns:
                seen, summed = (a[..., left : left + window[1], :] for a in (image, total))
                for flip in self._flips:
                    _add_probabilities(self._network, seen[top : top + window[0]], summed, flip)
            done = below - top  # rows that no later window reaches
            labels[top:below] = total[:done].argmax(-1)
            total[: window[0] - done] = total[done:].copy()
            total[window[0] - done :] = 0
        return labels[: size[0], : size[1]]


def _add_probabilities(
    network: TimedPredictor, image: np.ndarray, total: np.ndarray, flip: bool
) -> None:
    """Adds the class probabilities of an image to `total` (H, W, classes), at its size."""
    output = network.run(np.ascontiguousarray(image[:, ::-1] if flip else image))
    if output.ndim != 3:
        raise ConfigError(
            "a model whose output is a label map has no probabilities to average: export it "
            "with --outputs logits"
        )
    scale = np.float32(getattr(network.predictor, "logit_scale", 1.0))
    finished = getattr(network.predictor, "outputs", "") == "prob"
    for rows, strip in logit_strips(output, frame_of(network.predictor), total.shape[:2]):
        # The flat offset of quantized probabilities is the same for every class and view.
        values = strip * scale if finished else softmax(strip * scale)
        total[rows] += values[:, ::-1] if flip else values


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, float32."""
    values = logits - logits.max(-1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(-1, keepdims=True)
    return values
