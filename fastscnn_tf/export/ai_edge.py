"""Recipe int8 by ai-edge-quantizer, with layers left in float where they are named.

It gets the float graph on bytes and the calibration images, and returns its int8 graph; the ends
are then made what this project's files have. The ranges are the engine's own: moving averages of
each image's extremes, by tensor.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.console import quiet_stderr
from ..core.errors import ConfigError, DataError, ExportError
from ..data.datasets.objects import Source
from ..model.byte_input import STEP, byte_range, centre
from ..model.folded import FoldedNetwork, check_activations, on_bytes
from ..model.tf_blocks import image_bytes
from ..tflite.file import operation, unpack
from ..tflite.parser import parse_tflite
from . import edits
from . import quantization_recipes as recipes
from .converter import convert
from .converter_engine import AI_EDGE, ai_edge_module
from .export_blocks import NamedBlocks
from .mutable_graph import graph_function
from .pack import pack
from .representative import first_images

CHUNK = 8  # images that are held at once
THREADS = 2
SIGNATURE, IMAGE = "serving_default", "image"
UNTOUCHED = ("CONCATENATION", "RESHAPE", "PAD")  # what may stand between the bytes and a layer


def quantize_file(
    network: FoldedNetwork,
    outputs: str,
    input: str,
    calibration: Source,
    layers: Sequence[str] = (),
) -> tuple[bytes, frozenset[str]]:
    """The engine's int8 graph of a network, its ends as this project's int8 files have them.

    Args:
        network: folded weights of a float network, of the size of the images.
        outputs: name of the output.
        input: `uint8`, `int8` or `float32`.
        calibration: anything with images; the first 200 count.
        layers: those that stay in float.

    Returns:
        The file, and the tensors that operations in float write: those of `layers`.

    Raises:
        InputError: the engine is not installed.
        ConfigError: a layer has no operation in the graph.
        DataError: there is not one image, or one cannot be used.
        ModelFileError: an activation is NaN or infinite.
        ExportError: the engine failed.
    """
    quantizer, recipe = ai_edge_module("quantizer"), ai_edge_module("recipe")
    network = on_bytes(network)
    function = graph_function(network, outputs, "float32", NamedBlocks)
    content = convert(function, recipes.recipe("float32"), outputs, "float32")
    floats, on_grid = _tensors_of(content, layers), _image_tensors(content)
    samples = _samples(network, calibration)
    with _quiet():
        job = quantizer.Quantizer(bytearray(content), recipe.static_wi8_ai8())
        if floats:
            names = "|".join(re.escape(f"{name};") for name in sorted(floats))
            job.update_quantization_recipe(f"^(?:{names})$", "*", algorithm_key="no_quantize")
    ranges: Any = None
    for chunk in samples:  # outside of `_quiet`: what reads images may say something
        with _quiet():
            ranges = job.calibrate({SIGNATURE: chunk}, ranges, num_threads=THREADS)
    if ranges is None:
        raise DataError("calibration needs at least one image, got none")
    for name, limits in ranges.items():
        check_activations(name, *limits.values())
    for name in on_grid & ranges.keys():  # exactly the bytes, whichever the images hold
        low, high = (np.full((1, 1, 1, 1), v, np.float32) for v in byte_range(network.config))
        ranges[name] = {"min": low, "max": high}
    try:
        with _quiet():
            result = job.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExportError(f"{AI_EDGE} failed: {reason}") from error
    return _with_our_ends(bytes(result.quantized_model), network.config, input), floats


def check_floats(content: bytes, floats: frozenset[str]) -> None:
    """Asserts that no operation but those of the layers that were to stay so works in float.

    Args:
        content: the file.
        floats: what those operations write.

    Raises:
        ExportError: naming the others.
    """
    graph = parse_tflite(content).main
    foreign = []
    for op in graph.ops:
        tensors = [graph.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0]
        edge = op.kind in ("QUANTIZE", "DEQUANTIZE")
        if edge or not any(tensor.is_float for tensor in tensors):
            continue
        if not {graph.tensors[i].name for i in op.outputs} <= floats:
            foreign.append(f"{op.kind} {graph.tensors[op.outputs[0]].name}")
    if foreign:
        raise ExportError(f"works in float, but was to be int8: {', '.join(foreign)}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the engine's bars and reports, and what the interpreter writes."""
    log = logging.getLogger()
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with quiet_stderr(), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def _samples(network: FoldedNetwork, calibration: Source) -> Iterator[list[dict[str, np.ndarray]]]:
    """The images on the grid of bytes, as the engine takes them, a few at a time."""
    config = network.config
    images = (image_bytes(image[None], config) for image in first_images(config, calibration))
    grids = ({IMAGE: (np.rint(x / STEP) * STEP).astype(np.float32)} for x in images)
    while chunk := list(itertools.islice(grids, CHUNK)):
        yield chunk


def _tensors_of(content: bytes, layers: Sequence[str]) -> frozenset[str]:
    """What the operations of layers write.

    The converter names a tensor after the operations that became one, the graph's output after
    nothing: there the kernel's name tells the layer.

    Raises:
        ConfigError: a layer has no operation in this graph.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    found: dict[str, set[str]] = {layer: set() for layer in layers}
    for op in graph.operators:
        written = [_name(graph.tensors[i]) for i in op.outputs]
        last_conv = list(op.outputs) == list(graph.outputs) and operation(model, op) == "CONV_2D"
        told_by = [_name(graph.tensors[op.inputs[1]])] if last_conv else written
        parts = [part for name in told_by for part in name.split(";")]
        for layer in layers:
            if any(part.startswith(f"{layer}/") for part in parts):
                found[layer].update(written)
    if missing := [layer for layer, names in found.items() if not names]:
        raise ConfigError(
            f"layers without an operation of their own at this size: {', '.join(missing)}"
        )
    return frozenset().union(*found.values())


def _image_tensors(content: bytes) -> frozenset[str]:
    """The image, framed or reshaped: all that is still bytes."""
    model = unpack(content)
    graph = model.subgraphs[0]
    found = set(graph.inputs)
    for op in graph.operators:
        if operation(model, op) in UNTOUCHED and found & set(op.inputs):
            found |= set(op.outputs)
    return frozenset(_name(graph.tensors[i]) for i in found)


def _name(tensor: Any) -> str:
    return str(tensor.name.decode())


def _with_our_ends(content: bytes, config: FastSCNNConfig, input: str) -> bytes:
    model = unpack(content)
    for buffer in model.buffers:
        if buffer.offset > 1:  # behind the flatbuffer, where the engine puts weights of 256 KiB on
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    edit = edits.Editor(model)
    edits.argmax_of_integers(edit)
    edits.input_of_type(edit, input, STEP, int(centre(config)))
    edits.output_of_bytes(edit)
    return pack(edit.model, len(content))
