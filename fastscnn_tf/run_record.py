"""`read_run`: what `train`, `quantize` and `pretrain` left in a run folder."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from .core.errors import InputError
from .core.files import read_json
from .core.scores import scores
from .core.sizes import format_size
from .run_log import Row, read_log
from .train.callbacks import LOG, SCORE, STATE
from .train.run_folder import LOCK, RUN

TRAIN, QUANTIZE, PRETRAIN = "train", "quantize", "pretrain"
RUNNING, FINISHED, STOPPED = "running", "finished", "stopped"
TOP1 = "val_top1"
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
        if not isinstance(size, list) or len(size) != 2:
            return ""
        return format_size((size[0], size[1]))

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


def read_run(folder: str | os.PathLike[str]) -> Run:
    """Reads a run folder; runs of older versions, and those still in training, as far as they go.

    Raises:
        InputError: it is no run folder, or a file in it is damaged.
    """
    folder = Path(folder)
    if not (folder / RUN).is_file():
        raise InputError(f"{folder} is not a run: it holds no {RUN}")
    run = _mapping(folder / RUN, read_json(folder / RUN))
    settings = _part(folder / RUN, run, "settings", needed=True)
    config = _part(folder / RUN, run, "config")
    path = folder / STATE
    state = _mapping(path, read_json(path)) if path.exists() else {"epochs_done": 0}
    done, best, best_epoch = (state.get(name) for name in ("epochs_done", "best", "best_epoch"))
    if not _is_count(done) or not (best is None or _is_score(best)):
        raise InputError(f"{path}: damaged, it does not say how far the run came")
    best_epoch = best_epoch if _is_count(best_epoch) else None
    rows = read_log(folder / LOG)
    names = _names(folder / RUN, config)
    matrix = _confusion(path, state.get("confusion"), names)
    return Run(
        folder=folder,
        kind=_kind(settings),
        settings=settings,
        config=config,
        versions=_part(folder / RUN, run, "versions"),
        machine=_part(folder / RUN, run, "machine"),
        epochs_done=done,
        best=best,
        best_epoch=best_epoch,
        scores=_part(path, state, "scores"),
        confusion=matrix,
        class_iou=_class_iou(matrix, names, state, rows, best_epoch),
        rows=rows,
        state=_state(folder, settings, done, best_epoch),
        date=_date(path if path.exists() else folder / RUN),
    )


def _mapping(path: Path, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{path}: damaged, expected names and values")
    return value


def _part(path: Path, run: dict[str, Any], name: str, needed: bool = False) -> dict[str, Any]:
    value = run.get(name, None if needed else {})
    if not isinstance(value, dict):
        raise InputError(f"{path}: damaged, it holds no {name}")
    return value


def _names(path: Path, config: dict[str, Any]) -> tuple[str, ...]:
    names = config.get("class_names") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: damaged, its class names are no list of names")
    return tuple(names)


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 0


def _is_score(value: Any) -> TypeGuard[float]:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)


def _kind(settings: dict[str, Any]) -> str:
    if "model" in settings:
        return QUANTIZE
    return TRAIN if "dataset" in settings else PRETRAIN


def _confusion(path: Path, value: Any, names: Sequence[str]) -> np.ndarray | None:
    if value is None:
        return None
    try:
        matrix = np.array(value, np.int64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.zeros(0, np.int64)
    rows = len(names) or len(matrix)
    if matrix.shape not in ((rows, rows), (rows, rows + 1)) or matrix.size == 0:
        raise InputError(f"{path}: damaged, its confusion matrix is not one of {rows} classes")
    return matrix


def _class_iou(matrix, names, state, rows, best_epoch) -> dict[str, float | None]:
    """From the confusion matrix, the saved values or the log, whichever there is."""
    if matrix is not None and len(names) == len(matrix):
        return dict(zip(names, scores(matrix).class_iou, strict=True))
    saved = state.get("class_iou")
    if isinstance(saved, dict) and all(v is None or _is_score(v) for v in saved.values()):
        return saved
    best: Row = next((row for row in rows if row["epoch"] == best_epoch), {})
    columns = [name for name in best if name.startswith(CLASS_COLUMN)]
    return {name.removeprefix(CLASS_COLUMN): best[name] for name in columns}


def _state(folder: Path, settings: dict[str, Any], done: int, best_epoch: int | None) -> str:
    if _locked(folder / LOCK):
        return RUNNING
    planned, patience = settings.get("epochs"), settings.get("early_stopping")
    if _is_count(planned) and done >= planned:
        return FINISHED
    gave_up = _is_count(patience) and patience and done - (best_epoch or 0) >= patience
    return FINISHED if gave_up else STOPPED


def _locked(path: Path) -> bool:
    """Whether a process holds the lock. A shared one is tried: two lists do not see each other."""
    try:
        import fcntl
    except ImportError:
        return False  # such systems have no lock
    with contextlib.suppress(FileNotFoundError, PermissionError), path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _date(path: Path) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(path.stat().st_mtime).astimezone()
