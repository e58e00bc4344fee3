"""Weights that come with the package, by name.

They lie in the package of a wheel and in `tflite/` of a checkout; `setup.py` copies them. What they
were trained on, and for whom they are, is in the card beside them and said once in a process.
"""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path

from .aliases import StrPath
from .errors import ModelFileError
from .files.reading import local

CHECKPOINTS = ("best.keras", "best.npz")  # of a run folder
KERAS, TFLITE, ONNX = ".keras", ".tflite", ".onnx"
RUN_HERE = (TFLITE, ONNX)  # files that a `Segmenter` runs
_PACKED, _CHECKOUT = Path(__file__).parents[1] / "weights", Path(__file__).parents[2] / "tflite"
_FILES = {
    "camvid": {KERAS: "fastscnn_camvid.keras", TFLITE: "fastscnn_camvid_int8.tflite"},
    "camvid-float16": {TFLITE: "fastscnn_camvid_float16.tflite"},
    "camvid-0.5": {KERAS: "fastscnn_camvid_0.5.keras", TFLITE: "fastscnn_camvid_0.5_int8.tflite"},
    "camvid-0.5-float16": {TFLITE: "fastscnn_camvid_0.5_float16.tflite"},
    "camvid-1.5": {KERAS: "fastscnn_camvid_1.5.keras", TFLITE: "fastscnn_camvid_1.5_int8.tflite"},
    "camvid-1.5-float16": {TFLITE: "fastscnn_camvid_1.5_float16.tflite"},
}
NAMES = tuple(_FILES)
_TERMS = "weights trained on CamVid, for research only (CC BY-NC 4.0)"  # of all of them


def named_weights(path: StrPath, kind: str) -> Path:
    """The file of weights that come with the package, or any other path as it is.

    A file or a run folder of that name in the current folder counts before them.

    Args:
        path: a name, such as `camvid`, a path, or an address.
        kind: `.keras` where a model is trained on or converted, `.tflite` where it is run.

    Raises:
        ModelFileError: there is a name of this kind, but not its file.
    """
    name, path = os.fspath(path), local(path)
    files = _FILES.get(name, {})
    if not files or path.is_file() or has_checkpoint(path):
        return path
    if kind == KERAS and kind not in files:
        whole = name.removesuffix("-float16")
        raise ModelFileError(f"{name} is a .tflite, to be run; {whole} has the Keras weights")
    if kind not in files:
        return path
    found = (_PACKED if _PACKED.is_dir() else _CHECKOUT) / files[kind]
    if not found.is_file():
        raise ModelFileError(f"{name}: the weights of this name are not there ({found})")
    _say_terms(name)
    return found


def has_checkpoint(folder: Path) -> bool:
    """Whether it is a run folder with a model in it."""
    return any((folder / name).is_file() for name in CHECKPOINTS)


def no_such_model(path: StrPath) -> ModelFileError:
    """What to say of a path where nothing is; of a bare word, which names there are."""
    suffix = Path(path).suffix.lstrip(".")
    alike = os.fspath(path).lower().startswith(next(iter(_FILES)))  # camvid-0.5-int8
    bare = Path(path).name == os.fspath(path) and (not suffix or suffix.isdecimal() or alike)
    names = f"; weights by name: {', '.join(NAMES)}" if bare else ""
    return ModelFileError(f"{path}: no such model file{names}")


@functools.cache
def _say_terms(name: str) -> None:
    logging.getLogger("fastscnn_tf").warning("%s: %s", name, _TERMS)
