"""One mutant in a process of its own, forked from one that has imported the package already."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import dataclasses
import importlib
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .hostile import PRECIOUS

SECONDS = 20.0  # of wall clock on a machine that has nothing else to do, and of CPU
MEMORY = 1 << 30  # bytes beyond what the forking process holds
ADDRESSES = 3 << 30  # bytes of address space beyond; threads reserve much of which they use little
FILE = 256 << 20  # bytes that a file may get
OUTPUT = 1 << 20  # bytes of each stream that are looked at
CRASHED = 70  # exit code of an exception that nothing caught
_SUBREAPER = 36
Touched = dict[str, tuple[int, int, int, int]]


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


class Scratch:
    """The folders of one mutant; `case` is the working folder of the command."""

    def __init__(self, top: Path):
        self.top = top
        self.case, self.outside, self.home = (top / n for n in ("case", "outside", "home"))
        self.temporary, self.streams = top / "tmp", top / "streams"
        for folder in (self.case, self.outside, self.home, self.temporary, self.streams):
            folder.mkdir()
        (self.home / "precious.txt").write_text("a letter")
        (self.case / PRECIOUS).write_text("a letter")
        (self.outside / "0.tfrecord").write_text("shard of another")
        plugins = self.outside / "plugins"
        plugins.mkdir()
        # Whoever loads one of these waits for ever.
        for name in ("CompilerPlugin_Qualcomm", "Dispatch_Qualcomm", "Dispatch", "CompilerPlugin"):
            os.mkfifo(plugins / f"libLiteRt{name}.so")

    def state(self) -> Touched:
        """Every file but those that a command may write: identity, size, time of change, mode."""
        found: Touched = {}
        for top in (self.case, self.outside, self.home):
            for folder, names, files in os.walk(top):
                if Path(folder) == self.home and ".cache" in names:
                    names.remove(".cache")
                for name in (*names, *files):
                    path = Path(folder, name)
                    status = os.lstat(path)
                    directory = name in names and not path.is_symlink()
                    size, when = (0, 0) if directory else (status.st_size, status.st_mtime_ns)
                    found[os.path.relpath(path, self.top)] = (
                        *(status.st_ino, size, when, status.st_mode),
                    )
        return found


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
        _be_the_command(scratch, list(arguments))
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
        events=tuple(dict.fromkeys(events)),
        touched=tuple(_touched(before, scratch.state(), writes)),
        left=left + (() if late else _forgotten(scratch.temporary)),
        pages=_pages(scratch.case),
    )


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


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


def _be_the_command(scratch: Scratch, arguments: list[str]) -> NoReturn:
    code = CRASHED
    try:
        os.setsid()
        atexit._clear()  # those of the forking process
        (scratch.streams / "resident").write_text(str(_resident()))
        _redirect(scratch)
        _limit()
        _watch(scratch)
        code = _exit_code(arguments)
        threading._shutdown()  # as at the end of a program: threads that do not end, hang
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc()
            sys.stderr.flush()
        code = CRASHED
    finally:
        os._exit(code)


def _redirect(scratch: Scratch) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    sources = ((0, "/dev/null", os.O_RDONLY), (1, "out", flags), (2, "err", flags))
    for number, name, how in sources:
        descriptor = os.open(scratch.streams / name, how, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(scratch.case)
    os.environ.update(HOME=str(scratch.home), TMPDIR=str(scratch.temporary))
    for name in ("FASTSCNN_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TF_CONFIG"):
        os.environ.pop(name, None)
    tempfile.tempdir = None


def _limit() -> None:
    """Soft limits, so that the program's own children may set theirs."""
    addresses = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = ((resource.RLIMIT_AS, addresses + ADDRESSES), (resource.RLIMIT_FSIZE, FILE))
    for which, value in (*limits, (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(which, (value, resource.getrlimit(which)[1]))


_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "socket.connect", "socket.getaddrinfo")
_GLOBALS = ("os", "posix", "nt", "subprocess", "builtins", "sys", "shutil", "importlib", "runpy")


def _watch(scratch: Scratch) -> None:
    """Notes what the audit hooks of Python tell: processes, libraries, connections."""
    notes = os.open(scratch.streams / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    here, python = str(scratch.top), sys.executable

    def hook(event: str, values: tuple[Any, ...]) -> None:
        if event == "open":  # by far the most frequent
            return
        bad = event in _FORBIDDEN
        if event == "subprocess.Popen":
            bad = str(values[1][0] if values[1] else values[0]) != python
        elif event == "ctypes.dlopen":
            bad = os.path.realpath(str(values[0])).startswith(here)
        elif event == "pickle.find_class":
            bad = str(values[0]).split(".")[0] in _GLOBALS
        if bad:
            os.write(notes, f"{event} {values!r}"[:300].replace("\n", " ").encode() + b"\n")

    sys.addaudithook(hook)


def _exit_code(arguments: list[str]) -> int:
    try:
        if arguments[0] == "call":
            from fastscnn_tf.cli import commands

            module, name = arguments[1].split(":")
            function = getattr(importlib.import_module(module), name)
            commands.cli.commands["call"] = _as_command(function)
            arguments = ["call", "--", *arguments[2:]]
        from fastscnn_tf.cli.commands import run_command as run

        run(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1


def _as_command(function: Any) -> Any:
    """A function of the library as a command, so that its errors leave as all others do."""
    import click

    @click.command("call")
    @click.argument("arguments", nargs=-1)
    def call(arguments: tuple[str, ...]) -> None:
        function(*arguments)

    return call


def fresh(top: Path) -> Scratch:
    """Empty folders at a path, whatever was there."""
    if top.exists():
        shutil.rmtree(top, ignore_errors=True)
    top.mkdir(parents=True)
    return Scratch(top)
