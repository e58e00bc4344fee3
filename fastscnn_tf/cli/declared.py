"""Options in one line each; where they have a default, the help shows it. Paths of outputs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from ..core.files.addresses import is_url


class OutputPath(click.Path):
    """A path; the empty one, as of an unset variable, would be the current folder.

    Of an address it is one whose files are uploaded when the command ends.
    """

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value == "":
            self.fail("expected a path, got an empty one", param, ctx)
        if is_url(value) and not ctx.resilient_parsing:
            if ctx.obj and value.lower().startswith("memory:"):
                gone = "would be gone with this process, in whose memory it lies"
                self.fail(f"{value} {gone}: name a folder, or a store such as s3://", param, ctx)
            from ..core.files.remote_outputs import staged

            return ctx.with_resource(staged(value))
        return super().convert(value, param, ctx)


PATH = OutputPath(path_type=Path)


def whole(name: str, help: str, low: int = 1, high: int | None = None, default: Any = None) -> Any:
    """An option of whole numbers."""
    return _option(name, click.IntRange(low, high), help, default)


def share(name: str, help: str, default: float | None = None, below_one: bool = False) -> Any:
    """An option of shares, 0..1."""
    return _option(name, click.FloatRange(0, 1, max_open=below_one), help, default)


def above_zero(
    name: str, help: str, high: float | None = None, default: float | None = None
) -> Any:
    """An option of numbers above 0."""
    return _option(name, click.FloatRange(0, high, min_open=True), help, default)


def text(name: str, help: str, default: str) -> Any:
    """An option of any text."""
    return _option(name, click.STRING, help, default)


def flag(name: str, help: str) -> Any:
    """An option without a value."""
    return click.option(name, is_flag=True, help=help)


def path(name: str, help: str, required: bool = False) -> Any:
    """A file or a folder that is written."""
    return click.option(name, type=PATH, required=required, help=help)


def choice(name: str, help: str, names: Iterable[str], default: str) -> Any:
    """An option of one of some names."""
    return _option(name, click.Choice(list(names)), help, default)


def _option(name: str, kind: click.ParamType, help: str, default: Any) -> Any:
    shown = default is not None
    return click.option(name, type=kind, default=default, show_default=shown, help=help)
