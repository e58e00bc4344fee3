"""LiteRT's two APIs, ONNX Runtime and OpenVINO, opened, and one run of a file for trial.

Imports nothing of this package, so that the process in which a file is tried can load this very
module and opens it just as it will be opened here.
"""

from __future__ import annotations

import io
import random
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

REFUSALS = (ValueError, RuntimeError, MemoryError)  # what both raise for a file they do not take
Call = Callable[[np.ndarray], np.ndarray]  # an image to the output that is read
# choices of the settings that the Python API calls otherwise
_ENUM_NAMES = {
    "memhandle": "MEM_HANDLE",
    "O1": "OPTIMIZE_FOR_INFERENCE",
    "O2": "OPTIMIZE_FOR_PREPARE",
    "O3": "OPTIMIZE_FOR_INFERENCE_O3",
}


def interpreter(content: bytes, threads: int, options: Mapping[str, Any]) -> Any:
    """An `Interpreter` with its tensors allocated, or what does the same with TFLite Micro's.

    Args:
        content: of the file.
        threads: CPU threads.
        options: further arguments; the op resolver by name. Or `micro`, what TFLite Micro needs:
            `arena`, the bytes of its memory.

    Raises:
        ValueError, RuntimeError, MemoryError: it refuses the file.
    """
    if "micro" in options:
        return MicroInterpreter(content, options["micro"]["arena"])
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    given = dict(options)
    if resolver := given.pop("experimental_op_resolver_type", None):
        given["experimental_op_resolver_type"] = OpResolverType[resolver]
    opened = Interpreter(model_content=content, num_threads=threads, **given)
    opened.allocate_tensors()
    return opened


class Staged:
    """The methods of `Interpreter`, as far as they are used here, of what else runs a network.

    Args:
        inputs: index (the place among them), shape, dtype and quantization of the inputs.
        outputs: the same of the outputs.
    """

    def __init__(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]):
        self._inputs, self._outputs = inputs, outputs
        self._staged = [np.zeros(port["shape"], port["dtype"]) for port in inputs]

    def get_input_details(self) -> list[dict[str, Any]]:
        """What was given of the inputs."""
        return self._inputs

    def get_output_details(self) -> list[dict[str, Any]]:
        """What was given of the outputs."""
        return self._outputs

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        """Sets an input."""
        np.copyto(self._staged[index], value, casting="no")

    def tensor(self, index: int) -> Callable[[], np.ndarray]:
        """Gives an input to write into."""
        return lambda: self._staged[index]


class MicroInterpreter(Staged):
    """TFLite Micro's interpreter.

    Args:
        content: of the file.
        arena: bytes in which its tensors must find place.

    Raises:
        RuntimeError: they do not, or it has no kernel for an operation.
    """

    def __init__(self, content: bytes, arena: int):
        from tflite_micro.python.tflite_micro.runtime import Interpreter

        try:
            self._native = Interpreter.from_bytes(content, arena_size=arena)
        except RuntimeError:  # why is on stderr only
            raise RuntimeError("TFLite Micro has no kernels for its operations") from None
        details = self._native.get_input_details, self._native.get_output_details
        super().__init__(*map(_micro_ports, details))

    def invoke(self) -> None:
        """Runs the network."""
        for index, value in enumerate(self._staged):
            self._native.set_input(value, index)
        self._native.invoke()

    def get_tensor(self, index: int) -> np.ndarray:
        """A copy of an output."""
        return self._native.get_output(index)


