"""`compare_runs`: settings that differ, scores side by side, and curves over each other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.aliases import StrPath
from ..core.errors import ConfigError, InputError
from ..core.files.writing import check_output, write_bytes
from ..core.foreign_text import printable_lines
from ..core.plots import curves
from ..core.text_table import percent, text_table
from ..runs.run_files import SCORE
from ..runs.run_record import TOP1, Run, read_run

PANELS = {"loss": "loss", "learning_rate": "learning rate", SCORE: "val mIoU", TOP1: "val top-1"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Runs side by side; the first one is what the others are compared with.

    Attributes:
        runs: at least two.
        settings: names of settings and versions -> their values where these differ; None where a
            run has none.
        scores: best score and per-class IoU of each run, 0..1, None where a run has none.
    """

    runs: tuple[Run, ...]
    settings: dict[str, tuple[Any, ...]]
    scores: dict[str, tuple[float | None, ...]]

    def deltas(self, name: str) -> tuple[float | None, ...]:
        """How much each run's score is above the first one's."""
        first, *_ = values = self.scores[name]
        return tuple(None if v is None or first is None else v - first for v in values)

    def text(self) -> str:
        """Tables for the console."""
        letters = LETTERS[: len(self.runs)]
        named = zip(letters, self.runs, strict=True)
        parts = [printable_lines(f"{letter}  {run.folder}" for letter, run in named)]
        if self.settings:
            rows = [(name, *map(_shown, values)) for name, values in self.settings.items()]
            parts.append(text_table([("setting", *letters), *rows]))
        else:
            parts.append("no setting differs")
        rows = [
            (name, *map(_score, values, self.deltas(name))) for name, values in self.scores.items()
        ]
        parts.append(text_table([("score, %", *letters), *rows]))
        return "\n\n".join(parts)

    __str__ = text

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "runs": [str(run.folder) for run in self.runs],
            "settings": {name: list(values) for name, values in self.settings.items()},
            "scores": {name: list(values) for name, values in self.scores.items()},
            "deltas": {name: list(self.deltas(name)) for name in self.scores},
        }

    def curves_png(self) -> bytes:
        """Loss, learning rate and score of all runs over the epochs.

        Raises:
            InputError: no run has a log, or matplotlib is missing.
        """
        named = zip(LETTERS, self.runs, strict=False)
        content = curves([(f"{a}: {run.folder}", run.rows) for a, run in named], PANELS)
        if content is None:
            raise InputError("no run has a log with finished epochs: there is nothing to draw")
        return content


def compare_runs(
    folders: Sequence[StrPath], output: StrPath | None = None, force: bool = False
) -> Comparison:
    """Reads runs to compare them, and draws their curves if wanted.

    Args:
        folders: two run folders or more.
        output: a PNG file for the curves.
        force: replace it.

    Raises:
        ConfigError: fewer than two runs or more than 26.
        InputError: one is not a run, or is damaged.
        OutputError: the file exists already, is not a .png, or cannot be written.
    """
    if not 2 <= len(folders) <= len(LETTERS):
        raise ConfigError(f"compare needs 2 to {len(LETTERS)} runs, got {len(folders)}")
    if output is not None:
        output = check_output(output, force)
        if Path(output).suffix.lower() != ".png":
            raise ConfigError(f"{output}: curves are drawn into a .png file")
    runs = tuple(map(read_run, folders))
    result = Comparison(runs, _differing(runs), _scores(runs))
    if output is not None:
        write_bytes(output, result.curves_png())
    return result


def _differing(runs: Sequence[Run]) -> dict[str, tuple[Any, ...]]:
    tables = [
        {"kind": run.kind, "network size": run.size, **run.settings}
        | {f"version of {name}": version for name, version in run.versions.items()}
        for run in runs
    ]
    names = dict.fromkeys(name for table in tables for name in table)
    rows = {name: tuple(table.get(name) for table in tables) for name in names}
    return {name: values for name, values in rows.items() if any(v != values[0] for v in values)}


def _scores(runs: Sequence[Run]) -> dict[str, tuple[float | None, ...]]:
    """The best epochs' scores; those that no run has are left out."""
    rows: dict[str, tuple[float | None, ...]] = {
        "mIoU": tuple(run.best if run.score == SCORE else None for run in runs),
        "top-1": tuple(run.best if run.score == TOP1 else None for run in runs),
        "pixel accuracy": tuple(run.scores.get("val_pixel_accuracy") for run in runs),
    }
    names = dict.fromkeys(name for run in runs for name in run.class_iou)
    rows |= {f"IoU {name}": tuple(run.class_iou.get(name) for run in runs) for name in names}
    return {name: values for name, values in rows.items() if any(v is not None for v in values)}


def _shown(value: object) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value)


def _score(value: float | None, delta: float | None) -> str:
    return percent(value) + ("" if delta is None else f" ({percent(delta, sign=True)})")
