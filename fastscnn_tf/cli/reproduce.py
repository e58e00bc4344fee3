"""The command that compares with what was published."""

from __future__ import annotations

from typing import Any

import click

from . import options as opt


@click.command("reproduce")
@click.argument("model", required=False)
@opt.dataset(required=False)
@click.option(
    "--row", "rows", metavar="KEY", multiple=True, help="Measure this row; may be repeated."
)
@click.option(
    "--ledger",
    default="reproduced.json",
    show_default=True,
    help="Where measurements are kept, row by row, from run to run.",
)
@click.option("--markdown", metavar="PATH", help="Write the table as Markdown.")
@opt.threads
@opt.json_path
@opt.force
def reproduce_command(
    ledger: str, markdown: str | None, json_path: str | None, force: bool, **arguments: Any
) -> None:
    """Published accuracies of Fast-SCNN beside what MODEL reaches by the same protocols.

    Without MODEL the table with what was measured so far. With MODEL and --data-dir the rows of
    --dataset are measured that need no other training than its first; name others with --row, such
    as cityscapes-val-imagenet. --force replaces the outputs, and rows that another model holds.
    """
    from ..core.files import check_output, write_bytes
    from ..reproduction import reproduce

    opt.check_json(json_path, force, ledger, markdown, arguments["model"])
    if markdown is not None:
        opt.refuse_inputs(markdown, (ledger, arguments["model"]))
        check_output(markdown, force)
    progress = opt.progress("evaluating")
    result = reproduce(ledger=ledger, force=force, progress=progress, **arguments)
    if markdown is not None:
        write_bytes(markdown, result.markdown().encode())
    opt.write_result(result.to_dict(), json_path, result.text())
