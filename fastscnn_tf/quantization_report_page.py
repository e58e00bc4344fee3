"""A quantization report as files: one HTML page, its plots, JSON, and the layers as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .core.files import make_folder, write_bytes, write_json
from .core.foreign_text import printable
from .core.sizes import format_size
from .quantization_report_plots import harm_bars, layer_panels
from .quantize.layer_report import LayerReport
from .run_report_page import Figure, Page, Section, Table

if TYPE_CHECKING:
    from .quantization_reports import QuantizationReport

HTML, JSON, CSV = "report.html", "report.json", "layers.csv"


class Column(NamedTuple):
    """A column of the layers' table.

    Attributes:
        key: in the CSV.
        head: for people.
        value: of a layer; None where it has none.
        digits: after the point, for people; None shows the value as it is.
        console: also in the table on the console.
        score: only where mIoU was measured.
    """

    key: str
    head: str
    value: Callable[[LayerReport], str | float | None]
    digits: int | None = None
    console: bool = False
    score: bool = False


def _weight(name: str) -> Callable[[LayerReport], float | None]:
    return lambda layer: getattr(layer.weights, name) if layer.weights else None


def _points(value: float | None) -> float | None:
    return None if value is None else 100.0 * value


COLUMNS = (
    Column("layer", "layer", lambda x: x.name, console=True),
    Column("place", "place", lambda x: x.place, 0),
    Column("kind", "kind", lambda x: x.kind),
    Column("harm_percent", "harm, %", lambda x: _points(x.harm), 1, True),
    Column("agreement_points", "agreement back", lambda x: _points(x.agreement_returned), 3, True),
    Column("miou_points", "mIoU back", lambda x: _points(x.miou_returned), 3, True, True),
    Column("own_sqnr_db", "own SQNR, dB", lambda x: x.own_sqnr_db, 1, True),
    Column("own_cosine", "own cosine", lambda x: x.own_cosine, 5),
    Column("sqnr_db", "SQNR so far, dB", lambda x: x.sqnr_db, 1, True),
    Column("cosine", "cosine so far", lambda x: x.cosine, 5),
    Column("range_low", "range from", lambda x: x.activation.range[0], 3),
    Column("range_high", "range to", lambda x: x.activation.range[1], 3),
    Column("seen_low", "seen from", lambda x: x.activation.seen[0], 3),
    Column("seen_high", "seen to", lambda x: x.activation.seen[1], 3),
    Column("percentile_0_1", "0.1 %", lambda x: x.activation.percentiles[0], 3),
    Column("percentile_99_9", "99.9 %", lambda x: x.activation.percentiles[1], 3),
    Column("clipped_percent", "clipped, %", lambda x: _points(x.activation.clipped), 3, True),
    Column("channel_levels", "channel levels", lambda x: x.activation.channel_levels, 0, True),
    Column("weight_low", "weights from", _weight("low"), 4),
    Column("weight_high", "weights to", _weight("high"), 4),
    Column("scale_min", "smallest scale", _weight("scale_min"), 6),
    Column("scale_median", "median scale", _weight("scale_median"), 6),
    Column("scale_max", "largest scale", _weight("scale_max"), 6),
    Column("scale_spread", "scale spread", _weight("spread"), 1, True),
    Column("weight_sqnr_db", "weights' SQNR, dB", _weight("sqnr_db"), 1),
    Column("findings", "findings", lambda x: "; ".join(x.findings)),
)

LEGEND = (
    "What is plainly wrong first, then by harm: the share of the divergence (Kullback-Leibler) of "
    "int8's class probabilities from float's that goes when this layer alone stays in float. "
    "Agreement and mIoU back are points gained with it; they move by chance where little changes. "
    "A layer's own SQNR is that of its output where its input is the float network's, rounded to "
    "its grid; SQNR so far compares the whole int8 network with float at this layer. Channel "
    "levels: how many of 255 steps the median channel spans. Scale spread: the largest of the "
    "kernel's channel scales over their median."
)


def cells(layer: LayerReport, columns: Sequence[Column]) -> tuple[str, ...]:
    """A row for people."""
    return tuple(_shown(column.value(layer), column.digits) for column in columns)


def _shown(value: str | float | None, digits: int | None) -> str:
    if value is None:
        return "-"
    return str(value) if digits is None else f"{value:.{digits}f}"


def write_report(report: QuantizationReport, folder: Path) -> Path:
    """Writes all files and returns the HTML's path."""
    page = _page(report)
    make_folder(folder)
    for figure in page.figures:
        write_bytes(folder / figure.file, figure.content)
    write_bytes(folder / CSV, layers_csv(report.layers).encode())
    write_json(folder / JSON, report.to_dict())
    write_bytes(folder / HTML, page.html().encode())
    return folder / HTML


def layers_csv(layers: Sequence[LayerReport]) -> str:
    """All columns in full precision, one layer a line; empty where there is no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.key for column in COLUMNS])
    writer.writerows([[_plain(column.value(layer)) for column in COLUMNS] for layer in layers])
    return text.getvalue()


def _plain(value: str | float | None) -> str | float | None:
    return printable(value) if isinstance(value, str) else value


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
        ("cells with float's class", f"{report.agreement * 100:.2f} %"),
        ("SQNR of the logits, dB", _shown(report.sqnr_db, 2)),
        ("cosine of the logits", _shown(report.cosine, 5)),
    ]
    if report.int8_miou is not None:
        rows.append(("mIoU in float, %", _shown(_points(report.float_miou), 2)))
        rows.append(("mIoU in int8, %", _shown(_points(report.int8_miou), 2)))
    return Section("Result", f"{report.summary()}.", table=Table(("", "value"), tuple(rows)))


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
