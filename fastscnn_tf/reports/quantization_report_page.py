"""A quantization report as files: one HTML page, its plots, JSON, and the layers as CSV."""

from __future__ import annotations

from pathlib import Path

from ..core.files.writing import write_bytes, write_json
from ..core.report_page import Figure, Page, Section, Table, facts
from ..core.sizes import format_size
from ..core.text_table import decimal, percent
from .quantization_report_plots import harm_bars, layer_panels
from .quantization_report_result import COLUMNS, QuantizationReport, cells, layers_csv

JSON, CSV = "report.json", "layers.csv"


LEGEND = (
    "What is plainly wrong first, then by harm: the share of the divergence (Kullback-Leibler) of "
    "int8's class probabilities from float's that goes when this layer alone stays in float. "
    "Agreement and mIoU back are points gained with it; they move by chance where little changes. "
    "A layer's own SQNR is that of its output where its input is the float network's, rounded to "
    "its grid; SQNR so far compares the whole int8 network with float at this layer. Channel "
    "levels: how many of 255 steps the median channel spans. Scale spread: the largest of the "
    "kernel's channel scales over their median."
)


def write_report(report: QuantizationReport, folder: Path) -> Path:
    """Writes all files and returns the HTML's path."""
    page = _page(report).write(folder)
    write_bytes(folder / CSV, layers_csv(report.layers).encode())
    write_json(folder / JSON, report.to_dict())
    return page


def _page(report: QuantizationReport) -> Page:
    columns = [c for c in COLUMNS if not c.score or report.int8_miou is not None]
    hurting = {layer.name for layer in report.hurting}
    marked = frozenset(i for i, layer in enumerate(report.layers) if layer.name in hurting)
    rows = tuple(cells(layer, columns) for layer in report.layers)
    named = tuple((x.name, "; ".join(report.reasons(x))) for x in report.hurting)
    verdict = Section(
        "Layers that hurt",
        "" if named else "No layer stands out.",
        (Figure("harm.png", harm_bars(report.layers), _harm_text(report)),),
        Table(("layer", "why"), named) if named else None,
    )
    panels = Figure("layers.png", layer_panels(report.layers), _panels_text(report))
    table = Table(tuple(c.head for c in columns), rows, marked)
    sections = (_result(report), verdict, Section("Along the network", figures=(panels,)))
    layers = Section("Layers", LEGEND, table=table)
    return Page(f"Fast-SCNN, int8 report: {Path(report.model).name}", (*sections, layers))


def _result(report: QuantizationReport) -> Section:
    rows = [
        ("model", report.model),
        ("recipe", report.recipe),
        ("activation ranges", report.ranges),
        ("size", format_size(report.size)),
        ("images", f"{report.images} of {report.dataset}, split {report.split}"),
        ("cells with float's class", f"{percent(report.agreement)} %"),
        ("SQNR of the logits, dB", decimal(report.sqnr_db, 2)),
        ("cosine of the logits", decimal(report.cosine, 5)),
    ]
    if report.int8_miou is not None:
        rows.append(("mIoU in float, %", percent(report.float_miou)))
        rows.append(("mIoU in int8, %", percent(report.int8_miou)))
    return facts("Result", rows, f"{report.summary()}.")


def _harm_text(report: QuantizationReport) -> str:
    first = report.layers[0]
    return (
        "Bars of the share of int8's divergence that goes when one layer stays in float, for the "
        f"worst layers; the first is {first.name} with {first.harm:.1%}."
    )


def _panels_text(report: QuantizationReport) -> str:
    known = [layer for layer in report.layers if layer.own_sqnr_db is not None]
    if not known:
        return "SQNR, activation ranges and kernel scales of each layer."
    low = min(known, key=lambda layer: layer.own_sqnr_db or 0.0)
    return (
        "For each layer, in the order of the network: SQNR on its own and so far; the values seen "
        "(line) and their 0.1th to 99.9th percentile (bar) in parts of the calibrated range; the "
        f"kernel's channel scales. The lowest own SQNR is {low.name}'s, {low.own_sqnr_db:.1f} dB."
    )
