"""Commands that run on a device: evaluate, predict, benchmark. A .tflite needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.sizes import Size
from . import options as opt


@click.command()
@click.argument("model")
@opt.dataset()
@opt.split
@opt.model_size
@opt.pad
@opt.threads
@opt.json_path
@opt.force
def evaluate(
    model: str,
    dataset: str,
    data_dir: str | None,
    split: str,
    size: Size | None,
    pad: bool,
    threads: int,
    json_path: str | None,
    force: bool,
) -> None:
    """Score MODEL (.tflite, .keras, .npz or run folder): mIoU, class IoU, accuracy, latency.

    Every image counts and scores are taken at the label's own size.
    """
    from ..evaluation import evaluate as score

    opt.check_json(json_path, force)
    result = score(model, dataset, data_dir, split, threads, opt.progress("evaluating"), size, pad)
    text = f"{result.table()}\nprotocol: {result.protocol}"
    opt.write_result(result.to_dict(), json_path, text)


@click.command()
@click.argument("first")
@click.argument("second")
@opt.dataset()
@opt.split
@opt.json_path
@opt.force
def agreement(
    first: str,
    second: str,
    dataset: str,
    data_dir: str | None,
    split: str,
    json_path: str | None,
    force: bool,
) -> None:
    """Share of pixels to which two models or files give the same class, at their input size."""
    from ..agreement import argmax_agreement
    from ..data.registry import open_dataset
    from ..evaluation import load_predictor

    opt.check_json(json_path, force)
    data = open_dataset(dataset, data_dir, split, load_predictor(first).input_size)
    share = argmax_agreement(first, second, data, opt.progress("comparing"))
    result = {"first": first, "second": second, "images": len(data), "agreement": share}
    opt.write_result(result, json_path, f"{share * 100:.3f} % of the pixels agree")


@click.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True)
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder.")
@click.option(
    "--opacity",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Of the overlay's colours.",
)
@opt.model_size
@opt.pad
@opt.threads
@opt.force
def predict(
    model: str,
    paths: tuple[str, ...],
    output: Path,
    opacity: float,
    size: Size | None,
    pad: bool,
    threads: int,
    force: bool,
) -> None:
    """Segment pictures or folders of them: NAME_labels.png and NAME_overlay.png for each."""
    from ..prediction import predict_files

    written = predict_files(
        model, paths, output, opacity, threads, force, opt.progress("predicting"), size, pad
    )
    click.echo(f"{output}: label map and overlay of {opt.count(len(written), 'picture')}")


@click.command()
@click.argument("model", metavar="M.TFLITE")
@opt.threads
@click.option("--runs", type=click.IntRange(1), default=50, show_default=True, help="Timed runs.")
@click.option(
    "--warmup", type=click.IntRange(0), default=5, show_default=True, help="Runs before, not timed."
)
@opt.json_path
@opt.force
def benchmark(
    model: str, threads: int, runs: int, warmup: int, json_path: str | None, force: bool
) -> None:
    """Time a .tflite on this machine."""
    from ..runtime.benchmark import benchmark as measure

    opt.check_json(json_path, force)
    result = measure(model, threads, runs, warmup)
    latency = result["latency_ms"]
    text = (
        f"{model} at {result['input_size']}, {threads} threads: median {latency['median']:.2f} ms, "
        f"p90 {latency['p90']:.2f} ms, load {result['load_ms']:.1f} ms, "
        f"first {result['first_ms']:.1f} ms"
    )
    opt.write_result(result, json_path, text)


COMMANDS = (evaluate, predict, benchmark, agreement)
