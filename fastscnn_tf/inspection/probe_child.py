"""How the interpreter loads a file, for the process of `confined_child`; nothing of it is run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

MICRO_FIRST, MICRO_MOST = 1 << 20, 1 << 30  # bytes of an arena


def shared_bytes(interpreter: Any, content: bytes) -> int:
    """Bytes that the tensors outside the file occupy together: the union of their addresses."""
    import numpy as np

    wrapper = interpreter._interpreter
    start = int(np.frombuffer(content, np.uint8).__array_interface__["data"][0])
    spans = []
    for index in range(wrapper.NumTensors(0)):
        try:
            wrapper.TensorSize(index, 0)  # raises where the interpreter would read a null pointer
            values = interpreter.tensor(index)()
        except ValueError:
            continue  # left out, or inside a delegate
        address = int(values.__array_interface__["data"][0])
        if values.nbytes and not start <= address < start + len(content):
            spans.append((address, address + values.nbytes))
    total = end = 0
    for first, last in sorted(spans):
        total += max(last - max(first, end), 0)
        end = max(end, last)
    return total


def micro_arena(content: bytes) -> int:
    """Bytes that TFLite Micro's interpreter takes of its arena; 0 where it refuses the file."""
    from tflite_micro.python.tflite_micro.runtime import Interpreter

    size = MICRO_FIRST
    while size <= MICRO_MOST:
        try:
            interpreter = Interpreter.from_bytes(content, arena_size=size)
        except RuntimeError:  # too little, or no kernels: it says which on stderr only
            size *= 2
            continue
        ours, theirs = os.pipe()
        os.dup2(theirs, 2)
        interpreter.print_allocations()  # some hundred bytes
        told = os.read(ours, 1 << 16).decode(errors="replace")
        found = re.search(r"Arena allocation total (\d+)", told)
        return int(found[1]) if found else 0
    return 0


def run(content: bytes, stages: Sequence[str], say: Callable[..., None]) -> None:
    """Loads the file without and with XNNPACK and by TFLite Micro, as the stages name them."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolvers = {
        "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        "xnnpack": OpResolverType.BUILTIN,
    }
    for name in stages:
        result: dict[str, Any] = {"stage": name}
        try:
            if name not in resolvers:
                say(stage=name, arena_bytes=micro_arena(content))
                continue
            interpreter = Interpreter(
                model_content=content, experimental_op_resolver_type=resolvers[name], num_threads=1
            )
            interpreter.allocate_tensors()
            wrapper = interpreter._interpreter
            result["nodes"] = wrapper.NumNodes()
            result["delegates"] = [
                [wrapper.NodeInputs(i).tolist(), wrapper.NodeOutputs(i).tolist()]
                for i in range(wrapper.NumNodes())
                if wrapper.NodeName(i) == "DELEGATE"
            ]
            result["arena_bytes"] = shared_bytes(interpreter, content)
        except (ValueError, RuntimeError, MemoryError) as error:
            result["error"] = " ".join(str(error).split())[:200] or "no reason given"
        say(**result)
