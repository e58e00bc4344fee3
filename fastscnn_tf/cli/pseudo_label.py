"""`fastscnn pseudo-label`: a `folder` data set from unlabelled pictures."""

from __future__ import annotations

from typing import Any

import click

from ..core.console import warn
from ..core.foreign_text import printable
from . import options as opt
from .device import averaging


@click.command("pseudo-label")
@click.argument("model")
@click.option("--images", required=True, help="A folder of pictures.")
@click.option("--recursive", is_flag=True, help="Take the pictures in sub-folders, too.")
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="Least probability of a pixel that is labelled; the others are ignored (255).",
)
@opt.model_size
@opt.pad
@averaging
@click.option("--copy", is_flag=True, help="Copy the pictures instead of linking them.")
@click.option("--skip-bad", is_flag=True, help="Go on without pictures that cannot be read.")
@opt.threads
@click.option("--output", "folder", required=True, type=opt.PATH, help="Folder of the data set.")
@click.option("--resume", is_flag=True, help="Go on with the data set in --output.")
@opt.json_path
@opt.force
def pseudo_label_command(json_path: str | None, force: bool, **arguments: Any) -> None:
    """Label pictures where MODEL (.tflite, .keras, .npz or run folder) is sure.

    Writes a data set for train --extra-dataset folder --extra-data-dir OUTPUT --extra-split train.
    """
    from ..pseudo_labels import pseudo_label

    opt.check_json(json_path, force, arguments["model"])
    result = pseudo_label(force=force, progress=opt.progress("labelling"), **arguments)
    if result.skipped:
        lost = opt.count(len(result.skipped), "picture")
        warn(f"skipped {lost} (first: {result.skipped[0]})")
    if not sum(result.kept):
        warn("no pixel is labelled, none was that sure: lower --confidence")
    done = f"{printable(result.folder)}: {opt.count(result.images, 'picture')}"
    opt.write_result(result.to_dict(), json_path, f"{result.table()}\n{done}")
