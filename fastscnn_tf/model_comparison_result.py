"""`ModelComparison`: what two models made of the same pictures, as tables and as JSON."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from .core.foreign_text import printable
from .core.scores import Scores
from .core.text_table import text_table


@dataclasses.dataclass(frozen=True)
class ComparedPicture:
    """What two models made of a picture.

    Attributes:
        index: in its split.
        name: of the picture.
        agreement: share of its pixels to which both give the same class, 0..1.
        miou: of either model on this picture alone; None where all of it is void.
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


@dataclasses.dataclass(frozen=True)
class ModelComparison:
    """Two models on the same pictures, at the labels' own size.

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
    pictures: tuple[ComparedPicture, ...]

    def deltas(self) -> list[tuple[str, float | None, float | None, float | None]]:
        """Class, IoU of the first, of the second, and the second minus the first; mean IoU last."""
        first, second = self.scores
        rows = [*zip(self.class_names, first.class_iou, second.class_iou, strict=True)]
        rows.append(("mean IoU", first.miou, second.miou))
        return [(n, a, b, None if a is None or b is None else b - a) for n, a, b in rows]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, shares 0..1; None for what has no value."""
        sides = ("first", "second")
        return {
            "models": dict(zip(sides, self.models, strict=True)),
            "dataset": self.dataset,
            "split": self.split,
            "images": len(self.pictures),
            "agreement": self.agreement,
            "miou": dict(zip(sides, (s.miou for s in self.scores), strict=True)),
            "pixel_accuracy": dict(
                zip(sides, (s.pixel_accuracy for s in self.scores), strict=True)
            ),
            "class_iou": {
                name: {"first": a, "second": b, "delta": delta}
                for name, a, b, delta in self.deltas()[:-1]
            },
            "miou_delta": self.deltas()[-1][-1],
            "right_where_they_differ": self.right
            and dict(zip((*sides, "neither"), self.right, strict=True)),
            "departures": [dataclasses.asdict(item) for item in self.departures],
            "pictures": [
                {
                    "name": p.name,
                    "agreement": p.agreement,
                    "miou": dict(zip(sides, p.miou, strict=True)),
                }
                for p in self.pictures
            ],
        }

    def text(self) -> str:
        """Tables for people, in percent."""
        rows = [("IoU, %", "first", "second", "delta")]
        rows += [(n, percent(a), percent(b), signed(d)) for n, a, b, d in self.deltas()]
        worst = self.pictures[0]
        lines = [
            f"first: {printable(self.models[0])}",
            f"second: {printable(self.models[1])}",
            text_table(rows, None),
            f"{self.agreement * 100:.3f} % of the pixels of {len(self.pictures)} pictures agree; "
            f"least {worst.agreement * 100:.2f} % in {printable(Path(worst.name).name)}",
        ]
        if self.right:
            shares = (f"{share * 100:.1f} %" for share in self.right)
            lines.append("where they differ: first right {}, second {}, neither {}".format(*shares))
        return "\n".join(lines)


def percent(share: float | None) -> str:
    """A share 0..1 in percent, with two digits."""
    return "-" if share is None else f"{share * 100:.2f}"


def signed(share: float | None) -> str:
    """A difference of shares in points, with its sign."""
    return "-" if share is None else f"{share * 100:+.2f}"
