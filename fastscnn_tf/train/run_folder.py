"""A run folder: what is in it, who may write into it, and what comes back when a run fails."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError, ModelFileError, OutputError, TrainingDiverged
from ..core.files import PART, make_folder, read_json, write_json
from ..keras_api import keras3, on_tensorflow, tensorflow
from .callbacks import LOG, STATE
from .machine import machine

RUN, RECIPE, LOCK, ASIDE = "run.json", "recipe.json", ".lock", ".replaced"
# Everything that training and fine-tuning write; a folder holds one run.
OWN = (
    *(RUN, RECIPE, STATE, LOG, "tensorboard", "report"),
    *("best.keras", "last.keras", "best.npz", "last.npz"),
)
KEPT = "finished epochs are kept, --resume goes on"
NOT_KEPT = "nothing of this run is kept"
# Settings that runs of before did not know, with what they did.
ADDED = {"skip_bad": False, "freeze_ranges": 0}
PATHS = ("data_dir", "model")  # settings that may be spelled in several ways
FREE = ("cache", "strategy")  # settings that decide nothing


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
            if (folder / ASIDE).is_symlink():  # no run of ours: what it leads to is not touched
                (folder / ASIDE).unlink()
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
        if (source / name).exists():
            target.mkdir(exist_ok=True)
            (source / name).rename(target / name)


def _has_epochs(folder: Path) -> bool:
    path = folder / STATE
    return path.exists() and read_json(path)["epochs_done"] > 0


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
    if not (folder / RUN).is_file():
        if folder.is_dir() and _holds_something(folder):
            raise OutputError(f"{folder}: nothing to resume, {RUN} is missing")
        return None
    run = read_json(folder / RUN)
    before = run.get("settings") if isinstance(run, dict) else None
    if not isinstance(before, dict):
        raise OutputError(f"{folder / RUN}: damaged, it holds no settings")
    check_same_settings(folder, before, settings)
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
    for name, value in settings.items():
        if name in FREE:
            continue
        old: Any = before.get(name, ADDED.get(name))
        old = tuple(old) if isinstance(old, list) else old
        same_path = name in PATHS and old and value and Path(old).resolve() == Path(value).resolve()
        if old != value and not same_path:
            raise ConfigError(
                f"cannot resume {folder} with {name} {value}: it began with {old}; give that, or "
                "train on from its weights in a new folder (train --init-from)"
            )


def check_state(state: Any, path: Any) -> dict[str, Any]:
    """Makes sure that this is what `Checkpoint` keeps.

    Raises:
        ModelFileError: it is not.
    """
    done = state.get("epochs_done") if isinstance(state, dict) else None
    if type(done) is not int or done < 0 or not isinstance(state.get("history"), list):
        raise ModelFileError(f"{path}: damaged, it does not say how far the run came")
    return state
