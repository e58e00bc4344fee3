"""The demo's one-page report with pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .core.files import make_folder
from .core.report_page import Figure, Page, Section, Table
from .core.text_table import percent
from .data.dataset import SegmentationDataset
from .runtime.segmenter import Segmenter
from .runtime.visualize import legend, overlay
from .train.plots import png

PICTURES = 4
SCALE = 2


def write_report(folder: Path, summary: dict[str, Any], data: SegmentationDataset) -> None:
    """Writes `overlays/*.png` and `report.html` (self-contained) into the demo's folder."""
    segmenter = Segmenter(folder / "int8_qat.tflite")
    pictures = [_picture(segmenter, data, i) for i in range(min(PICTURES, len(data)))]
    make_folder(folder / "overlays")
    key = Figure("", png(legend(data.labels)), "the colours of the classes")
    sections = (_files(summary, len(data)), Section("Pictures", figures=(*pictures, key)))
    Page("Fast-SCNN on toy streets", (*sections, _classes(summary))).write(folder)


def _picture(segmenter: Segmenter, data: SegmentationDataset, index: int) -> Figure:
    image, label = data.read(index)
    predicted = overlay(image, segmenter.predict(image), data.labels, 0.6)
    strip = np.hstack([image, predicted, overlay(image, label, data.labels, 0.6)])
    content = png(strip.repeat(SCALE, 0).repeat(SCALE, 1))
    name = f"overlays/{data.sample_name(index)}.png"
    return Figure(name, content, "image, prediction of int8_qat.tflite, truth")


def _files(summary: dict[str, Any], scenes: int) -> Section:
    agreement = {name: f"{percent(share, 3)} %" for name, share in summary["agreement"].items()}
    text = (
        "Trained, quantized with TFMOT, converted and scored through the LiteRT interpreter in "
        f"{summary['seconds']:.0f} s. Scores are on {scenes} held-out scenes. The float Keras "
        f"model reaches {percent(summary['float_miou'])} mIoU. Argmax agreement: float Keras / "
        f"float32 .tflite {agreement['float_tflite']}, QAT Keras / QAT .tflite "
        f"{agreement['qat_tflite']}, float / QAT {agreement['float_qat']}."
    )
    rows = []
    for name, miou in summary["miou"].items():
        latency, size = summary["latency_ms"][name], summary["sizes_bytes"][name]
        times = (f"{latency['median']:.2f}", f"{latency['p90']:.2f}")
        rows.append((name, percent(miou), f"{size / 1000:.0f}", *times))
    head = ("file", "mIoU, %", "kB", "median ms", "p90 ms")
    return Section("Files", text, table=Table(head, tuple(rows)))


def _classes(summary: dict[str, Any]) -> Section:
    ious = summary["class_iou"].items()
    rows = tuple((name, percent(iou, 1)) for name, iou in ious)
    return Section("Class IoU of int8_qat.tflite", table=Table(("class", "IoU, %"), rows))
