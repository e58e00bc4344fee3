"""The process in which the interpreter loads a file; it knows nothing of this package.

Run as a script: limits in the arguments, the file on stdin, one JSON object a line on stdout. Each
line is written as soon as it is known, so that a crash later on takes nothing with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any


def limit(memory: int, seconds: int) -> None:
    """Bounds this process where the system can: address space, CPU time, no core file, no files."""
    try:
        import resource
    except ImportError:  # Windows
        return
    wanted = (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    )
    for kind, value in wanted:
        _, most = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY:
            value = min(value, most)
        with contextlib.suppress(ValueError, OSError):  # macOS has no usable RLIMIT_AS
            resource.setrlimit(kind, (value, most))


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


def main() -> None:
    """Loads the file without and with XNNPACK, or what of both the arguments name."""
    memory, seconds, *stages = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever native code prints is not ours
    content = sys.stdin.buffer.read()
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    limit(memory, seconds)
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
        print(json.dumps(result), file=report)


if __name__ == "__main__":
    main()
