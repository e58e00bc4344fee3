"""Which runtime runs a file: LiteRT, ONNX Runtime or OpenVINO; and the last two, opened."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.arguments import check_name
from ..core.console import quiet_stderr
from ..core.environment import environment
from ..core.errors import ConfigError, ModelFileError
from ..core.extras import import_extra
from ..core.named_weights import ONNX, RUN_HERE
from ..tflite.graph import Graph
from . import RUNTIME_VARIABLE, RUNTIMES, native
from .staged import StagedInterpreter

LITERT = RUNTIMES[0]
MICRO = "tflite_micro"
EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}
_DISTRIBUTIONS = {LITERT: "ai-edge-litert"}


def runtimes_of(path: Path) -> tuple[str, ...]:
    """Those that take a file of this kind, the usual one first."""
    return RUNTIMES[1:] if path.suffix == ONNX else (LITERT, "openvino")


def installed(runtime: str) -> bool:
    """Whether it is there; LiteRT always is."""
    return runtime == LITERT or importlib.util.find_spec(runtime) is not None


def version_of(runtime: str) -> str:
    """Such as `litert 2.2.1`, of those or of TFLite Micro."""
    return f"{runtime} {importlib.metadata.version(_DISTRIBUTIONS.get(runtime, runtime))}"


def using_runtime(runtime: str | None) -> contextlib.AbstractContextManager[None]:
    """Runs all files by it meanwhile, in processes that are started, too; None: by the usual one.

    Raises:
        ConfigError: there is no such runtime.
    """
    if runtime is not None:
        check_name("runtime", runtime, RUNTIMES)
    return environment(**{RUNTIME_VARIABLE: runtime})


def check_run_here(*models: StrPath) -> None:
    """Refuses to choose a runtime for models that Keras computes, all of them.

    Raises:
        ConfigError: naming them.
    """
    if not any(Path(model).suffix in RUN_HERE for model in models):
        told = ", ".join(map(str, models))
        raise ConfigError(f"{told}: --runtime is for a .tflite or .onnx: export it first")


def choose_runtime(path: Path, wanted: str | None) -> str:
    """The runtime for a file: the one asked for, here or by FASTSCNN_RUNTIME, or the usual one.

    Raises:
        ConfigError: there is no such runtime, or it does not take the file.
        InputError: it is not installed.
    """
    takes = runtimes_of(path)
    name = wanted or os.environ.get(RUNTIME_VARIABLE) or takes[0]
    if name not in RUNTIMES:
        asked = "runtime" if wanted else RUNTIME_VARIABLE
        raise ConfigError(f"{asked} must be one of {', '.join(RUNTIMES)}, got {name!r}")
    if name not in takes:
        raise ConfigError(f"{path}: {name} does not run it: take {' or '.join(takes)}")
    if name != LITERT:
        import_extra(name, EXTRAS[name], f", which runs {path.name}")
    return name


def order_for(path: Path, runtime: str, graph: Graph, place: int) -> dict[str, Any] | None:
    """What `native.other` is told beside the threads; None for LiteRT.

    Args:
        path: of the file.
        runtime: that runs it.
        graph: in it.
        place: of the output that is read.
    """
    if runtime == LITERT:
        return None
    image = graph.tensors[graph.inputs[0]]
    shape = tuple(max(side, 1) for side in image.shape)
    file = "" if path.suffix == ONNX else path.suffix
    return {
        "runtime": runtime,
        "place": place,
        "input": (shape, image.dtype, image.name),
        "file": file,
    }


@contextlib.contextmanager
def given_file(order: Mapping[str, Any], content: bytes) -> Iterator[dict[str, Any]]:
    """An order whose `file` is a path, where it has one: these very bytes, which nobody changes."""
    if not order["file"]:
        yield dict(order)
        return
    # On Windows a file cannot go while it is mapped.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"model{order['file']}"
        path.write_bytes(content)
        yield {**order, "file": str(path)}


class OtherInterpreter(StagedInterpreter):
    """ONNX Runtime or OpenVINO behind the methods of `Interpreter`.

    Args:
        path: for messages.
        content: of the file.
        graph: in it.
        order: for `native.other`.

    Raises:
        ModelFileError: its input or output is of a type that is not run.
        Exception: of whatever class, the runtime refuses the file.
    """

    def __init__(self, path: Path, content: bytes, graph: Graph, order: Mapping[str, Any]):
        super().__init__(path, graph, order["place"])
        self._path = path
        with quiet_stderr(), given_file(order, content) as given:
            self._call = native.other(content, given)

    def invoke(self) -> None:
        """Runs the network."""
        self._result = self._call(*self._staged)

    def get_tensor(self, index: int) -> np.ndarray:
        """The output.

        Raises:
            ModelFileError: it is of another shape or type than the file says.
        """
        shape, dtype = tuple(self._output["shape"].tolist()), np.dtype(self._output["dtype"])
        found = self._result
        if found.shape != shape or found.dtype != dtype:
            raise ModelFileError(
                f"{self._path}: its output is {found.dtype} {found.shape}, not {dtype} {shape} as "
                "it says"
            )
        return found
