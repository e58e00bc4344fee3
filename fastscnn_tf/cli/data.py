"""`fastscnn data`: commands about data sets."""

from __future__ import annotations

import click

from . import data_check, data_convert, data_prepare


@click.group()
def data() -> None:
    """Check, convert, show, fetch and pack data sets."""


for command in (*data_check.COMMANDS, *data_convert.COMMANDS, *data_prepare.COMMANDS):
    data.add_command(command)
