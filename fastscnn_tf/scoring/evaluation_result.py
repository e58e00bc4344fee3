"""`Evaluation`: the result of scoring a model on a split, as a table and as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..core.console import first_few
from ..core.foreign_text import html, printable
from ..core.report_page import Table, table_html
from ..core.scores.boundary import BoundaryScores
from ..core.scores.confusion import Scores, of_known
from ..core.scores.instances import InstanceScores
from ..core.text_table import percent, text_table

HEAD = ("class IoU and means", "%")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of scoring a model on a split.

    Attributes:
        miou: mean IoU, 0..1; None without scored pixels.
        pixel_accuracy: 0..1.
        class_iou: class name -> IoU or None where the class never occurs.
        images: number of images scored.
        latency_ms: `median` and `p90` of the network (all views or windows of an image together)
            after a warm-up run, in milliseconds, while other images are decoded and scored on
            the same cores; `benchmark` has them to itself.
        protocol: how it was measured.
        details: model, data set, split and input size.
        scores: the scores with their confusion matrix.
        boundary: boundary F-scores by tolerance, where they were asked for.
        instances: iIoU, where it was asked for.
        skipped_pairs: those left out because they cannot be used (`skip_bad`), with the reasons.
        remark: for people, such as that the model was trained on this split.
    """

    miou: float | None
    pixel_accuracy: float | None
    class_iou: dict[str, float | None]
    images: int
    latency_ms: dict[str, float]
    protocol: str
    details: dict[str, Any]
    scores: Scores
    boundary: tuple[BoundaryScores, ...] = ()
    instances: InstanceScores | None = None
    skipped_pairs: tuple[str, ...] = ()
    remark: str = ""

    @property
    def skipped(self) -> int:
        """How many pairs were left out."""
        return len(self.skipped_pairs)

    @property
    def skipped_first(self) -> str | None:
        """The first of them and the reason."""
        return next(iter(self.skipped_pairs), None)

    @property
    def never(self) -> list[str]:
        """Classes that no label map holds."""
        pixels = self.scores.matrix.sum(1).tolist()
        return [name for name, found in zip(self.class_iou, pixels, strict=True) if not found]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, None for what has no value; the confusion matrix included."""
        names, scores = tuple(self.class_iou), self.scores
        result: dict[str, Any] = {
            "miou": self.miou,
            "pixel_accuracy": self.pixel_accuracy,
            "mean_accuracy": scores.mean_accuracy,
            "frequency_weighted_iou": scores.frequency_weighted_iou,
            "category_miou": scores.category_miou,
            "class_iou": self.class_iou,
            "never": self.never,
            "class_accuracy": dict(zip(names, scores.class_accuracy, strict=True)),
            "category_iou": scores.category_iou,
        }
        if self.boundary:
            result["boundary_f"] = [_boundary(item, names) for item in self.boundary]
        if self.instances:
            result["iiou"] = dataclasses.asdict(self.instances)
        return result | {
            "images": self.images,
            "skipped": self.skipped,
            "skipped_first": self.skipped_first,
            "skipped_pairs": list(self.skipped_pairs),
            "latency_ms": self.latency_ms,
            "protocol": self.protocol,
            **self.details,
            "confusion_matrix": scores.matrix.tolist(),
        }

    def skip_warning(self) -> str | None:
        """One line about the pairs left out; None if there are none."""
        if not self.skipped:
            return None
        total = self.images + self.skipped
        told = first_few(self.skipped_pairs)
        return f"skipped {self.skipped} of {total} pairs that cannot be used ({told})"

    def table(self) -> str:
        """A table for people, in percent."""
        return f"{text_table([HEAD, *self._rows()], None)}\n{printable(self._measured())}"

    def __str__(self) -> str:
        """What the command line prints."""
        return "\n".join([self.table(), *map(printable, self._said())])

    def _said(self) -> list[str]:
        return [f"protocol: {self.protocol}", *filter(None, [self._absent(), self.remark])]

    def _absent(self) -> str:
        """Which classes the mean says nothing of."""
        if not self.never:
            return ""
        return (
            f"never in the labels: {', '.join(self.never)}; mean IoU is that of the classes in "
            "labels or predictions, as in cityscapesScripts"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        table = table_html(Table(HEAD, tuple(self._rows())), "scores")
        return f"{table}<p>{'<br>'.join(map(html, [self._measured(), *self._said()]))}</p>"

    def _rows(self) -> list[tuple[str, str]]:
        return [(n, percent(share, 1)) for n, share in (*self.class_iou.items(), *self._means())]

    def _measured(self) -> str:
        latency = self.latency_ms
        return (
            f"{self.images} images at {self.details['input_size']}; "
            f"latency {latency['median']:.1f} ms median, {latency['p90']:.1f} ms p90"
        )

    def _means(self) -> list[tuple[str, float | None]]:
        scores = self.scores
        means = [(f"mean IoU{of_known(self.class_iou.values())}", self.miou)]
        if scores.category_iou:
            means.append(("mean category IoU", scores.category_miou))
        if self.instances:
            means.append(("mean iIoU", self.instances.mean))
            means.append(("mean category iIoU", self.instances.category_mean))
        means.append(("frequency-weighted IoU", scores.frequency_weighted_iou))
        for item in self.boundary:
            means.append((f"boundary F at {item.tolerance * 100:.3g} %", item.mean))
        means.append(("mean accuracy", scores.mean_accuracy))
        return [*means, ("pixel accuracy", self.pixel_accuracy)]


def _boundary(item: BoundaryScores, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "tolerance": item.tolerance,
        "mean": item.mean,
        "mean_absent_as_one": item.mean_absent_as_one,
        "class_f": dict(zip(names, item.class_f, strict=True)),
    }
