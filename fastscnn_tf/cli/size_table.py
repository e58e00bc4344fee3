"""`fastscnn size-table`: which input size is fast enough on this machine."""

from __future__ import annotations

from typing import Any

import click

from ..core.console import echo
from ..core.sizes import parse_size
from . import options as opt


class Sizes(click.ParamType):
    """`256x512,352x480` -> ((256, 512), (352, 480))."""

    name = "HxW,HxW,..."

    def convert(self, value: object, param: Any, ctx: Any) -> Any:
        return tuple(map(parse_size, value.split(","))) if isinstance(value, str) else value


@click.command("size-table")
@click.argument("models", nargs=-1, required=True)
@click.option("--sizes", type=Sizes(), default=(), help="Export Keras models at these.")
@opt.dataset(required=False)
@opt.split
@opt.skip_bad
@click.option("--recipe", help="Of the exports; default: int8 with --dataset, else float16.")
@click.option("--frame", type=opt.SizeType(), help="Size of the pictures; default: the model's.")
@click.option(
    "--fps",
    type=click.FloatRange(0, min_open=True),
    help="Mark the best that gives so many frames per second.",
)
@click.option("--output", type=opt.PATH, help="Folder that keeps the exports.")
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="How often each is timed.",
)
@opt.threads
@opt.json_path
@opt.force
def size_table_command(models: tuple[str, ...], json_path: str | None, **arguments: Any) -> None:
    """Cost, speed and score of MODELS (.tflite, or Keras at --sizes), measured in turns here.

    A frame is a picture to its label map at the picture's own size. .tflite files need no
    TensorFlow; pass one for each size or width.
    """
    from ..size_comparison import size_table

    opt.check_json(json_path, arguments["force"], *models, data_dir=arguments["data_dir"])
    result = size_table(models, say=lambda line: echo(line, err=True), **arguments)
    opt.write_result(result.to_dict(), json_path, result.text())
