"""Commands that run a model on a device: predict, benchmark and watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.console import echo, warn
from ..core.errors import Interrupted, StreamEnded
from ..core.foreign_text import printable
from ..stream.frame import ROTATIONS
from ..stream.pi_camera import FORMATS, LONGEST_TIMEOUT, TIMEOUT
from . import declared
from . import shared_options as opt
from .view_options import fit, views


@click.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True)
@click.option("--output", "folder", required=True, type=opt.PATH, help="Folder.")
@declared.text(
    "--format",
    "pictures (palette and overlay), index (grey PNG of class indices), palette, color, overlay, "
    "cityscapes (NAME_pred_labelIds.png, for its benchmark), coco (one coco.json with RLEs) or "
    "parquet (label maps in Parquet files).",
    "pictures",
)
@declared.flag("--recursive", "Take the images in sub-folders, too.")
@declared.share("--opacity", "Of the overlay's colours.", default=0.5)
@opt.model_size
@opt.pad
@views
@opt.fleet
@opt.skip_bad_images
@declared.flag(
    "--resume",
    "Note in --output what is done, and leave out what is noted there: begin with it, too.",
)
@opt.threads_each
@opt.kernels
@opt.force
def predict(folder: Path, format: str, **arguments: Any) -> None:
    """Segment images or folders of them: NAME_labels.png and NAME_overlay.png for each.

    With --recursive the results lie in sub-folders of the same names; so do those of the rows of
    Parquet files with images, and in one of its name those of a split of packed records (a shard
    or its folder). A .txt names an image in each line. watch takes videos.
    """
    from ..evaluation.prediction import predict_files
    from ..scoring.prediction_files import WHAT

    opt.check_runtime(arguments["model"])
    progress = opt.progress("predicting")
    written = predict_files(folder=folder, format=format, progress=progress, **arguments)
    done = f"{folder}: {WHAT[format]} of {opt.counted(len(written), 'image')}"
    echo(written[0] if format == "coco" else done)


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@opt.threads
@opt.kernels
@declared.flag("--all-runtimes", "Every runtime that is installed, in turns.")
@declared.whole("--runs", "Timed runs.", default=50)
@declared.whole("--warmup", "Runs before, not timed.", low=0, default=5)
@click.option("--image", help="Image of the whole frames. [default: a drawn street, 720x1280]")
@opt.json_and_force
def benchmark(
    models: tuple[str, ...],
    json_path: str | None,
    force: bool,
    all_runtimes: bool,
    **arguments: Any,
) -> None:
    """Time a .tflite or .onnx here: the network alone, and frames from pixels to label map.

    --json adds what the device is, its temperature and throttling before and after. --all-runtimes
    takes several files of one network, too, such as m.tflite m.onnx; it shows how far the label
    maps agree and marks the fastest of those that do.
    """
    from ..runtime.benchmark import benchmark as measure
    from ..runtime.runtime_comparison import compare_runtimes

    opt.check_json(json_path, force, *models, arguments["image"])
    if all_runtimes:
        if opt.is_given("runtime"):
            raise click.UsageError("choose one of --runtime and --all-runtimes")
        table = compare_runtimes(models, **arguments)
        opt.write_result(table.to_dict(), json_path, table.text())
        return
    if len(models) > 1:
        raise click.UsageError("several models are for --all-runtimes")
    result = measure(models[0], **arguments)
    latency, frame, kernels = result["latency_ms"], result["frame"], result["kernels"]
    steps = ", ".join(f"{name} {ms:.2f}" for name, ms in frame["step_ms"].items())
    text = (
        f"{printable(models[0])} at {result['input_size']}, {result['runtime']}, "
        f"{f'{kernels} kernels, ' if kernels else ''}{opt.counted(result['threads'], 'thread')}: "
        f"median {latency['median']:.2f} ms, p90 {latency['p90']:.2f} ms, "
        f"load {result['load_ms']:.1f} ms, first {result['first_ms']:.1f} ms\n"
        f"whole frames of {frame['size']}: median {frame['median']:.2f} ms ({steps}), "
        f"{frame['frames_per_second']:.1f} per second"
    )
    opt.write_result(result, json_path, text)


@click.command("watch")
@click.argument("source")
@click.argument("model", metavar="M.TFLITE")
@declared.path(
    "--output",
    "Folder for NAME_overlay.jpg and NAME_labels.png of every frame, or a video of the overlays "
    "(.mp4, .avi, ...); else a window opens.",
)
@click.option("--window/--no-window", default=None, help="Show them in a window, or only measure.")
@declared.flag("--follow", "Wait for new images in a folder.")
@declared.whole("--frames", "End after so many.")
@click.option(
    "--drop/--keep-all",
    default=None,
    help="Drop stale frames, or look at each; default: drop those of cameras.",
)
@fit("As in predict.")
@declared.share(
    "--smooth", "Weight of the past in the logits, against flicker.", 0.0, below_one=True
)
@declared.share("--confidence", "Below this probability a pixel is unknown (255).")
@declared.share("--opacity", "Of the colours.", default=0.5)
@click.option(
    "--rotate",
    type=click.Choice(list(map(str, ROTATIONS))),
    default="0",
    help="Turn frames upright: degrees clockwise.",
)
@declared.flag("--mirror", "Swap left and right, after that.")
@click.option("--camera-size", type=opt.SizeType(), help="Ask a camera for frames of this size.")
@declared.choice("--camera-format", "Of a Pi's camera; yuv420 is converted here.", FORMATS, "rgb")
@declared.above_zero(
    "--timeout",
    "Seconds that a camera, a stream or a video has for each frame.",
    LONGEST_TIMEOUT,
    TIMEOUT,
)
@opt.threads
@opt.json_and_force
def watch_command(source: str, rotate: str, json_path: str | None, **arguments: Any) -> None:
    """Segment SOURCE as it comes: images, a video, a camera (0, /dev/video0, rtsp://, picamera).

    Images are a folder or a quoted pattern. Ends with the source, after --frames, by q in the
    window or by Ctrl-C, and prints frames per second with every step counted. A camera or a stream
    that gives no more frames, or none in time, is a failure (code 1).
    """
    from ..stream.watch import watch

    opt.check_json(json_path, arguments["force"], source, arguments["model"])
    result = watch(source, rotate=int(rotate), on_bad=warn, **arguments)
    opt.write_result(result.to_dict(), json_path, result.text())
    if result.interrupted:
        raise Interrupted("interrupted")
    if result.ended:
        raise StreamEnded(result.ended)
