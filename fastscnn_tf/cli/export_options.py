"""Options of `export` about devices and what a file says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ..core.aliases import StrPath
from ..core.console import echo
from . import shared_options as opt

if TYPE_CHECKING:
    from ..export.choice import Choice

TEXTS = ("author", "license", "description", "version")  # of what `about_options` asks

about_options = opt.options(
    click.option("--author", help="Into the metadata."),
    click.option("--license", help="Of the weights, into the metadata."),
    click.option("--description", help="Into the metadata. [default: classes and data set]"),
    click.option("--model-version", "version", help="Into the metadata."),
)

engine_options = opt.options(
    click.option(
        "--engine",
        default="own",
        show_default=True,
        help="What makes int8: own, or ai-edge-quantizer (extra quantizer).",
    ),
    click.option(
        "--keep-float",
        multiple=True,
        metavar="LAYER",
        help="Leave it in float (ai-edge-quantizer): a name out of quantization-report, or a "
        "regular expression of whole names. May be repeated.",
    ),
)

ONNX = "onnx"
format_option = click.option(
    "--format",
    type=click.Choice(("tflite", ONNX)),
    default="tflite",
    show_default=True,
    help="onnx (extra onnx): recipes float32, float16, int8 and int8-qat; MODEL may be a .tflite.",
)


def refuse_beside(model: StrPath, *used: str) -> None:
    """Makes sure that no option is given which a .tflite has decided already.

    Args:
        model: the file.
        used: names of those that count.

    Raises:
        UsageError: one is.
    """
    context = click.get_current_context()
    for param in context.command.params:
        given = context.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
        if given and param.name not in ("model", *used):
            raise click.UsageError(f"{param.opts[0]} would do nothing: {model} is there already")


def choose_for(device: str, model: str, calibration: bool, **wanted: str | None) -> Choice:
    """The decision table's choice, which is printed with its reasons.

    Args:
        device: what to choose for.
        model: what is exported.
        calibration: there are images to calibrate with.
        wanted: `recipe`, `outputs` and `input`, as far as they are given.
    """
    from ..export.choice import choose
    from ..model.io import checkpoint_in

    aware = checkpoint_in(model).suffix == ".npz"
    choice = choose(device, **wanted, quantization_aware=aware, calibration=calibration)
    for line in choice.lines:
        echo(line)
    return choice
