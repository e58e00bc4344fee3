"""The files of a run, `run.json` and `state.json`: their schemas, reading and writing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..core.config import FastSCNNConfig
from ..core.errors import InputError, ModelFileError
from ..core.files.json_text import Name, Scalar, convert, read_json
from ..core.files.writing import write_json
from ..core.keras_api import keras3, on_tensorflow, tensorflow
from ..core.version import __version__
from ..runtime.device_report import cpu_name, physical_memory

RUN, RECIPE, STATE, LOG = "run.json", "recipe.json", "state.json", "log.csv"
SCORE = "val_miou"  # what makes an epoch of training or fine-tuning the best
LARGEST = 64 << 20  # bytes of a JSON file: 100,000 epochs of 20 classes take less

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


class Within(msgspec.Struct):
    """How far a run came in the epoch after the finished ones.

    Attributes:
        step: steps done in it.
        seconds: that it took.
        means: the variables of its losses' means.
    """

    step: Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    means: Annotated[list[float], msgspec.Meta(max_length=1000)]


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
        within: of an epoch that is not finished; None at the end of one.
    """

    epochs_done: Epochs
    best: float | None = None
    best_epoch: Epochs | None = None
    history: list[Scores] = []
    scores: Scores = {}
    class_iou: Scores | None = None
    confusion: list[list[Pixels]] | None = None
    dropout: dict[str, list[Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]]] = {}
    within: Within | None = None


def read_run_file(folder: Path, error: type[InputError] = InputError) -> RunFile:
    """What `run.json` says.

    Raises:
        InputError: (of the class `error`) it is missing or damaged.
    """
    return _read(folder / RUN, RunFile, error)


def read_state(folder: Path) -> State:
    """What `state.json` says.

    Raises:
        InputError: it is missing or damaged.
    """
    return _read(folder / STATE, State, InputError)


def _read(path: Path, schema: Any, error: type[InputError]) -> Any:
    try:
        return read_json(path, schema, what="file of a run", largest=LARGEST, mend=True)
    except InputError as failure:
        raise error(f"{path}: damaged, {str(failure).removeprefix(f'{path}: ')}") from None


def check_state(state: Any, path: Any) -> dict[str, Any]:
    """Makes sure that this is what `Checkpoint` keeps.

    Raises:
        ModelFileError: it is not; the message names the field.
    """
    convert(state, f"{path}: damaged", State, error=ModelFileError)
    if "history" not in state:
        raise ModelFileError(f"{path}: damaged, it does not say how far the run came")
    return state


def write_run(folder: Path, settings: dict[str, Any], config: FastSCNNConfig) -> None:
    """Writes `run.json`: settings, configuration and versions."""
    values = {"settings": settings, "config": config.to_dict(), "versions": versions()}
    values["machine"] = machine()
    write_json(folder / RUN, values)


def versions() -> dict[str, str]:
    """Those of the programs that train."""
    backend = keras3().backend.backend()
    known = on_tensorflow(keras3()) and tensorflow().__version__
    return {
        "fastscnn_tf": __version__,
        "python": platform.python_version(),
        "keras": keras3().__version__,
        backend: known or importlib.metadata.version(backend),
    }


def machine() -> dict[str, Any]:
    """System, processor, usable cores, memory and GPUs, as far as the system tells.

    Returns:
        Plain JSON types; `memory_gib` in GiB, `gpus` the names TensorFlow knows, where it has been
        imported already.
    """
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()}",
        "processor": cpu_name(),
        "cores": _cores(),
    }
    if (memory := physical_memory()) is not None:
        facts["memory_gib"] = round(memory / 2**30, 1)
    if gpus := _gpus():
        facts["gpus"] = gpus
    return facts


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpus() -> list[str]:
    if "tensorflow" not in sys.modules:
        return []
    config = tensorflow().config
    details = map(config.experimental.get_device_details, config.list_physical_devices("GPU"))
    return [each.get("device_name", "GPU") for each in details]
