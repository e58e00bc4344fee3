"""records.json, shards and folders of strangers: one line, and nothing of the user's is lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError, DataError, OutputError
from fastscnn_tf.data.datasets.registry import find_splits, open_dataset
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.data.prepare.download import download
from fastscnn_tf.data.prepare.unpacking import extract
from fastscnn_tf.data.records.packed_dataset import LARGEST, RecordsDataset, is_shard_name
from fastscnn_tf.data.records.packing import pack
from fastscnn_tf.data.records.tfrecord import frame


class Few(ToyStreets):
    def __len__(self):
        return 3


@pytest.fixture
def packed(tmp_path):
    pack([Few("val", (16, 24))], tmp_path / "out", shards=2)
    return tmp_path / "out"


def change(folder, path, value):
    """Replaces one value of records.json."""
    content = json.loads((folder / "records.json").read_text())
    *way, last = path
    place = content
    for key in way:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    (folder / "records.json").write_text(json.dumps(content))


SHARD = ("splits", "val", "shards", 0)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("name",), 5, "name: expected str, got int"),
        (("labels", "names"), ["a"], "labels: expected 2 to 254 classes, got 1"),
        (("labels", "names", 1), "road", "class names must be unique, 'road' comes twice"),
        (("labels", "colors", 0), [0, 0, 256], r"labels.colors\[0\]\[2\]: expected int <= 255"),
        (("labels", "raw_values"), [1, 2], "9 classes but 2 label values"),
        (("lookup_table"), [0] * 255, "lookup_table: expected array of length >= 256"),
        (("lookup_table", 0), 9, "lookup_table: 9 is none of the 9 classes"),
        (("lookup_table", 0), True, r"lookup_table\[0\]: expected int, got bool"),
        (("splits",), [], "splits: expected object, got array"),
        (("splits", "../val"), {"pairs": 0, "shards": []}, "'../val' cannot begin a file's name"),
        (("splits", "v\x1b[2J"), {"pairs": 0, "shards": []}, "cannot begin a file's name"),
        (("splits", "val", "pairs"), 4, "do not hold its 4 pairs"),
        (("splits", "val", "pairs"), -1, "pairs: expected int >= 0"),
        ((*SHARD, "file"), "precious.txt", "expected the file val-00000-of-00002.tfrecord"),
        ((*SHARD, "file"), "../val-00000-of-00002.tfrecord", "expected the file val-00000"),
        ((*SHARD, "bytes"), 1 << 80, "bytes: expected int <= 9223372036854775807"),
        ((*SHARD, "bytes"), None, "missing required field bytes"),
        ((*SHARD, "starts"), [0], "must be equally many"),
        ((*SHARD, "starts"), [0, 0], "must rise from 0"),
        ((*SHARD, "starts"), [1, 2], "must rise from 0"),
        ((*SHARD, "starts", 1), 1 << 62, "must rise from 0 and end before its"),
        ((*SHARD, "starts", 1), 1.5, r"starts\[1\]: expected int, got float"),
        ((*SHARD, "crc32", 1), 1 << 32, r"crc32\[1\]: expected int"),
        ((*SHARD, "names", 1), "../../x", "leads out of the data set"),
        ((*SHARD, "names", 1), "/etc/x", "leads out of the data set"),
    ],
)
def test_an_index_that_lies_is_one_line(packed, path, value, said):
    change(packed, (path,) if isinstance(path, str) else path, value)
    with pytest.raises(DataError, match=said) as error:
        RecordsDataset(packed, "val")
    assert str(error.value).startswith(f"{packed / 'records.json'}: not an index of packed records")
    assert "\n" not in str(error.value)
    with pytest.raises(DataError):
        find_splits("records", packed)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"format": ' + b"9" * 5000 + b"}", b"\xff"])
def test_an_index_that_floods_is_one_line(packed, content):
    (packed / "records.json").write_bytes(content)
    with pytest.raises(DataError, match="not an index of packed records") as error:
        RecordsDataset(packed, "val")
    assert len(str(error.value)) < 400


def test_a_huge_index_is_not_read(packed):
    os.truncate(packed / "records.json", LARGEST + 1)
    with pytest.raises(DataError, match="but a index of packed records may have at most"):
        RecordsDataset(packed, "val")


STRANGE = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a loop of links": lambda path: path.symlink_to(path.name),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.parametrize("name", ["records.json", "val-00001-of-00002.tfrecord"])
def test_what_is_no_file_is_named(packed, what, name):
    (packed / name).unlink()
    STRANGE[what](packed / name)
    with pytest.raises(DataError, match=f"{name}: {what}"):
        RecordsDataset(packed, "val")


@pytest.mark.parametrize("what", STRANGE)
def test_a_description_that_is_no_file_is_named(tmp_path, what):
    STRANGE[what](tmp_path / "dataset.yaml")
    with pytest.raises(DataError, match=f"yaml: {what}"):
        open_dataset("folder", tmp_path, "val")


def test_a_shard_becomes_a_pipe_while_it_is_used(packed):
    dataset = RecordsDataset(packed, "val")
    (packed / "val-00001-of-00002.tfrecord").unlink()
    os.mkfifo(packed / "val-00001-of-00002.tfrecord")
    with pytest.raises(DataError, match="record 0 of 1 "):
        dataset.read(2)


@pytest.mark.parametrize(
    "example",
    [
        b"",
        b"\x0a\x00",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0a" + b"\xff" * 1000,
        b"\x0a\x0d\x0a\x0b\x0a\x0dimage/encoded",
        # image/encoded as a number
        b"\x0a\x19\x0a\x17\x0a\x0dimage/encoded\x12\x06\x1a\x04\x0a\x02\xac\x02",
        b"\x0a\x04\x0a\x02\x0a\x00" * 1000,
    ],
)
def test_a_record_that_lies_is_one_line(packed, example):
    import zlib

    record = frame(example)
    (packed / "val-00001-of-00002.tfrecord").write_bytes(record)
    place = ("splits", "val", "shards", 1)
    change(packed, (*place, "bytes"), len(record))
    change(packed, (*place, "crc32"), [zlib.crc32(record)])
    dataset = RecordsDataset(packed, "val")
    for read in (dataset.read_image, dataset.read_label, dataset.read):
        with pytest.raises(DataError, match=r"record 0 of 1 .*damaged|has no image|has no label"):
            read(2)


# What --force removes


def test_force_removes_only_what_pack_could_have_written(tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    precious = [tmp_path / "precious.txt", out / "precious.txt", out / "val-1-of-2.tfrecord"]
    precious += [out / "train-00000-of-00001.tfrecord"]
    for path in precious:
        path.write_text("precious")
    (out / "val-00000-of-00002.tfrecord").write_text("old")
    (out / "val-00001-of-00002.tfrecord").symlink_to("precious.txt")
    (out / "val-00000-of-00001.tfrecord").symlink_to("../precious.txt")  # a new one's name
    named = ["precious.txt", "../precious.txt", str(precious[0]), "val-1-of-2.tfrecord"]
    named += ["train-00000-of-00001.tfrecord"]  # of a split that the index does not list
    named += [f"val-0000{i}-of-00002.tfrecord" for i in range(2)]
    shards = [{"file": name} for name in named]
    index = {"format": "fastscnn-records", "version": 1, "splits": {"val": {"shards": shards}}}
    (out / "records.json").write_text(json.dumps(index))
    pack([Few("val", (16, 24))], out, force=True)
    assert [path.read_text() for path in precious] == ["precious"] * 4
    assert {p.name for p in out.iterdir()} == {
        *("precious.txt", "val-1-of-2.tfrecord", "train-00000-of-00001.tfrecord"),
        *("records.json", "val-00000-of-00001.tfrecord", "val-00001-of-00002.tfrecord"),
    }
    assert not (out / "val-00000-of-00001.tfrecord").is_symlink()
    assert len(RecordsDataset(out, "val")) == 3
    assert "(6 such), which stays as it is" in capsys.readouterr().err


def test_an_index_of_another_kind_is_not_replaced(tmp_path):
    for content in ("{}", '{"format": "mine", "splits": {}}', '{"format": "fastscnn-records"}'):
        (tmp_path / "records.json").write_text(content)
        with pytest.raises(OutputError, match="not replaced"):
            pack([Few("val", (16, 24))], tmp_path, force=True)
        assert (tmp_path / "records.json").read_text() == content
        assert len(list(tmp_path.iterdir())) == 1


def test_names_of_shards():
    assert is_shard_name("val-00000-of-00002.tfrecord", "val")
    for name in ("val-00002-of-00002.tfrecord", "val-0-of-2.tfrecord", "a/val-00000-of-00002.tfr"):
        assert not is_shard_name(name, "val")
    assert not is_shard_name("../a-00000-of-00002.tfrecord", "../a")


def test_a_split_that_leads_elsewhere_is_not_packed(tmp_path):
    data = Few("val", (16, 24))
    data.split = "../../val"
    with pytest.raises(ConfigError, match="cannot begin a file's name"):
        pack([data], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# Killed, and two at once

SLOW = """
import sys
from fastscnn_tf.data.records.packing import pack
from fastscnn_tf.data.datasets.toy_streets import ToyStreets

