"""What a network that segments images can do with any image, whatever runs it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, overload

import numpy as np

from ..core.arguments import check_number
from ..core.errors import ConfigError
from ..core.images.visualize import overlay
from ..core.labels import LabelSpace
from ..core.overlap import AHEAD, overlapped
from ..core.sizes import Size, format_size
from .fit import Fitted, ImageLike, as_pixels, check_fit, check_several, check_target, fitted
from .postprocess import LogitsFrame, winners_and_probability


class ImageModel:
    """From images to label maps; `Segmenter` runs a .tflite, `load_predictor` a Keras model.

    Attributes:
        input_size: (height, width) the network works at.
        labels: names and colours of the classes.
        outputs: `logits`, `logits-full`, `prob`, `labels` or `labels-8`.
        frame: how its output lies over the input.
        logit_scale: what one step of the raw output is worth; 1 for float outputs.
        mean_color: the RGB colour, 0..255, that the model takes as zero.
        offset: what the first class is ahead by, for a threshold other than 0.5.
    """

    input_size: Size
    frame: LogitsFrame
    outputs: str = "logits"
    labels: LabelSpace
    # Of each class as it serves it: an attribute or a property.
    logit_scale: Any
    mean_color: Any
    offset: Any = 0.0

    @property
    def num_classes(self) -> int:
        """Classes of the model."""
        return len(self.labels)

    def run(self, image: np.ndarray) -> np.ndarray:
        """The raw output for one image that already has the input size."""
        raise NotImplementedError

    def __repr__(self) -> str:
        size, classes = format_size(self.input_size), f"{self.num_classes} classes"
        return f"<{type(self).__name__} of {self._what()}: {size}, {classes}, {self.outputs}>"

    def _what(self) -> str:
        """What it runs, in few words."""
        raise NotImplementedError

    @overload
    def predict(
        self,
        image: ImageLike,
        size: Size | None = None,
        fit: str = "resize",
        confidence: Literal[False] = False,
    ) -> np.ndarray: ...

    @overload
    def predict(
        self,
        image: ImageLike,
        size: Size | None = None,
        fit: str = "resize",
        *,
        confidence: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def predict(
        self,
        image: ImageLike,
        size: Size | None = None,
        fit: str = "resize",
        confidence: bool = False,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """The label map of an image.

        Args:
            image: uint8 array, (H, W, 3) RGB, (H, W, 4) RGBA over black or (H, W) grey; Pillow
                image; path of an image; its content as bytes or an open file.
            size: (height, width) of the label map; the image's own by default.
            fit: how the image comes to the model's size: `resize` stretches it, `letterbox` keeps
                its proportions and fills the rest with the model's mean (see `fit`).
            confidence: return how sure the model is as well.

        Returns:
            (H, W) uint8 class indices; with `confidence` a pair of them and (H, W) float32, the
            softmax of each pixel's winner, 0..1.

        Raises:
            DataError: not an image.
            ConfigError: a size below 1, no such fit, or confidence of a model whose output is a
                label map.
        """
        check_fit(fit)
        check_target(size)
        if not isinstance(confidence, bool):
            raise ConfigError(f"confidence must be True or False, got {confidence!r}")
        if confidence and self.outputs.startswith("labels"):
            raise ConfigError(
                f"confidence needs logits, the output of {self._what()} is {self.outputs}: export "
                "it with output logits (--outputs logits)"
            )
        pixels, resized = self._fitted(image, fit)
        output, size = self.run(resized.image), size or pixels.shape[:2]
        labels = resized.labels(output, self.frame, size)
        if not confidence:
            return labels
        placed, frame = resized.placed(output, self.frame)
        finished = self.outputs == "prob"
        _, sure = winners_and_probability(
            placed, frame, size, self.logit_scale, finished, self.offset
        )
        return labels, sure

    def overlay(
        self, image: ImageLike, labels: np.ndarray | None = None, opacity: float = 0.5
    ) -> np.ndarray:
        """The image with its label map laid over it in the classes' colours.

        Args:
            image: as for `predict`.
            labels: (H, W) uint8 class indices of the image's size; by default `predict` makes them.
            opacity: 0 shows the image, 1 the colours.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        pixels = as_pixels(image)
        labels = self.predict(pixels) if labels is None else labels
        return overlay(pixels, labels, self.labels, opacity)

    def stream(
        self,
        images: Iterable[ImageLike],
        size: Size | None = None,
        fit: str = "resize",
        ahead: int = AHEAD,
    ) -> Iterator[np.ndarray]:
        """The label maps of many images, in order: `predict` of each, with its steps overlapped.

        While the network runs, the next images are decoded and resized and the last label map is
        brought to its size. Images are taken as they are needed, a few early, so that `images` may
        be endless; a camera whose frames must not wait is for `fastscnn watch`.

        Args:
            images: as `predict` takes them, of any sizes.
            size: (height, width) of the label maps; each image's own by default.
            fit: as for `predict`.
            ahead: images held early, at each of the two steps beside the network.

        Yields:
            (H, W) uint8 class indices.

        Raises:
            DataError: one image instead of several; or one that is none: the label maps before it
                have come.
            ConfigError: a size below 1, no such fit, or `ahead` below 0.
        """
        check_fit(fit)
        check_target(size)
        check_several(images)
        check_number("ahead", ahead, 0)
        return self._label_maps(images, size, fit, ahead)

    def _label_maps(
        self, images: Iterable[ImageLike], size: Size | None, fit: str, ahead: int
    ) -> Iterator[np.ndarray]:
        with contextlib.ExitStack() as stack:

            def early(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
                return stack.enter_context(contextlib.closing(overlapped(function, items, ahead)))

            def label_map(found: tuple[Size, Fitted, np.ndarray]) -> np.ndarray:
                own_size, resized, output = found
                return resized.labels(output, self.frame, size or own_size)

            inputs = early(lambda image: self._fitted(image, fit), images)
            outputs = ((pixels.shape[:2], each, self.run(each.image)) for pixels, each in inputs)
            yield from early(label_map, outputs)

    def _fitted(self, image: ImageLike, fit: str) -> tuple[np.ndarray, Fitted]:
        pixels = as_pixels(image)
        return pixels, fitted(pixels, self.input_size, fit, self.mean_color)
