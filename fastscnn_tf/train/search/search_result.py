"""What a hyper-parameter search found."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ...core.text_table import percent, text_table
from ..settings import TrainSettings


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """One finished trial.

    Attributes:
        number: from 0, in the order of beginning.
        state: `complete`, `pruned` or `diverged`.
        miou: best validation mIoU, 0..1; 0 where it diverged.
        epochs: epochs that were validated last.
        values: what was tried.
    """

    number: int
    state: str
    miou: float
    epochs: int
    values: dict[str, Any]

    def line(self) -> str:
        """One sentence."""
        values = ", ".join(f"{name} {short(value)}" for name, value in self.values.items())
        score = f"val mIoU {percent(self.miou)} %"
        return f"{self.state}, {score} after epoch {self.epochs} with {values}"


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """A finished search.

    Attributes:
        folder: holds `study.db`, `search.json`, `best.json` and a run folder for each trial.
        trials: by falling mIoU, complete ones first.
        best: the settings of the best complete trial.
        recipe: where they lie, as a recipe for `train`.
    """

    folder: Path
    trials: tuple[TrialResult, ...]
    best: TrainSettings
    recipe: Path

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        trials = [dataclasses.asdict(trial) for trial in self.trials]
        return {"folder": str(self.folder), "trials": trials, "best": self.best.to_dict()}

    def table(self) -> str:
        """For people, best first."""
        names = list(self.trials[0].values)
        rows = [["trial", "state", "mIoU, %", "epochs", *names]]
        for trial in self.trials:
            values = [short(trial.values.get(name)) for name in names]
            score = percent(trial.miou)
            rows.append([str(trial.number), trial.state, score, str(trial.epochs), *values])
        return text_table(rows)

    __str__ = table


def short(value: object) -> str:
    """A value as it stands in a table."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
