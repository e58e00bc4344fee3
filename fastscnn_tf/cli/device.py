"""Commands that run on a device: evaluate, predict, benchmark. A .tflite needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.console import echo, warn
from ..core.foreign_text import printable
from ..runtime import MAX_THREADS
from ..runtime.fit import FITS
from ..runtime.workers import MAX_PROCESSES
from . import options as opt


class Scales(click.ParamType):
    """`0.5,1.0` -> (0.5, 1.0)."""

    name = "S,S,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        if not isinstance(value, str):
            return value
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"expected numbers such as 0.5,1.0, got {value!r}", param, ctx)


averaging = opt.options(
    click.option(
        "--scales",
        type=Scales(),
        default=(1.0,),
        help="Average a Keras model at these multiples of its size: 0.5,0.75,1.0,1.25.",
    ),
    click.option("--flip", is_flag=True, help="Average with the mirrored image."),
)
views = opt.options(
    averaging,
    click.option(
        "--window",
        type=opt.SizeType(),
        help="Look through windows of this size at the image's own size.",
    ),
    click.option("--stride", type=opt.SizeType(), help="From window to window; default: half."),
    click.option(
        "--fit",
        type=click.Choice(FITS),
        default="resize",
        show_default=True,
        help="Stretch the image to the model's size, or keep its proportions and fill the rest.",
    ),
)


@click.command()
@click.argument("model")
@opt.dataset()
@opt.split
@opt.model_size
@opt.pad
@views
@click.option("--boundary", is_flag=True, help="Boundary F-scores, too.")
@click.option("--instances", is_flag=True, help="iIoU, too (Cityscapes' instance ids).")
@opt.skip_bad
@opt.threads
@opt.json_path
@opt.force
def evaluate(json_path: str | None, force: bool, **arguments: Any) -> None:
    """Score MODEL (.tflite, .keras, .npz or run folder): mIoU, class IoU, accuracy, latency.

    Every image counts and scores are taken at the label's own size, in one look at the whole image
    unless --scales, --flip or --window say otherwise. A Cityscapes model is scored on data sets of
    other classes where a class map between them is known.
    """
    from ..evaluation import evaluate as score

    opt.check_json(json_path, force, arguments["model"], data_dir=arguments["data_dir"])
    result = score(progress=opt.progress("evaluating"), **arguments)
    if warning := result.skip_warning():
        warn(warning)
    text = f"{result.table()}\nprotocol: {printable(result.protocol)}"
    opt.write_result(result.to_dict(), json_path, text)


@click.command()
@click.argument("first")
@click.argument("second")
@opt.dataset()
@opt.split
@opt.skip_bad
@opt.trust_settings
@opt.json_path
@opt.force
def agreement(
    first: str,
    second: str,
    dataset: str,
    data_dir: str | None,
    split: str,
    skip_bad: bool,
    json_path: str | None,
    force: bool,
) -> None:
    """Share of pixels to which two models or files give the same class, at their input size."""
    from ..agreement import argmax_agreement
    from ..data.usable import open_split
    from ..evaluation import load_predictor

    opt.check_json(json_path, force, first, second, data_dir=data_dir)
    data = open_split(dataset, data_dir, split, load_predictor(first).input_size, skip_bad)
    share = argmax_agreement(first, second, data, opt.progress("comparing"))
    result = {"first": first, "second": second, "images": len(data), "agreement": share}
    opt.write_result(result, json_path, f"{share * 100:.3f} % of the pixels agree")


@click.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True)
@click.option("--output", "folder", required=True, type=opt.PATH, help="Folder.")
@click.option(
    "--format",
    default="pictures",
    show_default=True,
    help="pictures, or cityscapes: NAME_pred_labelIds.png with label ids, for its benchmark.",
)
@click.option("--recursive", is_flag=True, help="Take the pictures in sub-folders, too.")
@click.option(
    "--opacity",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Of the overlay's colours.",
)
@opt.model_size
@opt.pad
@views
@click.option(
    "--processes",
    type=click.IntRange(1, MAX_PROCESSES),
    default=1,
    show_default=True,
    help="Share the pictures among so many processes: one per core is fastest.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    help="CPU threads of a .tflite, in each process; default: those of its settings, else 2, or 1 "
    "with several processes.",
)
@opt.trust_settings
@opt.force
def predict(folder: Path, format: str, threads: int | None, **arguments: Any) -> None:
    """Segment pictures or folders of them: NAME_labels.png and NAME_overlay.png for each."""
    from ..prediction import predict_files

    arguments["threads"] = threads or (1 if arguments["processes"] > 1 else None)
    progress = opt.progress("predicting")
    written = predict_files(folder=folder, format=format, progress=progress, **arguments)
    what = "label map and overlay" if format == "pictures" else "label ids"
    echo(f"{folder}: {what} of {opt.count(len(written), 'picture')}")


@click.command()
@click.argument("model", metavar="M.TFLITE")
@opt.threads
@click.option("--runs", type=click.IntRange(1), default=50, show_default=True, help="Timed runs.")
@click.option(
    "--warmup", type=click.IntRange(0), default=5, show_default=True, help="Runs before, not timed."
)
@click.option("--image", help="Picture of the whole frames. [default: a drawn street, 720x1280]")
@opt.json_path
@opt.force
def benchmark(model: str, json_path: str | None, force: bool, **arguments: Any) -> None:
    """Time a .tflite on this machine: the network alone, and frames from pixels to label map.

    --json adds what the device is, its temperature and throttling before and after.
    """
    from ..runtime.benchmark import benchmark as measure

    opt.check_json(json_path, force, model, arguments["image"])
    result = measure(model, **arguments)
    latency, frame = result["latency_ms"], result["frame"]
    steps = ", ".join(f"{name} {ms:.2f}" for name, ms in frame["step_ms"].items())
    text = (
        f"{printable(model)} at {result['input_size']}, {result['threads']} threads: "
        f"median {latency['median']:.2f} ms, p90 {latency['p90']:.2f} ms, "
        f"load {result['load_ms']:.1f} ms, first {result['first_ms']:.1f} ms\n"
        f"whole frames of {frame['size']}: median {frame['median']:.2f} ms ({steps}), "
        f"{frame['frames_per_second']:.1f} per second"
    )
    opt.write_result(result, json_path, text)


COMMANDS = (evaluate, predict, benchmark, agreement)
