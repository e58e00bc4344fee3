"""What the forked process does before, while and after it is a command: limits, notes, its end."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import resource
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

from .scratch import Scratch

ADDRESSES = 3 << 30  # bytes of address space beyond; threads reserve much of which they use little
FILE = 256 << 20  # bytes that a file may get
CRASHED = 70  # exit code of an exception that nothing caught


def be_the_command(scratch: Scratch, arguments: list[str]) -> NoReturn:
    code = CRASHED
    try:
        os.setsid()
        atexit._clear()  # those of the forking process
        (scratch.streams / "resident").write_text(str(_pages(1)))
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
    for name in ("FASTSCNN_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        os.environ.pop(name, None)
    tempfile.tempdir = None


def _limit() -> None:
    """Soft limits, so that the program's own children may set theirs."""
    limits = ((resource.RLIMIT_AS, _pages(0) + ADDRESSES), (resource.RLIMIT_FSIZE, FILE))
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


def _pages(column: int) -> int:
    """Bytes of address space (0) or of resident memory (1)."""
    pages = Path("/proc/self/statm").read_text().split()[column]
    return int(pages) * resource.getpagesize()
