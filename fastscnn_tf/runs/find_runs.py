"""`find_runs`: run folders, found below others and listed as a table."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..core.aliases import StrPath
from ..core.errors import ConfigError, FastSCNNError, InputError
from ..core.foreign_text import one_line, printable_lines
from ..core.text_table import percent, text_table
from .run_files import RUN
from .run_record import PRETRAIN, QUANTIZE, Run, read_run

DAMAGED = "damaged"
NOT_SEARCHED = ("tensorboard", "report")  # folders of a run that hold no others
SORTS = ("date", "miou")
COLUMNS = ("run", "kind", "data set", "size", "recipe", "epochs", "best", "date", "state")


@dataclasses.dataclass(frozen=True)
class Damaged:
    """A folder with a `run.json` that cannot be read as a run.

    Attributes:
        folder: where it lies.
        reason: one line.
    """

    folder: Path
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"folder": str(self.folder), "state": DAMAGED, "reason": self.reason}


def find_runs(folders: Iterable[StrPath] = (".",), sort: str = "date") -> list[Run | Damaged]:
    """All runs in some folders and the folders below them.

    Args:
        folders: where to look; links to folders are not followed.
        sort: `date` (the latest first) or `miou` (the best first, then those without one).

    Raises:
        ConfigError: another order.
        InputError: there is no such folder.
    """
    if sort not in SORTS:
        raise ConfigError(f"sort must be {' or '.join(SORTS)}, got {sort!r}")
    found: dict[Path, Run | Damaged] = {}
    for top in map(Path, folders):
        if not top.is_dir():
            raise InputError(f"{top}: no such folder")
        for folder in _run_folders(top, found):
            try:
                found.setdefault(folder.resolve(), read_run(folder))
            except (FastSCNNError, OSError) as error:
                reason = one_line(str(error).removeprefix(f"{folder}{os.sep}"))
                found.setdefault(folder.resolve(), Damaged(folder, reason))
    runs = sorted((r for r in found.values() if isinstance(r, Run)), key=_ORDERS[sort])
    return [*runs, *(d for d in found.values() if isinstance(d, Damaged))]


_ORDERS: dict[str, Any] = {
    "date": lambda run: -run.date.timestamp(),
    "miou": lambda run: (run.kind == "pretrain" or run.best is None, -(run.best or 0.0)),
}


def _run_folders(top: Path, found: dict[Path, Run | Damaged]) -> Iterable[Path]:
    def unreadable(error: OSError) -> None:
        folder = Path(error.filename)
        found.setdefault(folder.resolve(), Damaged(folder, f"cannot be listed: {error.strerror}"))

    for name, below, files in os.walk(top, onerror=unreadable):
        is_run = RUN in files
        below[:] = sorted(
            n for n in below if not n.startswith(".") and not (is_run and n in NOT_SEARCHED)
        )
        if is_run:
            yield Path(name)


def runs_table(runs: Sequence[Run | Damaged]) -> str:
    """Runs as aligned columns; damaged ones below, each with the reason."""
    rows = [COLUMNS, *(_cells(run) for run in runs if isinstance(run, Run))]
    damaged = printable_lines(
        f"{d.folder}: {DAMAGED}, {d.reason}" for d in runs if isinstance(d, Damaged)
    )
    table = text_table(rows) if len(rows) > 1 else ""
    return "\n".join(filter(None, (table, damaged))) or "no runs found"


def _cells(run: Run) -> tuple[str, ...]:
    data = run.settings.get("dataset") or run.settings.get("data_dir")
    planned = "?" if run.epochs is None else run.epochs
    return (
        str(run.folder),
        run.kind,
        str(data or "-"),
        run.size or "-",
        recipe_name(run),
        f"{run.epochs_done}/{planned}",
        best_text(run),
        f"{run.date:%Y-%m-%d %H:%M}",
        run.state,
    )


def recipe_name(run: Run) -> str:
    """The recipe, or for kinds of runs that have none the augmentation or the architecture."""
    names = {QUANTIZE: "augment", PRETRAIN: "preset"}
    return str(run.settings.get(names.get(run.kind, "recipe")) or "paper")


def best_text(run: Run) -> str:
    """`51.23 % (epoch 80)`, with the score's name where it is not a mIoU."""
    if run.best is None:
        return "-"
    name = "top-1 " if run.kind == PRETRAIN else ""
    at = "" if run.best_epoch is None else f" (epoch {run.best_epoch})"
    return f"{name}{percent(run.best)} %{at}"
