"""`evaluate`: scores a .tflite or a trained model on a data set, by one protocol."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .core.errors import ConfigError, ModelFileError
from .core.sizes import Size
from .data.registry import open_dataset
from .runtime.evaluate import Evaluation, Predictor, evaluate_predictor
from .runtime.segmenter import Segmenter


def load_model(path: str | os.PathLike[str]) -> Any:
    """Reads a model this project wrote, in any process.

    Args:
        path: a `.keras` file (Keras 3), a quantization-aware `.npz`, or a run folder (its best
            checkpoint).

    Returns:
        A Keras 3 model, or a quantization-aware tf_keras model.

    Raises:
        ModelFileError: missing, damaged or of another kind.
    """
    from .model.io import checkpoint_in, load_keras

    path = checkpoint_in(path)
    if path.suffix == ".keras":
        return load_keras(path)
    if path.suffix == ".npz":
        from .quantize.checkpoint import load_qat

        return load_qat(path)
    if not path.exists():
        raise ModelFileError(f"{path}: no such model file")
    raise ModelFileError(f"{path}: expected a .keras or .npz file or a run folder")


def load_predictor(
    model: Any,
    threads: int = 2,
    full: bool = False,
    size: Size | None = None,
    pad: bool = False,
) -> Predictor:
    """A predictor from a path or a Keras model; a .tflite needs no TensorFlow.

    Args:
        model: path of a .tflite, `.keras`, `.npz` or run folder, or a Keras model.
        threads: CPU threads of a .tflite.
        full: take a Keras model's logits at full resolution, as its graph upsamples them.
        size: run a Keras model at another (height, width).
        pad: take any `size`: the image is padded to multiples of 32, and the result is cropped.

    Raises:
        ModelFileError: the file is missing, damaged or of another kind.
        ConfigError: no valid size, or one for a .tflite.
    """
    if not isinstance(model, str | os.PathLike):
        from .train.predictor import KerasPredictor

        return KerasPredictor(_at_size(model, size, pad), full)
    path = Path(model)
    if path.suffix == ".tflite":
        if size is not None:
            raise ConfigError(f"{path}: a .tflite has one size: export it with --size instead")
        return Segmenter(path, threads)
    if not path.exists():
        raise ModelFileError(f"{path}: no such model file")
    if not path.is_dir() and path.suffix not in (".keras", ".npz"):
        raise ModelFileError(f"{path}: expected a .tflite, .keras or .npz file or a run folder")
    return load_predictor(load_model(path), full=full, size=size, pad=pad)


def _at_size(model: Any, size: Size | None, pad: bool) -> Any:
    if size is None:
        return model
    from .model.fast_scnn import resize_model
    from .quantize.quantize_aware import is_qat, resized

    return resized(model, size, pad) if is_qat(model) else resize_model(model, size, pad)


def evaluate(
    model: Any,
    dataset: str,
    data_dir: str | os.PathLike[str] | None = None,
    split: str = "val",
    threads: int = 2,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    size: Size | None = None,
    pad: bool = False,
) -> Evaluation:
    """Scores a model on every image of a split.

    Args:
        model: path of a .tflite, `.keras`, `.npz` or run folder, or a Keras model.
        dataset: its name, as for `open_dataset`.
        data_dir: where the data set lies.
        split: which split.
        threads: CPU threads of a .tflite.
        progress: wraps the image indices, to show a progress bar.
        size: run a Keras model at another (height, width).
        pad: take any `size`, padding the image to multiples of 32.

    Returns:
        mIoU, pixel accuracy, class IoU and latency; see `Evaluation`.

    Raises:
        ModelFileError, DataError, ConfigError: model or data cannot be used.
    """
    predictor = load_predictor(model, threads, size=size, pad=pad)
    opened = open_dataset(dataset, data_dir, split, predictor.input_size)
    result = evaluate_predictor(predictor, opened, progress)
    name = str(model) if isinstance(model, str | os.PathLike) else type(model).__name__
    return dataclasses.replace(result, details={"model": name, **result.details})
