"""Running the TFLite converter quietly, and the edits it leaves to do."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..core.console import quiet_stderr
from ..core.errors import ExportError, ModelFileError, retold
from ..core.keras_api import tensorflow
from ..runtime.trial import run_here
from ..tflite.embedded_metadata import NAME as TFLITE_METADATA
from ..tflite.file import METADATA_NAME, unpack
from . import edits
from .model_metadata import append_files, label_files, model_metadata
from .npu_resizes import resizes_to_convolutions
from .pack import pack
from .portable_means import means_to_convolutions
from .quantization_recipes import Recipe


def convert(
    function: Any,
    rules: Recipe,
    outputs: str,
    input: str = "uint8",
    images: Callable[[], Iterator[list[np.ndarray]]] | None = None,
) -> bytes:
    """Converts a concrete function by a recipe.

    Args:
        function: what `graph_function` returned.
        rules: the recipe.
        outputs: name of the output.
        input: name of the input.
        images: what sets the ranges of an int16 graph (`representative.images_for`); an int8 one
            has them in its function.

    Raises:
        ExportError: the converter failed.
    """
    tf = tensorflow()
    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
        if rules.weights != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if rules.weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if rules.quantized:
            converter.inference_input_type = tf.as_dtype(input)
        if rules.activations == "int8" and not outputs.startswith("labels"):
            # uint8 outside: MediaPipe and LiteRT.js refuse int8 inputs and outputs.
            converter.inference_output_type = tf.uint8
        if rules.activations == "int16":
            kernels = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            converter.target_spec.supported_ops = [kernels]
            converter.representative_dataset = images
            converter.inference_output_type = tf.as_dtype(input)
        try:
            return converter.convert()
        except Exception as error:
            raise ExportError(f"the converter failed: {str(error).splitlines()[0]}") from error


def finish(
    content: bytes, metadata: dict[str, Any], input_zero: int | None = None, device: str = ""
) -> bytes:
    """Rewrites what the converter leaves and puts our metadata into the file.

    Args:
        content: the converter's file.
        metadata: goes into the file.
        input_zero: the byte that is 0.0 to a float graph of raw bytes.
        device: whose operations are wanted (`npu_resizes`).
    """
    model = unpack(content)
    edit = edits.Editor(model)
    edits.relu_to_quantize(edit)
    resizes_to_convolutions(edit, device)
    edits.quantize_before_resize(edit)
    means_to_convolutions(edit)
    if input_zero is not None:
        edits.dequantize_input(edit, input_zero)
    edit.metadata(METADATA_NAME, json.dumps(metadata).encode())
    edit.metadata(TFLITE_METADATA, model_metadata(model, metadata))
    return append_files(pack(model, len(content)), label_files(metadata))


def check_runs(path: Path, content: bytes) -> None:
    """Runs what will be written to `path` once, which this machine remembers.

    Raises:
        ExportError: the interpreter does not take it.
    """
    hint = (
        "; in int8 a layer whose outputs are almost all zero can be the reason: look at the "
        "calibration images, or train on"
    )
    with retold(ExportError, after=hint, of=ModelFileError):
        run_here(path, content)