def _micro_ports(details: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        try:
            port = details(len(found))
        except IndexError:  # which is how it says how many there are
            return found
        steps = port["quantization_parameters"]
        pair = (0.0, 0)
        if len(steps["scales"]) == 1:
            pair = float(steps["scales"][0]), int(steps["zero_points"][0])
        found.append({**port, "index": len(found), "quantization": pair})


def compiled(content: bytes, settings: Any, threads: int, options: Mapping[str, Any]) -> list[Any]:
    """A `CompiledModel`, its input buffers and its output buffers.

    Args:
        content: of the file.
        settings: `accelerator` and `cpu_fallback`.
        threads: CPU threads.
        options: by group, as `engine.plan_engine` makes them.

    Raises:
        ValueError, RuntimeError, MemoryError: it cannot be compiled here.
    """
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.environment import Environment

    environment = Environment.create(**options["environment"])
    wanted = litert_options(settings, threads, options)
    model = CompiledModel.from_buffer(content, environment=environment, options=wanted)
    return [model, model.create_input_buffers(0), model.create_output_buffers(0)]


def litert_options(settings: Any, threads: int, given: Mapping[str, Any]) -> Any:
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


def other(content: bytes, order: Mapping[str, Any]) -> Call:
    """A network in ONNX Runtime or OpenVINO, as a function of its input.

    Args:
        content: of the file.
        order: `runtime`, `threads`, `input`: shape, dtype and name; `place` of the output; `file`:
            where the content lies if it is a .tflite, which OpenVINO takes from no memory.

    Raises:
        Exception: of whatever class, it refuses the file.
    """
    return _OTHERS[order["runtime"]](content, order)


def _onnxruntime(content: bytes, order: Mapping[str, Any]) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = order["threads"], 1
    options.log_severity_level = 4  # what is wrong is said by an exception
    # Without VNNI products of bytes and signed weights would be clipped to 16 bits.
    options.add_session_config_entry("session.x64quantprecision", "1")
    # Never what looks like its other format, which nobody has checked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name, wanted = order["input"][2], [session.get_outputs()[order["place"]].name]
    return lambda image: session.run(wanted, {name: image})[0]


def _openvino(content: bytes, order: Mapping[str, Any]) -> Call:
    import openvino
    from openvino.frontend import FrontEndManager

    # The reader is named, so that no other one takes the file for its own.
    reader = FrontEndManager().load_by_framework("tflite" if order["file"] else "onnx")
    model = reader.convert(reader.load(order["file"] or io.BytesIO(content)))
    if model.inputs[0].partial_shape.is_dynamic:
        model.reshape(list(order["input"][0]))
    wanted = {
        "INFERENCE_NUM_THREADS": order["threads"],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",  # otherwise bfloat16, where the CPU has it
    }
    request = openvino.Core().compile_model(model, "CPU", wanted).create_infer_request()
    return lambda image: np.array(request.infer([image], share_inputs=True)[order["place"]])


_OTHERS = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def run(content: bytes, order: Mapping[str, Any], say: Callable[..., None]) -> None:
    """The trial: opens a file as ordered, runs it once on noise and reads what comes out.

    Args:
        content: of the file.
        order: that of `other`; or `threads`, `options`, and for a `CompiledModel` `settings`,
            `input` and `output`.
        say: is told `stage="opened"` and `stage="ran"`, or `stage="refused"` with the `error`.
    """
    refusals = Exception if "runtime" in order else REFUSALS
    try:
        if "runtime" in order:
            call = other(content, order)
            say(stage="opened")
            call(_noise(*order["input"][:2]))
        elif order["settings"] is None:
            opened = interpreter(content, order["threads"], order["options"])
            say(stage="opened")
            run_once(opened)
        else:
            settings = types.SimpleNamespace(**order["settings"])
            native = compiled(content, settings, order["threads"], order["options"])
            say(stage="opened")
            _run_compiled(native, order["input"], order["output"])
        say(stage="ran")
    except refusals as error:
        out_of_memory = isinstance(error, MemoryError)
        say(stage="refused", error="out of memory" if out_of_memory else str(error))


def run_once(opened: Any) -> None:
    """Runs an interpreter on noise."""
    for port in opened.get_input_details():
        opened.set_tensor(port["index"], _noise(port["shape"], port["dtype"]))
    opened.invoke()
    for port in opened.get_output_details():
        opened.get_tensor(port["index"])


def _run_compiled(native: list[Any], input: Sequence[Any], output: Sequence[Any]) -> None:
    model, inputs, outputs = native
    if len(inputs) == len(outputs) == 1:
        inputs[0].write(_noise(input[0], np.dtype(input[1])))
        model.run_by_index(0, inputs, outputs)
        outputs[0].read(int(np.prod(output[0])), np.dtype(output[1]))


def _noise(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Every byte in integers of 8 bits, -1..1 in floats."""
    count = int(np.prod(shape))
    values = np.frombuffer(random.Random(0).randbytes(count), np.uint8)
    if np.dtype(dtype).kind == "f":
        return (values.astype(dtype) / 128 - 1).astype(dtype).reshape(shape)
    return values.astype(dtype).reshape(shape)
