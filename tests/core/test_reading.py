"""Files of strangers: regular ones, bounded, of the declared types; one line for all else."""

import io
import json
import os
import tracemalloc
import zipfile
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest

from fastscnn_tf.core.errors import DataError, InputError
from fastscnn_tf.core.files.json_text import decode_json, read_json
from fastscnn_tf.core.files.reading import open_regular, read_bytes
from fastscnn_tf.core.files.yaml_text import read_yaml
from fastscnn_tf.core.files.zip_archive import open_zip, read_npy, read_npz


class Shard(msgspec.Struct, forbid_unknown_fields=True):
    file: str
    bytes: Annotated[int, msgspec.Meta(ge=0)]
    starts: list[int] = []


def test_a_regular_file_is_read_through_links(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    assert read_bytes(tmp_path / "b") == b"content"
    with open_regular(tmp_path / "a", largest=7) as file:
        assert file.read() == b"content"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: None, "no such model file"),
        (lambda p: p.mkdir(), "a folder, expected a model file"),
        (os.mkfifo, "a pipe, expected a model file"),
        (lambda p: p.symlink_to(p.name), "a loop of links"),
        (lambda p: p.symlink_to("/dev/zero"), "a device, expected a model file"),
        (lambda p: p.write_bytes(b"12345678"), "8 bytes, but a model file may have at most 7"),
    ],
)
def test_everything_else_is_named(tmp_path, make, said):
    path = tmp_path / "m.tflite"
    make(path)
    with pytest.raises(DataError, match=said):
        read_bytes(path, "model file", largest=7, error=DataError)


def test_json_of_a_schema():
    found = decode_json(b'\xef\xbb\xbf{"file": "a", "bytes": 3}', "x.json", Shard)
    assert found == Shard("a", 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 100 + b"]" * 100, "nested more than 64 deep"),
        (b"NaN", "not valid JSON"),
        (b"9" * 5000, "integer value out of range"),
        (b"1e999", "number out of range"),
        (b'"\\ud800"', "not valid JSON"),
        (b'"\xff"', "not UTF-8"),
        (b"{", "not valid JSON"),
    ],
)
def test_json_that_harms_is_one_line(content, said):
    with pytest.raises(InputError, match=said) as caught:
        decode_json(content, "x.json", Any)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"bytes": 1}, "missing required field file"),
        ({"file": "a", "bytes": -1}, "x.json: bytes: expected int >= 0"),
        ({"file": "a", "bytes": 1, "starts": ["b"]}, r"x.json: starts\[0\]: expected int, got str"),
        ({"file": "a", "bytes": True}, "bytes: expected int, got bool"),
        ({"file": "a", "bytes": 1, "mode": 2}, "unknown field mode"),
    ],
)
def test_json_of_wrong_types_names_the_field(value, said):
    with pytest.raises(InputError, match=said):
        decode_json(json.dumps(value), "x.json", Shard)


def test_json_of_a_pipe_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(InputError, match="a pipe"):
        read_json(tmp_path / "a.json")


def test_yaml(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("name: 2001-12-14\nclasses: [on, 1, 1.5, null, 0x1a, 1:30, 010, '2']\n")
    assert read_yaml(path) == {
        "name": "2001-12-14",
        "classes": [True, 1, 1.5, None, 26, "1:30", "010", "2"],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [1]\nb: *a", "line 1: an anchor"),
        ("b: *a", "line 1: an alias"),
        ("a: !!float zzz", "line 1: a tag"),
        ("a: !!python/object/apply:os.system [id]", "a tag"),
        ("[" * 50_000, "nested more than 32 deep"),
        ("a: 2001-99-99\n? [b]\n: 1", "not valid YAML"),
        ('a: "\\ud800"', "not valid YAML|surrogate pair"),
        ("a: [", "not valid YAML"),
        ("a: 1\nb: 2\na: 3", "the key 'a' stands twice.*line 3"),
        ("a: \x00", "not valid YAML"),
    ],
)
def test_yaml_that_harms_is_one_line(tmp_path, text, said):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        read_yaml(path, error=DataError)
    assert "\n" not in str(caught.value)


def test_yaml_of_another_encoding(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"name: stra\xdfe")
    with pytest.raises(InputError, match="save it as UTF-8"):
        read_yaml(path)


def packed(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_members_of_an_archive(tmp_path):
    (tmp_path / "a.keras").write_bytes(packed(config=b"abc"))
    with open_zip(tmp_path / "a.keras", "a.keras") as archive:
        assert archive.read("config") == b"abc"
        with pytest.raises(InputError, match="at most 2"):
            archive.read("config", 2)
        with pytest.raises(KeyError):
            archive.read("weights")


@pytest.mark.parametrize(
    ("content", "largest", "said"),
    [
        (packed(a=bytes(2 << 20)), 1 << 30, "claims 2,097,152 bytes out of"),
        (packed(a=os.urandom(3000)), 2999, "3,000 bytes unpacked, at most 2,999"),
        (packed(**{str(i): b"" for i in range(10_001)}), 1 << 30, "10,001 members"),
        (b"PK\x05\x06", 1 << 30, "damaged, or not a zip archive"),
        (b"", 1 << 30, "damaged, or not a zip archive"),
    ],
)
def test_bombs_are_refused_unopened(content, largest, said):
    with pytest.raises(InputError, match=said), open_zip(content, "a", largest=largest):
        pass


def test_a_damaged_member_is_named():
    content = bytearray(packed(a=os.urandom(100)))
    content[60] ^= 1
    with open_zip(bytes(content), "x") as archive, pytest.raises(InputError, match="x: 'a' cannot"):
        archive.read("a")


def test_a_member_larger_than_declared_is_not_unpacked():
    content = bytearray(packed(a=bytes(64 << 20)))
    for place, field in ((0, 22), (content.rindex(b"PK\1\2"), 24)):  # local and central header
        content[place + field : place + field + 4] = (320).to_bytes(4, "little")
    with open_zip(bytes(content), "x") as archive:
        tracemalloc.start()
        with pytest.raises(InputError, match=r"x: 'a' cannot be read .Bad CRC"):
            archive.read("a")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20


def test_npz(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(np.ones((2, 2), np.int8))}
    np.savez_compressed(tmp_path / "a.npz", **arrays, c=np.float32(3))
    found = read_npz(tmp_path / "a.npz", "a.npz")
    assert found.keys() == {"a", "b", "c"} and found["c"] == 3 and found["c"].shape == ()
    np.testing.assert_array_equal(found["a"], arrays["a"])
    assert found["b"].dtype == np.int8 and found["a"].flags.writeable


def npy(shape: str, descr: str = "<f4", data: bytes = b"") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy("(1000000000000,)"), "0 bytes cannot be an array"),
        (npy("(-1,)", data=b"1234"), "4 bytes cannot be an array"),
        (npy("(1,)", "|O", b"12345678"), "an array of object"),
        (npy("(" * 5000), "not an array"),
        (b"PK", "not an array"),
    ],
)
def test_npy_that_lies(content, said):
    with pytest.raises(InputError, match=said):
        read_npy(content, "x")
