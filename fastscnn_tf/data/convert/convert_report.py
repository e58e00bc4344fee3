"""What a conversion read, merged and dropped, for people and programs."""

import dataclasses
from typing import Any

from ...core.foreign_text import printable, printable_lines, shell_path
from ...core.text_table import percent, text_table
from .source import Notes

FORMAT = "fastscnn-convert"  # in the file: it is what this package wrote


@dataclasses.dataclass(frozen=True)
class ConvertReport:
    """What was converted.

    Attributes:
        source: the folder or file.
        output: the new data set.
        format: of the source.
        recognised: what the format was recognised by.
        splits: images of each split.
        classes: pixels of each class.
        void: pixels that are ignored.
        merged: classes that are made of others.
        dropped_classes: classes of the source that became void.
        notes: what was dropped or taken for granted: reason, count, examples.
    """

    source: str
    output: str
    format: str
    recognised: str
    splits: dict[str, int]
    classes: dict[str, int]
    void: int
    merged: dict[str, tuple[str, ...]]
    dropped_classes: tuple[str, ...]
    notes: Notes

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in `report.json`."""
        notes = [
            {"reason": reason, "count": count, "examples": self.notes.examples[reason]}
            for reason, count in self.notes.counts.items()
        ]
        merged = {new: list(olds) for new, olds in self.merged.items()}
        own = {"merged": merged, "dropped_classes": list(self.dropped_classes), "notes": notes}
        return {"file": FORMAT, **vars(self), **own}

    def text(self) -> str:
        """For a console: the format, the classes, and each note on a line."""
        total = max(sum(self.classes.values()) + self.void, 1)
        splits = ", ".join(f"{name} {count}" for name, count in self.splits.items())
        rows = [("class", "% of pixels", "made of")]
        rows += [
            (name, percent(pixels / total), ", ".join(self.merged.get(name, ())))
            for name, pixels in self.classes.items()
        ]
        rows.append(("void (ignored)", percent(self.void / total), ", ".join(self.dropped_classes)))
        lines = [f"{self.source}: {self.format} ({self.recognised})", f"images: {splits}"]
        table = text_table(rows, right=(1,))
        if empty := [name for name, pixels in self.classes.items() if not pixels]:
            lines.append(f"no pixel of: {', '.join(empty)}")
        said = [
            f"- {reason} ({count}{_examples(self.notes.examples[reason])})"
            for reason, count in self.notes.counts.items()
        ]
        data = f"--dataset folder --data-dir {shell_path(self.output)}"
        said.append(f"Next: fastscnn data check {data}")
        return "\n".join([printable_lines(lines), table, printable_lines(said)])


def _examples(names: list[str]) -> str:
    return f": {', '.join(map(printable, names))}" if names else ""
