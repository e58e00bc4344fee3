"""`watch`: a model looks at frames as they come, and every step of it is timed."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ..core.aliases import StrPath
from ..core.arguments import check_number
from ..core.errors import StreamEnded
from ..core.images.formats import VIDEO_SUFFIXES
from ..core.images.visualize import overlay
from ..core.sizes import format_size
from ..core.text_table import percent
from ..runtime.fit import check_fit, fitted
from ..runtime.segmenter import Segmenter
from ..tflite.foreign_options import ForeignOptions
from .capture import FrameOptions, open_frames
from .display import FileSink, Sink, open_window
from .frame import Frame
from .temporal import Flicker, FrameLabels
from .video import VideoFile

KEPT = 1000  # durations
STEPS = ("decode", "convert", "resize", "network", "labels", "draw", "show")


@dataclasses.dataclass(frozen=True)
class Watched:
    """What was seen, and how fast.

    Attributes:
        frames: that went through all steps.
        dropped: stale frames of a live source that nothing looked at.
        fps: frames per second from the first frame's arrival to the end of the last one.
        step_ms: median milliseconds of each of `STEPS`; decoding (or waiting for the
            camera) and converting (to RGB, upright) go on beside the others.
        delay_ms: median milliseconds from a decoded frame to its being shown.
        flicker: share of pixels that change their class between frames, 0..1; None below 2 frames.
        unknown: share of pixels below the confidence, 0..1.
        interrupted: Ctrl-C ended it.
        ended: why a camera or a stream gave no more frames; None where it was not asked for more.
        model: the file.
        source: where the frames came from.
        input_size: of the model, as `HxW`.
    """

    frames: int
    dropped: int
    fps: float | None
    step_ms: dict[str, float]
    delay_ms: float | None
    flicker: float | None
    unknown: float
    interrupted: bool
    ended: str | None
    model: str
    source: str
    input_size: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    def text(self) -> str:
        """Two or three lines for people."""
        if not self.frames:
            return "no frame was seen"
        steps = ", ".join(f"{name} {ms:.1f}" for name, ms in self.step_ms.items())
        lines = [
            f"{self.frames} frames, {self.fps or 0:.1f} per second, {self.dropped} dropped; "
            f"{self.delay_ms:.1f} ms from frame to view",
            f"median ms: {steps}",
        ]
        said = []
        if self.flicker is not None:
            said.append(f"flicker {percent(self.flicker)} % of the pixels per frame")
        if self.unknown:
            said.append(f"unknown {percent(self.unknown)} %")
        return "\n".join([*lines, ", ".join(said)] if said else lines)

    __str__ = text


def watch(
    source: str,
    model: StrPath,
    output: StrPath | None = None,
    *,
    window: bool | None = None,
    frames: int | None = None,
    fit: str = "resize",
    smooth: float = 0.0,
    confidence: float | None = None,
    opacity: float = 0.5,
    threads: int | None = None,
    force: bool = False,
    trust_settings: bool = False,
    foreign: ForeignOptions | None = None,
    **camera: Unpack[FrameOptions],
) -> Watched:
    """Segments frames as they come and shows or writes them with their classes laid over them.

    Ends with the source, after `frames`, when the window is closed, or by Ctrl-C; what was
    measured until then is returned, with `ended` if a camera or a stream gives no more.

    Args:
        source: an image, a folder of images or a pattern such as `drive/*.jpg`; a video file; a
            camera's number, device (`/dev/video0`) or address (`rtsp://...`); or `picamera`.
        model: a .tflite.
        output: a folder for the overlays and label maps, or a video of the overlays (.mp4, .avi,
            .mkv or .mov; without sound); its writing is timed, too.
        window: show them in a window; by default where there is no `output`.
        frames: end after so many.
        fit: as for `Segmenter.predict`.
        smooth: weight of the past, as for `FrameLabels`.
        confidence: least probability of a class, as for `FrameLabels`; below it the image shows.
        opacity: of the overlay's colours.
        threads: CPU threads; by default those of the file's settings, else 2.
        force: write into a folder that is not empty, or replace the video.
        trust_settings: as for `Segmenter`.
        foreign: what a file from elsewhere leaves open, as for `Segmenter`: `{"scale": 255}`.
        camera: `rotate`, `mirror`, `drop`, `follow`, `camera_size`, `camera_format`, `timeout` and
            `on_bad`, as for `open_frames`; what is shown and the label maps are upright.

    Raises:
        ModelFileError, DataError, ConfigError, OutputError: model, source, options or output
            cannot be used.
    """
    check_fit(fit)
    if frames is not None:
        check_number("frames", frames, 1)
    segmenter = Segmenter(model, threads, trust_settings=trust_settings, **(foreign or {}))
    labels_of = FrameLabels(segmenter, smooth, confidence)
    capture = open_frames(source, **camera)
    eye = _Eye(segmenter, labels_of, fit, opacity)
    interrupted, ended = False, None
    with contextlib.ExitStack() as stack:
        sinks: list[Sink] = []
        if output is not None:
            if Path(output).suffix.lower() in VIDEO_SUFFIXES and not Path(output).is_dir():
                sinks.append(stack.enter_context(VideoFile(output, source, force)))
            else:
                sinks.append(FileSink(output, segmenter.labels, force))
        if window or (window is None and output is None):
            shown = open_window()
            stack.callback(shown.close)
            sinks.append(shown)
        stack.enter_context(capture)
        try:
            for frame in itertools.islice(capture, frames):
                if not eye.look(frame, sinks):
                    break
        except KeyboardInterrupt:
            interrupted = True
        except StreamEnded as error:
            ended = str(error)
    said = {"dropped": capture.dropped, "interrupted": interrupted, "ended": ended}
    return eye.result(model=str(model), source=source, **said)


class _Eye:
    """Looks at frames and keeps the time of every step."""

    def __init__(self, segmenter: Segmenter, labels_of: FrameLabels, fit: str, opacity: float):
        self._segmenter, self._labels_of = segmenter, labels_of
        self._fit, self._opacity = fit, opacity
        self._flicker = Flicker()
        # The latest durations of each: a camera may run for weeks.
        self._times = {name: deque[float](maxlen=KEPT) for name in (*STEPS, "delay")}
        self._count = 0
        self._start: float | None = None
        self._end = 0.0
        self._unknown = self._pixels = 0

    def look(self, frame: Frame, sinks: Sequence[Sink]) -> bool:
        """All steps for one frame; false when a window was closed."""
        segmenter, time_of = self._segmenter, self._time_of
        if self._start is None:
            self._start = frame.at
        size = (frame.image.shape[0], frame.image.shape[1])
        self._times["decode"].append(frame.seconds)
        self._times["convert"].append(frame.convert)
        with time_of("resize"):
            seen = fitted(frame.image, segmenter.input_size, self._fit, segmenter.mean_color)
        with time_of("network"):
            output = segmenter.run(seen.image)
        with time_of("labels"):
            labels = self._labels_of(seen, output, size)
        with time_of("draw"):
            shown = overlay(frame.image, labels, segmenter.labels, self._opacity)
        with time_of("show"):
            wanted = [sink.show(frame.name, shown, labels) for sink in sinks]
        self._end = time.perf_counter()
        self._times["delay"].append(self._end - frame.at)
        self._count += 1
        self._flicker.add(labels)
        self._unknown += int(np.count_nonzero(labels == 255))
        self._pixels += labels.size
        return all(wanted)

    def result(self, **said: Any) -> Watched:
        """What was seen so far; the other fields are given."""
        count = self._count
        medians = {name: float(np.median(s)) * 1000 for name, s in self._times.items() if s}
        delay = medians.pop("delay", None)
        seconds = self._end - self._start if self._start is not None and count else 0.0
        return Watched(
            frames=count,
            fps=count / seconds if seconds > 0 else None,
            step_ms=medians,
            delay_ms=delay,
            flicker=self._flicker.share,
            unknown=self._unknown / self._pixels if self._pixels else 0.0,
            input_size=format_size(self._segmenter.input_size),
            **said,
        )

    @contextlib.contextmanager
    def _time_of(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._times[step].append(time.perf_counter() - start)
