"""Frames from a folder of pictures, a video file or a camera.

Pictures need nothing beyond the runtime. Video files, addresses and cameras are read by OpenCV
(`opencv-python` or `opencv-python-headless`), `picamera` by picamera2; neither is imported before
it is needed.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import ConfigError, DataError, StreamEnded
from ..core.extras import pip_install
from ..core.images import IMAGE_SUFFIXES, list_images, read_image

POLL = 0.2  # seconds between two looks into a folder that is followed
PI_CAMERA = "picamera"
OPENCV = f"OpenCV, which is not installed: {pip_install('video')} (or opencv-python)"


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture to look at.

    Attributes:
        name: for files made of it.
        image: (H, W, 3) uint8 RGB.
        seconds: that reading and decoding took.
        at: when it was there, by `time.perf_counter`.
    """

    name: str
    image: np.ndarray
    seconds: float
    at: float


@dataclasses.dataclass(frozen=True)
class Source:
    """Where frames come from.

    Attributes:
        frames: opens it and gives its frames, until the event is set; closing the iterator closes
            it.
        live: frames come whether or not they are taken: a stale one is better dropped.
    """

    frames: Callable[[threading.Event], Iterator[Frame]]
    live: bool = False


def open_source(
    source: str, follow: bool = False, on_bad: Callable[[str], None] | None = None
) -> Source:
    """Tells what a source is.

    Args:
        source: a picture, a folder of pictures or a pattern such as `drive/*.jpg`; a video file; a
            camera's number, device (`/dev/video0`) or address (`rtsp://...`); or `picamera`.
        follow: wait for new pictures in a folder, for ever.
        on_bad: gets one line for a picture that cannot be read while following; others are errors.

    Raises:
        DataError: there is no such file, or no picture in the folder.
        ConfigError: OpenCV or picamera2 is needed and not installed, or `follow` of a video.
    """
    path = Path(source)
    pictures = path.is_dir() or _is_pattern(source) or path.suffix.lower() in IMAGE_SUFFIXES
    if pictures and "://" not in source:
        if follow:
            return Source(lambda stop: _followed(source, on_bad or (lambda message: None), stop))
        listed = _listed(source)
        return Source(lambda stop: map(_frame, listed))
    if follow:
        raise ConfigError(f"--follow is for a folder or a pattern of pictures, got {source}")
    if source == PI_CAMERA:
        _import("picamera2", "the Pi's camera needs picamera2: apt install python3-picamera2")
        return Source(lambda stop: _pi_camera(), live=True)
    camera = source.isdecimal() or source.startswith("/dev/") or "://" in source
    if not camera and not path.is_file():
        raise DataError(
            f"{source}: no such file or folder; expected pictures, a video file, a camera's number "
            f"or address, or {PI_CAMERA}"
        )
    what = "a camera" if camera else "a video file"
    _opencv(f"{source}: {what}")
    return Source(lambda stop: _capture(source), live=camera)


def _import(module: str, otherwise: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(otherwise) from None


def _opencv(who: str) -> Any:
    if not os.environ.get("FASTSCNN_DEBUG"):  # it and its ffmpeg write past Python
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    return _import("cv2", f"{who} needs {OPENCV}")


def _is_pattern(source: str) -> bool:
    return glob.has_magic(source) and not Path(source).exists()


def _listed(source: str) -> list[Path]:
    """The pictures that are there now, by name."""
    if not _is_pattern(source):
        return list_images(source)
    found = _matching(source)
    if not found:
        raise DataError(f"{source}: no file has a name of this pattern")
    return found


def _matching(pattern: str) -> list[Path]:
    # Path.glob takes no absolute pattern.
    found = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207
    return sorted(p for p in found if p.is_file())


def _frame(path: Path) -> Frame:
    start = time.perf_counter()
    image = read_image(path)
    end = time.perf_counter()
    return Frame(path.stem, image, end - start, end)


def _followed(source: str, on_bad: Callable[[str], None], stop: threading.Event) -> Iterator[Frame]:
    """Pictures as they come. One is taken when two looks find it of the same size and age.

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
            except OSError:  # gone again
                continue
            state = (found.st_size, found.st_mtime_ns)
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
    """Pictures of a folder that may still be empty."""
    if _is_pattern(source):
        return _matching(source)
    listed = (p for p in Path(source).iterdir() if not p.name.startswith("."))
    return sorted(p for p in listed if p.suffix.lower() in IMAGE_SUFFIXES)


def _capture(source: str) -> Iterator[Frame]:
    """Frames of a video file or a camera, by OpenCV.

    Raises:
        DataError: it cannot be opened, or gives no frame.
        StreamEnded: a camera or a stream gives no more.
    """
    cv2 = _opencv(source)
    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not capture.isOpened():
        hint = " (is the address right, and does it answer?)" if "://" in source else ""
        raise DataError(f"{source}: OpenCV cannot open it as a video or a camera{hint}")
    # A file, here or at an address, knows how many frames it has; a camera does not.
    endless = not Path(source).is_file() and capture.get(cv2.CAP_PROP_FRAME_COUNT) <= 0
    stem = Path(source).stem if Path(source).is_file() else "camera"
    try:
        count = 0
        while True:
            start = time.perf_counter()
            there, pixels = capture.read()
            if not there:
                break
            image = np.ascontiguousarray(pixels[..., ::-1])  # BGR
            end = time.perf_counter()
            yield Frame(f"{stem}_{count:06}", image, end - start, end)
            count += 1
        if not count:
            raise DataError(f"{source}: not a single frame can be read")
        if endless:
            raise StreamEnded(
                f"{source}: the stream ended or broke off after {count} frames: run the command "
                "again, with another --output if it has one, to go on"
            )
    finally:
        capture.release()


def _pi_camera() -> Iterator[Frame]:
    """Frames of a Raspberry Pi's camera; its `BGR888` is RGB in memory (Picamera2 manual, 4.2)."""
    camera = _import("picamera2", "picamera2").Picamera2()
    camera.configure(camera.create_video_configuration({"format": "BGR888"}))
    camera.start()
    try:
        count = 0
        while True:
            start = time.perf_counter()
            image = camera.capture_array()
            end = time.perf_counter()
            yield Frame(f"camera_{count:06}", image, end - start, end)
            count += 1
    finally:
        camera.close()
