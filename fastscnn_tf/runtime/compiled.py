"""`CompiledInterpreter`: LiteRT's `CompiledModel` behind the methods of `Interpreter`."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..core.console import quiet_end, quiet_stderr
from ..core.delegates.device import DeviceSettings
from ..core.errors import ConfigError
from ..core.files import make_folder
from .tflite_file import unpack

# choices of the settings that the Python API calls otherwise
_ENUM_NAMES = {
    "memhandle": "MEM_HANDLE",
    "O1": "OPTIMIZE_FOR_INFERENCE",
    "O2": "OPTIMIZE_FOR_PREPARE",
    "O3": "OPTIMIZE_FOR_INFERENCE_O3",
}


class CompiledInterpreter:
    """Runs the only signature of a .tflite with one input and one output.

    Args:
        path: for messages.
        content: of the file.
        settings: which accelerator, and whether the CPU may take what it refuses.
        threads: CPU threads.
        options: by group, as `engine.plan_engine` makes them.

    Raises:
        ConfigError: it cannot be compiled for that accelerator here.
        OutputError: the folder of the weight cache cannot be written.
    """

    def __init__(
        self,
        path: Path,
        content: bytes,
        settings: DeviceSettings,
        threads: int,
        options: dict[str, Any],
    ):
        if cache := options["cpu"].get("xnnpack_weight_cache_path"):
            make_folder(Path(cache).parent)
        with quiet_stderr():
            self._native, reason = _compile(content, settings, threads, options)
        if reason:
            raise ConfigError(
                f"{path}: cannot be compiled for {settings.accelerator} here ({reason}): use other "
                "settings, such as accelerator=cpu"
            )
        weakref.finalize(self, _release, self._native)
        graph = unpack(content).subgraphs[0]
        self._input = _details(graph.tensors[graph.inputs[0]], 0)
        self._output = _details(graph.tensors[graph.outputs[0]], 1)
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


def _compile(
    content: bytes, settings: DeviceSettings, threads: int, options: dict[str, Any]
) -> tuple[list[Any], str]:
    """Model, input buffers and output buffers; or why there are none."""
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.environment import Environment

    try:
        environment = Environment.create(**options["environment"])
        wanted = litert_options(settings, threads, options)
        model = CompiledModel.from_buffer(content, environment=environment, options=wanted)
        return [model, model.create_input_buffers(0), model.create_output_buffers(0)], ""
    except (RuntimeError, ValueError) as error:
        return [], re.sub(r"\s+", " ", str(error)).strip()[:160] or type(error).__name__


def _release(native: list[Any]) -> None:
    """Lets go of what LiteRT made; it writes lines about that."""
    with quiet_stderr():
        while native:
            native.pop()


def litert_options(settings: DeviceSettings, threads: int, given: dict[str, Any]) -> Any:
    """`ai_edge_litert.options.Options` from options by group."""
    from ai_edge_litert import options as litert

    chosen = litert.HardwareAccelerator[settings.accelerator.upper()]
    if settings.cpu_fallback is not False:
        chosen |= litert.HardwareAccelerator.CPU
    cpu = dict(given["cpu"])
    if mode := cpu.pop("kernel_mode", None):
        cpu["kernel_mode"] = litert.CpuKernelMode[mode.upper()]
    options = litert.Options(chosen, cpu_options=litert.CpuOptions(num_threads=threads, **cpu))
    for name, value in given.get("gpu", {}).items():
        setattr(options.gpu_options, name, value)
    for vendor in ("qualcomm", "intel_openvino"):
        for name, value in given.get(vendor, {}).items():
            _set_vendor_option(getattr(options, f"{vendor}_options"), name, value)
    return options


def _set_vendor_option(options: Any, name: str, value: Any) -> None:
    enum = getattr(options, name.upper(), None)  # a class attribute beside each such field
    if enum is not None:
        value = enum[_ENUM_NAMES.get(value, value.upper())]
    if name == "configs":
        options.configs_map = dict(item.partition("=")[::2] for item in value)
    else:
        setattr(options, name, value)


def _details(tensor: Any, index: int) -> dict[str, Any]:
    """What `Interpreter` says of a tensor; `CompiledModel` leaves its quantization out."""
    scales, zeros = tensor.quantization.scale, tensor.quantization.zeroPoint
    quantized = scales is not None and len(scales) == 1
    return {
        "index": index,
        "shape": np.asarray(tensor.shape, np.int32),
        "shape_signature": np.asarray(
            tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature, np.int32
        ),
        "dtype": _dtypes()[tensor.type],
        "quantization": (float(scales[0]), int(zeros[0])) if quantized else (0.0, 0),
    }


def _dtypes() -> dict[int, type]:
    from ai_edge_litert.schema_py_generated import TensorType

    names = ("FLOAT32", "INT32", "UINT8", "INT64", "INT16", "INT8")
    return {getattr(TensorType, name): getattr(np, name.lower()) for name in names}
