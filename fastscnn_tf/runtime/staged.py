"""`StagedInterpreter`: what else runs a network, behind the methods of LiteRT's `Interpreter`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import ModelFileError
from ..tflite.graph import Graph, Tensor

DTYPES = ("float32", "float16", "int32", "uint8", "int64", "int16", "int8")  # of its ports


class StagedInterpreter:
    """One input, held here until `invoke`, and the output that is read.

    Args:
        path: for messages.
        graph: of the file.
        place: of that output.

    Raises:
        ModelFileError: its input or output is of a type that is not run.
    """

    def __init__(self, path: Path, graph: Graph, place: int = 0):
        self._input = _details(path, graph.tensors[graph.inputs[0]], 0)
        self._output = _details(path, graph.tensors[graph.outputs[place]], 1)
        self._outputs = len(graph.outputs)
        self._staged = np.zeros(self._input["shape"], self._input["dtype"])

    def get_input_details(self) -> list[dict[str, Any]]:
        """As `Interpreter`'s, as far as they are used here."""
        return [self._input]

    def get_output_details(self) -> list[dict[str, Any]]:
        """As `Interpreter`'s, as far as they are used here."""
        return [self._output] * self._outputs

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        """Sets the input."""
        np.copyto(self._staged, value, casting="no")

    def tensor(self, index: int) -> Callable[[], np.ndarray]:
        """Gives the input to write into, as `Interpreter` does."""
        return lambda: self._staged

    def invoke(self) -> None:
        """Runs the network."""
        raise NotImplementedError

    def get_tensor(self, index: int) -> np.ndarray:
        """A copy of the output."""
        raise NotImplementedError


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
