"""The command inspect: what .tflite files contain, cost, and who runs them."""

from __future__ import annotations

import click

from . import options as opt


@click.command("inspect")
@click.argument("models", metavar="M.TFLITE...", nargs=-1, required=True)
@click.option(
    "--markdown",
    is_flag=True,
    help="Tables for a README: operation by operation and target; of several files side by side.",
)
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
    models: tuple[str, ...],
    markdown: bool,
    parse_only: bool,
    timeout: int,
    json_path: str | None,
    force: bool,
) -> None:
    """Show what a .tflite from anywhere contains, costs, and which delegate takes it.

    Every operation that XNNPACK, a GPU, NNAPI, LiteRT.js or MediaPipe leaves out is named with the
    reason and the rule's source. Files that nobody vouches for are safe to look at. The JSON of
    several files is {"files": [...]}.
    """
    from ..runtime.inspect.inspection import inspect
    from ..runtime.inspect.report_files import markdown_side_by_side

    opt.check_json(json_path, force, *models)
    if markdown and json_path == "-":
        raise click.UsageError("choose one of --markdown and --json -, which go to stdout both")
    found = [inspect(model, load=not parse_only, seconds=timeout) for model in models]
    values = [each.to_dict() for each in found]
    if not markdown:
        text = "\n\n".join(each.text() for each in found)
    elif len(found) == 1:
        text = found[0].markdown()
    else:
        text = markdown_side_by_side(found)
    opt.write_result(values[0] if len(found) == 1 else {"files": values}, json_path, text)
