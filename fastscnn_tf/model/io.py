"""Saving and loading models: `.keras` for Keras 3, `.npz` for quantization-aware ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..core.aliases import StrPath
from ..core.config import FastSCNNConfig
from ..core.errors import ModelFileError
from ..core.files.json_text import convert
from ..core.files.writing import replacing
from ..core.keras_api import KerasModel, keras3
from ..core.named_weights import CHECKPOINTS, KERAS, named_weights
from .checkpoints.keras_archive import KerasArchive, add_about, keras_model, open_keras
from .checkpoints.weights_file import described_config
from .classifier import MAX_LABELS, classifier_class
from .complexity import weights_room
from .fast_scnn import model_class
from .layers import PACKAGE, layers_for

SEGMENTER, CLASSIFIER = "FastSCNN", "FastSCNNClassifier"


class _Segmenter(msgspec.Struct):
    fast_scnn: dict[str, Any]


class _Classifier(_Segmenter):
    num_labels: Annotated[int, msgspec.Meta(ge=2, le=MAX_LABELS)]


def load_keras(path: StrPath, compile: bool = False, classifier: bool | None = False) -> KerasModel:
    """Reads a `.keras` file of ours in any process; of another's it runs nothing.

    Args:
        path: the file.
        compile: restore optimizer and losses too, to go on training; Keras must know them, see
            `train.registered`.
        classifier: an image classifier of `pretrain` is expected; None takes either kind.

    Raises:
        ModelFileError: missing, damaged, or not a Fast-SCNN of this project.
    """
    keras = keras3()
    # Keras finds classes only once they are made.
    layers_for(keras), model_class(keras), classifier_class(keras)
    with open_keras(path) as file:
        own = own_network(file, classifier)
        weights = file.weights(own.room)
    config = {**own.keras_config, "compile_config": file.config.compile_config if compile else None}
    return keras_model(config, weights, file.path, compile)


@dataclasses.dataclass(frozen=True)
class OwnNetwork:
    """What the configuration in a `.keras` file of ours says, checked.

    Attributes:
        config: of the network.
        num_labels: of an image classifier; None for a segmentation model.
    """

    config: FastSCNNConfig
    num_labels: int | None = None

    @property
    def keras_config(self) -> dict[str, Any]:
        """What Keras rebuilds it from."""
        labels = {} if self.num_labels is None else {"num_labels": self.num_labels}
        kind = SEGMENTER if self.num_labels is None else CLASSIFIER
        config = {"fast_scnn": self.config.to_dict(), **labels}
        return {"class_name": kind, "config": config, "registered_name": f"{PACKAGE}>{kind}"}

    @property
    def room(self) -> int:
        """Bytes that may be needed for its weights, and an optimizer's beside them."""
        extra = 0 if self.num_labels is None else self.num_labels * (self.config.channels(128) + 1)
        return weights_room(self.config, extra)


def own_network(file: KerasArchive, classifier: bool | None = False) -> OwnNetwork:
    """Makes sure that there is a Fast-SCNN in a `.keras` archive.

    Args:
        file: the archive.
        classifier: as in `load_keras`.

    Raises:
        ModelFileError: there is none.
    """
    path, name = file.path, file.config.registered_name or "unknown kind"
    package, _, kind = name.partition(">")
    if package != PACKAGE or kind not in (SEGMENTER, CLASSIFIER):
        raise ModelFileError(f"{path}: not a Fast-SCNN of this project ({name[:80]!r})")
    if kind == CLASSIFIER and classifier is False:
        raise ModelFileError(
            f"{path}: an image classifier of pretrain: it is for train --init-from"
        )
    if kind == SEGMENTER and classifier:
        raise ModelFileError(f"{path}: a segmentation model, expected an image classifier")
    schema = _Segmenter if kind == SEGMENTER else _Classifier
    found: _Segmenter = convert(
        file.config.config, f"{path}: config.json", schema, error=ModelFileError
    )
    config = described_config(found.fast_scnn, f"{path}: config.json")
    return OwnNetwork(config, getattr(found, "num_labels", None))


def read_config(path: StrPath) -> FastSCNNConfig:
    """The configuration in a `.keras` file of ours; its weights are not read.

    Raises:
        ModelFileError: as `load_keras`.
    """
    with open_keras(path) as file:
        return own_network(file, classifier=None).config


def save_keras(
    model: KerasModel, path: StrPath, optimizer: bool = True, about: Mapping[str, Any] | None = None
) -> None:
    """Writes a `.keras` file, whole or not at all; with what it is `about` (see `about_file`)."""
    with replacing(path) as temporary:
        model.save(temporary, include_optimizer=optimizer)
        if about:
            add_about(temporary, about)


def checkpoint_in(path: StrPath) -> Path:
    """The model file itself, the best checkpoint of a run folder, or the package's own weights.

    Raises:
        ModelFileError: the folder holds none.
    """
    path = named_weights(path, KERAS)
    if not path.is_dir():
        return path
    for name in CHECKPOINTS:
        if (path / name).is_file():
            return path / name
    raise ModelFileError(f"{path}: no {' or '.join(CHECKPOINTS)} in this folder")
