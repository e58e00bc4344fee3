"""What `check_dataset` found: as objects, as plain JSON types, and as text for the console."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from ...core.foreign_text import printable, printable_lines
from ...core.labels import LabelSpace
from ...core.text_table import percent, text_table
from ..class_weights import enet_weights, median_frequency_weights

# Kinds of findings in the order in which they are reported, and what they mean.
KINDS = {
    "empty-split": "splits that hold no pairs or cannot be opened",
    "missing-label": "pictures without a label map",
    "missing-image": "label maps without a picture",
    "unreadable": "files that cannot be read",
    "decompression-bomb": "pictures too large to be opened safely",
    "size-mismatch": "pairs of different sizes",
    "label-values": "label maps with values out of range",
    "all-void": "label maps that are void everywhere",
    "duplicate-across-splits": "pictures that another split holds, too",
}
SCHEMA = 1
SHOWN = 20  # findings of each kind on the console


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        kind: a key of `KINDS`, or `duplicate-within-split` in warnings.
        split: where.
        path: the file, or the sample's name.
        message: the reason, in one line.
    """

    kind: str
    split: str
    path: str
    message: str


@dataclasses.dataclass(frozen=True)
class SplitReport:
    """What a split holds.

    Attributes:
        split: its name.
        pairs: pictures with a label map.
        usable: pairs that can be trained on and scored.
        sizes: `HxW` -> number of pictures.
        pixels: of each class in the label maps that can be read.
        void: pixels that are ignored.
        label_maps: for each class in how many label maps it occurs.
        pixels_where_present: for each class all pixels that are not void of those label maps.
    """

    split: str
    pairs: int
    usable: int
    sizes: dict[str, int]
    pixels: tuple[int, ...]
    void: int
    label_maps: tuple[int, ...]
    pixels_where_present: tuple[int, ...]

    @property
    def shares(self) -> list[float | None]:
        """Each class's share of the pixels that are not void; None without any."""
        total = sum(self.pixels)
        return [p / total if total else None for p in self.pixels]

    @property
    def void_share(self) -> float | None:
        """Share of the pixels that are void; None without any."""
        total = sum(self.pixels) + self.void
        return self.void / total if total else None

    def weights(self) -> dict[str, list[float | None]]:
        """Suggested class weights by the rule's name; see `class_weights`."""
        median = median_frequency_weights(self.pixels, self.pixels_where_present)
        return {"enet": enet_weights(self.pixels), "median_frequency": median}


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What `check_dataset` found.

    Attributes:
        dataset: name of the data set.
        data_dir: where it lies, None if it is drawn.
        labels: its classes.
        splits: what was walked.
        findings: what is wrong; nothing in a clean data set.
        warnings: what is odd but does no harm: pictures twice in one split.
        notes: what to know besides, in sentences.
    """

    dataset: str
    data_dir: str | None
    labels: LabelSpace
    splits: tuple[SplitReport, ...]
    findings: tuple[Finding, ...]
    warnings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def totals(self) -> dict[str, int]:
        """Number of findings of each kind of `KINDS`."""
        counts = Counter(finding.kind for finding in self.findings)
        return {kind: counts[kind] for kind in KINDS}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "schema": SCHEMA,
            "dataset": self.dataset,
            "data_dir": self.data_dir,
            "clean": not self.findings,
            "totals": self.totals,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "warnings": [dataclasses.asdict(warning) for warning in self.warnings],
            "notes": list(self.notes),
            "splits": {split.split: _split_dict(split, self.labels) for split in self.splits},
        }

    def text(self, shown: int = SHOWN) -> str:
        """For the console: totals, class frequencies and the first findings of each kind."""
        parts = [_totals(self), _classes(self)]
        for kind, meaning in KINDS.items():
            parts.append(_first([f for f in self.findings if f.kind == kind], meaning, shown))
        parts.append(_first(self.warnings, "warning: pictures twice in one split", shown))
        parts += map(printable, self.notes)
        count = len(self.findings)
        parts.append(f"{count} finding{'' if count == 1 else 's'}" if count else "nothing is wrong")
        return "\n\n".join(part for part in parts if part)

    __str__ = text


def _split_dict(split: SplitReport, labels: LabelSpace) -> dict[str, Any]:
    weights = split.weights()
    columns = (split.pixels, split.shares, split.label_maps, *weights.values())
    keys = ("pixels", "share", "label_maps", *(f"{name}_weight" for name in weights))
    return {
        "pairs": split.pairs,
        "usable": split.usable,
        "sizes": split.sizes,
        "void_pixels": split.void,
        "void_share": split.void_share,
        "never": [name for name, p in zip(labels.names, split.pixels, strict=True) if not p],
        "classes": {
            name: dict(zip(keys, values, strict=True))
            for name, *values in zip(labels.names, *columns, strict=True)
        },
    }


def _totals(report: CheckReport) -> str:
    rows = [["split", "pairs", "usable", "findings", "void", "sizes"]]
    for split in report.splits:
        findings = sum(finding.split == split.split for finding in report.findings)
        sizes = ", ".join(list(split.sizes)[:3]) + (", ..." if len(split.sizes) > 3 else "")
        numbers = [str(split.pairs), str(split.usable), str(findings)]
        rows.append([split.split, *numbers, _percent(split.void_share), sizes or "-"])
    return text_table(rows, right=None)


def _classes(report: CheckReport) -> str:
    """Shares in every split; weights from the one that is trained on."""
    splits = [split for split in report.splits if sum(split.pixels)]
    if not splits:
        return ""
    trained = next((split for split in splits if split.split == "train"), splits[0])
    weights = trained.weights()
    rows = [["class", *(split.split for split in splits), "ENet", "median"]]
    for index, name in enumerate(report.labels.names):
        shares = [_percent(split.shares[index]) for split in splits]
        rows.append([name, *shares, *(_number(rule[index]) for rule in weights.values())])
    lines = [
        text_table(rows, right=None),
        f"(weights: ENet and median frequency balancing, from {printable(trained.split)})",
    ]
    for split in splits:
        names = zip(report.labels.names, split.pixels, strict=True)
        if never := [name for name, pixels in names if not pixels]:
            lines.append(printable(f"never in {split.split}: {', '.join(never)}"))
    return "\n".join(lines)


def _first(findings: Any, meaning: str, shown: int) -> str:
    if not findings:
        return ""
    lines = [f"{meaning}: {len(findings)}"]
    lines += [f"  {finding.path}: {finding.message}" for finding in findings[:shown]]
    if len(findings) > shown:
        lines.append(f"  ... and {len(findings) - shown} more (all of them in --json)")
    return printable_lines(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{percent(value)} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