def slowly(items):
    for item in items:
        print(item, flush=True)
        if item:
            sys.stdin.read()  # until it is killed
        yield item

pack([ToyStreets("val", (16, 24))], sys.argv[1], steps=slowly)
"""


@pytest.fixture
def packing(tmp_path):
    """A process in the middle of packing."""
    command = [sys.executable, "-c", SLOW, str(tmp_path / "out")]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        process.stdout.readline()
        process.stdout.readline()
        yield process
        process.kill()


def test_two_into_one_folder(packing, tmp_path, run):
    out = tmp_path / "out"
    with pytest.raises(OutputError, match="another process is writing into this folder"):
        pack([Few("val", (16, 24))], out)
    assert (out / f".part.{packing.pid}").is_dir()


def test_what_a_killed_one_left_is_removed_by_the_next(packing, tmp_path, capsys):
    os.kill(packing.pid, signal.SIGKILL)
    packing.wait()
    out = tmp_path / "out"
    assert (out / f".part.{packing.pid}").is_dir()
    pack([Few("val", (16, 24))], out)  # no --force: there is nothing else
    names = {path.name for path in out.iterdir()}
    assert names == {"records.json", "val-00000-of-00001.tfrecord"}
    assert f".part.{packing.pid}, which a killed process left" in capsys.readouterr().err


# Archives, downloads, caches


def test_an_archive_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(DataError, match="a pipe, expected a ZIP archive"):
        extract(tmp_path / "a.zip", tmp_path, lambda path: path, 100)


def test_an_unfinished_download_that_is_a_link_is_not_written_through(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "a.zip.part").symlink_to("precious")
    with pytest.raises(OutputError, match="no plain file"):
        download("http://localhost:9/a.zip", tmp_path / "a.zip")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_cache_of_others_is_as_good_as_none(own_data, tmp_path):
    from fastscnn_tf.data.cache import DiskCache

    dataset = open_dataset("folder", own_data, "val")
    cache = DiskCache(tmp_path / "cache", dataset, None)
    pair = dataset.read(0)
    cache.put(0, pair)
    np.testing.assert_array_equal(cache.get(0)[0], pair[0])
    image, _ = cache._paths(0)
    head = "{'descr': '|u1', 'fortran_order': False, 'shape': " + "(" * 5000
    lie = b"\x93NUMPY\x02\x00" + len(head).to_bytes(4, "little") + head.encode()
    for content in (b"PK\x03\x04", b"", lie):
        image.write_bytes(content)
        assert cache.get(0) is None
    image.unlink()
    os.mkfifo(image)  # which is not waited for
    assert cache.get(0) is None


def test_what_a_killed_preparation_left_is_no_data_set(tmp_path, capsys):
    from fastscnn_tf.core.files.folder_lock import hold
    from fastscnn_tf.data.prepare.fetch_camvid import prepare_camvid

    (tmp_path / "out" / ".part.2147483646" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match="no such archive"):
        prepare_camvid(tmp_path / "out", str(tmp_path / "none.zip"))
    assert list((tmp_path / "out").iterdir()) == []
    assert "a killed process left" in capsys.readouterr().err
    with hold(tmp_path / "out"), pytest.raises(OutputError, match="another process is writing"):
        prepare_camvid(tmp_path / "out", "http://localhost:9/a.zip")
