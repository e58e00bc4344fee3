"""Images that somebody made up: pixels or one line, within bounds, whatever is in them."""

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hostile_pictures import GREY_TAGS, chunk, mutants, segment, tiff
from PIL import Image

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.images import decoding as picture_file
from fastscnn_tf.core.images import pixels, plain_png
from fastscnn_tf.core.images.image_file import (
    decode_image,
    list_images,
    read_color_label,
    read_ids,
    read_image,
    read_label,
)
from fastscnn_tf.core.labels import CAMVID

TABLE = CAMVID.lookup_table()
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touched) (w) file closefile\n"


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def street():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            EPS,
            "an EPS file named .png, expected JPEG, PNG, BMP, TIFF, .* or PPM: convert",
        ),
        (b"%PDF-1.7\n", "a PDF named .png"),
        (b"DDS |\0\0\0" + bytes(200), "a DDS file named .png"),
        (b"\n<!DOCTYPE html><html>", "an HTML page named .png, .*fetch it again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer .*git lfs pull"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "an HEIC photo named .png.*let the phone"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
        (b"8BPS\0\1", "a file of Photoshop"),
        (b"\0\0\0\x20ftypisom", "a video"),
        (b"PK\3\4", "an archive"),
        (b"\0\0\2\0" + bytes(20), "an icon or a TGA file"),
        (b"", r"cannot identify it: an empty file\)"),
        (bytes(99), r"cannot identify its format"),
    ],
)
def test_what_is_refused_is_named_by_its_content(tmp_path, content, said):
    (tmp_path / "x.png").write_bytes(content)
    for read in (read_image, read_ids, lambda path: read_label(path, TABLE)):
        with pytest.raises(DataError, match=rf"x.png: not a readable image \({said}") as caught:
            read(tmp_path / "x.png")
        assert "\n" not in str(caught.value)


def test_no_other_decoder_is_even_imported(tmp_path, street):
    """Of all that Pillow has, the formats that are read; an EPS runs nothing."""
    for form in ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM"):
        (tmp_path / f"{form}.png").write_bytes(encoded(street, form))
    (tmp_path / "EPS.png").write_bytes(EPS)
    code = """if True:
        import pathlib, sys
        from fastscnn_tf.core.images.image_file import read_image
        for path in pathlib.Path(sys.argv[1]).glob("*.png"):
            try:
                assert read_image(path).shape == (24, 40, 3)
            except ValueError as error:
                assert "an EPS file named .png" in str(error)
        print(*sorted(n for n in sys.modules if n.endswith("ImagePlugin")))
    """
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True
    )
    known = ("Bmp", "Gif", "Jpeg", "Mpo", "Png", "Ppm", "Tiff", "WebP")
    assert set(done.stdout.split()) <= {f"PIL.{name}ImagePlugin" for name in known}
    assert done.stderr == ""


def test_the_formats_of_phones_and_cameras_are_read(street):
    other = street.rotate(180)
    assert encoded(street, "MPO", save_all=True, append_images=[other])[:3] == b"\xff\xd8\xff"
    plain = decode_image(encoded(street, "JPEG"), "x")
    for content in (
        encoded(street, "MPO", save_all=True, append_images=[other]),
        encoded(street, "JPEG", exif=b"Exif\0\0MM\0*\0\0"),
    ):
        assert np.array_equal(decode_image(content, "x.jpg"), plain)
    exact = np.asarray(street)
    for form, options in (("WEBP", {"lossless": True}), ("TIFF", {"compression": "tiff_lzw"})):
        assert np.array_equal(decode_image(encoded(street, form, **options), "x"), exact)


