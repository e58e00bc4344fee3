"""Where the milliseconds of a .tflite go, and how far each operation is from the CPU's peak.

Every operation is cut out of the file and run by itself by the interpreter (XNNPACK, one thread),
in turns with all others. Its time is the best of its rounds, in CPU seconds of this process, so
that other work on the machine counts little. The peak is what a 1x1 convolution of 1024 to 1024
channels of the same number type reaches in the same rounds.

    .venv/bin/python benchmarks/operations.py m.tflite
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from fastscnn_tf.core.text_table import text_table
from fastscnn_tf.runtime.benchmark import cpu_name
from fastscnn_tf.tflite.file import read_model
from fastscnn_tf.tflite.graph import Graph, Op
from fastscnn_tf.tflite.macs import count_macs

PEAK = (32, 32, 1024, 1024)  # height, width, channels in, channels out
BYTES = {schema.TensorType.FLOAT32: 4, schema.TensorType.INT32: 4, schema.TensorType.INT8: 1}


def main() -> None:
    content, graph, rounds = given(__doc__)
    programs = [load(cut(content, op.index)) for op in graph.ops]
    pointwise = next(op for op in graph.ops if kind_of(graph, op) == "CONV_2D 1x1")
    *times, whole, peak = best_times(
        [*programs, load(content), load(widened(content, pointwise.index))], rounds
    )
    rate = np.prod(PEAK) / peak
    print(f"{cpu_name()}, one thread; best of {rounds} rounds, CPU time")
    print(f"peak, 1x1 convolution of 1024 to 1024 channels: {rate / 1e9:.0f} GMAC/s\n")
    print(table(graph, times, rate))
    total = sum(count_macs(graph, op).total for op in graph.ops)
    print(f"\nthe whole graph: {whole * 1e3:.1f} ms, its operations alone {sum(times) * 1e3:.1f}")
    print(f"{total / 1e9:.2f} GMAC at the peak: {total / rate * 1e3:.1f} ms")


def given(about: str) -> tuple[bytes, Graph, int]:
    """What the command line asks for: the file's content, its graph, and the number of rounds."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    content, model = read_model(arguments.model)
    return content, model.main, arguments.rounds


def cut(content: bytes, index: int) -> bytes:
    """The file with one operation alone: what it reads is the input, what it writes the output."""
    return packed(one_operation(content, index))


def widened(content: bytes, index: int) -> bytes:
    """The same of a 1x1 convolution, with as many channels and pixels as `PEAK` says."""
    model = one_operation(content, index)
    graph = model.subgraphs[0]
    height, width, read, written = PEAK
    shapes = (
        (1, height, width, read),
        (written, 1, 1, read),
        (written,),
        (1, height, width, written),
    )
    op = graph.operators[0]
    for i, shape in zip((*op.inputs, op.outputs[0]), shapes, strict=True):
        tensor = graph.tensors[i]
        tensor.shape = list(shape)
        buffer = model.buffers[tensor.buffer]
        if buffer.data is None:
            continue
        buffer.data = np.resize(buffer.data, np.prod(shape) * BYTES[tensor.type])
        if tensor.quantization is not None and tensor.quantization.scale is not None:
            tensor.quantization.scale = np.resize(tensor.quantization.scale, written)
            tensor.quantization.zeroPoint = np.resize(tensor.quantization.zeroPoint, written)
    return packed(model)


def one_operation(content: bytes, index: int) -> schema.ModelT:
    """The file's objects with one operation left."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    op = graph.operators[index]
    graph.operators = [op]
    graph.inputs = [i for i in op.inputs if model.buffers[graph.tensors[i].buffer].data is None]
    graph.outputs = list(op.outputs)
    model.signatureDefs, model.metadata = [], []
    return model


def packed(model: schema.ModelT) -> bytes:
    """A file of these objects."""
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def load(content: bytes) -> Interpreter:
    """An interpreter that has run once, on noise."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for entry in interpreter.get_input_details():
        noise = rng.integers(0, 100, entry["shape"]).astype(entry["dtype"])
        interpreter.set_tensor(entry["index"], noise)
    interpreter.invoke()
    return interpreter


def best_times(programs: list[Interpreter], rounds: int) -> list[float]:
    """Seconds of CPU time of each, run one after the other in each round."""
    times = np.full(len(programs), np.inf)
    for _ in range(rounds):
        for i, program in enumerate(programs):
            start = time.process_time()
            program.invoke()
            times[i] = min(times[i], time.process_time() - start)
    return [float(t) for t in times]


def kind_of(graph: Graph, op: Op) -> str:
    """An operation's kind, convolutions with their kernel."""
    if op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return op.kind
    height, width = graph.tensors[op.inputs[1]].shape[1:3]
    return f"{op.kind} {height}x{width}"


def table(graph: Graph, times: list[float], rate: float) -> str:
    """One line for each kind of operation, the longest first."""
    kinds = defaultdict(list)
    for op, seconds in zip(graph.ops, times, strict=True):
        kinds[kind_of(graph, op)].append((seconds, count_macs(graph, op).total))
    rows = [("operation", "count", "ms", "share", "GMAC", "GMAC/s", "of peak")]
    for kind, found in sorted(kinds.items(), key=lambda item: -sum(s for s, _ in item[1])):
        seconds, macs = (sum(column) for column in zip(*found, strict=True))
        speed = [f"{macs / 1e9:.2f}", f"{macs / seconds / 1e9:.0f}", f"{macs / seconds / rate:.0%}"]
        share = f"{seconds / sum(times):.0%}"
        rest = speed if macs else ["", "", ""]
        rows.append((kind, str(len(found)), f"{seconds * 1e3:.1f}", share, *rest))
    return text_table(rows, None)


if __name__ == "__main__":
    main()
