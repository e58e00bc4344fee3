"""A file that this machine has not run before is run once in a process that may crash.

A .tflite can be such that LiteRT aborts, reads outside its memory or never ends, and that ends the
whole process; an .onnx and other runtimes likewise. This finds out where it does no harm. It is a
net, no prison: the process runs as the same user, and who finds a fault in a runtime that executes
code has got through.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.console import LOG, quiet_stderr
from ..core.errors import ConfigError, ModelFileError
from ..core.foreign_text import one_line
from ..core.named_weights import ONNX
from ..tflite.checks import why_not
from ..tflite.graph import Graph
from ..tflite.lifetimes import arena_lower_bound
from ..tflite.macs import count_macs
from ..tflite.parser import parse_tflite
from . import native
from .device_report import physical_memory
from .engine import Plan
from .other_runtime import given_file, version_of
from .tried import is_known, key_of, remember

if TYPE_CHECKING:
    from ..core.confined import Limits

VARIABLE = "FASTSCNN_TRUSTED"
TRUST = f"trusted=True ({VARIABLE}=1)"
FORMAT = 1  # of the trial; a stricter one later on must not believe this one's verdicts

BASE_MEMORY = 1 << 30  # bytes of address space: Python, numpy and LiteRT take 160 MB
SPARE_MEMORY = 3 << 30  # beyond what tensors need: copies of weights, scratch memory of kernels
THREAD_MEMORY = 16 << 20  # the stack of a thread, and what it allocates
BASE_SECONDS = 15  # of a PC, which starts Python and LiteRT in 0.2 s
SPEED = 200_000_000  # multiply-accumulates a second: a fifth of what its reference kernels do
MOST_SECONDS = 300
PATIENCE = 60  # seconds more, for what neither ends nor computes
FELT = 2  # seconds, from which on it is said what took so long
LONG = 10  # seconds, after which it is said that it is still going on
DRIVER_SECONDS = 600  # GPUs compile shaders, NPUs the network


def trusted_here() -> bool:
    """Whether the person at this machine trusts all files: `FASTSCNN_TRUSTED=1`."""
    return os.environ.get(VARIABLE) == "1"


def ensure_tried(path: Path, content: bytes, graph: Graph, plan: Plan) -> float:
    """Makes sure that a file has been run once without harm, as it will be opened now.

    Args:
        path: for messages.
        content: of the file; what is opened afterwards are these very bytes.
        graph: its main graph.
        plan: how it will be opened.

    Returns:
        Seconds that it took; 0 where the machine knows the file.

    Raises:
        ModelFileError: it crashes, does not end, needs too much memory, is refused, or cannot be
            tried.
        ConfigError: it cannot be compiled for that accelerator here.
    """
    key = _key(content, plan)
    if is_known(key):
        return 0.0
    if reason := "" if path.suffix == ONNX else why_not(graph):
        raise ModelFileError(f"{path}: damaged .tflite file ({reason}); it was not run here")
    start = time.perf_counter()
    _try(path, content, graph, plan)
    remember(key)
    seconds = time.perf_counter() - start
    if seconds >= FELT:
        LOG.info("%s: opened here for the first time: tried out in %.1f s", path, seconds)
    return seconds


def run_here(path: Path, content: bytes) -> None:
    """Runs a file once in this process and notes it, as `ensure_tried` does in another.

    Only for what was made here: then operations, shapes and indices are ours, and what a stranger's
    weights bring into the file, scales and zero points, is looked at first.

    Args:
        path: for messages.
        content: of the file.

    Raises:
        ModelFileError: LiteRT must not be given it, or refuses it.
    """
    plan = Plan()
    if reason := why_not(parse_tflite(content).main):
        raise refused(path, reason)
    try:
        with quiet_stderr():
            native.run_once(native.interpreter(content, plan.threads, plan.options))
    except native.REFUSALS as error:
        raise refused(path, error) from None
    remember(_key(content, plan))


def _key(content: bytes, plan: Plan) -> str:
    order = _order(plan)
    del order["threads"]  # no file is good with two threads and bad with four
    version = [version_of(plan.order["runtime"])] if plan.order else []
    return key_of(content, [FORMAT, order, *version])


def _order(plan: Plan) -> dict[str, Any]:
    """How to open a file, as plain JSON; nothing is written in a trial, so no weight cache."""
    if plan.order:
        return dict(plan.order)
    chosen, options = plan.settings, dict(plan.options)
    if "cpu" in options:
        cpu = options["cpu"].items()
        options["cpu"] = {k: v for k, v in cpu if k != "xnnpack_weight_cache_path"}
    settings = {"accelerator": chosen.accelerator, "cpu_fallback": chosen.cpu_fallback}
    return {
        "threads": plan.threads,
        "options": options,
        "settings": settings if plan.compiled else None,
    }


def _try(path: Path, content: bytes, graph: Graph, plan: Plan) -> None:
    from ..core.confined import OTHERS, run_confined  # only where a file is new

    driver = plan.compiled and plan.settings.accelerator != "cpu"
    limits, task = _limits(graph, plan, len(content), driver), Path(native.__file__)
    if plan.order:
        with given_file(plan.order, content) as order, _told(path, limits):
            runtime = OTHERS[order["runtime"]]
            outcome = run_confined(task, order, content, limits, library=runtime)
    else:
        ports = zip(("input", "output"), (graph.inputs[0], graph.outputs[0]), strict=True)
        of = {n: (graph.tensors[i].shape, graph.tensors[i].dtype) for n, i in ports}
        with _told(path, limits):
            outcome = run_confined(task, _order(plan) | of, content, limits, driver)
    stages = {line["stage"]: line for line in outcome.lines}
    if "ran" in stages:
        return
    if not outcome.started:
        raise ModelFileError(
            f"{path}: this machine has not run the file before, and it cannot be tried out in a "
            f"process of its own ({outcome.ending}): if you trust it, say {TRUST}"
        )
    if "refused" not in stages:
        slow = outcome.ending.startswith("no end")
        hint = "damaged or hostile; it was not run here"
        if slow:
            hint = f"too slow, damaged or hostile; {TRUST} runs it all the same"
        raise ModelFileError(f"{path}: {outcome.ending}: {hint}")
    reason = stages["refused"]["error"]
    if plan.compiled and "opened" not in stages:
        raise cannot_compile(path, plan.settings.accelerator, reason)
    raise refused(path, reason)


@contextlib.contextmanager
def _told(path: Path, limits: Limits) -> Iterator[None]:
    """Says what the wait is for where it is long."""
    said = "%s: not opened here before: it is being tried out, for up to %d s of computing"
    timer = threading.Timer(LONG, LOG.info, (said, path, limits.seconds))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _limits(graph: Graph, plan: Plan, size: int, driver: bool) -> Limits:
    """What an honest file of this size needs, with room to spare."""
    from ..core.confined import Limits

    if driver:  # these reserve address space by the terabyte
        return Limits(None, DRIVER_SECONDS, DRIVER_SECONDS)
    needed = SPARE_MEMORY + 4 * arena_lower_bound(graph)
    if plan.order:  # which compile first and keep the weights anew; an .onnx tells no shapes inside
        needed += SPARE_MEMORY + 4 * size
    memory = BASE_MEMORY + THREAD_MEMORY * plan.threads + min(needed, physical_memory() or 8 << 30)
    macs = sum(count_macs(graph, op).total for op in graph.ops)
    seconds = MOST_SECONDS if plan.order else min(BASE_SECONDS + macs // SPEED, MOST_SECONDS)
    # Waiting for others' work is not the file's fault, nor that the machine is a slow one.
    return Limits(memory, seconds, PATIENCE + 4 * seconds)


def refused(path: Path, reason: object) -> ModelFileError:
    """What is said of a file that the interpreter does not take."""
    return ModelFileError(f"{path}: the interpreter refuses this file ({_short(reason)})")


def cannot_compile(path: Path, accelerator: str, reason: object) -> ConfigError:
    """What is said of a file that cannot be compiled with these settings."""
    return ConfigError(
        f"{path}: cannot be compiled for {accelerator} here ({_short(reason)}): use other "
        "settings, such as accelerator=cpu"
    )


def _short(reason: object) -> str:
    """LiteRT repeats what the file says, names of operations among it."""
    return one_line(reason)[:160] or type(reason).__name__