def test_the_first_frame_is_read_of_a_hundred_thousand(street):
    grey = Image.new("L", (8, 8), 7)
    gif = encoded(grey, "GIF")
    start = gif.index(b",", 13)
    png = encoded(grey, "PNG")
    head, rest = png[:33], png[33:]
    count = chunk(b"acTL", struct.pack(">II", 100_000, 0))
    frames = b"".join(
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * i + 1, 8, 8, 0, 0, 1, 10, 0, 0))
        + chunk(b"fdAT", struct.pack(">I", 2 * i + 2) + b"x")
        for i in range(100_000)
    )
    first = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 10, 0, 0))
    tags = [*GREY_TAGS, (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64)]
    one = tiff(tags, b"\7" * 64)
    frame, begin = one[72:-4], 72
    size = len(frame) + 4
    chain = b"".join(frame + struct.pack("<I", begin + (i + 1) * size) for i in range(100_000))
    for content in (
        gif[:start] + gif[start:-1] * 100_000 + b";",
        head + count + first + rest[:-12] + frames + rest[-12:],
        one[:72] + chain + frame + bytes(4),
    ):
        assert (decode_image(content, "x") == 7).all()


def test_metadata_of_any_size_takes_neither_memory_nor_time(street, monkeypatch):
    """In a tenth of the size that the bounds allow, so that the test is quick."""
    monkeypatch.setattr(plain_png, "_decoder", None)  # what training registers has its own bounds
    monkeypatch.setattr(picture_file, "METADATA", 1 << 20)
    monkeypatch.setattr(picture_file, "READS", 20_000)
    monkeypatch.setattr(picture_file, "NUMBERS", 20_000)
    png, jpeg, gif = (encoded(street, form) for form in ("PNG", "JPEG", "GIF"))
    start = gif.index(b",", 13)
    bomb = zlib.compress(bytes(64 << 20), 9)
    strips = [*GREY_TAGS, (273, 4, 400_000, 8), (277, 3, 1, 1), (278, 3, 1, 1)]
    for content in (
        png[:33] + chunk(b"prIv", bytes(5 << 20)) + png[33:],
        png[:33] + chunk(b"prIv", b"") * 20_000 + png[33:],
        png[:-12] + chunk(b"prIv", b"") * 20_000 + png[-12:],
        png[:33] + chunk(b"zTXt", b"a\0\0" + bomb) + png[33:],
        png[:33] + chunk(b"IDAT", b"") * 20_000 + png[33:],
        jpeg[:2] + segment(0xFE, bytes(65533)) * 80 + jpeg[2:],
        jpeg[:2] + segment(0xE1, b"Exif\0\0" + bytes(65500)) * 80 + jpeg[2:],
        jpeg[:2] + segment(0xFE, b"") * 20_000 + jpeg[2:],
        gif[:start] + b"!\xfe" + (b"\xff" + bytes(255)) * 20_000 + b"\0" + gif[start:],
        gif[:start] + b"!\xfe" + b"\1c" * 20_000 + b"\0" + gif[start:],
        tiff(strips, bytes(1_600_000)),
        tiff([*GREY_TAGS, (273, 4, 1, 8), (305, 2, 5_000_000, 8)], bytes(5_000_000)),
        b"P3\n" + b"#\n" * 100_000 + b"1 1\n255\n1 1 1",
        b"P6\n#" + bytes(100_000) + b"\n1 1\n255\n111",
    ):
        with pytest.raises(DataError, match=r"x: (refused|not a readable image)"):
            decode_image(content, "x")


