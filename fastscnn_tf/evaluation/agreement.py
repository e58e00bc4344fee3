"""How often two models give a pixel the same class."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..core.aliases import Progress, StrPath
from ..core.class_maps import match_classes
from ..core.console import warn
from ..core.errors import ConfigError
from ..core.images.image_file import resize_image
from ..data.datasets.dataset import SegmentationDataset
from ..runtime.postprocess import labels_from_output
from ..runtime.segmenter import Segmenter
from ..scoring.class_mapping import label_space_of
from ..scoring.protocol import frame_of
from ..scoring.views import AnyModel
from .evaluate import is_run_here, load_predictor, name_of


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Shares of pixels with the same argmax at full resolution, 0..1.

    Attributes:
        float_tflite: float Keras model against the float32 .tflite.
        qat_tflite: quantization-aware Keras model against its .tflite.
        float_qat: float Keras model against the quantization-aware one.
    """

    float_tflite: float
    qat_tflite: float
    float_qat: float

    def to_dict(self) -> dict[str, float]:
        """Plain JSON types."""
        return dataclasses.asdict(self)


def argmax_agreement(
    first: AnyModel,
    second: AnyModel,
    dataset: SegmentationDataset,
    progress: Progress = iter,
    *,
    match: str = "name",
    class_map: StrPath | None = None,
) -> float:
    """Share of pixels, at the models' input resolution, to which both give the same class.

    Args:
        first: a path or a model, as for `evaluate`.
        second: another one with the same input size.
        dataset: the images.
        progress: wraps the image indices, to show a progress bar.
        match: how the second model's classes are matched with the first one's, as for `evaluate`.
        class_map: likewise.

    Raises:
        ConfigError: the input sizes or the classes differ, or a data set is only named.
    """
    if isinstance(dataset, str):
        raise ConfigError(
            f'expected a data set, got {dataset!r}: fs.open_dataset({dataset!r}, FOLDER, "val")'
        )
    # A file that upsamples in its graph is compared with the model's own upsampling.
    kinds = {Segmenter(m).outputs for m in (first, second) if is_run_here(m)}
    full = bool(kinds - {"logits", "labels-8"})
    a, b = load_predictor(first, full=full), load_predictor(second, full=full)
    if a.input_size != b.input_size:
        raise ConfigError(f"input sizes differ: {a.input_size} and {b.input_size}")
    classes = match_classes(label_space_of(b), label_space_of(a), match, class_map, b.num_classes)
    if classes.how:
        warn(f"{name_of(second)}: {classes.protocol}")
    size = a.input_size
    equal = total = 0
    for index in progress(range(len(dataset))):
        image = resize_image(dataset.read_image(index), size)
        outputs = [p.run(image) for p in (a, b)]
        if "labels-8" in kinds:  # which takes the classes before it upsamples
            outputs = [y.argmax(-1) if y.ndim == 3 else y for y in outputs]
        labels = [
            labels_from_output(y, frame_of(p), size) for y, p in zip(outputs, (a, b), strict=True)
        ]
        equal += int(np.count_nonzero(labels[0] == classes.apply(labels[1])))
        total += labels[0].size
    return equal / total


def agreement(
    float_model: Any, qat_model: Any, float_tflite: Any, qat_tflite: Any, data: SegmentationDataset
) -> Agreement:
    """The three figures that say whether quantization and conversion kept the model."""
    return Agreement(
        float_tflite=argmax_agreement(float_model, float_tflite, data),
        qat_tflite=argmax_agreement(qat_model, qat_tflite, data),
        float_qat=argmax_agreement(float_model, qat_model, data),
    )
