"""Programs that are measured in turns: each in a process of its own, one line of JSON at a time.

The measuring side starts a `Program` and asks it; the measured side calls `serve`. Only the
standard library is needed here (and numpy for images): rivals run in environments of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Program:
    """The measuring side of a program in a process of its own.

    Args:
        name: as in the table.
        command: starts it.
        order: what it builds.
        environment: variables that differ from this process'.

    Attributes:
        about: what it said of itself once it was built.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        order: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
    ):
        self.name = name
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.about = self.ask(dict(order))

    def ask(self, request: dict[str, Any]) -> Any:
        """The answer to a request; ends this process where there is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit(f"{self.name} failed")
        return json.loads(answer)

    def close(self) -> None:
        """Ends the process and waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def serve(build: Callable[[dict[str, Any]], tuple[Any, Callable[[dict[str, Any]], Any]]]) -> None:
    """The measured side: answers requests until the input ends.

    Args:
        build: the order -> what the program says of itself, and what answers a request.
    """
    about, answer = build(json.loads(sys.stdin.readline()))
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


def timed_steps(step: Callable[[], None]) -> Callable[[dict[str, Any]], dict[str, float]]:
    """Answers `{"count": n}` with the seconds of n steps after one more, and the process's peak."""
    import resource
    import time

    def answer(request: dict[str, Any]) -> dict[str, float]:
        step()
        start = time.perf_counter()
        for _ in range(request["count"]):
            step()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # bytes
        return {"seconds": seconds, "peak": peak}

    return answer


def timed_pictures(run: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Answers `{"picture": path}`, an array in a .npy, with what running it took.

    Args:
        run: (H, W, 3) bytes -> array.

    Returns:
        What answers: `seconds`, `cpu_seconds` (of all threads), the process's `peak` memory in
        bytes, and shape and dtype of the `result`.
    """
    import time
    from pathlib import Path

    import numpy as np

    def peak() -> int:
        """VmHWM, not ru_maxrss, which a process inherits from the one that starts it."""
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("VmHWM"))

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        picture = np.load(request["picture"])
        start, busy = time.perf_counter(), time.process_time()
        result = run(picture)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        kind = [list(result.shape), str(result.dtype)]
        return {"seconds": seconds, "cpu_seconds": busy, "peak": peak(), "result": kind}

    return answer
