"""Saving and loading models: `.keras` for Keras 3, `.npz` for quantization-aware ones."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import ModelFileError
from ..core.files import replacing
from ..keras_api import keras3
from .about_file import add_about
from .classifier import classifier_class
from .fast_scnn import model_class
from .layers import layers_for

CHECKPOINTS = ("best.keras", "best.npz")


def load_keras(
    path: str | os.PathLike[str], compile: bool = False, classifier: bool | None = False
) -> Any:
    """Reads a `.keras` file of ours in any process.

    Args:
        path: the file.
        compile: restore optimizer and losses too, to go on training.
        classifier: an image classifier of `pretrain` is expected; None takes either kind.

    Raises:
        ModelFileError: missing, damaged, or not a Fast-SCNN of this project.
    """
    path = Path(path)
    check_keras_file(path, classifier)
    keras = keras3()
    # Keras finds classes only once they are made.
    layers_for(keras), model_class(keras), classifier_class(keras)
    _register_training_objects()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of what it then fails on
            return keras.models.load_model(path, compile=compile)
    except (ValueError, TypeError, KeyError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:160]
        raise ModelFileError(f"{path}: cannot be loaded ({reason})") from None


def _register_training_objects() -> None:
    from ..train import losses, metrics, optimizers, schedules

    metrics.mean_iou(2)
    schedules.schedule_class(keras3()), optimizers.optimizers_for(keras3())
    losses.register()


def check_keras_file(path: Path, classifier: bool | None = False) -> None:
    """Makes sure that a file is a `.keras` archive with a Fast-SCNN in it.

    Args:
        path: the file.
        classifier: as in `load_keras`.

    Raises:
        ModelFileError: it is not.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    if path.suffix != ".keras":
        raise ModelFileError(f"{path}: expected a .keras file or a run folder")
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            kind = json.loads(archive.read("config.json")).get("registered_name", "")
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, AttributeError):
        raise ModelFileError(f"{path}: damaged, or not a .keras file") from None
    if broken:
        raise ModelFileError(f"{path}: damaged .keras file ({broken})")
    if str(kind).endswith(">FastSCNNClassifier"):
        if classifier is False:
            raise ModelFileError(
                f"{path}: an image classifier of pretrain: it is for train --init-from"
            )
    elif not str(kind).endswith(">FastSCNN"):
        raise ModelFileError(f"{path}: not a Fast-SCNN of this project ({kind or 'unknown kind'})")
    elif classifier:
        raise ModelFileError(f"{path}: a segmentation model, expected an image classifier")


def save_keras(
    model: Any,
    path: str | os.PathLike[str],
    optimizer: bool = True,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Writes a `.keras` file, whole or not at all; with what it is `about` (see `about_file`)."""
    with replacing(path) as temporary:
        model.save(temporary, include_optimizer=optimizer)
        if about:
            add_about(temporary, about)


def checkpoint_in(path: str | os.PathLike[str]) -> Path:
    """The model file itself, or the best checkpoint of a run folder.

    Raises:
        ModelFileError: the folder holds none.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    for name in CHECKPOINTS:
        if (path / name).is_file():
            return path / name
    raise ModelFileError(f"{path}: no {' or '.join(CHECKPOINTS)} in this folder")
