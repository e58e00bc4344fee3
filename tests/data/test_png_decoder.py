"""Fast decoders give Pillow's pixels, and Pillow has the last word on what is not plain."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.images import plain_png
from fastscnn_tf.core.images.image_file import read_image, read_label
from fastscnn_tf.core.images.plain_png import decode_plain_png, use_png_decoder
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.data.png_decoder import by_kornia, by_tensorflow, use_fast_png

TABLE = np.arange(256, dtype=np.uint8)


@pytest.fixture(params=[by_kornia, by_tensorflow])
def decoder(request):
    """Each decoder in turn; counts the files that it decoded."""
    if request.param is by_kornia:
        pytest.importorskip("kornia_rs")
    before, counted = plain_png._decoder, []

    def count(content, channels):
        result = request.param(content, channels)
        counted.append(result is not None)
        return result

    use_png_decoder(count)
    yield counted
    use_png_decoder(before)


@pytest.fixture
def street():
    return ToyStreets("train", (50, 71)).read(0)


def test_plain_files_are_decoded_to_the_same_pixels(decoder, street, tmp_path):
    image, label = street
    for level in (0, 9):
        Image.fromarray(image).save(tmp_path / "ä b.png", compress_level=level, gamma=2.2)
        Image.fromarray(label).save(tmp_path / "label.png", optimize=bool(level))
        assert np.array_equal(read_image(tmp_path / "ä b.png"), image)
        assert np.array_equal(read_label(tmp_path / "label.png", TABLE), label)
    assert decoder == [True] * 4


def test_others_are_pillows(decoder, street, tmp_path):
    image, label = street
    picture = Image.fromarray(image)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a text may hold EXIF")
    picture.save(tmp_path / "turned.png", exif=exif)
    picture.save(tmp_path / "text.png", pnginfo=text)
    picture.save(tmp_path / "see-through.png", transparency=(1, 2, 3))
    picture.convert("RGBA").save(tmp_path / "alpha.png")
    picture.convert("P").save(tmp_path / "palette.png")
    picture.convert("L").save(tmp_path / "grey.png")
    picture.save(tmp_path / "image.jpg")
    for path in sorted(tmp_path.iterdir()):
        found = read_image(path)
        before, plain_png._decoder = plain_png._decoder, None
        assert np.array_equal(found, read_image(path)), path
        plain_png._decoder = before
    indexed = Image.fromarray(label)
    indexed.putpalette([5] * 768)
    indexed.save(tmp_path / "indexed.png")
    assert np.array_equal(read_label(tmp_path / "indexed.png", TABLE), label)
    assert decoder == []


def test_damaged_files_are_named_by_pillow(decoder, street, tmp_path):
    path = tmp_path / "street.png"
    Image.fromarray(street[0]).save(path)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:20], b"", b"no image"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"street\.png"):
            read_image(path)
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "missing.png")
    assert True not in decoder


def test_a_broken_stream_within_whole_chunks_is_refused(decoder, street, tmp_path):
    path = tmp_path / "street.png"
    Image.fromarray(street[0]).save(path)
    content = path.read_bytes()
    start = content.index(b"IDAT")
    size = struct.unpack(">I", content[start - 4 : start])[0]
    data = bytearray(content[start + 4 : start + 4 + size])
    data[size // 2 : size // 2 + 40] = bytes(40)
    chunk = b"IDAT" + bytes(data)
    crc = struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content[:start] + chunk + crc + content[start + 8 + size :])
    with pytest.raises(DataError, match=r"street\.png"):
        read_image(path)
    assert decoder == [False]


def test_bombs_are_refused(decoder, tmp_path):
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        parts += [struct.pack(">I", len(data)), kind, data, crc]
    (tmp_path / "bomb.png").write_bytes(b"".join(parts))
    with pytest.raises(DataError, match="refused"):
        read_image(tmp_path / "bomb.png")
    assert decoder == []


def test_without_a_decoder_pillow_reads(street, tmp_path):
    Image.fromarray(street[0]).save(tmp_path / "x.png")
    before = plain_png._decoder
    use_png_decoder(None)
    assert decode_plain_png((tmp_path / "x.png").read_bytes(), 3) is None
    assert np.array_equal(read_image(tmp_path / "x.png"), street[0])
    use_fast_png(with_tensorflow=True)
    assert decode_plain_png((tmp_path / "x.png").read_bytes(), 3) is not None
    use_png_decoder(before)
