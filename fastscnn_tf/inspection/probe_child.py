"""How the interpreter loads a file, for the process of `confined_child`; nothing of it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


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


def run(content: bytes, stages: Sequence[str], say: Callable[..., None]) -> None:
    """Loads the file without and with XNNPACK, or what of both the stages name."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolvers = {
        "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        "xnnpack": OpResolverType.BUILTIN,
    }
    for name in stages:
        result: dict[str, Any] = {"stage": name}
        try:
            interpreter = Interpreter(
                model_content=content,
                experimental_op_resolver_type=resolvers[name],
                num_threads=1,
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
