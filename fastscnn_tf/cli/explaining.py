"""Commands that say what a model is: inspect, card and quantization-report; and the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.console import echo
from ..core.errors import InputError
from ..core.files.writing import check_output, write_bytes
from ..core.foreign_text import one_line
from . import declared
from . import shared_options as opt
from .streams import say


@click.command("inspect")
@click.argument("models", metavar="M.TFLITE...", nargs=-1, required=True)
@declared.flag(
    "--markdown",
    "Tables for a README: operation by operation and target; of several files side by side.",
)
@declared.flag("--parse-only", "Do not load it into this machine's interpreter.")
@declared.whole(
    "--timeout", "Seconds that the interpreter may take to load it.", high=3600, default=60
)
@opt.json_and_force
def inspect_command(
    models: tuple[str, ...], markdown: bool, json_path: str | None, force: bool, **rest: Any
) -> None:
    """Show what a .tflite from anywhere contains, costs, and which delegate takes it.

    Every operation that XNNPACK, a GPU, NNAPI, LiteRT.js or MediaPipe leaves out is named with the
    reason and the rule's source. Files that nobody vouches for are safe to look at. The JSON of
    several files is {"files": [...]}. A file that cannot be read is named, and the code is 2.
    """
    from ..inspection.inspect_tflite import inspect
    from ..inspection.side_by_side import markdown_side_by_side

    opt.check_json(json_path, force, *models)
    if markdown and json_path == "-":
        raise click.UsageError("choose one of --markdown and --json -, which go to stdout both")
    load, seconds = not rest["parse_only"], rest["timeout"]
    found, bad = [], 0
    for model in models:
        try:
            found.append(inspect(model, load=load, seconds=seconds))
        except InputError as error:
            if len(models) == 1:
                raise
            bad += 1
            say(f"fastscnn: {one_line(str(error))}", only_stderr=True)
    values = [each.to_dict() for each in found]
    if not markdown:
        text = "\n\n".join(each.text() for each in found)
    elif len(found) == 1:
        text = found[0].markdown()
    else:
        text = markdown_side_by_side(found)
    if found:
        opt.write_result(values[0] if len(models) == 1 else {"files": values}, json_path, text)
    if bad:
        raise click.exceptions.Exit(InputError.exit_code)


@click.command("card")
@click.argument("source", metavar="RUN_OR_M.TFLITE")
@click.option(
    "--scores", multiple=True, metavar="M.JSON", help="What evaluate --json wrote. May be repeated."
)
@click.option("--license", help="Of the weights. [default: what the file says]")
@declared.path("--output", "The Markdown file.", required=True)
@opt.force
def card_command(
    source: str, scores: tuple[str, ...], license: str | None, output: Path, force: bool
) -> None:
    """Write a model card of a run folder or a .tflite: settings, data, scores, sizes, licence.

    All of it comes from the disk; what is not there is called "not stated".
    """
    from ..reports.card import model_card

    opt.refuse_inputs(str(output), (source, *scores))
    check_output(output, force)
    write_bytes(output, model_card(source, scores, license).encode())
    echo(output)


@click.command("quantization-report")
@click.argument("model")
@opt.dataset()
@opt.split
@declared.whole(
    "--images", "Images of the split that are compared, spread evenly over it.", default=50
)
@opt.size
@declared.whole(
    "--calibration-images",
    "Training images that set the ranges of a float model.",
    high=200,
    default=100,
)
@opt.calibration_method
@opt.skip_bad
@declared.flag("--sensitivity", "Measure what each layer returns in mIoU, too.")
@declared.path("--output", "Folder for report.html, report.json, layers.csv.", required=True)
@opt.force
def quantization_report_command(model: str, **arguments: Any) -> None:
    """Say what int8 costs MODEL (.keras, .npz or run folder), and which of its layers hurt.

    Each layer in turn stays in float, with all others in int8 as the .tflite computes them.
    """
    from ..reports.quantization_reports import quantization_report

    report = quantization_report(model, progress=opt.progress("comparing"), **arguments)
    echo(f"{report.text()}\n", keep="\n")
    echo(report.page)


@click.command("demo")
@declared.path("--output", "Folder.", required=True)
@declared.whole("--epochs", "Training epochs; fewer for a quick look.")
@opt.force
def demo_command(output: Path, epochs: int | None, force: bool) -> None:
    """Train, quantize, export and score on toy streets: a table, overlays and report.html."""
    from ..reports.demo import run_demo, table

    summary = run_demo(output, force, epochs=epochs)
    echo(table(summary), keep="\n")
    echo(f"{output / 'report.html'}: report with images, {summary['seconds']:.0f} s in all")
