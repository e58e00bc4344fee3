"""`CompiledInterpreter`: LiteRT's `CompiledModel` behind the methods of `Interpreter`."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np

from ..core.console import quiet_end, quiet_stderr
from ..core.files.writing import make_folder
from ..tflite.graph import Graph
from . import native
from .engine import Plan
from .staged import StagedInterpreter
from .trial import cannot_compile


class CompiledInterpreter(StagedInterpreter):
    """Runs the only signature of a .tflite with one input and one output.

    Args:
        path: for messages.
        content: of the file.
        graph: in it.
        plan: its settings say which accelerator, and whether the CPU may take what it refuses.

    Raises:
        ConfigError: it cannot be compiled for that accelerator here.
        ModelFileError: its input or output is of a type that is not run.
        OutputError: the folder of the weight cache cannot be written.
    """

    def __init__(self, path: Path, content: bytes, graph: Graph, plan: Plan):
        if cache := plan.options["cpu"].get("xnnpack_weight_cache_path"):
            make_folder(Path(cache).parent)
        with quiet_stderr():
            self._native, reason = _compile(content, plan)
        if reason:
            raise cannot_compile(path, plan.settings.accelerator, reason)
        weakref.finalize(self, _release, self._native)
        super().__init__(path, graph)
        if len(self._native[1]) == 1:
            with quiet_stderr():
                # The first write makes another environment, which speaks now and when it ends.
                self._native[1][0].write(self._staged[0])
            quiet_end()

    def invoke(self) -> None:
        """Runs the network."""
        model, inputs, outputs = self._native
        inputs[0].write(self._staged[0])
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
