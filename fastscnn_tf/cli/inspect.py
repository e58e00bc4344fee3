"""The command inspect: what a .tflite contains, costs, and who runs it."""

from __future__ import annotations

import click

from . import options as opt


@click.command("inspect")
@click.argument("model", metavar="M.TFLITE")
@click.option("--markdown", is_flag=True, help="A table of operations and targets, for a README.")
@click.option("--parse-only", is_flag=True, help="Do not load it into this machine's interpreter.")
@click.option(
    "--timeout",
    type=click.IntRange(1, 3600),
    default=60,
    show_default=True,
    help="Seconds that the interpreter may take to load it.",
)
@opt.json_path
@opt.force
def inspect_command(
    model: str, markdown: bool, parse_only: bool, timeout: int, json_path: str | None, force: bool
) -> None:
    """Show what a .tflite from anywhere contains, costs, and which delegate takes it.

    Every operation that XNNPACK, a GPU, NNAPI, LiteRT.js or MediaPipe leaves out is named with the
    reason and the rule's source. Files that nobody vouches for are safe to look at.
    """
    from ..runtime.inspect.inspection import inspect

    opt.check_json(json_path, force, model)
    if markdown and json_path == "-":
        raise click.UsageError("choose one of --markdown and --json -, which go to stdout both")
    found = inspect(model, load=not parse_only, seconds=timeout)
    opt.write_result(found.to_dict(), json_path, found.markdown() if markdown else found.text())
