"""`CompiledInterpreter`: LiteRT's `CompiledModel` behind the methods of `Interpreter`."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..core.console import quiet_end, quiet_stderr
from ..core.errors import ModelFileError
from ..core.files.writing import make_folder
from ..tflite.graph import Tensor
from ..tflite.parser import parse_tflite
from . import native
from .engine import Plan
from .trial import cannot_compile

DTYPES = ("float32", "float16", "int32", "uint8", "int64", "int16", "int8")  # of its ports


class CompiledInterpreter:
    """Runs the only signature of a .tflite with one input and one output.

    Args:
        path: for messages.
        content: of the file.
        plan: its settings say which accelerator, and whether the CPU may take what it refuses.

    Raises:
        ConfigError: it cannot be compiled for that accelerator here.
        ModelFileError: its input or output is of a type that is not run.
        OutputError: the folder of the weight cache cannot be written.
    """

    def __init__(self, path: Path, content: bytes, plan: Plan):
        if cache := plan.options["cpu"].get("xnnpack_weight_cache_path"):
            make_folder(Path(cache).parent)
        with quiet_stderr():
            self._native, reason = _compile(content, plan)
        if reason:
            raise cannot_compile(path, plan.settings.accelerator, reason)
        weakref.finalize(self, _release, self._native)
        graph = parse_tflite(content).main
        self._input = _details(path, graph.tensors[graph.inputs[0]], 0)
        self._output = _details(path, graph.tensors[graph.outputs[0]], 1)
        self._staged = np.zeros(self._input["shape"], self._input["dtype"])
        if len(self._native[1]) == 1:
            with quiet_stderr():
                # The first write makes another environment, which speaks now and when it ends.
                self._native[1][0].write(self._staged)
            quiet_end()

    def get_input_details(self) -> list[dict[str, Any]]:
        """As `Interpreter`'s, as far as they are used here."""
        return [self._input] * len(self._native[1])

    def get_output_details(self) -> list[dict[str, Any]]:
        """As `Interpreter`'s, as far as they are used here."""
        return [self._output] * len(self._native[2])

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        """Sets the input."""
        np.copyto(self._staged, value, casting="no")

    def tensor(self, index: int) -> Callable[[], np.ndarray]:
        """Gives the input to write into, as `Interpreter` does."""
        return lambda: self._staged

    def invoke(self) -> None:
        """Runs the network."""
        model, inputs, outputs = self._native
        inputs[0].write(self._staged)
        model.run_by_index(0, inputs, outputs)

    def get_tensor(self, index: int) -> np.ndarray:
        """A copy of the output."""
        shape, dtype = self._output["shape"], self._output["dtype"]
        return self._native[2][0].read(int(np.prod(shape)), dtype).reshape(shape)


def _compile(content: bytes, plan: Plan) -> tuple[list[Any], str]:
    """What `native.compiled` makes; or why it does not, as text that keeps nothing alive."""
    try:
        return native.compiled(content, plan.settings, plan.threads, plan.options), ""
    except native.REFUSALS as error:
        return [], str(error) or type(error).__name__


def _release(opened: list[Any]) -> None:
    """Lets go of what LiteRT made; it writes lines about that."""
    with quiet_stderr():
        while opened:
            opened.pop()


def _details(path: Path, tensor: Tensor, index: int) -> dict[str, Any]:
    """What `Interpreter` says of a tensor; `CompiledModel` leaves its quantization out."""
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
