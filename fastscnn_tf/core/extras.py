"""How to install what is optional."""

from __future__ import annotations

import importlib
import os
from typing import Any

from .environment import environment
from .errors import InputError

DISTRIBUTION = "fastscnn-tf"
# ONNX Runtime and OpenVINO report to their makers that they are imported, unless these are set.
SILENCE = {"ORT_DISABLE_TELEMETRY": "1", "CI": "true"}
REPORTING = ("onnxruntime", "openvino")
BACKEND, OTHER_BACKENDS = "KERAS_BACKEND", ("jax", "torch")  # than TensorFlow


def pip_install(*extras: str) -> str:
    """The command that adds extras to this installation.

    It is the same for a checkout (`pip install -e .`) and a wheel: the package is there already, so
    that pip fetches only what the extras add.

    Example:
        >>> pip_install("train", "search")
        'pip install "fastscnn-tf[train,search]"'
    """
    return f'pip install "{DISTRIBUTION}[{",".join(extras)}]"'


def training_extra() -> str:
    """The extra that trains: without TensorFlow where Keras runs on another backend."""
    return "keras" if os.environ.get(BACKEND) in OTHER_BACKENDS else "train"


def import_extra(name: str, extra: str, needed: str = "") -> Any:
    """A module that an extra brings.

    Args:
        name: of the module.
        extra: that brings it.
        needed: ends the message's first half, such as `, which plots need`.

    Raises:
        InputError: it is not installed.
    """
    try:
        with environment(**SILENCE if name in REPORTING else {}):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        hint = pip_install(extra)
        if error.name in OTHER_BACKENDS:
            needed = f", which {BACKEND}={error.name} needs"
            hint = pip_install("cluster") if error.name == "jax" else f"pip install {error.name}"
        raise InputError(f"{error.name} is not installed{needed}: {hint}") from None