def test_pixels_are_bounded_whatever_the_format(street, monkeypatch):
    """Also where few bytes take long: scans of a JPEG, decoders in Python, tiles of a TIFF."""
    progressive = encoded(Image.new("RGB", (2048, 2048)), "JPEG", progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xc4") : -2]
    assert scan.count(b"\xff\xda") == 1
    header = struct.pack("<IiiHHIIiiII", 40, 80_000_000, 1, 1, 8, 1, 0, 0, 0, 0, 0) + bytes(1024)
    tile = [(322, 4, 1, 32768), (323, 4, 1, 32768), (324, 4, 1, 8), (325, 4, 1, 64)]
    for content in (
        progressive[:-2] + scan * 1000 + b"\xff\xd9",
        b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + header + b"\1\0\0\0",
        b"P1 4096 4096\n" + b"1" * (1 << 24),
        tiff([*GREY_TAGS[:3], (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1), *tile]),
    ):
        with pytest.raises(DataError, match="refused"):
            decode_image(content, "x")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    for form in ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM"):
        with pytest.raises(picture_file.TooManyPixels, match="x: refused, Image size"):
            decode_image(encoded(street, form), "x")


def test_a_large_picture_is_converted_part_by_part_to_the_same(street, monkeypatch):
    rng = np.random.default_rng(1)
    floats = Image.fromarray(rng.random((24, 40), np.float32))
    alpha = street.convert("RGBA")
    alpha.putalpha(street.convert("L"))
    pictures = [
        street,
        street.convert("P"),
        alpha,
        street.convert("L"),
        floats,
        Image.fromarray(rng.integers(0, 65536, (24, 40)).astype(np.uint16)),
    ]
    whole = [pixels.to_rgb(picture) for picture in pictures]
    monkeypatch.setattr(pixels, "STRIP", 5 * 40)
    for picture, expected in zip(pictures, whole, strict=True):
        assert np.array_equal(pixels.to_rgb(picture), expected)


def test_mutated_pictures_give_pixels_or_one_line(capfd, recwarn, monkeypatch):
    monkeypatch.setattr(plain_png, "_decoder", None)  # what training registers has lines of its own
    outcomes = set()
    for form, content in mutants(600):
        try:
            assert decode_image(content, "x").dtype == np.uint8
            outcomes.add((form, "pixels"))
        except DataError as error:
            assert "\n" not in str(error)
            outcomes.add((form, "refused"))
    assert len(outcomes) >= 14
    assert capfd.readouterr() == ("", "")  # libtiff and Pillow's log would say more


def test_a_slow_picture_keeps_no_other_waiting(street):
    """Decoding holds no lock of ours: while one is at it, another thread reads a hundred."""
    inside, done = threading.Event(), threading.Event()
    original = Image.OPEN["GIF"]

    def slow(file, name):
        inside.set()
        assert done.wait(60)
        return original[0](file, name)

    gif, png = encoded(street, "GIF"), encoded(street, "PNG")
    decode_image(gif, "x")  # the decoder is there
    Image.OPEN["GIF"] = slow, original[1]
    thread = threading.Thread(target=decode_image, args=(gif, "x"))
    try:
        thread.start()
        assert inside.wait(60)
        for _ in range(100):
            decode_image(png, "x")
    finally:
        done.set()
        thread.join()
        Image.OPEN["GIF"] = original


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "a pipe, expected a file of an image"),
        (lambda p: p.symlink_to("/dev/zero"), "a device, expected"),
        (lambda p: p.symlink_to(p.name), "a loop of links"),
        (lambda p: p.mkdir(), "a folder, expected"),
        (lambda p: p.symlink_to("gone"), "no such file"),
    ],
)
def test_what_is_no_file_is_named_and_never_waited_for(tmp_path, make, said):
    path = tmp_path / "x.png"
    make(path)
    readers = (
        read_image,
        read_ids,
        lambda p: read_label(p, TABLE),
        lambda p: read_color_label(p, [(0, 0, 0)], []),
    )
    for read in readers:
        with pytest.raises(DataError, match=f"x.png: {said}"):
            read(path)
    if not path.is_dir():
        assert list_images(tmp_path) == [path]
        with pytest.raises(DataError, match=r"x\.png: "):
            list_images(path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match=r"1,099,511,627,776 bytes, but a file of an image"):
        read_image(tmp_path / "x.png")


def test_shared_cases_are_refused():
    folder = os.environ.get("FASTSCNN_CASES")
    if not folder:
        pytest.skip("FASTSCNN_CASES is not set: no hostile files here")
    for name, said in (
        ("eps_named.png", "an EPS file named .png"),
        ("dds_named.png", "a DDS file"),
    ):
        with pytest.raises(DataError, match=said):
            read_image(Path(folder) / "hostile" / name)
