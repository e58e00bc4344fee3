"""The commands, and how errors leave the program."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

import click

from ..core.arguments import spelled
from ..core.console import StatusLine
from ..core.environment import environment
from ..core.errors import Ended
from ..core.files.addresses import shown
from ..core.foreign_text import one_line, printable
from ..core.version import __version__
from .failures import Failure, explained
from .sections import Commands, SectionedGroup
from .streams import discard, say

COMPLETION = "_FASTSCNN_COMPLETE"  # as click names it
LONGEST = 4000  # characters of a message; what it quotes may be of any length


# What the commands are for, in the order of a project.
SECTIONS = {
    "Data": ("data",),
    "Train": ("train", "pretrain", "prune", "find-lr", "search", "pseudo-label", "save-logits"),
    "Quantize and export": ("quantize", "quantization-report", "export", "settings", "compile"),
    "Use": ("predict", "watch", "benchmark", "demo"),
    "Score and compare": ("evaluate", "agreement", "compare", "size-table", "reproduce"),
    "Look into runs and models": ("runs", "card", "inspect", "summary", "import", "export-weights"),
}
FILES = {
    "data": ("data",),
    "training": ("train", "pretrain", "quantize", "export"),
    "search": ("find-lr", "search"),
    "teaching": ("pseudo-label", "save-logits"),
    "network": ("import", "export-weights", "prune", "summary"),
    "device_settings": ("settings",),
    "compiling": ("compile",),
    "on_device": ("predict", "watch", "benchmark"),
    "scoring": ("evaluate", "agreement", "compare", "size-table", "reproduce"),
    "explaining": ("inspect", "card", "quantization-report", "demo"),
    "runs": ("runs",),
}


@click.group(
    cls=SectionedGroup,
    sections=SECTIONS,
    commands=Commands(FILES),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
@click.option(
    "--debug", is_flag=True, help="Show tracebacks and native messages; may stand anywhere."
)
def cli(debug: bool) -> None:
    """Fast-SCNN street-scene segmentation: train, quantize, export and score what goes on a device.

    Data sets: cityscapes, cityscapes-coarse, camvid, camvid32, camvid32-11, dada-seg, densepass,
    densepass13, synpass, synpass13, eventscape, folder (own data, described by dataset.yaml),
    records (packed by `data pack`) and toy (drawn street scenes, needs no download).
    """


def run_command(arguments: list[str], alone: bool = False) -> NoReturn:
    """Runs a command and exits: 0 done, 1 failure, 2 user's mistake, 130 Ctrl-C, 143 SIGTERM.

    Args:
        arguments: without the program's name.
        alone: the process is there for this command, and its memory goes with it.
    """
    debug = "--debug" in arguments  # wherever it stands
    try:
        rest = [a for a in arguments if a != "--debug"]
        # Shows what `console.quiet_stderr` swallows otherwise, here and in child processes.
        messages = environment(FASTSCNN_DEBUG="1" if debug else None)
        with _signals_end_it(), warnings_as_lines(), messages, spelled(_as_typed):
            if os.environ.get(COMPLETION):  # a shell asks
                from .completion import complete

                raise click.exceptions.Exit(complete(cli, COMPLETION))
            with cli.make_context("fastscnn", rest, obj=alone) as context:
                cli.invoke(context)
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        _stop(Failure("", 0), print_first=error.format_message())
    except (Exception, KeyboardInterrupt, Ended) as error:
        failure = explained(error)
        if debug and failure.line:
            say(printable(traceback.format_exc(), keep="\n"))
        _stop(failure)
    sys.exit(0)


def _as_typed(name: str) -> str:
    """A setting as an option of the running command; other names as they are."""
    context = click.get_current_context(silent=True)
    for option in context.command.params if context else ():
        if option.name == name and isinstance(option, click.Option):
            return option.opts[0]
    return name


def _stop(failure: Failure, print_first: str = "") -> NoReturn:
    """Says what there is to say, wherever that can be written, and exits."""
    try:
        if print_first:
            click.echo(print_first)
        sys.stdout.flush()
    except OSError as error:
        failure = failure if failure.code else explained(error)
        discard(sys.stdout)
    if StatusLine.last:
        StatusLine.last.clear()
    if failure.line:
        line = one_line(shown(failure.line))
        say(f"fastscnn: {line if len(line) <= LONGEST else line[:LONGEST] + ' ...'}")
    sys.exit(failure.code)


@contextlib.contextmanager
def _signals_end_it() -> Iterator[None]:
    """SIGTERM and SIGHUP end the program as Ctrl-C does: half-written files are removed.

    What is raised while a finalizer or a callback of the collector runs is swallowed by Python: the
    signal is sent once more then.
    """

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second one ends it at once
        raise Ended(number)

    def swallowed(lost: Any) -> None:
        if not isinstance(lost.exc_value, Ended | KeyboardInterrupt):
            return before(lost)
        number = getattr(lost.exc_value, "number", signal.SIGINT)
        if number in taken:
            signal.signal(number, end)
        once_more = threading.Timer(0.1, os.kill, (os.getpid(), number))
        once_more.daemon = True
        return once_more.start()

    before, sys.unraisablehook = sys.unraisablehook, swallowed
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    taken = []
    with contextlib.suppress(ValueError):  # only the main thread may
        for number in numbers:
            if signal.getsignal(number) is signal.SIG_DFL:  # not with nohup
                signal.signal(number, end)
                taken.append(number)
    try:
        yield
    finally:
        sys.unraisablehook = before
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """What the library says, as `fastscnn: ...` on stderr; each line once."""
    logger, handler = logging.getLogger("fastscnn_tf"), _Lines()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    """Writes each line once, however often a file is opened."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = one_line(shown(record.getMessage()))
        if line not in self._said:
            self._said.add(line)
            say(f"fastscnn: {line}", only_stderr=True)
