"""Frames of a Raspberry Pi's camera, through picamera2 (the Picamera2 manual, chapters 4 and 6).

picamera2 names formats the other way round: its `BGR888` is R, G, B in memory. YUV420 arrives with
rows filled up to a stride, in the colour space that the configuration says.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..core.errors import ConfigError, DataError
from ..core.sizes import Size, format_size
from . import yuv
from .frame import Frame

NAME = re.compile(r"picamera2?(?::(\d{1,3}))?", re.ASCII)
INSTALL = (
    "the Pi's camera needs picamera2: sudo apt install -y python3-picamera2, and an environment "
    "made with python3 -m venv --system-site-packages"
)
FORMATS = {"rgb": "BGR888", "yuv420": "YUV420"}
DEFAULT_SIZE: Size = (720, 1280)
TIMEOUT = 20.0  # seconds for a frame, the first one among them
LONGEST_TIMEOUT = 86_400.0
# Where R, G and B lie in memory.
_CHANNELS = {
    **dict.fromkeys(("BGR888", "XBGR8888"), slice(0, 3)),
    **dict.fromkeys(("RGB888", "XRGB8888"), slice(2, None, -1)),
}
_MATRICES = {"Rec601": "bt601", "Rec709": "bt709"}  # libcamera.ColorSpace.YcbcrEncoding


@dataclasses.dataclass(frozen=True)
class CameraOptions:
    """What to ask a camera for.

    Attributes:
        size: (height, width) of its frames, even; by default 720x1280 of a Pi's camera, its own of
            others.
        format: `rgb`, or `yuv420` (half the bytes, converted here; a Pi's camera only).
        timeout: seconds to wait for each frame, of a video file, too.

    Raises:
        ConfigError: no such format, an odd size, or no such time.
    """

    size: Size | None = None
    format: str = "rgb"
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"camera format must be {' or '.join(FORMATS)}, got {self.format!r}")
        if self.size and (min(self.size) < 2 or self.size[0] % 2 or self.size[1] % 2):
            raise ConfigError(f"camera size must be even, got {format_size(self.size)}")
        if not 0 < self.timeout <= LONGEST_TIMEOUT:
            raise ConfigError(
                f"timeout must be above 0 and at most {LONGEST_TIMEOUT:g} s, got {self.timeout}"
            )


def pi_camera(source: str, module: Any, options: CameraOptions) -> Callable[[], Iterator[Frame]]:
    """Finds a camera; its frames come from what is returned.

    Args:
        source: `picamera`, or `picamera:1` for the second one.
        module: picamera2.
        options: size and format.

    Raises:
        DataError: no such camera is attached.
    """
    match = NAME.fullmatch(source)
    number = int(match[1] or 0) if match else 0
    attached = module.Picamera2.global_camera_info()
    if number >= len(attached):
        raise DataError(
            f"{source}: {len(attached) or 'no'} camera{'s' * (len(attached) > 1)} attached, as far "
            "as libcamera knows: see rpicam-hello --list-cameras"
        )
    return lambda: _frames(source, module, number, options)


def _frames(source: str, module: Any, number: int, options: CameraOptions) -> Iterator[Frame]:
    height, width = options.size or DEFAULT_SIZE
    main = {"format": FORMATS[options.format], "size": (width, height)}
    camera = None
    try:
        try:
            camera = module.Picamera2(number)
            camera.configure(camera.create_video_configuration(main=main))
            camera.start()
        except (RuntimeError, IndexError) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{source}: the camera cannot be opened ({reason}): does another program use it?"
            ) from None
        rgb = decoder(camera.camera_configuration())
        count = 0
        while True:
            start = time.perf_counter()
            array = camera.capture_array("main")
            captured = time.perf_counter()
            image = rgb(array)
            end = time.perf_counter()
            name = f"camera_{count:06}"
            yield Frame(name, image, captured - start, end, convert=end - captured)
            count += 1
    finally:
        if camera is not None:
            camera.close()


def decoder(configuration: Mapping[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """What turns the arrays of a configured camera into (H, W, 3) uint8 RGB.

    Args:
        configuration: of `Picamera2.camera_configuration()`: the format, size and colour space that
            libcamera has chosen, which may not be what was asked for.

    Raises:
        DataError: a format or colour space that is not known here.
    """
    main = configuration["main"]
    width, height = main["size"]
    if main["format"] in _CHANNELS:
        channels = _CHANNELS[main["format"]]
        return lambda array: np.ascontiguousarray(array[:height, :width, channels])
    if main["format"] != "YUV420":
        raise DataError(f"the camera gives {main['format']}; expected RGB or YUV420")
    space = configuration["colour_space"]
    matrix, spread = (_enum(space, name) for name in ("ycbcrEncoding", "range"))
    if matrix not in _MATRICES or spread not in ("Full", "Limited"):
        raise DataError(f"the camera's colour space {space} is not BT.601 or BT.709")
    meaning = yuv.ColorSpace(_MATRICES[matrix], spread == "Full")
    return lambda array: yuv.to_rgb(yuv.planes_of(array, (height, width)), meaning)


def _enum(space: Any, name: str) -> str:
    """The name of an enumeration's value in libcamera's Python binding."""
    return str(getattr(space, name, "")).rsplit(".", 1)[-1]
