"""`export_onnx` and `tflite_to_onnx`: checked .onnx files for every other runtime."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.arguments import either
from ..core.errors import ConfigError, ModelFileError, retold
from ..core.files.writing import check_output, write_bytes
from ..core.keras_api import KerasModel
from ..data.datasets.objects import Source
from ..model.fast_scnn import resize_model
from ..runtime.segmenter import Segmenter
from ..scoring.averaged_views import softmax
from ..tflite.checks import why_not
from ..tflite.file import own_metadata, read_model
from ..tflite.graph import ModelGraphs
from ..train.predictor import KerasPredictor
from .export_tflite import ExportOptions, export_tflite, file_metadata, network_for
from .onnx_blocks import float_graph
from .onnx_check import EXACT, HALF, LABELS, STEPS, Bounds, verified
from .onnx_from_tflite import translate
from .onnx_graph import OnnxGraph

RECIPES = ("float32", "float16", "int8", "int8-qat")
INPUTS = ("uint8", "float32")


@dataclasses.dataclass(frozen=True)
class OnnxResult:
    """What was written.

    Attributes:
        path: the .onnx.
        size_bytes: size of the file.
        ops: operation -> how many.
        metadata: what travels inside the file, in `metadata_props` under `fastscnn`.
        verified: in one line, what onnxruntime gave, or that it was not asked.
    """

    path: Path
    size_bytes: int
    ops: dict[str, int]
    metadata: dict[str, Any]
    verified: str

    def __str__(self) -> str:
        """What the command line prints."""
        ops = ", ".join(f"{number} {name}" for name, number in self.ops.items())
        return f"{self.path}: {self.size_bytes:,} bytes; {ops}\n{self.verified}"


def export_onnx(
    model: KerasModel,
    path: StrPath,
    recipe: str = "float32",
    outputs: str = "logits",
    calibration: Source | None = None,
    force: bool = False,
    about: Mapping[str, Any] | None = None,
    options: ExportOptions | None = None,
) -> OnnxResult:
    """Writes an .onnx: image `image` (1, H, W, 3) in, `logits`, `probabilities` or `labels` out.

    A float file needs no TensorFlow: the model may run on any backend of Keras. An int8 one is
    the .tflite that `export_tflite` makes, by `tflite_to_onnx`.

    Args:
        model: what `fast_scnn`, `quantize_aware` or `load_model` returned.
        path: the .onnx to write.
        recipe: `float32`, `float16` (weights only), `int8` or `int8-qat`.
        outputs: as of `export_tflite`. Scores are float32, those of int8 brought to real values;
            labels uint8.
        calibration: as of `export_tflite`.
        about: as of `export_tflite`.
        force: replace an existing file.
        options: recipe, outputs, size, pad, input (`uint8` raw bytes, or `float32` normalised),
            calibration method, engine and the layers in float as a group, as of `export_tflite`.

    Raises:
        ConfigError: a recipe, output or input that it cannot have.
        InputError: the package `onnx`, or for int8 TensorFlow, is not installed.
        OutputError: the file exists or cannot be written.
        ModelFileError: weights are NaN or infinite.
        ExportError: what onnxruntime computes is not what the model computes; nothing is written.
    """
    wanted = options or ExportOptions(recipe, outputs)
    target = check_onnx(path, wanted, force)
    rules, input = wanted.checked()
    if rules.quantized:
        with tempfile.TemporaryDirectory(prefix="fastscnn_") as folder:
            file = Path(folder) / "model.tflite"
            export_tflite(model, file, calibration=calibration, about=about, options=wanted)
            return tflite_to_onnx(file, target, force)
    network = network_for(model, rules, wanted, calibration)
    metadata = file_metadata(model, network, rules, wanted.outputs, input, about)
    graph = float_graph(network, wanted.outputs, input, rules.name == "float16")
    content = graph.content(metadata)
    if network.config != model.config:
        model = resize_model(model, network.config.input_size, network.config.pad)
    bounds = HALF if rules.name == "float16" else EXACT
    expected = _of_keras(model, wanted.outputs)
    told = verified(content, metadata, expected, "the Keras model", bounds)
    return _written(target, content, graph, metadata, told)


def tflite_to_onnx(source: StrPath, path: StrPath, force: bool = False) -> OnnxResult:
    """Writes a .tflite of ours as an .onnx: the same operations, weights and metadata.

    An int8 file becomes QDQ (QuantizeLinear and DequantizeLinear around each operation) with the
    .tflite's scales, zero points and integers; activations are bytes, so that an int8 tensor's
    zero point is 128 larger. An image of int8 becomes one of uint8.

    Args:
        source: a .tflite that `export_tflite` wrote, of recipe float32, float16, int8 or int8-qat.
        path: the .onnx to write.
        force: replace an existing file.

    Raises:
        ModelFileError: the .tflite is missing, damaged, from elsewhere or of another recipe.
        InputError: the package `onnx` is not installed.
        OutputError: the file exists or cannot be written.
        ExportError: what onnxruntime computes is not what the .tflite computes; nothing is
            written.
    """
    target = check_onnx(path, None, force)
    _, graphs = read_model(source)
    metadata = own_metadata(graphs)
    if metadata.get("recipe") not in RECIPES:
        got = f"recipe {metadata['recipe']}" if metadata.get("recipe") else "none of its metadata"
        raise ModelFileError(
            f"{source}: expected a .tflite of fastscnn export, of recipe {either(RECIPES)}; "
            f"got {got}"
        )
    if reason := why_not(graphs.main):  # first: numbers of a made file go through formulas here
        raise ModelFileError(f"{source}: damaged .tflite file ({reason})")
    # A made file may put anything in the place of an operation's inputs and options.
    odd = LookupError, TypeError, ValueError, ArithmeticError
    told = f"{source}: not a graph as fastscnn export writes it ("
    with retold(ModelFileError, told, ")", of=odd):
        graph = translate(graphs.main, metadata["outputs"])
    content = graph.content(metadata)
    verdict = _as_tflite(Path(source), graphs, content, metadata)
    return _written(target, content, graph, metadata, verdict)


def check_onnx(path: StrPath, options: ExportOptions | None = None, force: bool = False) -> Path:
    """What `export_onnx` refuses without a look at the model.

    Args:
        path, force: as of `export_onnx`.
        options: as well; None for those of a .tflite.

    Returns:
        The file that will be written.

    Raises:
        ConfigError: another suffix, or a recipe or input that it cannot have.
        InputError: the package `onnx` is not installed.
        OutputError: the file exists or cannot be written.
    """
    target = check_output(path, force, suffix=".onnx")
    if options is not None:
        rules, input = options.checked()
        for what, name, known in (("recipe", rules.name, RECIPES), ("input", input, INPUTS)):
            if name not in known:
                raise ConfigError(f"format onnx has {what} {either(known)}: not {name}")
    OnnxGraph()
    return target


def _as_tflite(
    source: Path, graphs: ModelGraphs, content: bytes, metadata: Mapping[str, Any]
) -> str:
    """What onnxruntime gives beside the .tflite."""
    segmenter = Segmenter(source)
    result = graphs.main.tensors[graphs.main.outputs[0]]
    scale = result.scales[0] if result.quantized else None
    zero = result.zero_points[0] if result.quantized else 0

    def expected(image: np.ndarray) -> np.ndarray:
        output = segmenter.run(image)
        if scale is None:
            return output
        return (output.astype(np.float32) - np.float32(zero)) * np.float32(scale)

    bounds: Bounds = EXACT if scale is None else STEPS
    if metadata["outputs"].startswith("labels"):
        bounds = LABELS
    return verified(content, metadata, expected, "the .tflite", bounds, scale)


def _of_keras(model: KerasModel, outputs: str) -> Callable[[np.ndarray], np.ndarray]:
    """Scores of a Keras model, as a file of these outputs gives them."""
    at_eighth = outputs in ("logits", "labels-8")
    run = KerasPredictor(model, full=not at_eighth).run

    def expected(image: np.ndarray) -> np.ndarray:
        scores = run(image)
        return softmax(scores) if outputs == "prob" else scores

    return expected


def _written(
    target: Path, content: bytes, graph: OnnxGraph, metadata: dict[str, Any], told: str
) -> OnnxResult:
    write_bytes(target, content)
    return OnnxResult(target, len(content), graph.ops, metadata, told)
