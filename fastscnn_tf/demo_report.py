"""The demo's one-page report with pictures."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .core.files import make_folder, write_bytes
from .data.dataset import SegmentationDataset
from .runtime.segmenter import Segmenter
from .runtime.visualize import legend, overlay

PICTURES = 4
SCALE = 2

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;text-align:right}
th{border-bottom:2px solid #888}td:first-child,th:first-child{text-align:left}
img{max-width:100%;image-rendering:pixelated}"""


def write_report(folder: Path, summary: dict[str, Any], data: SegmentationDataset) -> None:
    """Writes `overlays/*.png` and `report.html` (self-contained) into the demo's folder."""
    segmenter = Segmenter(folder / "int8_qat.tflite")
    overlays = make_folder(folder / "overlays")
    rows = []
    for index in range(min(PICTURES, len(data))):
        image, label = data.read(index)
        predicted = overlay(image, segmenter.predict(image), data.labels, 0.6)
        strip = np.hstack([image, predicted, overlay(image, label, data.labels, 0.6)])
        content = _png(strip, SCALE)
        write_bytes(overlays / f"{data.sample_name(index)}.png", content)
        rows.append(_img(content, "image, int8 prediction, truth"))
    key = _img(_png(legend(data.labels), 1), "class colours")
    body = f"""<h1>Fast-SCNN on toy streets</h1>
<p>Trained, quantized with TFMOT, converted and scored through the LiteRT interpreter in
{summary["seconds"]:.0f} s. Scores are on {len(data)} held-out scenes.</p>
{_files_table(summary)}
<p>The float Keras model reaches {summary["float_miou"] * 100:.2f} mIoU. Argmax agreement: float
Keras / float32 .tflite {summary["agreement"]["float_tflite"] * 100:.3f} %, QAT Keras / QAT .tflite
{summary["agreement"]["qat_tflite"] * 100:.3f} %, float / QAT
{summary["agreement"]["float_qat"] * 100:.3f} %.</p>
<h2>Pictures</h2><p>Image, prediction of int8_qat.tflite, truth.</p>
{"".join(rows)}<p>{key}</p>
<h2>Class IoU of int8_qat.tflite</h2>{_class_table(summary)}"""
    page = f"<!doctype html><meta charset=utf-8><title>Fast-SCNN demo</title><style>{STYLE}</style>"
    write_bytes(folder / "report.html", (page + body).encode())


def _files_table(summary: dict[str, Any]) -> str:
    head = "<tr><th>file<th>mIoU<th>kB<th>median ms<th>p90 ms</tr>"
    rows = []
    for name, miou in summary["miou"].items():
        latency = summary["latency_ms"][name]
        rows.append(
            f"<tr><td>{html.escape(name)}<td>{miou * 100:.2f}"
            f"<td>{summary['sizes_bytes'][name] / 1000:.0f}"
            f"<td>{latency['median']:.2f}<td>{latency['p90']:.2f}</tr>"
        )
    return f"<table>{head}{''.join(rows)}</table>"


def _class_table(summary: dict[str, Any]) -> str:
    rows = []
    for name, iou in summary["class_iou"].items():
        shown = "-" if iou is None else f"{iou * 100:.1f}"
        rows.append(f"<tr><td>{html.escape(name)}<td>{shown}</tr>")
    return f"<table><tr><th>class<th>IoU</tr>{''.join(rows)}</table>"


def _png(pixels: np.ndarray, scale: int) -> bytes:
    image = Image.fromarray(pixels)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _img(png: bytes, alt: str) -> str:
    return f'<img alt="{alt}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
