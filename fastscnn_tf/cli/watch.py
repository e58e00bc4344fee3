"""`fastscnn watch`: a model looks at a folder, a video or a camera."""

from __future__ import annotations

from typing import Any

import click

from ..core.errors import Interrupted, StreamEnded
from ..core.foreign_text import one_line
from ..runtime.fit import FITS
from ..runtime.orientation import ROTATIONS
from ..runtime.pi_camera import FORMATS, LONGEST_TIMEOUT, TIMEOUT
from . import options as opt


@click.command("watch")
@click.argument("source")
@click.argument("model", metavar="M.TFLITE")
@click.option(
    "--output",
    type=opt.PATH,
    help="Folder for NAME_overlay.jpg and NAME_labels.png of every frame; else a window opens.",
)
@click.option("--window/--no-window", default=None, help="Show them in a window, or only measure.")
@click.option("--follow", is_flag=True, help="Wait for new pictures in a folder.")
@click.option("--frames", type=click.IntRange(1), help="End after so many.")
@click.option(
    "--drop/--keep-all",
    default=None,
    help="Drop stale frames, or look at each; default: drop those of cameras.",
)
@click.option(
    "--fit", type=click.Choice(FITS), default="resize", show_default=True, help="As in predict."
)
@click.option(
    "--smooth",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Weight of the past in the logits, against flicker.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1),
    help="Below this probability a pixel is unknown (255).",
)
@click.option(
    "--opacity", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Of the colours."
)
@click.option(
    "--rotate",
    type=click.Choice(list(map(str, ROTATIONS))),
    default="0",
    help="Turn frames upright: degrees clockwise.",
)
@click.option("--mirror", is_flag=True, help="Swap left and right, after that.")
@click.option("--camera-size", type=opt.SizeType(), help="Ask a camera for frames of this size.")
@click.option(
    "--camera-format",
    type=click.Choice(list(FORMATS)),
    default="rgb",
    show_default=True,
    help="Of a Pi's camera; yuv420 is converted here.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, LONGEST_TIMEOUT, min_open=True),
    default=TIMEOUT,
    show_default=True,
    help="Seconds that a camera, a stream or a video has for each frame.",
)
@opt.threads
@opt.json_path
@opt.force
def watch_command(
    source: str, rotate: str, json_path: str | None, force: bool, **arguments: Any
) -> None:
    """Segment SOURCE as it comes: pictures, a video, a camera (0, /dev/video0, rtsp://, picamera).

    Pictures are a folder or a quoted pattern. Ends with the source, after --frames, by q in the
    window or by Ctrl-C, and prints frames per second with every step counted. A camera or a stream
    that gives no more frames, or none in time, is a failure (code 1).
    """
    from ..runtime.watch import watch

    opt.check_json(json_path, force, source, arguments["model"])
    result = watch(
        source,
        rotate=int(rotate),
        force=force,
        on_bad=lambda line: click.echo(f"fastscnn: {one_line(line)}", err=True),
        **arguments,
    )
    opt.write_result(result.to_dict(), json_path, result.text())
    if result.interrupted:
        raise Interrupted("interrupted")
    if result.ended:
        raise StreamEnded(result.ended)
