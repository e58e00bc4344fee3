"""Help in sections: options and commands under headings, by what they are for."""

from __future__ import annotations

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


def _write(formatter: click.HelpFormatter, rows: Rows, sections: Sections, last: str) -> None:
    placed = {name for names in sections.values() for name in names}
    others = [name for name in rows if name not in placed]
    width = max(len(called) for called, _ in rows.values())
    for heading, names in {**sections, last: others}.items():
        if known := [rows.pop(name) for name in names if name in rows]:  # each once
            (called, said), *more = known
            with formatter.section(heading):  # the texts of all begin in one column
                formatter.write_dl([(called.ljust(min(width, 30)), said), *more])
