"""`read_run`: what `train`, `quantize` and `pretrain` left in a run folder."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from ..core.aliases import StrPath
from ..core.errors import InputError
from ..core.files.folder_lock import is_held
from ..core.files.json_text import Name, convert
from ..core.files.reading import read_bytes
from ..core.labels import MAX_CLASSES
from ..core.scores.confusion import scores
from ..core.sizes import MAX_SIDE, format_size
from .run_files import LOG, RUN, SCORE, STATE, Epochs, State, read_run_file, read_state

Side = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIDE)]

TRAIN, QUANTIZE, PRETRAIN = "train", "quantize", "pretrain"
RUNNING, FINISHED, STOPPED = "running", "finished", "stopped"
TOP1 = "val_top1"
Row = dict[str, float | None]
LARGEST, CELLS = 16 << 20, 3_000_000  # bytes and cells: those of 100,000 epochs and 20 classes
COLUMNS = 1000  # those of every class, and some more
CLASS_COLUMN = "val_iou_"  # what the log's columns of class IoU begin with


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A run folder's content.

    Attributes:
        folder: where it lies.
        kind: `train`, `quantize` or `pretrain`.
        settings: those it was started with.
        config: of its network (fields of `FastSCNNConfig`).
        versions: of the programs.
        machine: what it ran on; empty where that was not kept.
        epochs_done: finished epochs.
        best: the best epoch's validation score, 0..1: mIoU, or top-1 of `pretrain`.
        best_epoch: that epoch; 0 is calibration before fine-tuning.
        scores: of that epoch, `val_...` -> value.
        confusion: (classes, classes or one more) int64 counts of that epoch, rows are true classes.
        class_iou: class -> IoU of that epoch, as far as they are known.
        rows: of `log.csv`, one for each epoch, None where a cell is empty.
        state: `running`, `finished` or `stopped`.
        date: of its last change.
    """

    folder: Path
    kind: str
    settings: dict[str, Any]
    config: dict[str, Any]
    versions: dict[str, Any]
    machine: dict[str, Any]
    epochs_done: int
    best: float | None
    best_epoch: int | None
    scores: dict[str, Any]
    confusion: np.ndarray | None
    class_iou: dict[str, float | None]
    rows: tuple[Row, ...]
    state: str
    date: datetime.datetime

    @property
    def score(self) -> str:
        """Name of the score in the log."""
        return TOP1 if self.kind == PRETRAIN else SCORE

    @property
    def epochs(self) -> int | None:
        """Epochs that were planned."""
        return self.settings.get("epochs")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the network's classes, as far as they have names."""
        return tuple(self.config.get("class_names") or ())

    @property
    def size(self) -> str:
        """`HxW` of the network's input; empty where it is not known."""
        size = self.config.get("input_size") or self.settings.get("size")
        return format_size((size[0], size[1])) if size else ""

    @property
    def seconds(self) -> float | None:
        """Time of all epochs; None where an epoch has none."""
        each = [row.get("seconds") for row in self.rows if row["epoch"]]
        known = [value for value in each if value is not None]
        return sum(known) if len(known) == self.epochs_done > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, in short: no log and no confusion matrix."""
        return {
            "folder": str(self.folder),
            "kind": self.kind,
            "state": self.state,
            "date": self.date.isoformat(timespec="seconds"),
            "size": self.size,
            "epochs_done": self.epochs_done,
            "score": self.score,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "class_iou": self.class_iou,
            "settings": self.settings,
            "versions": self.versions,
        }


def read_run(folder: StrPath) -> Run:
    """Reads a run folder; runs of older versions, and those still in training, as far as they go.

    Raises:
        InputError: it is not a run folder, or a file in it is damaged.
    """
    folder = Path(folder)
    if not os.path.lexists(folder / RUN):
        raise InputError(f"{folder} is not a run: it holds no {RUN}")
    run, path = read_run_file(folder), folder / STATE
    convert(run.settings, f"{folder / RUN}: damaged, settings", _Known)
    network: _Network = convert(run.config, f"{folder / RUN}: damaged, config", _Network)
    there = os.path.lexists(path)
    state = read_state(folder) if there else State(0)
    rows = read_log(folder / LOG)
    names = tuple(network.class_names or ())
    matrix = _confusion(path, state.confusion, names)
    return Run(
        folder=folder,
        kind=_kind(run.settings),
        **msgspec.structs.asdict(run),
        **{name: getattr(state, name) for name in ("epochs_done", "best", "best_epoch", "scores")},
        confusion=matrix,
        class_iou=_class_iou(matrix, names, state, rows),
        rows=rows,
        state=_state(folder, run.settings, state),
        date=_date(path if there else folder / RUN),
    )


class _Known(msgspec.Struct):
    """Settings that are looked at, of every kind of run; the others are shown only."""

    epochs: Epochs | None = None
    early_stopping: Epochs | None = None
    size: tuple[Side, Side] | None = None
    dataset: str | None = None
    data_dir: str | None = None
    recipe: str | None = None
    augment: str | None = None
    preset: str | None = None
    model: str | None = None
    init_from: str | None = None
    extra_dataset: str | None = None
    extra_split: str | None = None
    skip_bad: bool = False
    match: str = "name"
    class_map: str | None = None


class _Network(msgspec.Struct):
    """What of a configuration is looked at."""

    class_names: Annotated[list[Name], msgspec.Meta(max_length=MAX_CLASSES)] | None = None
    input_size: tuple[Side, Side] | None = None


def _kind(settings: dict[str, Any]) -> str:
    if "model" in settings:
        return QUANTIZE
    return TRAIN if "dataset" in settings else PRETRAIN


def _confusion(
    path: Path, value: list[list[int]] | None, names: Sequence[str]
) -> np.ndarray | None:
    if value is None:
        return None
    rows = len(names) or len(value)
    widths = {len(row) for row in value}
    if len(value) != rows or widths not in ({rows}, {rows + 1}):
        raise InputError(f"{path}: damaged, its confusion matrix is not one of {rows} classes")
    return np.array(value, np.int64)


def _class_iou(
    matrix: np.ndarray | None, names: Sequence[str], state: State, rows: Sequence[Row]
) -> dict[str, float | None]:
    """From the confusion matrix, the saved values or the log, whichever there is."""
    if matrix is not None and len(names) == len(matrix):
        return dict(zip(names, scores(matrix).class_iou, strict=True))
    if state.class_iou is not None:
        return state.class_iou
    best: Row = next((row for row in rows if row["epoch"] == state.best_epoch), {})
    columns = [name for name in best if name.startswith(CLASS_COLUMN)]
    return {name.removeprefix(CLASS_COLUMN): best[name] for name in columns}


def _state(folder: Path, settings: dict[str, Any], state: State) -> str:
    if is_held(folder):
        return RUNNING
    planned, patience = settings.get("epochs"), settings.get("early_stopping")
    if planned is not None and state.epochs_done >= planned:
        return FINISHED
    gave_up = patience and state.epochs_done - (state.best_epoch or 0) >= patience
    return FINISHED if gave_up else STOPPED


def _date(path: Path) -> datetime.datetime:
    try:
        return datetime.datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    except (OverflowError, ValueError, OSError):  # an archive may say any time
        return datetime.datetime.fromtimestamp(0, datetime.UTC)


def read_log(path: Path) -> tuple[Row, ...]:
    """Reads a log; older versions wrote fewer columns.

    Returns:
        A row for each epoch in their order, None where a cell is empty or no finite number. A row
        that a resumed run wrote again replaces the first one. Nothing without a file.

    Raises:
        InputError: the file is not text, no table with a column `epoch`, or too large.
    """
    if not os.path.lexists(path):
        return ()
    rows: dict[int, Row] = {}
    try:
        text = read_bytes(path, "log", largest=LARGEST).decode()
        lines = csv.reader(io.StringIO(text, newline=""))
        columns = next(lines, ["epoch"])
        if "epoch" not in columns or len(columns) > COLUMNS:
            raise ValueError(f"expected at most {COLUMNS} columns, epoch among them")
        for line in lines:
            cells = itertools.zip_longest(columns, line[: len(columns)])
            row = {name: _number(cell) for name, cell in cells}
            epoch = row.get("epoch")
            if epoch is not None and epoch.is_integer():  # else the last line, cut off
                rows[int(epoch)] = row
            if len(rows) * len(columns) > CELLS:
                raise ValueError(f"more than {CELLS:,} cells")
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: damaged ({str(error).removeprefix(f'{path}: ')})") from None
    return tuple(rows[epoch] for epoch in sorted(rows))


def _number(cell: str | None) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
