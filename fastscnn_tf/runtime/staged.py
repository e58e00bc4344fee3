"""`StagedInterpreter`: what else runs a network, behind the methods of LiteRT's `Interpreter`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import ModelFileError
from ..tflite.graph import Graph, Tensor
from .native import Staged

DTYPES = ("float32", "float16", "int32", "uint8", "int64", "int16", "int8")  # of its ports


class StagedInterpreter(Staged):
    """One input, held here until it runs, and the output that is read.

    Args:
        path: for messages.
        graph: of the file.
        place: of that output.

    Raises:
        ModelFileError: its input or output is of a type that is not run.
    """

    def __init__(self, path: Path, graph: Graph, place: int = 0):
        self._output = _details(path, graph.tensors[graph.outputs[place]], 1)
        image = _details(path, graph.tensors[graph.inputs[0]], 0)
        super().__init__([image], [self._output] * len(graph.outputs))


def _details(path: Path, tensor: Tensor, index: int) -> dict[str, Any]:
    """What `Interpreter` says of a tensor."""
    if tensor.dtype not in DTYPES:
        raise ModelFileError(
            f"{path}: tensor {tensor.index} is {tensor.dtype}, expected one of {', '.join(DTYPES)}"
        )
    quantized = len(tensor.scales) == 1
    return {
        "index": index,
        "shape": np.asarray([max(size, 1) for size in tensor.shape], np.int32),
        "dtype": np.dtype(tensor.dtype).type,
        "quantization": (tensor.scales[0], tensor.zero_points[0]) if quantized else (0.0, 0),
    }
