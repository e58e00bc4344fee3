"""`fastscnn card`: a model card from what is on disk."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.console import echo
from ..core.files import check_output, write_bytes
from . import options as opt


@click.command("card")
@click.argument("source", metavar="RUN_OR_M.TFLITE")
@click.option(
    "--scores",
    multiple=True,
    metavar="M.JSON",
    help="What evaluate --json wrote. May be repeated.",
)
@click.option("--license", help="Of the weights. [default: what the file says]")
@click.option("--output", required=True, type=opt.PATH, help="The Markdown file.")
@opt.force
def card_command(
    source: str, scores: tuple[str, ...], license: str | None, output: Path, force: bool
) -> None:
    """Write a model card of a run folder or a .tflite: settings, data, scores, sizes, licence.

    All of it comes from the disk; what is not there is called "not stated".
    """
    from ..card import model_card

    opt.refuse_inputs(str(output), (source, *scores))
    check_output(output, force)
    write_bytes(output, model_card(source, scores, license).encode())
    echo(output)
