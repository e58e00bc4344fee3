"""A run folder: what is in it, who may write into it, and what comes back when a run fails."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError, InputError, ModelFileError, OutputError, TrainingDiverged
from ..core.files import make_folder, write_json
from ..core.folder_lock import hold
from ..core.foreign_text import printable
from ..core.json_text import Name, Scalar, convert, plain, read_json
from ..keras_api import keras3, on_tensorflow, tensorflow
from .callbacks import LOG, STATE
from .machine import machine

RUN, RECIPE, ASIDE = "run.json", "recipe.json", ".replaced"
# Everything that training and fine-tuning write; a folder holds one run.
OWN = (
    *(RUN, RECIPE, STATE, LOG, "tensorboard", "report"),
    *("best.keras", "last.keras", "best.npz", "last.npz"),
)
LARGEST = 64 << 20  # bytes of a JSON file: 100,000 epochs of 20 classes take less
KEPT = "finished epochs are kept, --resume goes on"
NOT_KEPT = "nothing of this run is kept"
# Settings that runs of before did not know, with what they did.
ADDED = {"skip_bad": False, "freeze_ranges": 0}
PATHS = ("data_dir", "model")  # settings that may be spelled in several ways
FREE = ("cache", "strategy")  # settings that decide nothing

_Values = Annotated[list[Scalar], msgspec.Meta(max_length=1000)]
Settings = Annotated[dict[Name, Scalar | _Values], msgspec.Meta(max_length=1000)]
Scores = Annotated[dict[Name, float | None], msgspec.Meta(max_length=1000)]
Pixels = Annotated[int, msgspec.Meta(ge=0, le=1 << 46)]  # the sum of a confusion matrix fits int64
Epochs = Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]


class RunFile(msgspec.Struct):
    """The content of `run.json`; other versions may say more.

    Attributes:
        settings: those that the run was started with.
        config: of its network, which earlier versions did not write.
        versions: of the programs.
        machine: what it runs on.
    """

    settings: Settings
    config: dict[str, Any] = {}
    versions: Settings = {}
    machine: Settings = {}


class State(msgspec.Struct):
    """The content of `state.json`, which a checkpoint holds, too; other versions may say more.

    Attributes:
        epochs_done: finished epochs.
        best: the best validation score, 0..1.
        best_epoch: its epoch.
        history: what `log.csv` says.
        scores: of the best epoch, `val_...` -> value.
        class_iou: of that epoch.
        confusion: counts of that epoch, rows are true classes.
        dropout: where the random streams stand; in a checkpoint.
    """

    epochs_done: Epochs
    best: float | None = None
    best_epoch: Epochs | None = None
    history: list[Scores] = []
    scores: Scores = {}
    class_iou: Scores | None = None
    confusion: list[list[Pixels]] | None = None
    dropout: dict[str, list[Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]]] = {}


def read_run_file(folder: Path, error: type[InputError] = InputError) -> RunFile:
    """What `run.json` says.

    Raises:
        InputError: (of the class `error`) it is missing or damaged.
    """
    return _read(folder / RUN, RunFile, error)


def read_state(folder: Path, error: type[InputError] = InputError) -> State:
    """What `state.json` says.

    Raises:
        InputError: (of the class `error`) it is missing or damaged.
    """
    return _read(folder / STATE, State, error)


def _read(path: Path, schema: Any, error: type[InputError]) -> Any:
    try:
        return read_json(path, schema, what="file of a run", largest=LARGEST, mend=True)
    except InputError as failure:
        raise error(f"{path}: damaged, {str(failure).removeprefix(f'{path}: ')}") from None


@contextlib.contextmanager
def run_folder(folder: Path, resume: bool) -> Iterator[None]:
    """Holds a folder for one run.

    A new run moves an older one aside; it comes back if the new one stops before its first epoch
    is done, and goes when the new one has something to show. What a killed process left
    half-written goes.

    Raises:
        OutputError: another process runs in this folder.
        KeyboardInterrupt: passed on, saying what of the run is kept.
        TrainingDiverged: likewise.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(folder)
    try:
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
                kept = _has_epochs(folder)
                if begins and not kept:
                    _move(folder / ASIDE, folder)
                if isinstance(error, KeyboardInterrupt):
                    when = "in training" if kept else "before the end of the first epoch"
                    raise KeyboardInterrupt(f"{when}; {KEPT if kept else NOT_KEPT}") from None
                if isinstance(error, TrainingDiverged):
                    raise TrainingDiverged(f"{error} ({KEPT if kept else NOT_KEPT})") from None
                raise
            finally:
                shutil.rmtree(folder / ASIDE, ignore_errors=True)
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()  # only if it stayed empty


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


def _has_epochs(folder: Path) -> bool:
    return (folder / STATE).exists() and read_state(folder).epochs_done > 0


def write_run(folder: Path, settings: dict[str, Any], config: FastSCNNConfig) -> None:
    """Writes `run.json`: settings, configuration and versions."""
    import fastscnn_tf

    versions = {
        "fastscnn_tf": fastscnn_tf.__version__,
        "python": platform.python_version(),
        "keras": keras3().__version__,
        **_backend_version(),
    }
    values = {"settings": settings, "config": config.to_dict(), "versions": versions}
    values["machine"] = machine()
    write_json(folder / RUN, values)


def _backend_version() -> dict[str, str]:
    if on_tensorflow(keras3()):
        return {"tensorflow": tensorflow().__version__}
    backend = keras3().backend.backend()
    return {backend: importlib.metadata.version(backend)}


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
                f"cannot resume {folder} with {name} {value}: it began with {began}; give that, or "
                "train on from its weights in a new folder (train --init-from)"
            )


def _same_path(old: Any, value: object) -> bool:
    if not (isinstance(old, str) and isinstance(value, str) and old and value):
        return False
    return os.path.realpath(old.replace("\0", "")) == os.path.realpath(value)


def check_state(state: Any, path: Any) -> dict[str, Any]:
    """Makes sure that this is what `Checkpoint` keeps.

    Raises:
        ModelFileError: it is not; the message names the field.
    """
    convert(state, f"{path}: damaged", State, error=ModelFileError)
    if "history" not in state:
        raise ModelFileError(f"{path}: damaged, it does not say how far the run came")
    return state
