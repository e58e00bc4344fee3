"""A thread that reads frames ahead; of a live source only the newest one waits."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypedDict

from ..core.errors import DataError, StreamEnded
from ..core.sizes import Size
from .frame import Frame, Orientation
from .pi_camera import TIMEOUT, CameraOptions
from .sources import open_source

AHEAD = 2  # frames that wait where none is dropped


class FrameOptions(TypedDict, total=False):
    """What `open_frames` takes beside the source."""

    rotate: int
    mirror: bool
    drop: bool | None
    follow: bool
    camera_size: Size | None
    camera_format: str
    timeout: float
    on_bad: Callable[[str], None] | None


def open_frames(
    source: str,
    *,
    rotate: int = 0,
    mirror: bool = False,
    drop: bool | None = None,
    follow: bool = False,
    camera_size: Size | None = None,
    camera_format: str = "rgb",
    timeout: float = TIMEOUT,
    on_bad: Callable[[str], None] | None = None,
) -> Capture:
    """Frames of images, a video or a camera, read by a thread of their own.

    Args:
        source: as for `watch`: a folder, a pattern, a video file, a camera's number or address, or
            `picamera`.
        rotate: turn frames upright by 0, 90, 180 or 270 degrees clockwise.
        mirror: swap left and right after that.
        drop: keep only the newest frame while nobody takes one; by default of cameras.
        follow: wait for new images in a folder, for ever.
        camera_size: (height, width) to ask a camera for.
        camera_format: of a Pi's camera: `rgb` or `yuv420`.
        timeout: seconds that a camera, a stream or a video has for each frame, the first one too.
        on_bad: gets a line for an image of a followed folder that cannot be read.

    Returns:
        A context manager that gives `Frame`s: `image` (H, W, 3) uint8 RGB, `name`, and how long it
        took.

    Raises:
        DataError: there is no such file, folder or camera.
        ConfigError: an option is out of range or not for this source, or OpenCV or picamera2 is
            not installed.

    Example:
        with fs.open_frames("picamera", rotate=180) as frames:
            for frame in frames:
                labels = segmenter.predict(frame.image)
    """
    turned = Orientation(rotate, mirror)
    camera = CameraOptions(camera_size, camera_format, timeout)
    opened = open_source(source, follow, on_bad, turned, camera)
    drop = opened.live if drop is None else drop
    return Capture(opened.frames, drop, opened.timeout, source)


class Capture:
    """Reads a source's frames in a thread of its own.

    Args:
        frames: of `Frames`; the event it gets is set at the end.
        drop: keep only the newest frame while nobody takes one, and count the others.
        timeout: seconds to wait for each frame; None: as long as it takes.
        name: messages call the source so.

    Attributes:
        dropped: frames that nobody has seen.
    """

    def __init__(
        self,
        frames: Callable[[threading.Event], Iterator[Frame]],
        drop: bool,
        timeout: float | None = None,
        name: str = "the source",
    ):
        self.dropped = 0
        self._frames, self._drop = frames, drop
        self._timeout, self._name = timeout, name
        self._stop = threading.Event()
        self._change = threading.Condition()
        self._waiting: deque[Frame] = deque()
        self._ended = False
        self._failure: Exception | None = None
        # A daemon: a camera that never answers must not keep the program from ending.
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with self._change:
            self._change.notify_all()
        self._thread.join(2)

    def __iter__(self) -> Iterator[Frame]:
        """The frames, oldest first.

        Raises:
            DataError: a frame cannot be read; those before it have come. Or none comes in time.
            StreamEnded: no further one comes in time.
        """
        for count in itertools.count():
            with self._change:
                ready = self._change.wait_for(lambda: self._waiting or self._ended, self._timeout)
                if not ready:
                    raise self._late(count)
                if not self._waiting:
                    break
                frame = self._waiting.popleft()
                self._change.notify_all()
            yield frame
        if self._failure is not None:
            raise self._failure

    def _late(self, count: int) -> Exception:
        """Whatever the thread waits for goes on there; nobody waits for the thread."""
        longer = "--timeout SECONDS (timeout= in Python) waits longer"
        if count:
            return StreamEnded(
                f"{self._name}: after {count} frames none came for {self._timeout:g} seconds: "
                f"{longer}"
            )
        hint = "is the address right, and does it send images? " if "://" in self._name else ""
        return DataError(
            f"{self._name}: no frame came within {self._timeout:g} seconds: {hint}{longer}"
        )

    def _read(self) -> None:
        frames = None
        try:
            frames = self._frames(self._stop)
            for frame in frames:
                with self._change:
                    if self._drop:
                        self.dropped += len(self._waiting)
                        self._waiting.clear()
                    self._change.wait_for(lambda: len(self._waiting) < AHEAD or self._stop.is_set())
                    if self._stop.is_set():
                        break
                    self._waiting.append(frame)
                    self._change.notify_all()
        except Exception as error:
            self._failure = error
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()
            close = getattr(frames, "close", None)
            if close is not None:
                close()  # in this thread, which alone uses it
