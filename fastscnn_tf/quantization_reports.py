"""`quantization_report`: what int8 costs a network, layer by layer, and which layers hurt."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from .core.aliases import Progress, StrPath
from .core.config import FastSCNNConfig
from .core.errors import DataError
from .core.files import check_output_folder
from .core.foreign_text import printable_lines
from .core.images import resize_image
from .core.scores import confusion_matrix
from .core.sizes import Size, format_size
from .core.text_table import text_table
from .data.dataset import SegmentationDataset
from .data.usable import open_split
from .evaluation import load_model
from .model.folded import FoldedNetwork
from .quantize.clipping import check_method
from .quantize.layer_report import LayerReport, layer_reports, miou_of
from .quantize.sensitivity import Sensitivity
from .runtime.class_mapping import mapping_between
from .runtime.postprocess import LogitsFrame, labels_from_logits

PIXELS = 1 << 19  # of the images that run together
SHOWN = 15  # layers in the console's table


@dataclasses.dataclass(frozen=True)
class QuantizationReport:
    """What int8 does to a network.

    Attributes:
        model: its file, or the name of its class.
        recipe: the one of `export` whose arithmetic this is: `int8` or `int8-qat`.
        ranges: where the activation ranges are from.
        size: (height, width) of the input.
        dataset, split: where the images are from.
        images: how many were run.
        agreement: share of the cells at 1/8 to which the float and the int8 network give the same
            class, 0..1.
        sqnr_db, cosine: of the int8 network's logits against the float network's.
        float_miou, int8_miou: on the label maps of these images; None where not asked for.
        layers: the most harmful first.
        page: the HTML file; None where none was written.
    """

    model: str
    recipe: str
    ranges: str
    size: Size
    dataset: str
    split: str
    images: int
    agreement: float
    sqnr_db: float | None
    cosine: float | None
    float_miou: float | None
    int8_miou: float | None
    layers: tuple[LayerReport, ...]
    page: Path | None = None

    @property
    def hurting(self) -> tuple[LayerReport, ...]:
        """Layers that are plainly wrong, and those that hurt."""
        return tuple(x for x in self.layers if x.severity or x.hurts)

    def summary(self) -> str:
        """What int8 costs in all, in one sentence."""
        parts = [f"int8 gives {self.agreement * 100:.2f} % of the cells float's class"]
        if self.float_miou is not None and self.int8_miou is not None:
            parts.append(
                f"mIoU {self.float_miou * 100:.2f} becomes {self.int8_miou * 100:.2f} on "
                f"{self.images} images"
            )
        if self.sqnr_db is not None:
            parts.append(f"the logits' SQNR is {self.sqnr_db:.1f} dB")
        return "; ".join(parts)

    def verdict(self) -> str:
        """The layers that hurt, one a line with the reasons."""
        lines = [f"{layer.name}: {'; '.join(self.reasons(layer))}" for layer in self.hurting]
        return printable_lines(lines) or "no layer stands out"

    def reasons(self, layer: LayerReport) -> list[str]:
        """Why a layer is named."""
        said = list(layer.findings)
        if layer.hurts:
            said.append(
                f"{layer.harm:.0%} of the harm; in float the agreement gains "
                f"{layer.agreement_returned * 100:.2f} of the {(1 - self.agreement) * 100:.2f} "
                "points that int8 loses"
            )
        return said

    def text(self) -> str:
        """Summary, the layers that hurt, and a table of the first ones."""
        from .quantization_report_page import COLUMNS, cells

        names = [c for c in COLUMNS if c.console and (self.int8_miou is not None or not c.score)]
        rows = [cells(layer, names) for layer in self.layers[:SHOWN]]
        parts = [self.summary(), self.verdict(), text_table([[c.head for c in names], *rows], None)]
        if len(self.layers) > SHOWN:
            parts.append(f"and {len(self.layers) - SHOWN} more layers")
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        fields = dataclasses.fields(self)
        result = {f.name: getattr(self, f.name) for f in fields if f.name not in ("page", "layers")}
        result |= {"size": format_size(self.size), "hurting": [x.name for x in self.hurting]}
        return {**result, "layers": [layer.to_dict() for layer in self.layers]}


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
        from .train.plots import require_matplotlib

        require_matplotlib()
        check_output_folder(output, force)
    loaded = load_model(model) if isinstance(model, str | os.PathLike) else model
    opened = open_split(dataset, data_dir, split, size or loaded.config.input_size, skip_bad)
    chosen = _chosen(opened, images)
    network, ranges = _network(
        loaded, size, dataset, data_dir, calibration_images, calibration_method, skip_bad
    )
    measured = _measure(network, opened, chosen, sensitivity, progress)
    report = QuantizationReport(
        model=str(model) if isinstance(model, str | os.PathLike) else type(model).__name__,
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
    if not len(dataset):
        raise DataError(f"{dataset.name}: split {dataset.split!r} is empty")
    return np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int)).tolist()


def _network(
    model: Any,
    size: Size | None,
    dataset: str,
    data_dir: Any,
    images: int,
    method: str,
    skip_bad: bool,
) -> tuple[FoldedNetwork, str]:
    """The network with its ranges, and where these are from."""
    from .data.pipeline import load_dataset
    from .model.fast_scnn import resized_config
    from .model.folded import check_finite, fold
    from .quantize.calibrate import calibrate
    from .quantize.quantize_aware import folded_of, is_qat

    network = folded_of(model) if is_qat(model) else fold(model)
    for name, weights in network.weights.items():
        check_finite(name, *weights)
    if size is not None:
        network = network.replace(config=resized_config(network.config, size))
    if network.ranges:
        return network, "the model's own"
    source = load_dataset(
        dataset, data_dir, split="train", config=network.config, batch_size=1, skip_bad=skip_bad
    )
    network = calibrate(network, source.take(images), method=method)
    return network, f"{method} over {images} images of train"


def _measure(
    network: FoldedNetwork,
    dataset: SegmentationDataset,
    chosen: list[int],
    scored: bool,
    progress: Progress,
) -> Sensitivity:
    from .keras_api import tensorflow

    config, measured = network.config, Sensitivity(network)
    together = max(1, PIXELS // (config.input_size[0] * config.input_size[1]))
    for start in progress(range(0, len(chosen), together)):
        indices = chosen[start : start + together]
        pairs = [dataset.read(i) if scored else (dataset.read_image(i), None) for i in indices]
        pictures = [resize_image(picture, config.input_size) for picture, _ in pairs]
        mean, std = (np.asarray(v, np.float32) for v in (config.mean, config.std))
        images = tensorflow().constant((np.stack(pictures) - mean) / std)
        labels = [label for _, label in pairs if label is not None]
        measured.add(images, _scorer(config, dataset, labels) if scored else None)
    return measured


def _scorer(config: FastSCNNConfig, dataset: SegmentationDataset, labels: list[np.ndarray]) -> Any:
    """Counts logits at 1/8 against label maps, by the protocol of `evaluate`."""
    holder: Any = SimpleNamespace(config=config, num_classes=config.num_classes)
    mapping = mapping_between(holder, dataset)
    frame = LogitsFrame.of(config.input_size, "logits" in config.align_corners)
    count = len(dataset.labels)

    def score(logits: list[np.ndarray]) -> np.ndarray:
        total = np.zeros((count, count + 1), np.int64)
        for values, label in zip(logits, labels, strict=True):
            prediction = mapping.apply(labels_from_logits(values, frame, label.shape))
            total += confusion_matrix(label, prediction, count, extra=1)
        return total

    return score
