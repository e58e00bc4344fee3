"""The command that shows everything at once."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.console import echo
from . import options as opt
from .training import fit_verbosity


@click.command("demo")
@click.option("--output", required=True, type=opt.PATH, help="Folder.")
@click.option("--epochs", type=click.IntRange(1), help="Training epochs; fewer for a quick look.")
@opt.force
def demo_command(output: Path, epochs: int | None, force: bool) -> None:
    """Train, quantize, export and score on toy streets: a table, overlays and report.html."""
    from ..demo import run_demo, table

    summary = run_demo(output, force, fit_verbosity(), echo, epochs)
    echo(table(summary), keep="\n")
    echo(f"{output / 'report.html'}: report with pictures, {summary['seconds']:.0f} s in all")
