"""Images as people really have them."""

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.images.image_file import (
    list_images,
    read_image,
    read_label,
    resize_image,
    resize_label,
    save_label,
    to_rgb,
)
from fastscnn_tf.core.labels import CAMVID

TABLE = CAMVID.lookup_table()


@pytest.fixture
def picture():
    ramp = np.arange(12 * 8 * 3).reshape(12, 8, 3) % 256
    return Image.fromarray(ramp.astype(np.uint8))


def test_palette_image_reads_as_its_colours(tmp_path, picture):
    picture.convert("P").save(tmp_path / "p.png")
    expected = np.asarray(picture.convert("P").convert("RGB"))
    assert np.array_equal(read_image(tmp_path / "p.png"), expected)


def test_cmyk_jpeg_reads_as_rgb(tmp_path):
    Image.new("RGB", (16, 16), (200, 40, 90)).convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    pixels = read_image(tmp_path / "c.jpg").astype(int)
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels - [200, 40, 90]).max() <= 6


def test_sixteen_bit_is_scaled_to_eight(tmp_path):
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "g.png")
    assert read_image(tmp_path / "g.png")[0, :, 0].tolist() == [0, 1, 128, 255]


def test_alpha_is_composed_over_black(tmp_path):
    Image.new("RGBA", (4, 4), (200, 100, 50, 128)).save(tmp_path / "a.png")
    assert np.abs(read_image(tmp_path / "a.png")[0, 0].astype(int) - [100, 50, 25]).max() <= 1


def test_exif_rotation_is_applied(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to view
    picture.save(tmp_path / "r.jpg", exif=exif, quality=95)
    rotated = read_image(tmp_path / "r.jpg")
    assert rotated.shape == (8, 12, 3)
    upright = np.asarray(Image.open(tmp_path / "r.jpg").convert("RGB"))
    assert np.array_equal(rotated, np.rot90(upright, -1))
    assert np.array_equal(to_rgb(Image.open(tmp_path / "r.jpg")), rotated)


def test_broken_exif_is_ignored(tmp_path, picture):
    picture.save(tmp_path / "e.png", exif=b"Exif\0\0MM\0*\0\0")
    assert np.array_equal(read_image(tmp_path / "e.png"), np.asarray(picture.convert("RGB")))


def test_float_tiff_with_nan(tmp_path):
    values = np.array([[np.nan, 100.0], [200.0, np.inf]], np.float32)
    Image.fromarray(values).save(tmp_path / "f.tiff")
    assert read_image(tmp_path / "f.tiff").shape == (2, 2, 3)


@pytest.mark.parametrize("keep", [0, 20, 200])
def test_truncated_png_is_named(tmp_path, picture, keep):
    path = tmp_path / "t.png"
    picture.resize((64, 64)).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"t\.png: not a readable image"):
        read_image(path)


def test_decompression_bomb_is_refused(tmp_path, monkeypatch, picture):
    picture.save(tmp_path / "b.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(DataError, match="refused"):
        read_image(tmp_path / "b.png")


def test_unknown_label_value_names_file_value_and_count(tmp_path):
    raw = np.zeros((4, 4), np.uint8)
    raw[0, :3] = 77
    Image.fromarray(raw).save(tmp_path / "l.png")
    with pytest.raises(DataError, match=r"l\.png: unknown label value 77 \(3 pixels\)"):
        read_label(tmp_path / "l.png", TABLE)


def test_camvid_void_is_ignored(tmp_path):
    Image.fromarray(np.array([[0, 10, 11, 255]], np.uint8)).save(tmp_path / "l.png")
    assert read_label(tmp_path / "l.png", TABLE).tolist() == [[0, 10, 255, 255]]


def test_palette_and_grey_rgb_labels_give_indices(tmp_path):
    raw = np.array([[0, 3, 10]], np.uint8)
    save_label(tmp_path / "p.png", raw, CAMVID.palette())
    Image.fromarray(np.repeat(raw[..., None], 3, 2)).save(tmp_path / "g.png")
    for name in ("p.png", "g.png"):
        assert read_label(tmp_path / name, TABLE).tolist() == raw.tolist()


def test_colour_coded_label_is_refused(tmp_path):
    Image.new("RGB", (4, 4), (128, 64, 128)).save(tmp_path / "c.png")
    with pytest.raises(DataError, match="needs `encoding: color`"):
        read_label(tmp_path / "c.png", TABLE)


def test_labels_are_resized_nearest():
    label = np.array([[0, 10], [5, 255]], np.uint8)
    assert set(np.unique(resize_label(label, (7, 9)))) == {0, 5, 10, 255}


def test_image_resize_keeps_a_constant():
    image = np.full((36, 48, 3), 77, np.uint8)
    assert np.array_equal(resize_image(image, (32, 64)), np.full((32, 64, 3), 77))


def test_listing_a_folder_without_pictures(tmp_path):
    (tmp_path / "x.txt").write_text("no")
    with pytest.raises(DataError, match="no images"):
        list_images(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        list_images(tmp_path / "missing")


def test_floating_point_pictures_range_from_0_to_1(tmp_path):
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(tmp_path / "unit.tif")
    assert read_image(tmp_path / "unit.tif")[0, :, 0].tolist() == [0, 128, 255]
    Image.fromarray(np.array([[0.0, 0.5, 200.0]], np.float32)).save(tmp_path / "bytes.tif")
    assert read_image(tmp_path / "bytes.tif")[0, :, 0].tolist() == [0, 0, 200]
