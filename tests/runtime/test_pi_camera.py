"""The Pi's camera through a stand-in that hands out arrays as the Picamera2 manual describes them.

The camera itself was not here: what is tested is everything behind `capture_array`.
"""

import sys
import threading
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.core.images.image_file import read_label
from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.stream.capture import open_frames
from fastscnn_tf.stream.pi_camera import decoder
from fastscnn_tf.stream.watch import watch

MODEL = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"
SCENE = draw_scene((7,), (120, 200))[0]
Encoding = Enum("YcbcrEncoding", "Null Rec601 Rec709 Rec2020")
Range = Enum("Range", "Full Limited")
CONSTANTS = {Encoding.Rec601: (0.299, 0.114), Encoding.Rec709: (0.2126, 0.0722)}


def color_space(encoding, spread):
    return SimpleNamespace(ycbcrEncoding=encoding, range=spread)


def yuv420(image, space, stride):
    """What the camera makes of an image: (H * 3/2, stride), filled up with 77."""
    red, blue = CONSTANTS[space.ycbcrEncoding]
    r, g, b = np.moveaxis(image.astype(float), -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / 2 / (1 - blue), (r - y) / 2 / (1 - red)
    if space.range is Range.Limited:
        y, u, v = y * 219 / 255 + 16, u * 224 / 255, v * 224 / 255
    height, width = y.shape
    u, v = (c.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) + 128 for c in (u, v))
    rows = np.full((height * 3 // 2, stride), 77, np.uint8)
    rows[:height, :width] = np.rint(y)
    chroma = rows[height:].reshape(2, height // 2, stride // 2)
    chroma[:, :, : width // 2] = np.rint([u, v])
    return rows


class StandIn:
    """Gives `SCENE` for ever; `Picamera2` of a module of that name."""

    attached = 1
    busy = False
    space = color_space(Encoding.Rec709, Range.Limited)
    opened: ClassVar[list] = []

    def __init__(self, number=0):
        if self.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.closed = self.started = False
        self.opened.append(self)

    @classmethod
    def global_camera_info(cls):
        return [{"Model": "imx708", "Num": i} for i in range(cls.attached)]

    def create_video_configuration(self, main):
        return {"main": main, "colour_space": self.space}

    def configure(self, configuration):
        width, height = configuration["main"]["size"]
        self.configuration = configuration
        # Rows are filled up to 64 bytes.
        bytes_of = width if configuration["main"]["format"] == "YUV420" else 3 * width
        configuration["main"]["stride"] = -(-bytes_of // 64) * 64
        assert (height, width) == SCENE.shape[:2]

    def camera_configuration(self):
        return self.configuration

    def start(self):
        self.started = True

    def capture_array(self, stream):
        assert self.started
        assert stream == "main"
        main = self.configuration["main"]
        if main["format"] == "YUV420":
            return yuv420(SCENE, self.space, main["stride"])
        assert main["format"] == "BGR888"  # R, G, B in memory
        return SCENE.copy()

    def close(self):
        self.closed = True


@pytest.fixture
def camera(monkeypatch):
    """The stand-in's class, to be changed."""
    found = type("Picamera2", (StandIn,), {"opened": []})
    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=found))
    return found


def first(**options):
    with open_frames("picamera", camera_size=SCENE.shape[:2], **options) as frames:
        return next(iter(frames))


def test_rgb_comes_as_it_is_and_the_camera_is_closed(camera):
    before = set(threading.enumerate())
    frame = first()
    assert np.array_equal(frame.image, SCENE)
    assert frame.name.startswith("camera_")
    assert [each.closed for each in camera.opened] == [True]
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("encoding", [Encoding.Rec601, Encoding.Rec709])
@pytest.mark.parametrize("spread", list(Range))
def test_yuv420_is_read_in_the_color_space_that_the_camera_says(camera, encoding, spread):
    camera.space = color_space(encoding, spread)
    image = first(camera_format="yuv420").image
    assert image.shape == SCENE.shape
    # Four pixels share a colour and bytes are rounded; their mean comes back.
    means = [x.astype(float).reshape(60, 2, 100, 2, 3).mean((1, 3)) for x in (image, SCENE)]
    assert np.abs(means[0] - means[1]).mean() < 0.7
    other = {Encoding.Rec601: Encoding.Rec709, Encoding.Rec709: Encoding.Rec601}[encoding]
    array = yuv420(SCENE, camera.space, 256)
    main = {"format": "YUV420", "size": (200, 120)}
    wrong = decoder({"main": main, "colour_space": color_space(other, spread)})(array)
    wrong = wrong.astype(float).reshape(60, 2, 100, 2, 3).mean((1, 3))
    assert np.abs(wrong - means[1]).mean() > 1  # it matters


def test_formats_are_read_in_their_order_in_memory():
    main = {"size": (6, 4)}
    array = np.arange(4 * 8 * 4, dtype=np.uint8).reshape(4, 8, 4)  # two columns of padding
    for name, order in (("XBGR8888", [0, 1, 2]), ("XRGB8888", [2, 1, 0])):
        found = decoder({"main": {**main, "format": name}})(array)
        assert np.array_equal(found, array[:, :6, order])
    for name, order in (("BGR888", [0, 1, 2]), ("RGB888", [2, 1, 0])):
        found = decoder({"main": {**main, "format": name}})(array[..., :3])
        assert np.array_equal(found, array[:, :6, order])
    with pytest.raises(DataError, match="the camera gives MJPEG; expected RGB or YUV420"):
        decoder({"main": {**main, "format": "MJPEG"}})
    with pytest.raises(DataError, match=r"colour space .* is not BT\.601 or BT\.709"):
        space = color_space(Encoding.Rec2020, Range.Limited)
        decoder({"main": {**main, "format": "YUV420"}, "colour_space": space})


def test_a_camera_upside_down_is_watched_upright(camera, tmp_path, monkeypatch):
    upright = SCENE.copy()
    monkeypatch.setattr(sys.modules[__name__], "SCENE", upright[::-1, ::-1].copy())
    options = {"camera_size": (120, 200), "rotate": 180, "frames": 2}
    result = watch("picamera2", MODEL, tmp_path / "out", fit="letterbox", **options)
    assert result.frames == 2
    assert result.step_ms["convert"] > 0
    expected = Segmenter(MODEL).predict(upright, fit="letterbox")
    for path in (tmp_path / "out").glob("*_labels.png"):
        assert np.array_equal(read_label(path, np.arange(256, dtype=np.uint8)), expected)


def test_what_is_missing_is_told(camera):
    camera.attached = 0
    with pytest.raises(DataError, match="picamera: no camera attached, as far as libcamera knows"):
        open_frames("picamera")
    camera.attached = 2
    with pytest.raises(DataError, match="picamera:2: 2 cameras attached"):
        open_frames("picamera:2")
    camera.busy = True
    with (
        open_frames("picamera:1") as frames,
        pytest.raises(DataError, match=r"cannot be opened .*: does another program use it"),
    ):
        next(iter(frames))
    for options, message in (
        ({"rotate": 45}, "rotate must be one of 0, 90, 180, 270"),
        ({"camera_format": "nv12"}, "camera format must be rgb or yuv420, got 'nv12'"),
        ({"camera_size": (121, 200)}, "camera size must be even, got 121x200"),
    ):
        with pytest.raises(ConfigError, match=message):
            open_frames("picamera", **options)


def test_apts_picamera2_beside_pips_numpy_2_is_told(tmp_path, monkeypatch):
    said = "numpy.dtype size changed, may indicate binary incompatibility"
    (tmp_path / "picamera2.py").write_text(f"raise ValueError({said!r})")
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r'another numpy .*: pip install "numpy<2"'):
        open_frames("picamera")


def test_a_camera_that_gives_no_frame_is_given_up(camera):
    released = threading.Event()
    camera.capture_array = lambda self, stream: released.wait(60)
    try:
        with pytest.raises(
            DataError, match=r"^picamera: no frame came within 0\.5 seconds: --time"
        ):
            first(timeout=0.5)
    finally:
        released.set()


def test_camera_options_are_for_cameras(tmp_path):
    for source, options in ((str(tmp_path), {"camera_size": (480, 640)}),):
        with pytest.raises(ConfigError, match="--camera-size and --camera-format are for cameras"):
            open_frames(source, **options)
    with pytest.raises(ConfigError, match="--camera-format yuv420 is for picamera, got 0"):
        open_frames("0", camera_format="yuv420")
