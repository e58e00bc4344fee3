"""`QuantizationReport`: what int8 costs a network and each of its layers, as text, JSON and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..core.foreign_text import printable, printable_lines
from ..core.sizes import Size, format_size
from ..core.text_table import decimal, percent, text_table
from ..quantize.layer_report import LayerReport

SHOWN = 15  # layers in the console's table


def _points(value: float | None) -> float | None:
    return None if value is None else 100.0 * value


class Column(NamedTuple):
    """A column of the layers' table.

    Attributes:
        key: in the CSV.
        head: for people.
        value: of a layer; None where it has none.
        digits: of a number after the point, for people.
        console: also in the table on the console.
        score: only where mIoU was measured.
    """

    key: str
    head: str
    value: Callable[[LayerReport], str | float | None]
    digits: int = 0
    console: bool = False
    score: bool = False


def _weight(name: str) -> Callable[[LayerReport], float | None]:
    return lambda layer: getattr(layer.weights, name) if layer.weights else None


COLUMNS = (
    Column("layer", "layer", lambda x: x.name, console=True),
    Column("place", "place", lambda x: x.place),
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


def cells(layer: LayerReport, columns: Sequence[Column]) -> tuple[str, ...]:
    """A row for people."""
    values = ((column.value(layer), column.digits) for column in columns)
    return tuple(v if isinstance(v, str) else decimal(v, digits) for v, digits in values)


def layers_csv(layers: Sequence[LayerReport]) -> str:
    """All columns in full precision, one layer a line; empty where there is no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.key for column in COLUMNS])
    for layer in layers:
        values = [column.value(layer) for column in COLUMNS]
        writer.writerow([printable(v) if isinstance(v, str) else v for v in values])
    return text.getvalue()


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
        parts = [f"int8 gives {percent(self.agreement)} % of the cells float's class"]
        if self.float_miou is not None and self.int8_miou is not None:
            parts.append(
                f"mIoU {percent(self.float_miou)} % becomes {percent(self.int8_miou)} % on "
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
                f"{percent(layer.agreement_returned)} of the {percent(1 - self.agreement)} "
                "points that int8 loses"
            )
        return said

    def text(self) -> str:
        """Summary, the layers that hurt, and a table of the first ones."""
        names = [c for c in COLUMNS if c.console and (self.int8_miou is not None or not c.score)]
        rows = [cells(layer, names) for layer in self.layers[:SHOWN]]
        parts = [self.summary(), self.verdict(), text_table([[c.head for c in names], *rows], None)]
        if len(self.layers) > SHOWN:
            parts.append(f"and {len(self.layers) - SHOWN} more layers")
        return "\n\n".join(parts)

    __str__ = text

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        fields = dataclasses.fields(self)
        result = {f.name: getattr(self, f.name) for f in fields if f.name not in ("page", "layers")}
        result |= {"size": format_size(self.size), "hurting": [x.name for x in self.hurting]}
        return {**result, "layers": [layer.to_dict() for layer in self.layers]}
