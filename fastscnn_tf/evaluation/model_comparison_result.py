"""`ModelComparison`: what two models made of the same images, as tables and as JSON."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

from ..core.foreign_text import printable
from ..core.scores.confusion import Scores
from ..core.text_table import percent, text_table


@dataclasses.dataclass(frozen=True)
class ComparedImage:
    """What two models made of an image.

    Attributes:
        index: in its split.
        name: of the image.
        agreement: share of its pixels to which both give the same class, 0..1.
        miou: of either model on this image alone; None where all of it is void.
    """

    index: int
    name: str
    agreement: float
    miou: tuple[float | None, float | None]


@dataclasses.dataclass(frozen=True)
class Departure:
    """Pixels that one model gives one class and the other another.

    Attributes:
        first: class of the first model; `no class` where it has no counterpart.
        second: class of the second.
        share: of all pixels, 0..1.
    """

    first: str
    second: str
    share: float


class Delta(NamedTuple):
    """A score of two models, 0..1; None where there is none."""

    name: str
    first: float | None
    second: float | None

    @property
    def change(self) -> float | None:
        """The second minus the first."""
        if self.first is None or self.second is None:
            return None
        return self.second - self.first

    def cells(self, unit: str = "") -> tuple[str, str, str, str]:
        """Name, both in percent, and the change in points."""
        change = percent(self.change, sign=True)
        return f"{self.name}{unit}", percent(self.first), percent(self.second), change


@dataclasses.dataclass(frozen=True)
class ModelComparison:
    """Two models on the same images, at the labels' own size.

    Attributes:
        models: how the two were named.
        dataset: name of the data set.
        split: of it.
        class_names: of the data set.
        agreement: share of all pixels, void ones too, to which both give the same class, 0..1.
        scores: of either model.
        right: of the labelled pixels where they differ, the shares where the first is right, the
            second, and neither; None where they differ nowhere.
        departures: the commonest pairs of classes, the greatest first.
        pictures: all, the least agreement first.
    """

    models: tuple[str, str]
    dataset: str
    split: str
    class_names: tuple[str, ...]
    agreement: float
    scores: tuple[Scores, Scores]
    right: tuple[float, float, float] | None
    departures: tuple[Departure, ...]
    pictures: tuple[ComparedImage, ...]

    def deltas(self) -> list[Delta]:
        """The IoU of each class, and the mean IoU last."""
        first, second = self.scores
        rows = [*zip(self.class_names, first.class_iou, second.class_iou, strict=True)]
        return [Delta(*row) for row in (*rows, ("mean IoU", first.miou, second.miou))]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, shares 0..1; None for what has no value."""
        *classes, mean = self.deltas()
        return {
            "models": _sides(*self.models),
            "dataset": self.dataset,
            "split": self.split,
            "images": len(self.pictures),
            "agreement": self.agreement,
            "miou": _sides(*(s.miou for s in self.scores)),
            "pixel_accuracy": _sides(*(s.pixel_accuracy for s in self.scores)),
            "class_iou": {
                d.name: {**_sides(d.first, d.second), "delta": d.change} for d in classes
            },
            "miou_delta": mean.change,
            "right_where_they_differ": self.right
            and {**_sides(*self.right[:2]), "neither": self.right[2]},
            "departures": [dataclasses.asdict(item) for item in self.departures],
            "pictures": [
                {"name": p.name, "agreement": p.agreement, "miou": _sides(*p.miou)}
                for p in self.pictures
            ],
        }

    def text(self) -> str:
        """Tables for people, in percent."""
        rows = [("IoU, %", "first", "second", "delta"), *(d.cells() for d in self.deltas())]
        worst = self.pictures[0]
        lines = [
            f"first: {printable(self.models[0])}",
            f"second: {printable(self.models[1])}",
            text_table(rows, None),
            f"{percent(self.agreement, 3)} % of the pixels of {len(self.pictures)} images agree; "
            f"least {percent(worst.agreement)} % in {printable(Path(worst.name).name)}",
        ]
        if self.right:
            shares = (f"{percent(share, 1)} %" for share in self.right)
            lines.append("where they differ: first right {}, second {}, neither {}".format(*shares))
        return "\n".join(lines)

    __str__ = text


def _sides(first: Any, second: Any) -> dict[str, Any]:
    return {"first": first, "second": second}
