"""Sizes of outputs that an .onnx leaves open, as PyTorch's exporter does: by running it once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ..tflite.graph import Graph, ModelGraphs
from . import native
from .engine import DEFAULT_THREADS, Plan
from .other_runtime import given_file, order_for
from .trial import ensure_tried, refused


def with_sizes(
    path: Path, content: bytes, graphs: ModelGraphs, runtime: str, trusted: bool
) -> tuple[ModelGraphs, float]:
    """The graphs with the sizes that the outputs have, and the seconds that their trial took.

    Args:
        path: for messages.
        content: of the file.
        graphs: in it; where nothing is open, or the input is, they come back as they are.
        runtime: that runs it.
        trusted: run it here at once.

    Raises:
        ModelFileError: the runtime refuses it, or its trial ended badly.
    """
    graph, seconds = graphs.main, 0.0
    tensors = list(graph.tensors)
    for place, index in enumerate(graph.outputs):
        if len(graph.inputs) == 1 and _is_open(graph, index) and not _is_open(graph, *graph.inputs):
            order = order_for(path, runtime, graph, place)
            if order is None:
                break
            order["threads"] = DEFAULT_THREADS
            plan = Plan(order=order)
            seconds += 0.0 if trusted else ensure_tried(path, content, graph, plan)
            shape, dtype, _ = order["input"]
            try:
                with given_file(order, content) as given:
                    found = native.other(content, given)(np.zeros(shape, dtype))
            except Exception as error:  # each runtime has classes of its own
                raise refused(path, error) from None
            tensors[index] = dataclasses.replace(tensors[index], shape=found.shape)
    main = dataclasses.replace(graph, tensors=tuple(tensors))
    return dataclasses.replace(graphs, graphs=(main, *graphs.graphs[1:])), seconds


def _is_open(graph: Graph, index: int) -> bool:
    """Whether a size but that of the batch is, or even their number, as of a shape left out."""
    shape = graph.tensors[index].shape
    return not shape or any(side < 0 for side in shape[1:])
