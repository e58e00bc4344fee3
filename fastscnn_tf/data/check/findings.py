"""What `check_dataset` found: as objects, as plain JSON types, and as text for the console."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...core.foreign_text import printable, printable_lines
from ...core.labels import LabelSpace
from ...core.text_table import counted, decimal, percent, text_table
from ..class_weights import enet_weights, median_frequency_weights


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        title: what was found, of several.
        means: what becomes of it in training and scoring.
        mend: what to do.
    """

    title: str
    means: str
    mend: str


_LEAK = "what is trained on is scored, too: the score says less of new images than it seems to"
# In the order in which they are reported.
KINDS = {
    "empty-split": Kind(
        "splits that hold no pairs or cannot be opened",
        "it cannot be trained on or scored",
        "what the message says, or put the files where it looks, or mend splits: in dataset.yaml",
    ),
    "exclude": Kind(
        "patterns of exclude: that leave nothing out",
        "what they should leave out is trained on and scored",
        "in dataset.yaml: patterns are of paths below images: or labels:, or of names: draft/*",
    ),
    "missing-label": Kind(
        "images without a label map",
        "training stops there; with --skip-bad it goes on without them",
        "add the label maps, under the images' names, or train with --skip-bad",
    ),
    "missing-image": Kind(
        "label maps without an image",
        "training stops there; with --skip-bad it goes on without them",
        "add the images, under the label maps' names, or train with --skip-bad",
    ),
    "unreadable": Kind(
        "files that cannot be read",
        "training stops there; with --skip-bad it goes on without them",
        "copy or save them anew, or train with --skip-bad",
    ),
    "decompression-bomb": Kind(
        "images too large to be opened safely",
        "training stops there; with --skip-bad it goes on without them",
        "save them smaller, or cut them into tiles with their label maps",
    ),
    "size-mismatch": Kind(
        "pairs of different sizes",
        "a pixel has no label of its own: they are refused",
        "save the label map at the image's size (nearest neighbour, never smoothed)",
    ),
    "label-values": Kind(
        "label maps with values out of range",
        "a value that is not a class is refused, not guessed",
        "in dataset.yaml: give the class that value (value: N, or value: [0, 1] for several), "
        "or void: [N] to ignore it",
    ),
    "label-colors": Kind(
        "label maps in colours",
        "they are refused: no value in them says a class",
        "in dataset.yaml: encoding: color and each class its color: (encoding: red where red says "
        "it); or fastscnn data convert --from colors",
    ),
    "label-table": Kind(
        "label values that fit another table better",
        "classes are taken for others or for void, and the score does not show it",
        "in dataset.yaml: give each class the value that it has in the files",
    ),
    "label-palette": Kind(
        "palettes whose colours contradict those of the classes",
        "classes may be swapped: the file shows one, its values say another",
        "in dataset.yaml: give the classes the values, or the colours, that the files have",
    ),
    "label-like-image": Kind(
        "label maps that are photographs, or were saved with loss or smoothed",
        "values between those of classes are no classes, or wrong ones",
        "save label maps as PNG, never as JPEG and never smoothed; check that labels: names "
        "the folder of the label maps",
    ),
    "picture-like-label": Kind(
        "images that look like label maps",
        "the network sees the answer: it scores well and knows nothing",
        "keep label maps out of the folder of images, or check that images: names that folder",
    ),
    "turned": Kind(
        "images that EXIF turns, and label maps that are not turned",
        "each pixel gets the label of another one",
        "exiftool -Orientation= -overwrite_original PICTURES (removes the note alone), or save "
        "the label maps turned; look: fastscnn data show",
    ),
    "one-color": Kind(
        "images of one colour",
        "there is nothing to see in them",
        "save them anew: without alpha, and with values that fill the bits; or leave them out",
    ),
    "unused-bits": Kind(
        "images that fill few of their 16 bits",
        "they are nearly black here: 65535 is white",
        "multiply their values so that they fill 16 bits, and save them anew; devices must do "
        "the same",
    ),
    "pages": Kind(
        "files of several pages or frames",
        "only the first one is read",
        "save the page that counts as a file of its own",
    ),
    "all-void": Kind(
        "label maps that are void everywhere",
        "they teach nothing and are not scored",
        "in dataset.yaml: take a value that is a class out of void:, write value: 255 if that is "
        "one; or leave them out",
    ),
    "mass-void": Kind(
        "splits of which more than half is void",
        "most pixels are neither trained on nor scored: the score is that of the rest",
        "in dataset.yaml: take a value that is a class out of void:, write value: 255 if that is "
        "one",
    ),
    "one-class": Kind(
        "SPLITS IN WHICH ONLY ONE CLASS OCCURS",
        "EVERY SCORE ON IT IS PERFECT OR NEARLY SO and says nothing; there is nothing to learn",
        "in dataset.yaml: give each class the value that it has in the files (value: 255 in masks "
        "of 0 and 255)",
    ),
    "never": Kind(
        "classes that never occur",
        "they are not learnt, or not scored: mean IoU leaves out what is neither in the labels "
        "nor predicted",
        "in dataset.yaml: give the class its value, or take it out of classes:; or add images of "
        "it",
    ),
    "class-order": Kind(
        "classes that are not the model's",
        "evaluate, compare, agreement and quantize stop at them; train --init-from learns those "
        "that the model lacks anew",
        "name the same classes alike, or --class-map FILE",
    ),
    "duplicate-across-splits": Kind(
        "images that another split holds, too", _LEAK, "take them out of one of the splits"
    ),
    "near-duplicate-across-splits": Kind(
        "copies of images of another split: re-encoded, resized or of other brightness",
        _LEAK,
        "take them out of one of the splits",
    ),
    "neighbours-across-splits": Kind(
        "images very much like one of another split: next frames of a video, or one scene",
        _LEAK,
        "split by sequence, so that frames of a video stay together",
    ),
    "duplicate-within-split": Kind(
        "images twice in one split", "they count twice", "take one of them out"
    ),
    "sizes": Kind(
        "images of very unequal sizes or shapes",
        "all are brought to one --size: the same thing comes out large in some and small in "
        "others, or stretched",
        "--size near the usual one, --fit letterbox for evaluate and predict; or crop them alike",
    ),
}
SCHEMA = 1
SHOWN = 20  # findings of each kind on the console
SHOWN_MENDS = 3  # of those that are a finding's own


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is wrong, or odd.

    Attributes:
        kind: a key of `KINDS`.
        split: where.
        path: the file, the sample's name, or the split where it is of the whole.
        message: the reason, in one line.
        mend: what to do.
    """

    kind: str
    split: str
    path: str
    message: str
    mend: str = ""

    def __post_init__(self) -> None:
        if not self.mend:
            object.__setattr__(self, "mend", KINDS[self.kind].mend)

    def to_dict(self) -> dict[str, str]:
        """Plain JSON types, with what it means."""
        return {**dataclasses.asdict(self), "means": KINDS[self.kind].means}


@dataclasses.dataclass(frozen=True)
class SplitReport:
    """What a split holds.

    Attributes:
        split: its name.
        pairs: images with a label map.
        usable: pairs that can be trained on and scored.
        sizes: `HxW` -> number of images.
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
        warnings: what is odd but may be as it should: images twice in one split, frames of one
            video in several, sizes far apart.
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
            "findings": [finding.to_dict() for finding in self.findings],
            "warnings": [warning.to_dict() for warning in self.warnings],
            "notes": list(self.notes),
            "splits": {split.split: _split_dict(split, self.labels) for split in self.splits},
        }

    def text(self, shown: int = SHOWN) -> str:
        """For the console: totals, class frequencies and the first findings of each kind."""
        parts = [_totals(self), _classes(self)]
        for prefix, found in (("", self.findings), ("warning: ", self.warnings)):
            parts += [_first(prefix, [f for f in found if f.kind == k], shown) for k in KINDS]
        parts += map(printable, self.notes)
        count = len(self.findings)
        parts.append(counted(count, "finding") if count else "nothing is wrong")
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
        rows.append([name, *shares, *(decimal(rule[index], 3) for rule in weights.values())])
    lines = [
        text_table(rows, right=None),
        f"(weights: ENet and median frequency balancing, from {printable(trained.split)})",
    ]
    for split in splits:
        names = zip(report.labels.names, split.pixels, strict=True)
        if never := [name for name, pixels in names if not pixels]:
            lines.append(printable(f"never in {split.split}: {', '.join(never)}"))
    return "\n".join(lines)


def _first(prefix: str, findings: Sequence[Finding], shown: int) -> str:
    """The first findings of one kind, what they mean and what mends them."""
    if not findings:
        return ""
    kind = KINDS[findings[0].kind]
    lines = [f"{prefix}{kind.title}: {len(findings)}"]
    lines += [f"  {finding.path}: {finding.message}" for finding in findings[:shown]]
    if len(findings) > shown:
        lines.append(f"  ... and {len(findings) - shown} more (all of them in --json)")
    lines.append(f"  means: {kind.means}")
    mends = dict.fromkeys(finding.mend for finding in findings)
    lines += [f"  mend: {mend}" for mend in list(mends)[:SHOWN_MENDS]]
    return printable_lines(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{percent(value)} %"
