"""The process that works at a file which may crash it; it knows nothing of this package.

Run as a script by `confined.run_confined`: what to do in the argument, the file on stdin, one JSON
object a line on stdout. Each line is written as soon as it is known, so that a crash later on takes
nothing with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
import time
from typing import Any

USUAL_START = 0.2  # seconds of computing until here, on a PC; a Pi or an emulator takes longer


def limit(memory: int | None, seconds: int) -> None:
    """Bounds this process where the system can: address space, CPU time, no core file, no files.

    Without a bound of memory, as for drivers, files are allowed: drivers map memory as such.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    wanted = (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, None if memory is None else 0),
    )
    for kind, value in wanted:
        _, most = resource.getrlimit(kind)
        if value is None:
            continue
        if most != resource.RLIM_INFINITY:
            value = min(value, most)
        with contextlib.suppress(ValueError, OSError):  # macOS has no usable RLIMIT_AS
            resource.setrlimit(kind, (value, most))


def main() -> None:
    """Loads LiteRT, sets the limits, and does the task."""
    setup = json.loads(sys.argv[1])
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever native code prints is not ours
    sys.path += setup["paths"]
    content = sys.stdin.buffer.read()
    spec = importlib.util.spec_from_file_location("task", setup["task"])
    assert spec is not None
    assert spec.loader is not None
    task = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(task)
    import ai_edge_litert.interpreter  # noqa: F401

    slowness = max(time.process_time() / USUAL_START, 1.0)
    seconds = round(setup["seconds"] * slowness)
    limit(setup["memory"], seconds)

    def say(**line: Any) -> None:
        print(json.dumps(line), file=report)

    say(stage="started", seconds=seconds)
    task.run(content, setup["order"], say)


if __name__ == "__main__":
    main()
