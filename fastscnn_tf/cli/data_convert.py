"""`fastscnn data convert`: other people's formats as a `folder` data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.console import echo
from ..data.convert import FORMATS
from . import shared_options as opt


@click.command()
@click.argument("source")
@click.option(
    "--from",
    "format",
    metavar="FORMAT",
    default="auto",
    show_default=True,
    help=f"auto looks at what is there; {', '.join(FORMATS)}.",
)
@click.option("--output", required=True, type=opt.PATH, metavar="DIR", help="A new folder.")
@click.option(
    "--classes",
    metavar="NAMES",
    help="As road,vehicle=car+truck,background=*: in this order, = renames, + merges, * is the "
    "rest; others become void. [default: all]",
)
@click.option(
    "--table",
    metavar="FILE",
    help="Of masks: lines as name,red,green,blue or value,name; also taken by --classes.",
)
@click.option(
    "--split",
    type=opt.Numbers("SHARES", "shares of train, val and test as 0.8,0.1,0.1"),
    help="Where the source names no splits. [default: 0.8,0.1,0.1]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the split.")
@click.option(
    "--group",
    metavar="REGEX",
    help="What it matches in a name (its first group) stays in one split. [default: names that "
    "end in a frame number]",
)
@click.option("--copy/--link", "copy", default=True, show_default=True, help="Of the images.")
@opt.skip_bad
@opt.workers
@opt.force
def convert(source: str, output: Path, copy: bool, **arguments: Any) -> None:
    """Write a data set of another format as a `folder` one, and say what was read and dropped.

    SOURCE is a folder, or an annotation file. What became of each class, and what was left out or
    guessed, is printed and in report.json.
    """
    from ..data.convert.convert_dataset import convert_dataset

    steps = opt.progress("converting")
    report = convert_dataset(source, output, link=not copy, progress=steps, **arguments)
    echo(report.text(), keep="\n")


COMMANDS: tuple[click.Command, ...] = (convert,)
