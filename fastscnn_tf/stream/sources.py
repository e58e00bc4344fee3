"""Frames from a folder of images, a video file or a camera.

Images need nothing beyond the runtime. Video files, addresses and cameras are read by OpenCV
(`video`), `picamera` by picamera2 (`pi_camera`); neither is imported before it is needed.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..core.errors import ConfigError, DataError
from ..core.files.folders import walk
from ..core.images.image_file import IMAGE_SUFFIXES, is_image_name, list_images, read_image
from . import pi_camera
from .frame import Frame, Orientation
from .pi_camera import TIMEOUT, CameraOptions
from .video import import_opencv, import_optional, video_frames

POLL = 0.2  # seconds between two looks into a folder that is followed


@dataclasses.dataclass(frozen=True)
class Frames:
    """Where frames come from.

    Attributes:
        frames: opens it and gives its frames, until the event is set; closing the iterator closes
            it.
        live: frames come whether or not they are taken: a stale one is better dropped.
        timeout: seconds that each frame has; None: as long as it takes.
    """

    frames: Callable[[threading.Event], Iterator[Frame]]
    live: bool = False
    timeout: float | None = None


def open_source(
    source: str,
    follow: bool = False,
    on_bad: Callable[[str], None] | None = None,
    orientation: Orientation | None = None,
    camera: CameraOptions | None = None,
) -> Frames:
    """Tells what a source is.

    Args:
        source: an image, a folder of images or a pattern such as `drive/*.jpg`; a video file; a
            camera's number, device (`/dev/video0`) or address (`rtsp://...`); or `picamera`, the
            Pi's own (`picamera:1` is the second one).
        follow: wait for new images in a folder, for ever.
        on_bad: gets one line for an image that cannot be read while following; others are errors.
        orientation: turns its frames upright.
        camera: what to ask a camera for.

    Raises:
        DataError: there is no such file or camera, or no image in the folder.
        ConfigError: OpenCV or picamera2 is needed and not installed, `follow` of a video, or camera
            options of what is none.
    """
    opened = _opened(source, follow, on_bad, camera or CameraOptions())
    if not orientation:
        return opened
    frames = opened.frames
    return dataclasses.replace(opened, frames=lambda stop: _turned(frames(stop), orientation))


def _opened(
    source: str, follow: bool, on_bad: Callable[[str], None] | None, wanted: CameraOptions
) -> Frames:
    path = Path(source)
    suffix = path.suffix.lower()
    # A GIF by itself may move; among images it is its first one.
    image = suffix in IMAGE_SUFFIXES and suffix != ".gif"
    images = path.is_dir() or _is_pattern(source) or image
    pi = pi_camera.NAME.fullmatch(source) is not None
    camera = source.isdecimal() or source.startswith("/dev/") or "://" in source
    if (wanted.size, wanted.format) != (None, "rgb") and not (camera or pi):
        raise ConfigError(f"--camera-size and --camera-format are for cameras, got {source}")
    if wanted.timeout != TIMEOUT and images and "://" not in source:
        raise ConfigError(f"--timeout is for cameras and videos, got {source}")
    if source.isdecimal() and len(source) > 3:
        raise DataError(f"{source}: no camera has this number")
    if images and "://" not in source:
        if follow:
            return Frames(lambda stop: _followed(source, on_bad or (lambda message: None), stop))
        listed = _listed(source)
        return Frames(lambda stop: map(_frame, listed))
    if follow:
        raise ConfigError(f"--follow is for a folder or a pattern of images, got {source}")
    if pi:
        picamera2 = import_optional("picamera2", pi_camera.INSTALL)
        frames = pi_camera.pi_camera(source, picamera2, wanted)
        return Frames(lambda stop: frames(), True, wanted.timeout)
    if wanted.format != "rgb":
        raise ConfigError(f"--camera-format {wanted.format} is for picamera, got {source}")
    if not camera and not path.is_file():
        raise DataError(
            f"{source}: no such file or folder; expected images, a video file, a camera's number "
            "or address, or picamera"
        )
    what = "a camera" if camera else "a video file"
    import_opencv(f"{source}: {what}")
    return Frames(lambda stop: video_frames(source, wanted), camera, wanted.timeout)


def _turned(frames: Iterator[Frame], orientation: Orientation) -> Iterator[Frame]:
    """The frames upright; closing it closes them."""
    try:
        for frame in frames:
            start = time.perf_counter()
            image = orientation.upright(frame.image)
            end = time.perf_counter()
            spent = frame.convert + end - start
            yield dataclasses.replace(frame, image=image, at=end, convert=spent)
    finally:
        if close := getattr(frames, "close", None):
            close()


def _is_pattern(source: str) -> bool:
    return glob.has_magic(source) and not Path(source).exists()


def _listed(source: str) -> list[Path]:
    """The images that are there now, by name."""
    if not _is_pattern(source):
        return list_images(source)
    found = _matching(source)
    if not found:
        raise DataError(f"{source}: no file has a name of this pattern")
    return found


def _matching(pattern: str) -> list[Path]:
    """What has such a name and is not a folder; `**` looks into each folder once."""
    whole = f"{pattern}{os.sep}*" if pattern.endswith("**") else pattern
    top, deep, rest = whole.partition(f"**{os.sep}")
    # Path.glob takes no absolute pattern, and glob's own `**` goes round loops of links.
    if not deep:
        found = map(Path, glob.glob(pattern))  # noqa: PTH207
        return sorted(p for p in found if not p.is_dir())
    starts = glob.glob(top) if top else ["."]  # noqa: PTH207
    folders = {
        folder for start in starts for folder, _ in walk(start) if not _hidden(folder, start)
    }
    return sorted(
        {path for f in folders for path in _matching(str(Path(glob.escape(str(f)), rest)))}
    )


def _hidden(folder: Path, start: str) -> bool:
    return any(part.startswith(".") for part in folder.relative_to(start).parts)


def _frame(path: Path) -> Frame:
    start = time.perf_counter()
    image = read_image(path)
    end = time.perf_counter()
    return Frame(path.stem, image, end - start, end)


def _followed(source: str, on_bad: Callable[[str], None], stop: threading.Event) -> Iterator[Frame]:
    """Images as they come. One is taken when two looks find it of the same size and age.

    One that cannot be read then may still be on its way: it is tried again when it has changed.
    """
    taken: set[Path] = set()
    seen: dict[Path, tuple[int, int]] = {}
    unreadable: dict[Path, tuple[int, int]] = {}
    while not stop.is_set():
        for path in _there(source):
            if path in taken:
                continue
            try:
                found = path.stat()
                state = (found.st_size, found.st_mtime_ns)
            except FileNotFoundError:  # gone again
                continue
            except OSError:  # a loop of links: reading it says so
                state = (0, 0)
            if seen.get(path) != state:
                seen[path] = state
                continue
            if unreadable.get(path) == state:
                continue
            try:
                frame = _frame(path)
            except DataError as error:
                unreadable[path] = state
                on_bad(f"{error}; looked at again when it changes")
                continue
            taken.add(path)
            del seen[path]
            yield frame
        stop.wait(POLL)


def _there(source: str) -> list[Path]:
    """Images of a folder that may still be empty."""
    if _is_pattern(source):
        return _matching(source)
    return sorted(filter(is_image_name, Path(source).iterdir()))
