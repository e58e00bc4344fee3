"""The process that works at a file which may crash it; it knows nothing of this package.

Run as a script by `confined.run_confined`: what to do in the argument, the file on stdin, one JSON
object a line on stdout, and behind a zero byte what the task returns. Each line is written as soon
as it is known, so that a crash later on takes nothing with it.
"""

from __future__ import annotations

import contextlib
import importlib
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
        if value is None:
            continue
        _, most = resource.getrlimit(kind)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        with contextlib.suppress(ValueError, OSError):  # macOS has no usable RLIMIT_AS
            resource.setrlimit(kind, (value, most))


def main() -> None:
    """Loads the library, sets the limits, and does the task."""
    setup = json.loads(sys.argv[1])
    report = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever native code prints is not ours
    sys.path += setup["paths"]
    content = sys.stdin.buffer.read()
    spec = importlib.util.spec_from_file_location("task", setup["task"])
    assert spec is not None
    assert spec.loader is not None
    task = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(task)
    importlib.import_module(setup["library"])
    slowness = max(time.process_time() / USUAL_START, 1.0)
    seconds = round(setup["seconds"] * slowness)
    limit(setup["memory"], seconds)

    def say(**line: Any) -> None:
        report.write(json.dumps(line).encode() + b"\n")

    say(stage="started", seconds=seconds)
    result = task.run(content, setup["order"], say)
    if result is not None:
        with os.fdopen(report.fileno(), "wb", closefd=False) as whole:
            whole.writelines((b"\0", result))
    os._exit(0)  # native code may crash in freeing what it has read


if __name__ == "__main__":
    main()
