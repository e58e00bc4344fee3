"""What is wrong with a split as a whole, or odd about it, though each of its pairs is right."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from ...core.class_maps import BY_MAP, match_classes
from ...core.errors import ConfigError
from ...core.labels import LabelSpace
from ...core.sizes import STRIDE, Size, format_size
from .findings import Finding, SplitReport
from .label_tables import yaml_classes

MASS, SOME = 0.5, 0.15  # share of void pixels that may be wrong, that may be a class
DARK = 64  # of 255: what 14 bits of 16 reach
AREAS, SHAPES = 4.0, 1.5  # ratios of areas and of proportions from which sizes are very unequal
SHOWN = 6  # classes of a line
BATCH, FEW_STEPS = 12, 10  # the default batch size, and steps an epoch that are few


def class_findings(
    report: SplitReport, labels: LabelSpace, reports: Sequence[SplitReport]
) -> Iterator[Finding]:
    """Classes that never occur, and void that covers most; all void is said of each label map.

    Args:
        report: of the split.
        labels: its classes.
        reports: of all splits: a class that occurs in another one is missing here alone.
    """
    maps, total = f"{report.pairs} label maps", sum(report.pixels)
    if not total:
        return
    place = report.split
    if report.void_share and report.void_share > MASS:
        text = f"{report.void_share:.1%} of the pixels of {maps} are void"
        yield Finding("mass-void", place, place, text)
    seen = {index for index, pixels in enumerate(report.pixels) if pixels}
    if found := absent(labels, seen, report.pairs):
        kind, text = found
        if report.void_share and report.void_share > SOME:
            text += f", of which {report.void_share:.0%} is void: is that the value of a class?"
        never = [name for index, name in enumerate(labels.names) if index not in seen]
        yield Finding(kind, place, place, text, _without_absent(never, labels, reports))


def absent(labels: LabelSpace, seen: Collection[int], maps: int) -> tuple[str, str] | None:
    """The kind of finding, and the text, where label maps lack classes; None where they do not.

    Args:
        labels: the classes.
        seen: indices of those that occur, at least one.
        maps: how many label maps were looked at.
    """
    never = ", ".join(name for index, name in enumerate(labels.names) if index not in seen)
    if not never:
        return None
    if len(seen) > 1:
        return "never", f"{never} never occur{'' if ', ' in never else 's'} in {maps} label maps"
    (only,) = seen
    text = f"ONLY ONE CLASS OCCURS in {maps} label maps: {labels.names[only]}, never {never}"
    return "one-class", text


def _without_absent(never: list[str], labels: LabelSpace, reports: Sequence[SplitReport]) -> str:
    """What to do about classes that a split lacks; the others keep their label values."""
    everywhere = [sum(pixels) for pixels in zip(*(each.pixels for each in reports), strict=True)]
    values = zip(labels.names, labels.values_of_classes(), everywhere, strict=True)
    kept = {name: value for name, value, pixels in values if pixels}
    if elsewhere := [name for name in never if name in kept]:
        return f"add images of {', '.join(elsewhere)}, which other splits hold"
    if not labels.raw_values or len(kept) < 2:  # colours say the class, or nothing is left
        return ""
    return (
        "in dataset.yaml: give the class its value, or add images of it; to go on without: "
        f"{yaml_classes([*kept], [*kept.values()])}"
    )


def unused_bits(split: str, path: str, deep: Sequence[int]) -> Iterator[Finding]:
    """Images of 16 bits of a split, none of which uses the upper ones.

    Args:
        split: its name.
        path: the first of them.
        deep: the largest value of each, as 0..255.
    """
    if deep and 0 < max(deep) <= DARK:  # 0: of one colour
        bits = (max(deep) * 257 - 128).bit_length()  # 257 * 255 is 65535
        text = f"none of {len(deep)} images of 16 bits uses more than the lower {bits}"
        yield Finding("unused-bits", split, path, text)


def unequal_sizes(splits: str, sizes: Sequence[Size]) -> Iterator[Finding]:
    """Sizes of images that are too far apart for one `--size`."""
    if not sizes:
        return
    known = np.array(sizes, float)
    areas, shapes = known.prod(1), known[:, 1] / known[:, 0]
    if areas.max() < AREAS * areas.min() and shapes.max() < SHAPES * shapes.min():
        return
    ordered = sorted(set(sizes), key=lambda size: size[0] * size[1])
    usual = [max(1, round(float(side) / STRIDE)) * STRIDE for side in np.median(sizes, axis=0)]
    text = (
        f"from {format_size(ordered[0])} to {format_size(ordered[-1])}, width by height from "
        f"{shapes.min():.2f} to {shapes.max():.2f}"
    )
    mend = (
        f"--size {format_size((usual[0], usual[1]))} is near the median; --fit letterbox keeps "
        "proportions in evaluate and predict; or crop them alike"
    )
    yield Finding("sizes", splits, splits, text, mend)


def few_steps(report: SplitReport) -> Iterator[str]:
    """What so few images mean for the running statistics of batch normalisation."""
    steps = report.usable // BATCH or 1
    if report.split == "train" and report.usable and steps < FEW_STEPS:
        yield (
            f"train: {report.usable} pairs are {steps} step{'' if steps == 1 else 's'} an epoch at "
            f"--batch-size {BATCH}: train lowers the momentum of batch normalisation to what the "
            "steps of its run allow, so that the statistics do not lag behind (--bn-momentum)"
        )


def class_order(split: str, labels: LabelSpace, model: LabelSpace) -> tuple[list[Finding], str]:
    """Whether commands match a model's classes with these: what is wrong, or how they do it.

    Args:
        split: its name.
        labels: classes of the data set.
        model: those of the model.
    """
    try:
        match = match_classes(dataclasses.replace(model, name="model"), labels)
    except ConfigError as error:
        told, _, index = str(error).partition(f": {BY_MAP}")
        mend = f"name the same classes alike; or {BY_MAP}{index}"
        return [Finding("class-order", split, split, told, mend)], ""
    order = ""
    if labels.names != model.names:
        order = f": {_first(labels)} here, {_first(model)} in the model"
    return [], f"--model: {match.protocol}{order}" if match.how else ""


def _first(space: LabelSpace) -> str:
    return ", ".join(space.names[:SHOWN]) + (", ..." if space.names[SHOWN:] else "")
