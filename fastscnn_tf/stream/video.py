"""Frames of video files, cameras and streams, by OpenCV (`opencv-python` or its headless twin).

And frames into a video file, by the same.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.console import warn
from ..core.errors import ConfigError, DataError, OutputError, StreamEnded
from ..core.extras import pip_install
from ..core.files.writing import check_output, replacing
from ..core.foreign_text import one_line
from ..core.images.formats import IMAGE_SUFFIXES
from ..core.sizes import format_size
from .frame import Frame
from .pi_camera import CameraOptions

RATE = 25.0  # frames per second of a video whose source says none
# By suffix, what every build of OpenCV writes without a word.
CODECS = {".avi": "MJPG", **dict.fromkeys((".mp4", ".m4v", ".mov", ".mkv"), "mp4v")}
LARGEST_FRAME = 50_000_000  # pixels; 8K video has 33 millions
OPENCV = f"OpenCV, which is not installed: {pip_install('video')} (or opencv-python)"


def import_optional(module: str, otherwise: str) -> ModuleType:
    """A module that the runtime needs for some sources only.

    Raises:
        ConfigError: it is not installed (`otherwise` is the message), or for another numpy.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(otherwise) from None
    except ValueError as error:  # apt's picamera2 beside pip's numpy 2
        raise ConfigError(
            f'{module} was compiled for another numpy ({error}): pip install "numpy<2"'
        ) from None


def import_opencv(who: str) -> ModuleType:
    """OpenCV, and quiet.

    Raises:
        ConfigError: it is not installed; the message begins with `who`.
    """
    if not os.environ.get("FASTSCNN_DEBUG"):  # it and its ffmpeg write past Python
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    return import_optional("cv2", f"{who} needs {OPENCV}")


def video_frames(source: str, wanted: CameraOptions) -> Iterator[Frame]:
    """Frames of a video file, a camera's number or device, or a stream's address.

    Raises:
        DataError: it cannot be opened, gives no frame, or too large ones.
        StreamEnded: a camera or a stream gives no more.
    """
    cv2 = import_opencv(source)
    capture = None
    try:
        capture = _open(cv2, source, wanted)
        yield from _read(cv2, capture, source, wanted)
    except (cv2.error, UnicodeError, MemoryError) as error:
        raise DataError(f"{source}: OpenCV cannot read it ({one_line(error)[:200]})") from None
    finally:
        if capture is not None:
            capture.release()


def _open(cv2: ModuleType, source: str, wanted: CameraOptions) -> Any:
    if "://" in source:
        # `Capture` gives up first, with the better message; the thread that it leaves ends here.
        late = int(1000 * wanted.timeout) + 1000
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, late, cv2.CAP_PROP_READ_TIMEOUT_MSEC, late]
        capture = cv2.VideoCapture(source, cv2.CAP_ANY, limits)
    else:
        capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not capture.isOpened():
        hint = " (is the address right, and does it answer?)" if "://" in source else ""
        raise DataError(f"{source}: OpenCV cannot open it as a video or a camera{hint}")
    if wanted.size:
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.size[0])
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.size[1])
    size = (capture.get(cv2.CAP_PROP_FRAME_HEIGHT), capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    _check_pixels(source, *map(int, size))
    return capture


def _read(cv2: ModuleType, capture: Any, source: str, wanted: CameraOptions) -> Iterator[Frame]:
    # A file, here or at an address, knows how many frames it has; a camera does not.
    endless = not Path(source).is_file() and capture.get(cv2.CAP_PROP_FRAME_COUNT) <= 0
    stem = Path(source).stem if Path(source).is_file() else "camera"
    count = 0
    while True:
        start = time.perf_counter()
        there, pixels = capture.read()
        if not there:
            break
        read = time.perf_counter()
        _check_size(source, pixels, wanted)
        image = np.ascontiguousarray(pixels[..., ::-1])  # BGR
        end = time.perf_counter()
        yield Frame(f"{stem}_{count:06}", image, read - start, end, convert=end - read)
        count += 1
    if not count:
        raise DataError(f"{source}: not a single frame can be read")
    if endless:
        raise StreamEnded(
            f"{source}: the stream ended or broke off after {count} frames: run the command "
            "again, with another --output if it has one, to go on"
        )


def _check_size(source: str, pixels: np.ndarray, wanted: CameraOptions) -> None:
    found = (pixels.shape[0], pixels.shape[1])
    _check_pixels(source, *found)
    if wanted.size and found != tuple(wanted.size):
        raise DataError(
            f"{source}: the camera gives {format_size(found)}, not {format_size(wanted.size)}: see "
            "v4l2-ctl --list-formats-ext"
        )


def _check_pixels(source: str, height: int, width: int) -> None:
    if height * width > LARGEST_FRAME:
        raise DataError(
            f"{source}: frames of {height}x{width}, expected at most {LARGEST_FRAME:,} pixels"
        )


class VideoFile:
    """A `Sink` that writes images into a video; the file has its name once all are in it.

    An error leaves nothing, and what was there before as it was.

    Args:
        path: its suffix says which container.
        source: what the images come from: the video has its frames per second.
        force: replace the file.

    Raises:
        ConfigError: OpenCV is not installed.
        OutputError: the file exists, is the source, or is of another kind.
    """

    def __init__(self, path: StrPath, source: str, force: bool = False):
        self._path = check_output(path, force)
        if self._path.suffix.lower() not in CODECS:
            raise OutputError(f"{path}: expected a video file of {', '.join(CODECS)}")
        if os.path.realpath(path) == os.path.realpath(source):
            raise OutputError(f"{path} is the source: name another output")
        self._cv2 = import_opencv(f"{path}: a video file")
        self._rate = _frame_rate(self._cv2, source)
        self._stack = contextlib.ExitStack()
        self._writer: Any = None
        self._size = (0, 0)

    def __enter__(self) -> VideoFile:
        return self

    def show(self, name: str, pixels: np.ndarray, labels: np.ndarray) -> bool:
        """As in `Sink`.

        Raises:
            DataError: an image of another size than the first one.
            OutputError: this OpenCV cannot write such a file.
        """
        size = (pixels.shape[0], pixels.shape[1])
        if self._writer is None:
            self._size, self._writer = size, self._open(size)
        if size != self._size:
            raise DataError(
                f"{name}: {format_size(size)}, but the video's first frame is "
                f"{format_size(self._size)}: name a folder as --output"
            )
        self._writer.write(np.ascontiguousarray(pixels[..., ::-1]))
        return True

    def _open(self, size: tuple[int, int]) -> Any:
        cv2, temporary = self._cv2, self._stack.enter_context(replacing(self._path))
        codec = cv2.VideoWriter_fourcc(*CODECS[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(temporary), codec, self._rate, size[::-1])
        if not writer.isOpened():
            raise OutputError(f"{self._path}: OpenCV cannot write it; name an .mp4 or .avi file")
        return writer

    def __exit__(self, *error: Any) -> None:
        if self._writer is not None:
            self._writer.release()
        self._stack.__exit__(*error)


def _frame_rate(cv2: ModuleType, source: str) -> float:
    """Of a video file; said where it is none, or says none."""
    path = Path(source)
    if path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES:
        capture = cv2.VideoCapture(source)
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        capture.release()
        if 0 < rate < 1000:
            return rate
    warn(f"{source}: does not say how many frames it has per second: {RATE:g} in the video")
    return RATE
