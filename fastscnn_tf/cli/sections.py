"""Help in sections, by what options and commands are for; commands imported when asked for."""

from __future__ import annotations

import importlib
from collections import UserDict
from collections.abc import Mapping, Sequence
from typing import Any

import click

Sections = Mapping[str, Sequence[str]]  # heading -> names below it
Rows = dict[str, tuple[str, str]]  # name -> how it is called, and what is said of it


class _Sectioned(click.Command):
    """What has sections: heading -> names of what stands below it."""

    def __init__(self, *args: Any, sections: Sections, **options: Any):
        super().__init__(*args, **options)
        self.sections = sections


class SectionedCommand(_Sectioned):
    """A command whose options stand below headings; those in no section come last.

    Args:
        sections: heading -> names of parameters.
    """

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = {str(p.name): p.get_help_record(ctx) for p in self.get_params(ctx)}
        rows = {name: record for name, record in records.items() if record}
        _write(formatter, rows, self.sections, "Other options")


class SectionedGroup(_Sectioned, click.Group):
    """A group whose commands stand below headings.

    Args:
        sections: heading -> names of commands.
    """

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = formatter.width - 6 - max(map(len, self.commands))
        rows = {name: (name, one.get_short_help_str(limit)) for name, one in self.commands.items()}
        _write(formatter, rows, self.sections, "Other commands")


class Commands(UserDict[str, Any]):
    """Commands by name, each imported when it is asked for: a start costs what it needs.

    Args:
        files: file of this folder -> names of the commands in it.
    """

    def __init__(self, files: Mapping[str, Sequence[str]]):
        super().__init__({name: file for file, names in files.items() for name in names})

    def __getitem__(self, name: str) -> click.Command:
        found = self.data[name]
        if isinstance(found, str):
            there = vars(importlib.import_module(f".{found}", __package__)).values()
            commands = {one.name: one for one in there if isinstance(one, click.Command)}
            found = self.data[name] = commands[name]
        return found


def _write(formatter: click.HelpFormatter, rows: Rows, sections: Sections, last: str) -> None:
    placed = {name for names in sections.values() for name in names}
    others = [name for name in rows if name not in placed]
    width = max(len(called) for called, _ in rows.values())
    for heading, names in {**sections, last: others}.items():
        if known := [rows.pop(name) for name in names if name in rows]:  # each once
            (called, said), *more = known
            with formatter.section(heading):  # the texts of all begin in one column
                formatter.write_dl([(called.ljust(min(width, 30)), said), *more])
