"""`quantization_report`: what int8 costs a network, layer by layer, and which layers hurt."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..core.aliases import Progress, StrPath
from ..core.config import FastSCNNConfig
from ..core.errors import DataError
from ..core.files.writing import check_output_folder
from ..core.images.image_file import resize_image
from ..core.scores.confusion import confusion_matrix
from ..core.sizes import Size
from ..data.check.usable import open_split
from ..data.datasets.dataset import SegmentationDataset, check_filled
from ..evaluation.evaluate import loaded, name_of
from ..model.folded import FoldedNetwork
from ..quantize.clipping import check_method
from ..quantize.layer_report import layer_reports, miou_of
from ..quantize.sensitivity import Sensitivity
from ..runtime.postprocess import LogitsFrame, labels_from_logits
from ..scoring.class_mapping import mapping_between
from .quantization_report_result import QuantizationReport

PIXELS = 1 << 19  # of the images that run together


def quantization_report(
    model: Any,
    dataset: str,
    data_dir: StrPath | None = None,
    output: StrPath | None = None,
    *,
    split: str = "val",
    images: int = 50,
    size: Size | None = None,
    calibration_images: int = 100,
    calibration_method: str = "minmax",
    sensitivity: bool = False,
    force: bool = False,
    skip_bad: bool = False,
    progress: Progress = iter,
) -> QuantizationReport:
    """Runs a network in float, in int8, and in int8 with one layer after the other in float.

    The int8 arithmetic is the device's: that of the .tflite which `export_tflite` writes.

    Args:
        model: a `.keras` file, a quantization-aware `.npz`, a run folder, or such a model. A float
            model is calibrated as recipe `int8` does it; a quantization-aware one brings its
            ranges, and is compared with its own weights in float.
        dataset: its name, as for `open_dataset`.
        data_dir: where the data set lies.
        output: a folder for `report.html`, `report.json`, `layers.csv` and the plots.
        split: the images that are compared; spread evenly over it.
        images: how many; all where there are fewer.
        size: (height, width) of the input; the model's own by default.
        calibration_images: of the training split, for a float model.
        calibration_method: as in `export_tflite`, for a float model.
        sensitivity: measure mIoU, too: of float, of int8, and what each layer returns.
        force: replace what is in the folder.
        skip_bad: leave out pairs that are incomplete or cannot be read, with a counted warning.
        progress: wraps the steps, to show a progress bar.

    Raises:
        ConfigError: an option is wrong, or the model's classes are not the data set's.
        DataError: images or label maps cannot be used.
        ModelFileError: the model is missing or damaged, or computes NaN or infinity.
        OutputError: the folder is not empty or cannot be written.
        InputError: matplotlib is missing, which the plots need.
    """
    check_method(calibration_method)
    if output is not None:
        from ..core.plots import require_matplotlib

        require_matplotlib()
        check_output_folder(output, force)
    from ..quantize.quantize_aware import network_of

    keras_model = loaded(model)
    wanted = size or keras_model.config.input_size
    opened = open_split(dataset, data_dir, split, wanted, skip_bad)
    chosen = _chosen(opened, images)
    network, ranges = network_of(keras_model, size), "the model's own"
    if not network.ranges:
        from ..export.representative import training_images
        from ..quantize.calibrate import calibrate

        calibration = training_images(
            network.config, dataset, data_dir, calibration_images, skip_bad
        )
        network = calibrate(network, calibration, method=calibration_method)
        ranges = f"{calibration_method} over {calibration_images} images of train"
    measured = _measure(network, opened, chosen, sensitivity, progress)
    report = QuantizationReport(
        model=name_of(model),
        recipe="int8-qat" if network.fine_tuned else "int8",
        ranges=ranges,
        size=network.config.input_size,
        dataset=dataset,
        split=split,
        images=len(chosen),
        agreement=measured.device.agreement,
        sqnr_db=measured.device.logits.sqnr_db,
        cosine=measured.device.logits.cosine,
        float_miou=miou_of(measured.real),
        int8_miou=miou_of(measured.device),
        layers=layer_reports(measured),
    )
    if output is None:
        return report
    from .quantization_report_page import write_report

    return dataclasses.replace(report, page=write_report(report, Path(output)))


def _chosen(dataset: SegmentationDataset, count: int) -> list[int]:
    """Indices spread evenly over a split."""
    if count < 1:
        raise DataError(f"a report needs at least one image, got {count}")
    check_filled(dataset)
    return np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int)).tolist()


def _measure(
    network: FoldedNetwork,
    dataset: SegmentationDataset,
    chosen: list[int],
    scored: bool,
    progress: Progress,
) -> Sensitivity:
    from ..core.keras_api import tensorflow

    config, measured = network.config, Sensitivity(network)
    together = max(1, PIXELS // (config.input_size[0] * config.input_size[1]))
    for start in progress(range(0, len(chosen), together)):
        indices = chosen[start : start + together]
        pairs = [dataset.read(i) if scored else (dataset.read_image(i), None) for i in indices]
        resized = [resize_image(image, config.input_size) for image, _ in pairs]
        images = tensorflow().constant(config.normalised(np.stack(resized)))
        labels = [label for _, label in pairs if label is not None]
        measured.add(images, _scorer(config, dataset, labels) if scored else None)
    return measured


def _scorer(config: FastSCNNConfig, dataset: SegmentationDataset, labels: list[np.ndarray]) -> Any:
    """Counts logits at 1/8 against label maps, by the protocol of `evaluate`."""
    holder: Any = SimpleNamespace(config=config, num_classes=config.num_classes)
    mapping = mapping_between(holder, dataset)
    frame = LogitsFrame.of(config.input_size, config.sampling("logits"))
    count = len(dataset.labels)

    def score(logits: list[np.ndarray]) -> np.ndarray:
        total = np.zeros((count, count + 1), np.int64)
        for values, label in zip(logits, labels, strict=True):
            prediction = mapping.apply(labels_from_logits(values, frame, label.shape))
            total += confusion_matrix(label, prediction, count, extra=1)
        return total

    return score
