"""`fastscnn quantization-report`: what int8 costs, layer by layer."""

from __future__ import annotations

from typing import Any

import click

from ..core.console import echo
from . import options as opt


@click.command("quantization-report")
@click.argument("model")
@opt.dataset()
@opt.split
@click.option(
    "--images",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Images of the split that are compared, spread evenly over it.",
)
@opt.size
@click.option(
    "--calibration-images",
    type=click.IntRange(1, 200),
    default=100,
    show_default=True,
    help="Training images that set the ranges of a float model.",
)
@opt.calibration_method
@opt.skip_bad
@click.option("--sensitivity", is_flag=True, help="Measure what each layer returns in mIoU, too.")
@click.option(
    "--output",
    required=True,
    type=opt.PATH,
    help="Folder for report.html, report.json, layers.csv.",
)
@opt.force
def quantization_report_command(model: str, **arguments: Any) -> None:
    """Say what int8 costs MODEL (.keras, .npz or run folder), and which of its layers hurt.

    Each layer in turn stays in float, with all others in int8 as the .tflite computes them.
    """
    from ..quantization_reports import quantization_report

    report = quantization_report(model, progress=opt.progress("comparing"), **arguments)
    echo(f"{report.text()}\n", keep="\n")
    echo(report.page)
