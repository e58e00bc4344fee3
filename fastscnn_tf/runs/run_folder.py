"""The life of a run in its folder: who may write into it, and what comes back when it fails."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..core.aliases import StrPath
from ..core.arguments import called
from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError, Ended, OutputError, TrainingDiverged
from ..core.files.folder_lock import hold, is_held
from ..core.files.json_text import plain
from ..core.files.writing import check_output_folder, check_plain, write_json
from ..core.foreign_text import printable
from .run_files import LOG, RECIPE, RUN, STATE, State, read_run_file, read_state, write_run

ASIDE = ".replaced"  # where an older run waits
# Everything that training and fine-tuning write; a folder holds one run.
OWN = (
    *(RUN, RECIPE, STATE, LOG, "tensorboard", "report"),
    *("best.keras", "last.keras", "best.npz", "last.npz"),
)
KEPT = "finished epochs are kept, --resume goes on"
KEPT_WITHIN = "all until step {} of epoch {} is kept, --resume goes on"
NOT_KEPT = "nothing of this run is kept"
# Settings that runs of before did not know, with what they did.
ADDED = {"skip_bad": False, "freeze_ranges": 0, "match": "name"}
PATHS = ("data_dir", "model", "class_map")  # settings that may be spelled in several ways
FREE = ("cache", "strategy", "save_every")  # settings that decide nothing


@dataclasses.dataclass(frozen=True)
class OpenRun:
    """A run from the check of its folder to what it leaves there; see `open_run`.

    Attributes:
        folder: of the run.
        settings: plain values; they say how many `epochs` there are.
        resume: whether it goes on with what is there.
        last: the checkpoint to go on from; None where the run begins.
    """

    folder: Path
    settings: dict[str, Any]
    resume: bool
    last: Path | None

    def with_classes(self, names: tuple[str, ...]) -> OpenRun:
        """The run with the data set's classes among its settings, for models that have others.

        Raises:
            ConfigError: it began with other ones, or in another order.
        """
        classes = {"classes": list(names)}
        if self.last:
            began = read_run_file(self.folder, OutputError).settings
            check_same_settings(self.folder, {**classes, **began}, classes)
        return dataclasses.replace(self, settings={**self.settings, **classes})

    def over(self, state: dict[str, Any]) -> bool:
        """Whether nothing is left to do: all epochs, or none that was better for too long."""
        done, patience = state.get("epochs_done", 0), self.settings.get("early_stopping", 0)
        best = state.get("best_epoch")
        waited = patience and best is not None and done - best >= patience
        return done >= self.settings["epochs"] or bool(waited)

    def train(
        self,
        config: FastSCNNConfig,
        state: dict[str, Any],
        fit: Callable[[], None],
        begin: Callable[[], None] = lambda: None,
    ) -> State:
        """Holds the folder, trains what is left, and reads what came out.

        Args:
            config: of the network, for `run.json`.
            state: that of `last`; nothing where the run begins.
            fit: trains and writes checkpoints.
            begin: writes what else belongs to a run that begins.

        Raises:
            OutputError: as `run_folder`.
        """
        with run_folder(self.folder, self.resume):
            if not self.last:
                write_run(self.folder, self.settings, config)
                begin()
            if self.over(state):
                write_json(self.folder / STATE, state)  # a copy, which may have been lost
            else:
                fit()
        return read_state(self.folder)

    def required(self, score: float | None, name: str = "score") -> float:
        """A score that a run of this kind always has.

        Raises:
            OutputError: it has none.
        """
        if score is None:
            raise OutputError(f"{self.folder / STATE}: damaged, it does not say the best {name}")
        return score


def open_run(
    folder: StrPath, settings: dict[str, Any], last: str, resume: bool = False, force: bool = False
) -> OpenRun:
    """Makes sure that a run may begin or go on in a folder, before anything is read or built.

    Args:
        folder: of the run.
        settings: plain values; on resuming they must be those it was started with.
        last: name of the checkpoint.
        resume: go on after the last checkpoint; begin where there is none.
        force: begin anew in a folder that is not empty.

    Raises:
        OutputError: the folder is in use or holds something (else), or a file is damaged.
        ConfigError: naming the first setting that differs.
    """
    folder = check_plain(folder)
    if is_held(folder):  # now rather than when all is read and built
        raise OutputError(f"{folder}: another run is writing into this folder")
    if resume:
        return OpenRun(folder, settings, resume, check_resumable(folder, settings, last))
    return OpenRun(check_output_folder(folder, force, RUN), settings, resume, None)


@contextlib.contextmanager
def run_folder(folder: Path, resume: bool) -> Iterator[None]:
    """Holds a folder for one run.

    A new run moves an older one aside; it comes back if the new one stops before its first
    checkpoint, and goes when the new one has something to show. What a killed process left
    half-written goes.

    Raises:
        OutputError: another process runs in this folder.
        KeyboardInterrupt, Ended: passed on, saying what of the run is kept.
        TrainingDiverged: likewise.
    """
    with hold(folder):
        for name in (ASIDE, "tensorboard", "report"):  # a foreign run: they may lead anywhere
            if (folder / name).is_symlink():
                raise OutputError(f"{folder / name} is a link: remove it first")
        begins = not resume or not _holds_something(folder)
        if begins:
            _move(folder, folder / ASIDE)
        try:
            yield
        except BaseException as error:
            kept = _kept(folder)
            if begins and not kept:
                _move(folder / ASIDE, folder)
            if isinstance(error, KeyboardInterrupt | Ended) and not error.args:
                when = "in training" if kept else "before the end of the first epoch"
                error.args = (f"{when}; {kept or NOT_KEPT}",)
            if isinstance(error, TrainingDiverged):
                raise TrainingDiverged(f"{error} ({kept or NOT_KEPT})") from None
            raise
        finally:
            shutil.rmtree(folder / ASIDE, ignore_errors=True)


def _holds_something(folder: Path) -> bool:
    return any(not path.name.startswith(".") for path in folder.iterdir())


def _move(source: Path, target: Path) -> None:
    """Moves a run; what the target held of another one goes."""
    for name in OWN:
        shutil.rmtree(target / name, ignore_errors=True)
        (target / name).unlink(missing_ok=True)
        if os.path.lexists(source / name):
            target.mkdir(exist_ok=True)
            (source / name).rename(target / name)


def _kept(folder: Path) -> str:
    """What a run that stops leaves to go on from; empty: nothing."""
    if not (folder / STATE).exists():
        return ""
    state = read_state(folder)
    if state.within:
        return KEPT_WITHIN.format(state.within.step, state.epochs_done + 1)
    return KEPT if state.epochs_done else ""


def check_resumable(folder: Path, settings: dict[str, Any], last: str) -> Path | None:
    """Makes sure that a run can go on with these settings.

    Returns:
        The checkpoint to go on from; None where the run was stopped before its first one, or
        before it made its folder: it starts from the beginning then.

    Raises:
        OutputError: the folder holds something else, or a file is damaged.
        ConfigError: naming the first setting that differs.
    """
    if not os.path.lexists(folder / RUN):
        if folder.is_dir() and _holds_something(folder):
            raise OutputError(f"{folder}: nothing to resume, {RUN} is missing")
        return None
    check_same_settings(folder, read_run_file(folder, OutputError).settings, settings)
    return folder / last if (folder / last).is_file() else None


def check_same_settings(folder: Path, before: dict[str, Any], settings: dict[str, Any]) -> None:
    """Makes sure that what goes on began with these settings.

    Args:
        folder: of the run or search.
        before: its settings as JSON gave them back.
        settings: those to go on with.

    Raises:
        ConfigError: naming the first one that differs.
    """
    for name, value in plain(settings).items():
        if name in FREE:
            continue
        old: Any = before.get(name, ADDED.get(name))
        if old != value and not (name in PATHS and _same_path(old, value)):
            began = printable(old)[:200]
            raise ConfigError(
                f"cannot resume {folder} with {called(name)} {value}: it began with {began}; give "
                "that, or train on from its weights in a new folder (train --init-from)"
            )


def _same_path(old: Any, value: object) -> bool:
    if not (isinstance(old, str) and isinstance(value, str) and old and value):
        return False
    return os.path.realpath(old.replace("\0", "")) == os.path.realpath(value)
