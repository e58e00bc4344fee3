"""`fastscnn save-logits`: what a teacher says of every picture, for `train --teacher`."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.console import echo
from . import options as opt


@click.command("save-logits")
@click.argument("model")
@opt.dataset()
@click.option("--split", default="train", show_default=True, help="Which split.")
@opt.model_size
@opt.pad
@opt.threads
@click.option(
    "--output", "folder", required=True, type=opt.PATH, help="Folder; pictures done before stay."
)
def save_logits_command(
    model: str,
    dataset: str,
    data_dir: str | None,
    split: str,
    size: tuple[int, int] | None,
    pad: bool,
    threads: int | None,
    folder: Path,
) -> None:
    """Write the logits of MODEL (.tflite, .keras, .npz or run folder) for every picture of a split.

    They are a teacher for train --teacher OUTPUT. The teacher looks at each picture once, as it
    is, so rotation, cutout and mixing cannot be learnt from it (--augment paper or gentle).
    """
    from ..data.registry import open_dataset
    from ..evaluation import load_predictor
    from ..train.saved_logits import save_logits

    predictor = load_predictor(model, threads, size=size, pad=pad)
    data = open_dataset(dataset, data_dir, split, predictor.input_size)
    save_logits(predictor, data, folder, opt.progress("looking"))
    echo(f"{folder}: logits of {opt.count(len(data), 'picture')}")
