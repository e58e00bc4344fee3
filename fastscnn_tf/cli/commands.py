"""The commands, and how errors leave the program."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from typing import NoReturn

import click

from .. import __version__
from ..core.errors import FastSCNNError, OutputError
from . import data, device, network, runs, training
from .card import card_command
from .compare import compare
from .demo import demo_command
from .find_lr import find_lr
from .inspect import inspect_command
from .pseudo_label import pseudo_label_command
from .quantization_report import quantization_report_command
from .reproduce import reproduce_command
from .save_logits import save_logits_command
from .search import search
from .settings import settings_command
from .size_table import size_table_command
from .watch import watch_command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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


_COMMANDS = (
    *(
        *training.COMMANDS,
        quantization_report_command,
        find_lr,
        search,
        pseudo_label_command,
        save_logits_command,
    ),
    *runs.COMMANDS,
    *(*network.COMMANDS, *device.COMMANDS, inspect_command),
    *(compare, watch_command, size_table_command, settings_command, card_command),
    *(*data.COMMANDS, reproduce_command, demo_command),
)
for command in _COMMANDS:
    cli.add_command(command)


def run_command(arguments: list[str]) -> NoReturn:
    """Runs a command and exits: 0 done, 1 failure, 2 user's mistake, 130 Ctrl-C."""
    debug = "--debug" in arguments  # wherever it stands
    try:
        rest = [a for a in arguments if a != "--debug"]
        with _warnings_as_lines(), cli.make_context("fastscnn", rest) as context:
            if debug:
                os.environ["FASTSCNN_DEBUG"] = "1"
            cli.invoke(context)
        sys.exit(0)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        where = getattr(error, "ctx", None)
        path = where.command_path if where else "fastscnn"
        _stop(f"{error.format_message()} (see {path} --help)", error.exit_code, debug)
    except (KeyboardInterrupt, click.Abort):
        _stop("interrupted", 130, debug)
    except FastSCNNError as error:
        _stop(str(error), error.exit_code, debug)
    except BrokenPipeError:  # as in `| head`: nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        _stop(f"{name}{error.strerror or error}", OutputError.exit_code, debug)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        _stop(f"internal error, {type(error).__name__}: {lines[0]} (see --debug)", 1, debug)


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """What the library says, as `fastscnn: ...` on stderr; each line once."""
    logger, handler = logging.getLogger("fastscnn_tf"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("fastscnn: %(message)s"))
    handler.addFilter(_Once())
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


class _Once(logging.Filter):
    """Lets each line pass once, however often a file is opened."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        new = line not in self._said
        self._said.add(line)
        return new


def _stop(message: str, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    click.echo(f"fastscnn: {' '.join(message.split())}", err=True)
    sys.exit(code)
