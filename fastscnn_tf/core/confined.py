"""Work at a file that nobody vouches for, in a process that may crash: limits, and how it ended."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from .extras import SILENCE

CHILD = Path(__file__).with_name("confined_child.py")
# What starting Python takes on some systems; the rest of the environment is not the child's affair.
PASSED = ("PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP")
# Other BLAS threads and heaps would only take address space.
FIXED = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", **SILENCE}


@dataclasses.dataclass(frozen=True)
class Library:
    """What the process loads before its limits are set.

    Attributes:
        module: is imported.
        packages: that this takes.
    """

    module: str
    packages: tuple[str, ...]


LITERT = Library(
    "ai_edge_litert.interpreter",
    ("ai_edge_litert", "numpy", "ml_dtypes", "flatbuffers", "tflite_micro"),
)
HDF5 = Library("h5py", ("h5py", "numpy"))
OTHERS = {
    "onnxruntime": Library("onnxruntime", ("onnxruntime", "numpy")),
    "openvino": Library("openvino.frontend", ("openvino", "numpy")),
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the process may use.

    Attributes:
        memory: bytes of address space; None sets no limit.
        seconds: of computing, all threads together, on a machine that starts Python and the
            library in 0.2 s; a slower one gets more in proportion.
        patience: seconds until it is stopped, whatever it does.
    """

    memory: int | None
    seconds: int
    patience: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the process said, and how it ended.

    Attributes:
        lines: what it reported, in order.
        started: it got so far that the library was loaded and the limits were set.
        ending: in words.
        result: the bytes that the task returned, if it came so far.
    """

    lines: tuple[dict[str, Any], ...]
    started: bool
    ending: str
    result: bytes = b""


def run_confined(
    task: Path,
    order: Any,
    content: bytes,
    limits: Limits,
    whole_environment: bool = False,
    library: Library = LITERT,
) -> Outcome:
    """Runs `run(content, order, say)` of a Python file in a process of its own.

    The process has the bytes of the file, Python's library and the one named: nothing of this
    package but the task, no other packages, and by default next to nothing of the environment.

    Args:
        task: the Python file.
        order: for it; plain JSON.
        content: of the file that nobody vouches for, for its standard input.
        limits: of the process. Windows has but the last of them.
        whole_environment: hand all variables on, as drivers want it.
        library: that the task works with.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        return Outcome((), False, "this program has no Python to start")
    setup = {
        "task": str(task),
        "order": order,
        "library": library.module,
        "paths": _places(library),
        "memory": limits.memory,
        "seconds": limits.seconds,
    }
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED or (whole_environment and not name.startswith("PYTHON"))
    }
    try:
        done = subprocess.run(
            # No site-packages, user's folder or working directory: safer, and less to start.
            [sys.executable, "-P", "-s", "-S", "-B", str(CHILD), json.dumps(setup)],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limits.patience,
            env=passed | FIXED,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        return _outcome(expired.stdout or b"", f"no end after {limits.patience} s")
    except OSError as error:  # no memory for a process, or a Python that cannot be started again
        return Outcome((), False, f"no process could be started ({error.strerror})")
    return _outcome(done.stdout, _ending(done.returncode))


def _places(library: Library) -> list[str]:
    """Folders in which the packages lie that the child imports."""
    found = (importlib.util.find_spec(name) for name in library.packages)
    places = (place for spec in found if spec for place in spec.submodule_search_locations or ())
    return list(dict.fromkeys(str(Path(place).absolute().parent) for place in places))


def _outcome(output: bytes, ending: str) -> Outcome:
    head, _, result = output.partition(b"\0")
    lines = [json.loads(line) for line in head.splitlines() if line.endswith(b"}")]
    started = bool(lines) and lines[0].get("stage") == "started"
    if started and ending.endswith("(SIGXCPU)"):
        ending = f"no end after {lines[0]['seconds']} s"
    return Outcome(tuple(lines[1:] if started else ()), started, ending, result)


def _ending(code: int) -> str:
    if code >= 0:
        return f"its process ended early (code {code})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"the interpreter crashed on this file ({name})"
