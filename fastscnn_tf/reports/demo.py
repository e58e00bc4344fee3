"""`run_demo`: the whole story on toy streets, from training to a scored int8 .tflite."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.console import echo
from ..core.files.writing import check_output_folder, make_folder, write_json
from ..core.images.image_file import encode_png
from ..core.images.visualize import legend, overlay
from ..core.report_page import Figure, Page, Section, Table
from ..core.sizes import Size
from ..core.text_table import percent, text_table
from ..data.datasets.dataset import SegmentationDataset
from ..runtime.segmenter import Segmenter

SIZE: Size = (128, 224)
TRAIN: dict[str, Any] = {"epochs": 12, "batch_size": 8, "learning_rate": 0.08, "bn_momentum": 0.9}
FINE_TUNE: dict[str, Any] = {"epochs": 1, "batch_size": 8, "learning_rate": 0.002}
CALIBRATION_IMAGES = 100
IMAGES, SCALE = 4, 2
FILES = {  # file -> (recipe, outputs)
    "float32.tflite": ("float32", "logits"),
    "float16.tflite": ("float16", "logits"),
    "int8_ptq.tflite": ("int8", "logits"),
    "int8_qat.tflite": ("int8-qat", "logits"),
    "int8_qat_labels.tflite": ("int8-qat", "labels"),
}
HEAD = ("file", "mIoU, %", "kB", "median ms", "p90 ms")
AGREEMENT = {  # fields of `Agreement`, for people
    "float_tflite": "float Keras / float32 .tflite",
    "qat_tflite": "QAT Keras / QAT .tflite",
    "float_qat": "float / QAT",
}


def run_demo(folder: StrPath, force: bool = False, epochs: int | None = None) -> dict[str, Any]:
    """Trains, quantizes, exports and scores on toy streets.

    Args:
        folder: gets the runs, the .tflite files, `summary.json` and `report.html`.
        force: start anew in a folder that is not empty.
        epochs: training epochs; fewer for a quick look.

    Returns:
        What `summary.json` holds.

    Raises:
        OutputError: the folder is in use, or cannot be written.
    """
    from ..core.keras_api import tensorflow
    from ..data.datasets.registry import open_dataset
    from ..data.pipeline import batches
    from ..evaluation.agreement import agreement
    from ..evaluation.evaluate import evaluate, load_model
    from ..export.export_tflite import export_tflite
    from ..quantize.fine_tune import QuantizeSettings, run_quantization
    from ..train.settings import TrainSettings
    from ..train.trainer import run_training

    tensorflow()  # says at once what is not installed
    start = time.perf_counter()
    folder = check_output_folder(folder, force)
    train = {**TRAIN, "epochs": epochs or TRAIN["epochs"]}
    train["validate_every"] = max(1, train["epochs"] // 2)

    echo(f"1/4 training on 400 toy streets of {SIZE[0]}x{SIZE[1]}, epochs: {train['epochs']}")
    settings = TrainSettings("toy", None, SIZE, augment="gentle", **train)
    trained = run_training(settings, folder / "train", force=force)

    echo("2/4 quantization-aware fine-tuning")
    tuning = QuantizeSettings(str(trained.best), "toy", None, **FINE_TUNE)
    tuned = run_quantization(tuning, folder / "qat", force=force)

    echo("3/4 exporting and checking the .tflite files")
    float_model, qat_model = load_model(trained.best), load_model(tuned.best)
    images = batches(open_dataset("toy", split="train", size=SIZE), float_model.config)
    for name, (recipe, outputs) in FILES.items():
        export_tflite(
            qat_model if recipe == "int8-qat" else float_model,
            folder / name,
            recipe,
            outputs,
            calibration=images.take(CALIBRATION_IMAGES) if recipe == "int8" else None,
            force=force,
        )

    echo("4/4 scoring every file on held-out toy streets")
    scored = {name: evaluate(folder / name, "toy", split="val") for name in FILES}
    data = open_dataset("toy", split="val", size=SIZE)
    shares = agreement(
        float_model, qat_model, folder / "float32.tflite", folder / "int8_qat.tflite", data
    )
    summary = {
        "float_miou": evaluate(float_model, "toy", split="val").miou,
        "int8_ptq_miou": scored["int8_ptq.tflite"].miou,
        "int8_qat_miou": scored["int8_qat.tflite"].miou,
        "agreement": shares.to_dict(),
        "class_iou": scored["int8_qat.tflite"].class_iou,
        "miou": {name: result.miou for name, result in scored.items()},
        "sizes_bytes": {name: (folder / name).stat().st_size for name in FILES},
        "latency_ms": {name: result.latency_ms for name, result in scored.items()},
        "seconds": time.perf_counter() - start,
    }
    write_json(folder / "summary.json", summary)
    write_report(folder, summary, data)
    return summary


def table(summary: dict[str, Any]) -> str:
    """The summary as a table for people."""
    whole = ("float Keras model", percent(summary["float_miou"]), "", "", "")
    rows = text_table([HEAD, *_rows(summary), whole], None)
    return "\n".join([rows, *(f"argmax agreement {share}" for share in _agreement(summary))])


def _rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """The files, under `HEAD`."""
    rows: list[tuple[str, ...]] = []
    for name, miou in summary["miou"].items():
        latency, size = summary["latency_ms"][name], summary["sizes_bytes"][name]
        times = (f"{latency['median']:.2f}", f"{latency['p90']:.2f}")
        rows.append((name, percent(miou), f"{size / 1000:.0f}", *times))
    return rows


def _agreement(summary: dict[str, Any]) -> list[str]:
    shares = summary["agreement"]
    return [f"{models} {percent(shares[key], 3)} %" for key, models in AGREEMENT.items()]


def write_report(folder: Path, summary: dict[str, Any], data: SegmentationDataset) -> None:
    """Writes `overlays/*.png` and `report.html` (self-contained) into the demo's folder."""
    segmenter = Segmenter(folder / "int8_qat.tflite")
    images = [_image_figure(segmenter, data, i) for i in range(min(IMAGES, len(data)))]
    make_folder(folder / "overlays")
    key = Figure("", encode_png(legend(data.labels)), "the colours of the classes")
    sections = (_files(summary, len(data)), Section("Images", figures=(*images, key)))
    Page("Fast-SCNN on toy streets", (*sections, _classes(summary))).write(folder)


def _image_figure(segmenter: Segmenter, data: SegmentationDataset, index: int) -> Figure:
    image, label = data.read(index)
    predicted = overlay(image, segmenter.predict(image), data.labels, 0.6)
    strip = np.hstack([image, predicted, overlay(image, label, data.labels, 0.6)])
    content = encode_png(strip.repeat(SCALE, 0).repeat(SCALE, 1))
    name = f"overlays/{data.sample_name(index)}.png"
    return Figure(name, content, "image, prediction of int8_qat.tflite, truth")


def _files(summary: dict[str, Any], scenes: int) -> Section:
    text = (
        "Trained, quantized with TFMOT, converted and scored through the LiteRT interpreter in "
        f"{summary['seconds']:.0f} s. Scores are on {scenes} held-out scenes. The float Keras "
        f"model reaches {percent(summary['float_miou'])} % mIoU. Argmax agreement: "
        f"{', '.join(_agreement(summary))}."
    )
    return Section("Files", text, table=Table(HEAD, tuple(_rows(summary))))


def _classes(summary: dict[str, Any]) -> Section:
    ious = summary["class_iou"].items()
    rows = tuple((name, percent(iou, 1)) for name, iou in ious)
    return Section("Class IoU of int8_qat.tflite", table=Table(("class", "IoU, %"), rows))
