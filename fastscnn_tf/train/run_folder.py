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
from ..core.errors import ConfigError, OutputError
from ..core.files import make_folder, read_json, write_json
from ..keras_api import keras3, on_tensorflow, tensorflow
from .callbacks import STATE

RUN, LOG, LOCK, ASIDE = "run.json", "log.csv", ".lock", ".replaced"
# Everything that training and fine-tuning write; a folder holds one run.
OWN = (RUN, STATE, LOG, "tensorboard", "best.keras", "last.keras", "best.npz", "last.npz")
KEPT = "in training; finished epochs are kept, --resume goes on"
NOT_KEPT = "before the end of the first epoch; nothing of this run is kept"
PATHS = ("data_dir", "model")  # settings that may be spelled in several ways
FREE = ("cache",)  # settings that decide nothing
ADDED = {"skip_bad": False}  # settings that older runs do not name, and what they did


@contextlib.contextmanager
def run_folder(folder: Path, resume: bool) -> Iterator[None]:
    """Holds a folder for one run.

    A new run moves an older one aside; it comes back if the new one stops before its first epoch
    is done, and goes when the new one has something to show.

    Raises:
        OutputError: another process runs in this folder.
        KeyboardInterrupt: passed on, saying what of the run is kept.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(folder)
    try:
        with _lock(folder):
            if not resume:
                _move(folder, folder / ASIDE)
            try:
                yield
            except BaseException as error:
                kept = resume or _has_epochs(folder)
                if not kept:
                    _move(folder / ASIDE, folder)
                if isinstance(error, KeyboardInterrupt):
                    raise KeyboardInterrupt(KEPT if kept else NOT_KEPT) from None
                raise
            finally:
                shutil.rmtree(folder / ASIDE, ignore_errors=True)
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()  # only if it stayed empty


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


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Refuses a second process; does nothing where the system has no `flock`."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = folder / LOCK
    with path.open("w") as file:
        _acquire(fcntl, file, folder)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _acquire(fcntl: Any, file: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise OutputError(f"{folder}: another run is writing into this folder") from None


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
    write_json(folder / RUN, values)


def _backend_version() -> dict[str, str]:
    if on_tensorflow(keras3()):
        return {"tensorflow": tensorflow().__version__}
    backend = keras3().backend.backend()
    return {backend: importlib.metadata.version(backend)}


def check_resumable(folder: Path, settings: dict[str, Any], last: str) -> dict[str, Any]:
    """Makes sure that a run can go on with these settings.

    Returns:
        What `state.json` holds.

    Raises:
        OutputError: there is nothing to resume, or a file is damaged.
        ConfigError: naming the first setting that differs.
    """
    for name in (RUN, STATE, last):
        if not (folder / name).is_file():
            raise OutputError(f"{folder}: nothing to resume, {name} is missing")
    run, state = read_json(folder / RUN), read_json(folder / STATE)
    before = run.get("settings") if isinstance(run, dict) else None
    if not isinstance(before, dict):
        raise OutputError(f"{folder / RUN}: damaged, it holds no settings")
    if not _is_state(state):
        raise OutputError(f"{folder / STATE}: damaged, it does not say how far the run came")
    for name, value in settings.items():
        if name in FREE:
            continue
        old: Any = before.get(name, ADDED.get(name))
        old = tuple(old) if isinstance(old, list) else old
        same_path = name in PATHS and old and value and Path(old).resolve() == Path(value).resolve()
        if old != value and not same_path:
            raise ConfigError(f"cannot resume {folder} with {name} {value}: it began with {old}")
    return state


def _is_state(state: Any) -> bool:
    """Whether this is what `Checkpoint` writes."""
    if not isinstance(state, dict):
        return False
    done, best = state.get("epochs_done"), state.get("best", "")
    dropout = state.get("dropout", {})
    counts = isinstance(dropout, dict) and all(isinstance(v, list) for v in dropout.values())
    return type(done) is int and done >= 0 and isinstance(best, float | None) and counts
