"""What a shell completes: `_FASTSCNN_COMPLETE=bash_source fastscnn` prints a script for it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

import click
from click.shell_completion import CompletionItem, shell_complete

from ..core.errors import FastSCNNError
from ..core.fields import declared
from ..data.convert import FORMATS as CONVERTED
from ..data.datasets.registry import NAMES, find_splits
from ..delegates.device import ACCELERATORS, DEVICES
from ..export.converter_engine import ENGINES
from ..export.quantization_recipes import INPUTS, OUTPUTS
from ..export.quantization_recipes import RECIPES as EXPORTS
from ..quantize.clipping import METHODS
from ..scoring.prediction_files import WHAT
from ..train.recipes import RECIPES
from ..train.settings import TrainSettings

SPLITS = ("train", "val", "test", "train_extra")
# Options take any text, for the messages of the library: what they know stands here.
KNOWN: dict[str, Iterable[str]] = {
    "dataset": NAMES,
    "extra_dataset": NAMES,
    "device": DEVICES,
    "recipe": RECIPES,
    "outputs": OUTPUTS,
    "input": INPUTS,
    "calibration_method": METHODS,
    "format": tuple(WHAT),
    "accelerator": ACCELERATORS,
    "engine": ENGINES,
    "cache": ("auto", "memory", "none"),
    **{name: field.choices for name, field in declared(TrainSettings).items() if field.choices},
}


class Known(click.types.StringParamType):
    """A text whose known values are completed, and file names beside or instead of them."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        names = [name for name in known_values(ctx, str(param.name)) if name.startswith(incomplete)]
        return [*map(CompletionItem, names)] or [CompletionItem(incomplete, type="file")]


def known_values(context: click.Context, name: str) -> Iterable[str]:
    """What an option of a command may be; nothing where it is a path or any text."""
    if name in ("split", "splits", "extra_split"):
        return _splits(context.params, "extra_" if name.startswith("extra") else "")
    if name == "recipe" and context.info_name in ("export", "size-table"):
        return EXPORTS
    if name == "format" and context.info_name == "convert":
        return ("auto", *CONVERTED)
    if name == "name" and context.info_name == "prepare":
        return NAMES
    return KNOWN.get(name, ())


def _splits(given: dict[str, Any], prefix: str) -> Iterable[str]:
    """Those of the data set that stands on the line already, else the usual ones."""
    with contextlib.suppress(FastSCNNError, OSError):
        if dataset := given.get(f"{prefix}dataset"):
            folder = given.get(f"{prefix}data_dir") or given.get("data_dir")
            return find_splits(dataset, folder)
    return SPLITS


def complete(cli: click.Group, variable: str) -> int:
    """Answers a shell that asks for its script or for completions; the exit code.

    Files that a completion looks into say nothing on the console.

    Args:
        cli: the command.
        variable: of the environment, which says what is asked for.
    """
    for param in _params(cli):
        if isinstance(param.type, click.types.StringParamType):
            param.type = Known()
    return shell_complete(cli, {}, "fastscnn", variable, os.environ[variable])


def _params(command: click.Command) -> Iterator[click.Parameter]:
    yield from command.params
    for below in getattr(command, "commands", {}).values():
        yield from _params(below)
