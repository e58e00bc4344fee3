"""`fastscnn compare`: two models on the same pictures."""

from __future__ import annotations

from typing import Any

import click

from . import options as opt


@click.command()
@click.argument("first")
@click.argument("second")
@opt.dataset()
@opt.split
@click.option(
    "--output",
    type=opt.PATH,
    help="Folder for report.html, comparison.json and the worst pictures.",
)
@click.option(
    "--pictures",
    type=click.IntRange(0),
    help="How many of the worst to draw into --output; mind the data's licence before you pass "
    "them on. [default: 5]",
)
@opt.skip_bad
@opt.threads
@opt.json_path
@opt.force
def compare(json_path: str | None, force: bool, **arguments: Any) -> None:
    """Compare FIRST with SECOND, such as a float file with its int8 twin.

    Agreement, change of mIoU and of each class, and the pictures on which they differ most, at the
    labels' own size. `agreement` compares at the models' input size, and `runs compare` runs.
    """
    from ..model_comparison import compare_models

    models = arguments["first"], arguments["second"]
    opt.check_json(json_path, force, *models, data_dir=arguments["data_dir"])
    result = compare_models(progress=opt.progress("comparing"), force=force, **arguments)
    opt.write_result(result.to_dict(), json_path, result.text())
