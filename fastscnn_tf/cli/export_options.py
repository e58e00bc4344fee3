"""Options of `export` about devices and what a file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.aliases import StrPath
from ..core.console import echo
from . import declared
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
    declared.text(
        "--engine", "What makes int8: own, or ai-edge-quantizer (extra quantizer).", "own"
    ),
    click.option(
        "--keep-float",
        multiple=True,
        metavar="LAYER",
        help="Leave it in float (ai-edge-quantizer): a name out of quantization-report, or a "
        "regular expression of whole names. May be repeated.",
    ),
)

ONNX, C_ARRAY = "onnx", "c-array"
format_option = declared.choice(
    "--format",
    "onnx (extra onnx): recipes float32, float16, int8 and int8-qat; c-array: C++ source for "
    "TFLite Micro, --output names its header. MODEL may be a .tflite for both.",
    ("tflite", ONNX, C_ARRAY),
    "tflite",
)


def translate(model: StrPath, output: Path, format: str, force: bool) -> None:
    """Writes what is a .tflite already in another format.

    Raises:
        UsageError: an option is given which the .tflite has decided.
    """
    from ..export.export_onnx import tflite_to_onnx

    for param in click.get_current_context().command.params:
        used = param.name in ("model", "format", "output", "force")
        if opt.is_given(str(param.name)) and not used:
            raise click.UsageError(f"{param.opts[0]} would do nothing: {model} is there already")
    if format == ONNX:
        echo(str(tflite_to_onnx(model, output, force)), keep="\n")
    else:
        as_c_array(model, output, force)


def as_c_array(model: StrPath, header: Path, force: bool) -> None:
    """Writes a .tflite as C++ source."""
    from ..export.c_array import write_c_array

    *others, last = map(str, write_c_array(model, header, force))
    echo(f"{', '.join(others)} and {last}")


def choose_for(device: str, model: str, calibration: bool, **wanted: Any) -> Choice:
    """The decision table's choice, which is printed with its reasons.

    Args:
        device: what to choose for.
        model: what is exported.
        calibration: there are images to calibrate with.
        wanted: `recipe`, `outputs`, `input` and `keep_float`, as far as they are given.
    """
    from ..export.choice import choose
    from ..model.io import checkpoint_in

    aware = checkpoint_in(model).suffix == ".npz"
    choice = choose(device, **wanted, quantization_aware=aware, calibration=calibration)
    for line in choice.lines:
        echo(line)
    return choice
