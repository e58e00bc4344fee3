"""`about_model`: what a file says of its making: description, author, licence, training run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.aliases import StrPath
from ..core.errors import ConfigError, FastSCNNError
from ..core.named_weights import KERAS, named_weights
from ..model.checkpoints.keras_archive import TEXTS, read_about
from ..tflite.file import own_metadata, read_model
from .run_files import RUN

GENERATIONS = 10  # of runs that began with each other's weights


def about_model(model: StrPath, **texts: str | None) -> dict[str, Any]:
    """What travels in the metadata of a .tflite besides the network.

    Args:
        model: a run folder, a file that may lie in one, or a `.keras` that says it itself.
        **texts: `name`, `description`, `version`, `author`, `license`, as far as they are given.

    Returns:
        The texts that were given, and `run` where the model comes from a run: its data set,
        recipe, settings that matter most, and score. A run's licence is that of the weights which
        it began with, as far as they say one. Nothing is made up.

    Raises:
        ConfigError: a text of another name.
        InputError: the run folder is damaged.
    """
    for name in texts:
        if name not in TEXTS:
            raise ConfigError(f"unknown text {name!r}: expected one of {', '.join(TEXTS)}")
    model = named_weights(model, KERAS)
    about = read_about(model)
    folder = run_folder_of(model)
    if folder is not None:
        if licence := about.get("license") or _licence_before(folder):
            about["license"] = licence
        about["run"] = training_run(folder)
    return about | {name: text for name, text in texts.items() if text}


def licence_of(model: StrPath) -> str | None:
    """The licence that a `.keras` says, or that of the weights which its run began with.

    Raises:
        ModelFileError: what the file says of itself is damaged.
    """
    if licence := read_about(model).get("license"):
        return licence
    with contextlib.suppress(FastSCNNError):  # a damaged run says none
        folder = run_folder_of(model)
        return _licence_before(folder) if folder else None
    return None


def _licence_before(folder: Path) -> str | None:
    """That of the weights which a run, or one before it, began with."""
    from .run_record import read_run

    for _ in range(GENERATIONS):
        settings = read_run(folder).settings
        source = settings.get("model") or settings.get("init_from")
        source = str(named_weights(source, KERAS)) if isinstance(source, str) else source
        # As the run's files say; pipes are waited for, and names too long refused, by `pathlib`.
        if not isinstance(source, str) or not (os.path.isfile(source) or os.path.isdir(source)):  # noqa: PTH112, PTH113
            return None
        if licence := read_about(source).get("license"):
            return licence
        before = run_folder_of(source)
        if before is None:
            return None
        folder = before
    return None


def run_folder_of(model: StrPath) -> Path | None:
    """The run folder that a model is or lies in."""
    path = Path(model)
    for folder in (path, path.parent):
        if os.path.isfile(folder / RUN):  # noqa: PTH113
            return folder
    return None


def training_run(folder: Path) -> dict[str, Any]:
    """The gist of a run folder, plain JSON."""
    from .run_record import read_run

    run = read_run(folder)
    names = ["dataset", "recipe", "epochs", "batch_size", "learning_rate", "optimizer", "seed"]
    names += ["init_from", "extra_dataset"]
    if run.settings.get("extra_dataset"):  # without, the split is that of nothing
        names.append("extra_split")
    gist: dict[str, Any] = {"kind": run.kind, "folder": folder.resolve().name}
    gist |= {n: run.settings[n] for n in names if run.settings.get(n) is not None}
    gist |= {"epochs_done": run.epochs_done, "input_size": run.size}
    if run.best is not None:
        gist |= {"score": run.score, "best": run.best, "best_epoch": run.best_epoch}
    return gist | ({"versions": run.versions} if run.versions else {})


def run_behind(model: StrPath, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The training run of a model, from inside the file or from beside it."""
    if run := metadata.get("run"):
        return run
    folder = run_folder_of(model)
    return training_run(folder) if folder else {}


def trained_on(model: StrPath) -> set[tuple[str, str]]:
    """Data sets and splits that a model's training run names.

    Raises:
        InputError: a file of the run, or the .tflite, is damaged.
    """
    path = Path(model)
    metadata = own_metadata(read_model(path)[1]) if path.suffix == ".tflite" else {}
    run = run_behind(path, metadata)
    seen = {(str(run["dataset"]), "train")} if "dataset" in run else set()
    if {"extra_dataset", "extra_split"} <= run.keys():
        seen.add((str(run["extra_dataset"]), str(run["extra_split"])))
    return seen


def seen_in_training(splits: Sequence[str], doubt: str = "") -> str:
    """What scores on splits of the training data are worth; `doubt` says if they may be others."""
    said = f"The model saw {' and '.join(splits)} in training{doubt}"
    return f"{said}: scores on it say nothing of new images."
