"""Scoring a predictor on a data set: one protocol for .keras and .tflite.

Every image counts. The image is resized bilinearly to the model's size, the logits are brought
back bilinearly to the label's own size before the argmax (a label map: nearest), and one
confusion matrix collects all pixels that are not void.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from ..core.errors import ConfigError, DataError
from ..core.images import resize_image
from ..core.scores import Scores, confusion_matrix, scores
from ..core.sizes import Size, format_size
from ..data.dataset import SegmentationDataset
from .postprocess import LogitsFrame, labels_from_output

PROTOCOL = (
    "whole images, none dropped; image resized bilinearly to the model's input, logits resized "
    "bilinearly to the label's own size before the argmax (label maps: nearest); void ignored"
)


class Predictor(Protocol):
    """What is scored: a `Segmenter`, or a Keras model behind the same members.

    It may have a `frame` (see `postprocess.LogitsFrame`).
    """

    input_size: Size

    @property
    def num_classes(self) -> int: ...

    def run(self, image: np.ndarray) -> np.ndarray: ...


def frame_of(predictor: Predictor) -> LogitsFrame:
    """How a predictor's output lies over its input; half-pixel upsampling by default."""
    return getattr(predictor, "frame", None) or LogitsFrame.of(predictor.input_size)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of scoring a model on a split.

    Attributes:
        miou: mean IoU, 0..1; None without scored pixels.
        pixel_accuracy: 0..1.
        class_iou: class name -> IoU or None where the class never occurs.
        images: number of images scored.
        latency_ms: `median` and `p90` of the network alone after a warm-up run, in milliseconds.
        protocol: how it was measured.
        details: model, data set, split and input size.
        scores: the scores with their confusion matrix.
    """

    miou: float | None
    pixel_accuracy: float | None
    class_iou: dict[str, float | None]
    images: int
    latency_ms: dict[str, float]
    protocol: str
    details: dict[str, Any]
    scores: Scores

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the confusion matrix included."""
        return {
            "miou": self.miou,
            "pixel_accuracy": self.pixel_accuracy,
            "class_iou": self.class_iou,
            "images": self.images,
            "latency_ms": self.latency_ms,
            "protocol": self.protocol,
            **self.details,
            "confusion_matrix": self.scores.matrix.tolist(),
        }

    def table(self) -> str:
        """A table for people, in percent."""
        width = max(map(len, self.class_iou))
        lines = [f"{name:<{width}}  {_percent(iou)}" for name, iou in self.class_iou.items()]
        lines.append(f"{'mean IoU':<{width}}  {_percent(self.miou)}")
        lines.append(f"{'pixel accuracy':<{width}}  {_percent(self.pixel_accuracy)}")
        latency = self.latency_ms
        lines.append(
            f"{self.images} images at {self.details['input_size']}; "
            f"latency {latency['median']:.1f} ms median, {latency['p90']:.1f} ms p90"
        )
        return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "    -" if value is None else f"{value * 100:5.1f}"


def evaluate_predictor(
    predictor: Predictor,
    dataset: SegmentationDataset,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Evaluation:
    """Scores a predictor on every image of a data set.

    Args:
        predictor: what is scored.
        dataset: the split.
        progress: wraps the indices, to show a progress bar.

    Raises:
        ConfigError: model and data set have different numbers of classes.
        DataError: the split is empty, all void, or a file is wrong.
    """
    count = len(dataset.labels)
    # A label map from a foreign file does not say how many classes it has: 255 stands for that.
    if predictor.num_classes not in (count, 255):
        raise ConfigError(
            f"the model has {predictor.num_classes} classes but {dataset.name} has {count}: "
            "score it on the data set it was trained for"
        )
    if len(dataset) == 0:
        raise DataError(f"{dataset.name}: split {dataset.split!r} is empty")
    matrix, times = np.zeros((count, count), np.int64), []
    frame = frame_of(predictor)
    for index in progress(range(len(dataset))):
        image, label = dataset.read(index)
        image = resize_image(image, predictor.input_size)
        if index == 0:
            predictor.run(image)  # the first run prepares buffers, or traces a Keras model
        start = time.perf_counter()
        output = predictor.run(image)
        times.append((time.perf_counter() - start) * 1000)
        prediction = labels_from_output(output, frame, label.shape)
        matrix += confusion_matrix(label, prediction, count)
    result = scores(matrix)
    if result.miou is None:
        raise DataError(f"{dataset.name}: every label of split {dataset.split!r} is void")
    return Evaluation(
        miou=result.miou,
        pixel_accuracy=result.pixel_accuracy,
        class_iou=dict(zip(dataset.labels.names, result.class_iou, strict=True)),
        images=len(dataset),
        latency_ms={
            "median": float(np.median(times)),
            "p90": float(np.percentile(times, 90)),
        },
        protocol=PROTOCOL,
        details={
            "dataset": dataset.name,
            "split": dataset.split,
            "input_size": format_size(predictor.input_size),
        },
        scores=result,
    )
