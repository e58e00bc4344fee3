"""How a whole image becomes a label map: what every way is, and the usual one, in one look.

Each way is an object with `label_map(image, size)` and a sentence that says what it does; those of
several views and of windows are in `averaged_views`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, TypedDict

import numpy as np

from ..core.aliases import StrPath
from ..core.arguments import check_name
from ..core.errors import ConfigError
from ..core.keras_api import KerasModel
from ..core.sizes import Size
from ..runtime.fit import check_fit, fitted, mean_color
from ..runtime.postprocess import LogitsFrame

WHOLE = (
    "whole images, none dropped; image resized bilinearly to the model's input, logits resized "
    "bilinearly to the label's own size before the argmax (label maps: nearest); void ignored"
)
LETTERBOX = WHOLE.replace(
    "image resized bilinearly to the model's input, logits",
    "image resized bilinearly into the model's input with its proportions kept, the rest filled "
    "with the model's mean; logits of the image",
)


class ViewOptions(TypedDict, total=False):
    """The fields of `Views` as keywords."""

    scales: Sequence[float]
    flip: bool
    window: Size | None
    stride: Size | None
    fit: str


@dataclasses.dataclass(frozen=True)
class Views:
    """How a model looks at an image; by default once, at the whole.

    Attributes:
        scales: average the probabilities of a Keras model at these multiples of its size, each
            rounded to multiples of 32 (unless it pads).
        flip: average with the mirrored image as well.
        window: look at the image at its own size through windows of this (height, width), the
            input size of a .tflite, and average where they overlap.
        stride: (height, width) from window to window; half the window by default.
        fit: `resize` stretches the image to the model's size, `letterbox` keeps its proportions.

    Raises:
        ConfigError: no such fit, or ways that contradict each other.
    """

    scales: Sequence[float] = (1.0,)
    flip: bool = False
    window: Size | None = None
    stride: Size | None = None
    fit: str = "resize"

    def __post_init__(self) -> None:
        averaged = self.window is not None or self.flip or not self.one_scale
        if check_fit(self.fit) != "resize" and averaged:
            raise ConfigError(
                "--fit is for one look at the whole image: leave --scales, --flip and --window out"
            )
        if self.stride is not None and self.window is None:
            raise ConfigError("a stride needs a window: pass --window HxW, too")

    @property
    def one_scale(self) -> bool:
        """Whether the model runs at its own size alone."""
        return tuple(self.scales) == (1.0,)

    @property
    def one_size(self) -> bool:
        """Whether it takes no size but the model's own."""
        return self.one_scale and self.window is None

    @classmethod
    def of(cls, views: Views | None, given: ViewOptions) -> Views:
        """A group of options with those that are given by themselves.

        Raises:
            ConfigError: one of them is not an option.
        """
        for name in given:
            check_name("option", name, [field.name for field in dataclasses.fields(cls)])
        return dataclasses.replace(views or cls(), **given)


class Predictor(Protocol):
    """What is scored: a `Segmenter`, or a Keras model behind the same members.

    It may have a `frame` (see `postprocess.LogitsFrame`), `labels` or a `config` with `labels` (its
    label space), a `logit_scale` (what 1 in its output is worth), `outputs` and `mean_color` (as of
    `Segmenter`).
    """

    input_size: Size

    @property
    def num_classes(self) -> int: ...

    def run(self, image: np.ndarray) -> np.ndarray: ...


# A path of a .tflite, `.keras`, `.npz` or run folder, a Keras model, or what predicts.
AnyModel: TypeAlias = "StrPath | KerasModel | Predictor"


class Inference:
    """A way from an image to a label map, in three steps that may overlap between images.

    `run` is for one thread at a time; `prepare` and `finish` may be called from others meanwhile.
    A way has `label_map` alone, whose network needs the steps before and after it for every view,
    or the three steps.

    Attributes:
        protocol: what it does, in one sentence.
    """

    protocol: str

    def prepare(self, image: np.ndarray, size: Size) -> Any:
        """What `run` takes, of a (H, W, 3) uint8 RGB image and the size of its label map."""
        return image, size

    def run(self, prepared: Any) -> Any:
        """The network's part."""
        return self.label_map(*prepared)

    def finish(self, done: Any) -> np.ndarray:
        """(height, width) uint8 class indices from what `run` returned."""
        return done

    @property
    def seconds(self) -> float:
        """Time of the network alone for the last image."""
        raise NotImplementedError

    def label_map(self, image: np.ndarray, size: Size) -> np.ndarray:
        """(height, width) uint8 class indices of a (H, W, 3) uint8 RGB image."""
        return self.finish(self.run(self.prepare(image, size)))


def frame_of(predictor: Predictor) -> LogitsFrame:
    """How a predictor's output lies over its input; half-pixel upsampling by default."""
    return getattr(predictor, "frame", None) or LogitsFrame.of(predictor.input_size)


class WholeImage(Inference):
    """One look at the whole image: the default.

    Args:
        predictor: what looks.
        fit: how the image comes to its size, `resize` or `letterbox` (see `fit`).

    Raises:
        ConfigError: no such fit.
    """

    def __init__(self, predictor: Predictor, fit: str = "resize"):
        self.protocol = WHOLE if check_fit(fit) == "resize" else LETTERBOX
        self._network, self._fit = TimedPredictor(predictor), fit

    @property
    def seconds(self) -> float:
        """As in `Inference`."""
        return self._network.seconds

    def prepare(self, image: np.ndarray, size: Size) -> Any:
        """As in `Inference`."""
        predictor = self._network.predictor
        seen = fitted(image, predictor.input_size, self._fit, mean_color(predictor))
        return seen, size

    def run(self, prepared: Any) -> Any:
        """As in `Inference`."""
        self._network.seconds = 0.0
        seen, size = prepared
        return seen, self._network.run(seen.image), size

    def finish(self, done: Any) -> np.ndarray:
        """As in `Inference`."""
        seen, output, size = done
        return seen.labels(output, frame_of(self._network.predictor), size)


class TimedPredictor:
    """A predictor whose runs are added up; the first image runs once before, untimed."""

    def __init__(self, predictor: Predictor):
        self.predictor, self.seconds, self._warm = predictor, 0.0, False

    def run(self, image: np.ndarray) -> np.ndarray:
        if not self._warm:
            self.predictor.run(image)  # prepares buffers, or traces a Keras model
            self._warm = True
        start = time.perf_counter()
        output = self.predictor.run(image)
        self.seconds += time.perf_counter() - start
        return output
