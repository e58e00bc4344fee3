"""One mutant in a process of its own, forked from one that has imported the package already."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from .inside import be_the_command
from .scratch import Scratch, Touched

SECONDS = 20.0  # of wall clock on a machine that has nothing else to do, and of CPU
MEMORY = 1 << 30  # bytes beyond what the forking process holds
OUTPUT = 1 << 20  # bytes of each stream that are looked at
_SUBREAPER = 36


@dataclasses.dataclass(frozen=True)
class Run:
    """How a command ended.

    Attributes:
        code: exit code, or None.
        signal: that ended it, or 0.
        late: whether it was killed because it did not end.
        seconds: wall clock.
        cpu: seconds of its own and its children's.
        memory: bytes of resident memory beyond what it had at its start; its children's count, too.
        out, err: what it wrote.
        events: what it asked the system for that no reader of files should.
        touched: files that it changed, removed or made where it should not.
        left: processes that were still there afterwards.
        pages: text of the pages and Markdown files that it wrote.
    """

    code: int | None
    signal: int
    late: bool
    seconds: float
    cpu: float
    memory: int
    out: bytes
    err: bytes
    events: tuple[str, ...]
    touched: tuple[str, ...]
    left: tuple[str, ...]
    pages: bytes = b""


def become_reaper() -> None:
    """Orphans of children become children of this process, which can see them then."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def run_command(scratch: Scratch, arguments: Sequence[str], writes: Sequence[str]) -> Run:
    """Runs a command of `fastscnn`, or a function (`call`, its name, arguments).

    Args:
        scratch: with the mutant in it.
        arguments: of the command line.
        writes: patterns of paths, from the case's folder, that it may write.
    """
    before = scratch.state()
    sys.stdout.flush()
    sys.stderr.flush()
    start = time.monotonic()
    pid = os.fork()
    if not pid:
        be_the_command(scratch, list(arguments))
    late = not _ends_within(pid, SECONDS * _crowd())
    if late:
        _kill(pid)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - start
    left = _left_behind(pid)
    streams = scratch.streams
    events = (streams / "events").read_text().splitlines() if (streams / "events").exists() else []
    return Run(
        code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        late=late,
        seconds=seconds,
        cpu=usage.ru_utime + usage.ru_stime,
        memory=max(0, usage.ru_maxrss * 1024 - int(_head(streams / "resident") or 0)),
        out=_head(streams / "out"),
        err=_head(streams / "err"),
        events=(*dict.fromkeys(events), *scratch.loaded()),
        touched=tuple(_touched(before, scratch.state(), writes)),
        left=left + (() if late else _forgotten(scratch.temporary)),
        pages=_pages(scratch.case),
    )


def _crowd() -> float:
    """How many times longer all takes where more processes want to run than there are cores."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _ends_within(pid: int, seconds: float) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _left_behind(group: int) -> tuple[str, ...]:
    """Names of processes that outlived the command; they are ended."""
    for _ in range(10):  # those that are about to end may
        while True:
            try:
                if not os.waitpid(-1, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                return ()
        time.sleep(0.1)
    names = []
    for pid in Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split():
        with contextlib.suppress(OSError):
            names.append(
                Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
            )
        with contextlib.suppress(OSError):
            os.kill(int(pid), signal.SIGKILL)
            os.waitpid(int(pid), 0)
    return tuple(f"a process: {name}" for name in names)


def _forgotten(folder: Path) -> tuple[str, ...]:
    return tuple(f"a temporary file: {path.name}" for path in folder.iterdir())


def _touched(before: Touched, after: Touched, writes: Sequence[str]) -> list[str]:
    def expected(path: str) -> bool:
        if not path.startswith("case/"):
            return False
        own = Path(path).relative_to("case")
        return str(own).startswith("out") or any(own.match(pattern) for pattern in writes)

    changed = [p for p in before if after.get(p) != before[p]] + [
        p for p in after if p not in before
    ]
    return sorted(path for path in changed if not expected(path))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(OUTPUT)


def _pages(case: Path) -> bytes:
    found = [p for p in case.rglob("*") if p.suffix in (".md", ".html") and p.is_file()]
    return b"\n".join(path.read_bytes()[: 4 * OUTPUT] for path in found)
