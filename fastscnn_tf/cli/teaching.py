"""Commands by which one model teaches another: pseudo-label and save-logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.console import echo, warn
from ..core.foreign_text import printable
from ..core.sizes import Size
from . import declared
from . import shared_options as opt
from .view_options import averaging


@click.command("pseudo-label")
@click.argument("model")
@click.option("--images", required=True, help="Folder or .txt of images, Parquet or records.")
@declared.flag("--recursive", "Take the images in sub-folders, too.")
@declared.share(
    "--confidence",
    "Least probability of a pixel that is labelled; the others are ignored (255).",
    default=0.9,
)
@opt.model_size
@opt.pad
@averaging
@declared.flag("--copy", "Copy the images instead of linking them.")
@declared.flag("--parquet", "Write Parquet files of images and label maps, not a file each.")
@opt.skip_bad_images
@opt.fleet
@opt.threads_each
@click.option("--output", "folder", required=True, type=opt.PATH, help="Folder of the data set.")
@declared.flag("--resume", "Go on with the data set in --output.")
@opt.json_and_force
def pseudo_label_command(json_path: str | None, force: bool, **arguments: Any) -> None:
    """Label images where MODEL (.tflite, .keras, .npz or run folder) is sure.

    Writes a data set for train --extra-dataset folder --extra-data-dir OUTPUT --extra-split train.
    """
    from ..evaluation.pseudo_labels import pseudo_label

    opt.check_json(json_path, force, arguments["model"])
    opt.check_runtime(arguments["model"])
    result = pseudo_label(force=force, progress=opt.progress("labelling"), **arguments)
    if not sum(result.kept):
        warn("no pixel is labelled, none was that sure: lower --confidence")
    done = f"{printable(result.folder)}: {opt.counted(result.images, 'image')}"
    opt.write_result(result.to_dict(), json_path, f"{result.table()}\n{done}")


@click.command("save-logits")
@click.argument("model")
@opt.dataset()
@declared.text("--split", "Which split.", "train")
@opt.model_size
@opt.pad
@opt.skip_bad
@opt.threads
@declared.path("--output", "Folder; images done before stay.", required=True)
def save_logits_command(
    model: str, threads: int | None, size: Size | None, pad: bool, output: Path, **data: Any
) -> None:
    """Write the logits of MODEL (.tflite, .keras, .npz or run folder) for every image of a split.

    They are a teacher for train --teacher OUTPUT. The teacher looks at each image once, as it
    is, so rotation, cutout and mixing cannot be learnt from it (not --augment strong).
    """
    from ..data.check.usable import open_split
    from ..evaluation.evaluate import load_predictor
    from ..train.distill.saved_logits import save_logits

    opt.check_runtime(model)
    predictor = load_predictor(model, threads, size=size, pad=pad)
    source = data["dataset"], data["data_dir"], data["split"]
    opened = open_split(*source, predictor.input_size, data["skip_bad"])
    save_logits(predictor, opened, output, opt.progress("looking"))
    echo(f"{output}: logits of {opt.counted(len(opened), 'image')}")
