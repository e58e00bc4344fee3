"""Commands that score: evaluate, agreement, compare, size-table and reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.console import echo, warn
from ..core.sizes import parse_size
from ..core.text_table import percent
from . import declared
from . import shared_options as opt
from .view_options import views


class Sizes(click.ParamType):
    """`256x512,352x480` -> ((256, 512), (352, 480))."""

    name = "HxW,HxW,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return tuple(map(parse_size, value.split(","))) if isinstance(value, str) else value


class Kernels(click.ParamType):
    """`xnnpack,micro` -> those of the first and of the second model; one is for both."""

    name = "ONE[,OTHER]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        names = [name or None for name in value.split(",")]
        if len(names) > 2:
            self.fail(f"expected one or two names, got {value!r}", param, ctx)
        return names[0], names[-1]


@click.command()
@click.argument("model")
@opt.dataset()
@opt.split
@opt.model_size
@opt.pad
@views
@declared.flag("--boundary", "Boundary F-scores, too.")
@declared.flag("--instances", "iIoU, too (Cityscapes' instance ids).")
@opt.matching
@opt.skip_bad
@opt.fleet
@opt.threads_each
@opt.kernels
@declared.flag(
    "--resume",
    "Note what is scored beside --json FILE, in FILE.done.jsonl, and leave out what is noted "
    "there: begin with it, too.",
)
@opt.json_and_force
def evaluate(json_path: str | None, force: bool, resume: bool, **arguments: Any) -> None:
    """Score MODEL (.tflite, .onnx, .keras, .npz, run folder): mIoU, class IoU, accuracy, latency.

    Every image counts and scores are taken at the label's own size, in one look at the whole image
    unless --scales, --flip or --window say otherwise. Classes are matched by name; a Cityscapes
    model is scored on data sets of other classes where a class map between them is known.
    """
    from ..core.files.writing import check_output
    from ..evaluation.evaluate import evaluate as score

    notes = None if json_path in (None, "-") else Path(f"{json_path}.done.jsonl")
    goes_on = force or (resume and notes is not None and notes.is_file())
    opt.check_json(json_path, goes_on, arguments["model"], data_dir=arguments["data_dir"])
    opt.check_runtime(arguments["model"])
    if resume and not notes:
        raise click.UsageError("--resume needs --json FILE: what is scored is noted beside it")
    if notes and not resume:
        check_output(notes, force, notes)  # of a call that was cut off, which can be gone on with
    notes_of_this = notes if resume else None
    result = score(progress=opt.progress("evaluating"), resume=notes_of_this, **arguments)
    if warning := result.skip_warning():
        warn(warning)
    opt.write_result(result.to_dict(), json_path, str(result))
    if notes and not resume:
        notes.unlink(missing_ok=True)


@click.command()
@click.argument("first")
@click.argument("second")
@opt.dataset()
@opt.split
@opt.matching
@opt.skip_bad
@opt.tflite
@opt.json_and_force
def agreement(
    first: str, second: str, json_path: str | None, force: bool, skip_bad: bool, **data: Any
) -> None:
    """Share of pixels to which two models or files give the same class, at their input size."""
    from ..data.check.usable import open_split
    from ..evaluation.agreement import argmax_agreement
    from ..evaluation.evaluate import load_predictor

    opt.check_json(json_path, force, first, second, data_dir=data["data_dir"])
    opt.check_runtime(first, second)
    size = load_predictor(first).input_size
    opened = open_split(data["dataset"], data["data_dir"], data["split"], size, skip_bad)
    matching = opt.taken(data, "match", "class_map")
    share = argmax_agreement(first, second, opened, opt.progress("comparing"), **matching)
    result = {"first": first, "second": second, "images": len(opened), "agreement": share}
    opt.write_result(result, json_path, f"{percent(share, 3)} % of the pixels agree")


@click.command()
@click.argument("first")
@click.argument("second")
@opt.dataset()
@opt.split
@declared.path("--output", "Folder for report.html, comparison.json and the worst images.")
@declared.whole(
    "--pictures",
    "How many of the worst to draw into --output; mind the data's licence before you pass "
    "them on. [default: 5]",
    low=0,
)
@opt.matching
@opt.skip_bad
@opt.threads
@click.option(
    "--kernels",
    type=Kernels(),
    default="",
    help="Of both .tflite files, instead of their settings': xnnpack, builtin, reference, micro.",
)
@opt.json_and_force
def compare(json_path: str | None, force: bool, **arguments: Any) -> None:
    """Compare FIRST with SECOND, such as a float file with its int8 twin.

    Agreement, change of mIoU and of each class, and the images on which they differ most, at the
    labels' own size. Both may be one file, by two --kernels. `agreement` compares at the models'
    input size, and `runs compare` runs.
    """
    from ..evaluation.model_comparison import compare_models

    models = arguments["first"], arguments["second"]
    opt.check_json(json_path, force, *models, data_dir=arguments["data_dir"])
    opt.check_runtime(*models)
    result = compare_models(progress=opt.progress("comparing"), force=force, **arguments)
    opt.write_result(result.to_dict(), json_path, result.text())


@click.command("size-table")
@click.argument("models", nargs=-1, required=True)
@click.option("--sizes", type=Sizes(), default=(), help="Export Keras models at these.")
@opt.dataset(required=False)
@opt.split
@opt.skip_bad
@click.option("--recipe", help="Of the exports; default: int8 with --dataset, else float16.")
@click.option("--frame", type=opt.SizeType(), help="Size of the images; default: the model's.")
@declared.above_zero("--fps", "Mark the best that gives so many frames per second.")
@declared.path("--output", "Folder that keeps the exports.")
@declared.whole("--rounds", "How often each is timed.", default=7)
@opt.threads
@opt.json_and_force
def size_table_command(models: tuple[str, ...], json_path: str | None, **arguments: Any) -> None:
    """Cost, speed and score of MODELS (.tflite, .onnx, or Keras at --sizes), in turns here.

    A frame is an image to its label map at the image's own size. .tflite and .onnx files need no
    TensorFlow; pass one for each size or width. Of an .onnx, operations and memory are not counted.
    "micro" is the arena of TFLite Micro: measured with the extra of that name, estimated (~)
    without, none for files that it has no kernels for.
    """
    from ..evaluation.size_comparison import size_table

    opt.check_json(json_path, arguments["force"], *models, data_dir=arguments["data_dir"])
    result = size_table(models, say=lambda line: echo(line, err=True), **arguments)
    opt.write_result(result.to_dict(), json_path, result.text())


@click.command("reproduce")
@click.argument("model", required=False)
@opt.dataset(required=False)
@click.option(
    "--row", "rows", metavar="KEY", multiple=True, help="Measure this row; may be repeated."
)
@declared.text(
    "--ledger", "Where measurements are kept, row by row, from run to run.", "reproduced.json"
)
@click.option("--markdown", metavar="PATH", help="Write the table as Markdown.")
@opt.threads
@opt.json_and_force
def reproduce_command(
    ledger: str, markdown: str | None, json_path: str | None, force: bool, **arguments: Any
) -> None:
    """Published accuracies of Fast-SCNN beside what MODEL reaches by the same protocols.

    Without MODEL the table with what was measured so far. With MODEL and --data-dir the rows of
    --dataset are measured that need no other training than its first; name others with --row, such
    as cityscapes-val-imagenet. --force replaces the outputs, and rows that another model holds.
    """
    from ..core.files.writing import check_output, write_bytes
    from ..evaluation.reproduction import reproduce

    opt.check_json(json_path, force, ledger, markdown, arguments["model"])
    if markdown is not None:
        opt.refuse_inputs(markdown, (ledger, arguments["model"]))
        check_output(markdown, force)
    opt.check_runtime(arguments["model"])
    progress = opt.progress("evaluating")
    result = reproduce(ledger=ledger, force=force, progress=progress, **arguments)
    if markdown is not None:
        write_bytes(markdown, result.markdown().encode())
    opt.write_result(result.to_dict(), json_path, result.text())
