"""YUV to RGB: worked examples, real-number arithmetic, and Pillow."""

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.stream.yuv import ColorSpace, Planes, planes_of, to_rgb

JPEG = ColorSpace("bt601", True)
SPACES = [ColorSpace(matrix, full) for matrix in ("bt601", "bt709") for full in (True, False)]


def flat(y, u, v):
    """Two by two pixels of one colour."""
    return Planes(np.full((2, 2), y, np.uint8), *(np.full((1, 1), c, np.uint8) for c in (u, v)))


@pytest.mark.parametrize(
    ("space", "yuv", "rgb"),
    [
        # The primaries at 100 %, as BT.601 and BT.709 quantize them, and grey.
        (ColorSpace("bt601", False), (81, 90, 240), (255, 0, 0)),
        (ColorSpace("bt601", False), (145, 54, 34), (0, 255, 0)),
        (ColorSpace("bt601", False), (41, 240, 110), (0, 0, 255)),
        (ColorSpace("bt709", False), (63, 102, 240), (255, 0, 0)),
        (ColorSpace("bt709", False), (173, 42, 26), (0, 255, 0)),
        (ColorSpace("bt709", False), (32, 240, 118), (0, 0, 255)),
        (ColorSpace("bt709", False), (16, 128, 128), (0, 0, 0)),
        (ColorSpace("bt709", False), (235, 128, 128), (255, 255, 255)),
        (JPEG, (76, 85, 255), (254, 0, 0)),  # 76 + 1.402 * 127 = 254.05
        (JPEG, (0, 128, 128), (0, 0, 0)),
        (JPEG, (255, 128, 128), (255, 255, 255)),
    ],
)
def test_worked_examples(space, yuv, rgb):
    found = to_rgb(flat(*yuv), space)
    assert found.shape == (2, 2, 3)
    # The primaries were rounded to bytes of YUV: one step from their RGB. Greys are exact.
    assert np.abs(found.astype(int) - rgb).max() <= (len(set(rgb)) > 1)


@pytest.mark.parametrize("space", SPACES)
def test_every_byte_is_rounded_as_real_numbers_are(space):
    """All Y with all V and some U: 256 x 256 x 18 colours."""
    red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[space.matrix]
    y, v = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    for u in (*range(0, 256, 16), 128, 255):
        planes = Planes(
            np.repeat(np.repeat(y, 2, 0), 2, 1).astype(np.uint8),
            np.full(y.shape, u, np.uint8),
            v.astype(np.uint8),
        )
        luma = y.astype(float) if space.full else (y - 16) * 255 / 219
        spread = 1.0 if space.full else 255 / 224
        pb, pr = (u - 128) * spread, (v - 128) * spread
        r, b = luma + 2 * (1 - red) * pr, luma + 2 * (1 - blue) * pb
        g = (luma - red * r - blue * b) / (1 - red - blue)
        exact = np.stack(np.broadcast_arrays(r, g, b), -1)
        found = to_rgb(planes, space)
        assert np.array_equal(found[::2, ::2], found[1::2, 1::2])
        far = np.abs(exact - np.floor(exact) - 0.5) > 2e-6
        expected = np.clip(np.floor(exact + 0.5), 0, 255)
        assert np.array_equal(found[::2, ::2][far], expected[far])
        assert far.mean() > 0.98


def test_full_range_601_is_pillows_ycbcr_within_its_rounding():
    rng = np.random.default_rng(0)
    u, v = (rng.integers(0, 256, (20, 33), dtype=np.uint8) for _ in range(2))
    y = rng.integers(0, 256, (40, 66), dtype=np.uint8)
    whole = [y, *(c.repeat(2, 0).repeat(2, 1) for c in (u, v))]
    picture = Image.merge("YCbCr", [Image.fromarray(c) for c in whole]).convert("RGB")
    found = to_rgb(Planes(y, u, v), JPEG)
    difference = np.abs(found.astype(int) - np.asarray(picture))
    assert difference.max() <= 1  # Pillow counts in 64ths and cuts them off


def test_planes_are_found_behind_the_padding():
    """4x6 pixels in rows of 10 bytes: 9 marks what nobody may read."""
    rows = np.full((6, 10), 9, np.uint8)
    rows[:4, :6] = 1
    flat_rows = rows.reshape(-1)
    for plane, value in ((0, 2), (1, 3)):
        for row in range(2):
            start = 40 + plane * 10 + row * 5
            flat_rows[start : start + 3] = value
    planes = planes_of(rows, (4, 6))
    assert [p.shape for p in planes] == [(4, 6), (2, 3), (2, 3)]
    assert [set(p.ravel().tolist()) for p in planes] == [{1}, {2}, {3}]


@pytest.mark.parametrize(
    ("shape", "size"), [((6, 10), (4, 12)), ((7, 10), (4, 6)), ((6, 9), (4, 6)), ((6, 10), (4, 5))]
)
def test_other_arrays_are_refused(shape, size):
    with pytest.raises(DataError, match="YUV420"):
        planes_of(np.zeros(shape, np.uint8), size)
