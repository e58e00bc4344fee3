"""`fastscnn data check` and `fastscnn data show`: look at a data set before it is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core import fields
from ..core.console import echo
from ..core.errors import ModelFileError
from ..core.labels import LabelSpace
from ..core.named_weights import TFLITE, named_weights
from ..train.settings import TrainSettings
from . import declared
from . import shared_options as opt


@click.command()
@opt.dataset()
@click.option("--split", "splits", multiple=True, help="May be repeated. [default: all found]")
@opt.workers
@click.option("--model", help="Compare its classes, too: a .tflite, .keras or run folder.")
@opt.json_and_force
def check(json_path: str | None, force: bool, model: str | None, **arguments: Any) -> None:
    """Read every file and report what is wrong: missing, broken, twice, taken for another class.

    Each finding says what it means and what mends it; also class frequencies and suggested class
    weights. Exit code 0: nothing is wrong, 1: there are findings, 2: there is no such data set.
    """
    from ..data.check.dataset_check import check_dataset

    opt.check_json(json_path, force, data_dir=arguments["data_dir"])
    arguments["name"] = arguments.pop("dataset")
    if model is not None:
        arguments["model"] = _classes_of(model)
    report = check_dataset(progress=opt.progress("checking"), **arguments)
    opt.write_result(report.to_dict(), json_path, report.text())
    if report.findings:
        raise click.exceptions.Exit(1)


def _classes_of(model: str) -> LabelSpace:
    """The classes of a model, without its weights and without TensorFlow."""
    from ..model.folded import load_folded
    from ..model.io import checkpoint_in, read_config
    from ..tflite.file import own_metadata, read_model
    from ..tflite.own_metadata import label_space

    path = named_weights(model, TFLITE)
    if path.suffix == ".tflite":
        space = label_space(own_metadata(read_model(path)[1]), 2)
    else:
        path = checkpoint_in(path)
        space = (load_folded(path).config if path.suffix == ".npz" else read_config(path)).labels
    if space.names == LabelSpace.make("model", len(space)).names:
        raise ModelFileError(f"{path}: does not name its classes, so that they cannot be compared")
    return space


@click.command()
@opt.dataset()
@declared.text("--split", "Which split.", "train")
@declared.text("--augment", fields.declared(TrainSettings)["augment"].help, "paper")
@opt.size
@declared.whole("--count", "Samples.", default=12)
@declared.whole("--columns", "Samples in a row.", default=4)
@click.option("--seed", type=int, default=0, show_default=True, help="Of order and augmentation.")
@opt.skip_bad
@click.option("--output", required=True, type=opt.PATH, help="The image.")
@opt.force
def show(output: Path, **arguments: Any) -> None:
    """Draw samples as training sees them, with their labels laid over them and a legend."""
    from ..scoring.contact_sheet import save_contact_sheet

    samples = save_contact_sheet(output, **arguments)
    echo(f"{output}: {opt.counted(samples, 'sample')}")


COMMANDS: tuple[click.Command, ...] = (check, show)
