"""Packing without loss, and reading packed data in any order."""

import dataclasses
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.cli.main import main
from fastscnn_tf.core.errors import ConfigError, DataError, OutputError
from fastscnn_tf.data.datasets.dataset import SegmentationDataset
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.data.records.crc32c import crc32c
from fastscnn_tf.data.records.packed_dataset import FEATURES, RecordsDataset
from fastscnn_tf.data.records.packing import pack
from fastscnn_tf.data.records.tfrecord import decode_example, encode_example


class Some(SegmentationDataset):
    """The first pairs of another data set."""

    def __init__(self, whole, count):
        self.whole, self.count = whole, count
        self.name, self.split, self.labels = whole.name, whole.split, whole.labels

    def __len__(self):
        return self.count

    def sample_name(self, index):
        return self.whole.sample_name(index)

    def files(self, index):
        return self.whole.files(index)

    def read_image(self, index):
        return self.whole.read_image(index)

    def read_label(self, index):
        return self.whole.read_label(index)


def assert_equal(packed, source):
    assert len(packed) == len(source)
    assert (packed.name, packed.split, packed.labels) == (source.name, source.split, source.labels)
    for i in range(len(source)):
        for a, b in zip(packed.read(i), source.read(i), strict=True):
            assert a.dtype == b.dtype == np.uint8
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(packed.read_image(i), source.read_image(i))
        np.testing.assert_array_equal(packed.read_label(i), source.read_label(i))


def features(packed, index):
    shard, number = packed._places[index]
    return shard.read(number)


# The file format


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # RFC 3720, B.4, and the usual check value
        (b"", 0x00000000),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_checksums_known_from_the_standard(data, expected):
    assert crc32c(data) == expected


def test_checksums_of_any_length_against_a_loop_over_bits():
    data = np.random.default_rng(0).integers(0, 256, 2000, np.uint8).tobytes()

    def slow(data):
        value = 0xFFFFFFFF
        for byte in data:
            value ^= byte
            for _ in range(8):
                value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        return value ^ 0xFFFFFFFF

    for length in (*range(40), 63, 64, 65, 127, 1000, 1999):
        assert crc32c(data[:length]) == slow(data[:length]), length


def test_example_is_the_bytes_of_the_specification():
    # Example{1: Features{1: entry{1: "a", 2: Feature{bytes_list 1: {1: "xy"}}}}}
    assert encode_example({"a": b"xy"}) == bytes.fromhex("0a0d 0a0b 0a0161 1206 0a04 0a02 7879")
    # int64_list is field 3, its values packed: 300 is the varint ac02
    assert encode_example({"a": 300}) == bytes.fromhex("0a0d 0a0b 0a0161 1206 1a04 0a02 ac02")
    values = {"a": b"", "b": bytes(1000), "c": 0, "d": 2**40}
    assert decode_example(encode_example(values)) == values


@pytest.mark.parametrize("data", [b"\x0a\xff", b"\x08\x01", b"\x0a\x02\x0a\x05", b"\x0a\x80"])
def test_other_bytes_are_no_example(data):
    with pytest.raises(ValueError, match=r"tf\.train\.Example"):
        decode_example(data)


# Without loss


def test_toy_streets(tmp_path):
    source = Some(ToyStreets("val", (32, 48)), 7)
    index = pack([source], tmp_path / "größe 1", shards=3)
    assert_equal(RecordsDataset(tmp_path / "größe 1", "val"), source)
    shards = index["splits"]["val"]["shards"]
    assert [s["file"] for s in shards] == [f"val-0000{i}-of-00003.tfrecord" for i in range(3)]
    assert [len(s["starts"]) for s in shards] == [3, 2, 2]
    for shard in shards:
        data = (tmp_path / "größe 1" / shard["file"]).read_bytes()
        assert len(data) == shard["bytes"]
        assert hashlib.sha256(data).hexdigest() == shard["sha256"]
    assert RecordsDataset(tmp_path / "größe 1", "val").sample_name(4) == "toy_val_0004"


def test_files_go_in_as_they_are(own_data, tmp_path):
    """JPEGs, and label maps whose values are not the class indices."""
    splits = [open_dataset("folder", own_data, split) for split in ("train", "val")]
    pack(splits, tmp_path / "out")
    for source in splits:
        packed = RecordsDataset(tmp_path / "out", source.split)
        assert_equal(packed, source)
        for i in range(len(source)):
            picture, label = source.files(i)
            stored = features(packed, i)
            assert stored["image/encoded"] == picture.read_bytes()
            assert stored["label/encoded"] == label.read_bytes()
            assert stored["image/format"] == b"jpeg"
            assert stored["image/filename"] == picture.name.encode()
            assert (stored["image/height"], stored["image/width"]) == (96, 160)
            assert set(stored) == set(FEATURES) - {"instance/encoded"}
            assert packed.read_instances(i) is None


def test_what_other_programs_would_read_differently_is_encoded_anew(own_data, tmp_path):
    """A rotated photograph, a 16-bit and a WebP one; palette and RGB label maps."""
    pixels = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    images, labels = own_data / "train" / "images", own_data / "train" / "labels"
    Image.fromarray(np.rot90(pixels)).save(images / "0.jpg", exif=turned)
    (images / "1.jpg").unlink()
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(images / "1.png")
    (images / "2.jpg").unlink()
    Image.fromarray(pixels).save(images / "2.webp", lossless=True)
    label = Image.open(labels / "1.png")
    label.putpalette(bytes(range(256)) * 3)
    label.save(labels / "1.png")
    Image.open(labels / "2.png").convert("RGB").save(labels / "2.png")
    source = open_dataset("folder", own_data, "train")
    pack([source], tmp_path / "out")
    packed = RecordsDataset(tmp_path / "out", "train")
    assert_equal(packed, source)
    kinds = [features(packed, i)["image/format"] for i in range(4)]
    assert kinds == [b"png", b"png", b"png", b"jpeg"]
    for i in range(4):
        assert features(packed, i)["label/encoded"][25] == 0  # PNG colour type: grey


def test_classes_merged_while_reading_are_kept(tmp_path):
    """A data set that does more than its lookup table: half of its classes become one."""

    class Merged(Some):
        def read_label(self, index):
            label = super().read_label(index)
            return np.where(label > 4, 255, label).astype(np.uint8)

    source = Merged(ToyStreets("val", (32, 48)), 3)
    pack([source], tmp_path / "out")
    assert_equal(RecordsDataset(tmp_path / "out", "val"), source)


def test_colour_coded_label_maps_that_are_merged(tmp_path):
    """The original CamVid in SegNet's 11 classes."""
    colors = np.array([(128, 128, 128), (64, 0, 128), (192, 128, 192), (0, 0, 0)], np.uint8)
    for folder, ending in (("701_StillsRaw_full", ""), ("LabeledApproved_full", "_L")):
        (tmp_path / folder).mkdir()
        chosen = colors[np.random.default_rng(0).integers(0, 4, (24, 32))]
        Image.fromarray(chosen).save(tmp_path / folder / f"0001TP_006690{ending}.png")
    source = open_dataset("camvid32-11", tmp_path, "train")
    assert set(np.unique(source.read_label(0))) == {0, 8, 255}  # sky; car and lorry; void
    pack([source], tmp_path / "out")
    packed = RecordsDataset(tmp_path / "out", "train")
    assert_equal(packed, source)
    assert features(packed, 0)["image/encoded"] == source.files(0)[0].read_bytes()


def test_instances_and_protocol(tmp_path):
    class Instances(Some):
        protocol = "crop, then resize"

        def read_instances(self, index):
            return self.read_label(index).astype(np.int32) * 1000 + index

    source = Instances(ToyStreets("val", (32, 48)), 2)
    pack([source], tmp_path / "out")
    packed = RecordsDataset(tmp_path / "out", "val")
    assert packed.protocol == "crop, then resize"
    found = packed.read_instances(1)
    np.testing.assert_array_equal(found, source.read_instances(1))
    assert found.max() > 1000
    source.read_instances = lambda index: np.full((32, 48), 70_000)
    with pytest.raises(DataError, match=r"toy_val_0000: expected instance ids of 0\.\.65535"):
        pack([source], tmp_path / "more")


def test_real_camvid(camvid_dir, tmp_path):
    source = Some(open_dataset("camvid", camvid_dir, "val"), 4)
    pack([source], tmp_path / "out", shards=2)
    packed = RecordsDataset(tmp_path / "out", "val")
    assert_equal(packed, source)
    picture, label = source.files(3)
    assert features(packed, 3)["image/encoded"] == picture.read_bytes()
    assert features(packed, 3)["label/encoded"] == label.read_bytes()
    assert packed.sample_name(3) == picture.name


def test_shards_by_size(tmp_path):
    source = Some(ToyStreets("val", (32, 48)), 6)
    one = pack([source], tmp_path / "one")["splits"]["val"]["shards"]
    assert len(one) == 1
    limit = one[0]["bytes"] // 2
    index = pack([source], tmp_path / "some", shard_bytes=limit)
    sizes = [shard["bytes"] for shard in index["splits"]["val"]["shards"]]
    assert len(sizes) > 1
    assert max(sizes) <= limit
    assert sum(sizes) == one[0]["bytes"]
    assert_equal(RecordsDataset(tmp_path / "some", "val"), source)
    index = pack([source], tmp_path / "each", shard_bytes=1)  # a record is never cut
    assert len(index["splits"]["val"]["shards"]) == 6


def test_the_same_data_give_the_same_shards(tmp_path):
    source = Some(ToyStreets("val", (32, 48)), 3)
    assert pack([source], tmp_path / "a") == pack([source], tmp_path / "b")


# Other readers


def test_tensorflow_reads_the_shards(own_data, tmp_path):
    """As docs/own-data.md says, and what TensorFlow writes can be read here."""
    from fastscnn_tf.core.keras_api import tensorflow

    tf = tensorflow()
    source = open_dataset("folder", own_data, "train")
    index = pack([source], tmp_path / "out", shards=2)
    table = tf.constant(index["lookup_table"], tf.uint8)
    wanted = {"image/encoded": tf.string, "label/encoded": tf.string, "image/filename": tf.string}
    wanted |= {"image/height": tf.int64, "image/width": tf.int64}

    def parse(record):
        found = tf.io.parse_single_example(
            record, {name: tf.io.FixedLenFeature([], kind) for name, kind in wanted.items()}
        )
        image = tf.io.decode_image(found["image/encoded"], channels=3, expand_animations=False)
        label = tf.io.decode_png(found["label/encoded"])[..., 0]
        return image, tf.gather(table, tf.cast(label, tf.int32)), found

    files = sorted(str(path) for path in (tmp_path / "out").glob("train-*.tfrecord"))
    pairs = list(tf.data.TFRecordDataset(files).map(parse))
    assert len(pairs) == len(source) == 4
    for i, (image, label, found) in enumerate(pairs):
        expected, expected_label = source.read(i)
        np.testing.assert_array_equal(label, expected_label)
        # JPEG decoders may round differently.
        assert np.abs(image.numpy().astype(int) - expected).max() <= 4
        assert (found["image/height"], found["image/width"]) == (96, 160)
    shard = RecordsDataset(tmp_path / "out", "train").shards[0]
    with tf.io.TFRecordWriter(str(tmp_path / "again")) as writer:
        for record in tf.data.TFRecordDataset(str(shard.path)):
            writer.write(record.numpy())
    assert (tmp_path / "again").read_bytes() == shard.path.read_bytes()


def test_threads_read_in_any_order(tmp_path):
    source = Some(ToyStreets("val", (32, 48)), 8)
    pack([source], tmp_path / "out", shards=2)
    packed = RecordsDataset(tmp_path / "out", "val")
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(8), 20))
    with ThreadPoolExecutor(8) as pool:
        for i, (image, _) in zip(
            order, pool.map(lambda i: packed.read(int(i)), order), strict=True
        ):
            np.testing.assert_array_equal(image, source.read_image(int(i)))


def test_workers_share_the_shards(tmp_path):
    source = Some(ToyStreets("val", (32, 48)), 7)
    pack([source], tmp_path / "out", shards=3)
    parts = [RecordsDataset(tmp_path / "out", "val", (k, 2)) for k in range(2)]
    names = [[part.sample_name(i)[-1] for i in range(len(part))] for part in parts]
    assert names == [["0", "1", "2", "5", "6"], ["3", "4"]]
    for part in ((0, 4), (2, 2), (-1, 2)):
        with pytest.raises(ConfigError, match="number < count <= 3 shards"):
            RecordsDataset(tmp_path / "out", "val", part)


def test_batches_are_those_of_the_files(own_data, tmp_path):
    """Same seed, same batches, augmentation included."""
    from fastscnn_tf.core.config import FastSCNNConfig
    from fastscnn_tf.data.augment.augmentation import augmentation
    from fastscnn_tf.data.pipeline import batches, load_records

    source = open_dataset("folder", own_data, "train")
    pack([source], tmp_path / "out", shards=2)
    config = FastSCNNConfig(num_classes=9, input_size=(64, 96))
    expected = batches(source, config, augmentation("paper"), 2, seed=3, epochs=range(1))
    packed = RecordsDataset(tmp_path / "out", "train")
    found = batches(packed, config, augmentation("paper"), 2, seed=3, epochs=range(1))
    pairs = list(zip(expected, found, strict=True))
    assert len(pairs) == 2
    for (image, label), (other_image, other_label) in pairs:
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(label, other_label)
    half = load_records(tmp_path / "out", config=config, batch_size=2, shard=(1, 2))
    [(images, labels)] = half
    assert images.shape == (2, 64, 96, 3)
    assert labels.shape == (2, 64, 96)


# What goes wrong


@pytest.fixture
def packed(tmp_path):
    pack([Some(ToyStreets("val", (32, 48)), 5)], tmp_path / "out", shards=2)
    return tmp_path / "out"


def test_a_damaged_record_is_named(packed):
    shard = packed / "val-00001-of-00002.tfrecord"
    starts = json.loads((packed / "records.json").read_text())["splits"]["val"]["shards"][1]
    for offset in (3, 9, 200, starts["bytes"] - starts["starts"][1] - 2):
        data = bytearray(shard.read_bytes())
        data[starts["starts"][1] + offset] ^= 1
        whole = shard.read_bytes()
        shard.write_bytes(data)
        dataset = RecordsDataset(packed, "val")
        dataset.read(3)
        with pytest.raises(DataError) as error:
            dataset.read(4)
        shard.write_bytes(whole)
        assert str(error.value) == (
            f"{shard}: record 1 of 2 (toy_val_0004) is damaged: its checksum does not fit; copy or "
            "pack the shard again"
        )


def test_a_cut_or_missing_shard_is_named_when_opened(packed):
    shard = packed / "val-00001-of-00002.tfrecord"
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"expected {size:,} bytes, got {size - 1:,}"):
        RecordsDataset(packed, "val")
    shard.unlink()
    with pytest.raises(DataError, match=r"00001-of-00002\.tfrecord: no such shard"):
        RecordsDataset(packed, "val")


def test_a_shard_that_shrinks_later_is_named(packed):
    dataset = RecordsDataset(packed, "val")
    (packed / "val-00001-of-00002.tfrecord").write_bytes(b"")
    with pytest.raises(DataError, match=r"record 1 of 2 .* the file ends within it"):
        dataset.read(4)
    (packed / "val-00001-of-00002.tfrecord").unlink()
    with pytest.raises(DataError, match=r"record 1 of 2 .*No such file"):
        dataset.read(4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not an index of packed records"),
        ("[]", "not an index of packed records"),
        ('{"format": "fastscnn-records", "version": 9}', "version 1, got 9"),
        ("{}", "not an index of packed records: expected one that fastscnn data pack wrote"),
    ],
)
def test_another_index_is_refused(packed, text, message):
    (packed / "records.json").write_text(text)
    with pytest.raises(DataError, match=message):
        RecordsDataset(packed, "val")


def test_unknown_split_and_folder(packed, tmp_path):
    with pytest.raises(DataError, match="holds the splits val; got 'train'"):
        RecordsDataset(packed, "train")
    with pytest.raises(DataError, match=r"records\.json: no such file; .*data pack"):
        RecordsDataset(tmp_path, "val")


def test_packing_that_stops_leaves_nothing(tmp_path):
    class Broken(Some):
        def read_image(self, index):
            if index == 4:
                raise DataError("4.png: not a readable image")
            return super().read_image(index)

    def stop(items):
        yield from list(items)[:3]
        raise KeyboardInterrupt

    source = ToyStreets("val", (32, 48))
    with pytest.raises(DataError, match=r"4\.png"):
        pack([Broken(source, 6)], tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        pack([Some(source, 6)], tmp_path / "out", steps=stop)
    assert list(tmp_path.iterdir()) == []


def test_existing_output_stays_unless_forced(packed, tmp_path):
    before = {path.name: path.read_bytes() for path in packed.iterdir()}
    (packed / "notes.txt").write_text("mine")
    (packed / "x-00000-of-00001.tfrecord").write_text("mine")
    source = Some(ToyStreets("val", (32, 48)), 2)
    with pytest.raises(OutputError, match="--force"):
        pack([source], packed)

    def stop(items):
        yield from list(items)[:1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack([source], packed, force=True, steps=stop)
    assert {n: (packed / n).read_bytes() for n in before} == before
    pack([source], packed, force=True)
    names = sorted(path.name for path in packed.iterdir())
    assert names == [
        *("notes.txt", "records.json", "val-00000-of-00001.tfrecord", "x-00000-of-00001.tfrecord"),
    ]
    assert_equal(RecordsDataset(packed, "val"), source)
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "x").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        pack([source], tmp_path / "busy")


def test_numbers_that_cannot_be_are_refused(tmp_path):
    source = Some(ToyStreets("val", (32, 48)), 2)
    other = Some(ToyStreets("train", (32, 48)), 2)
    other.labels = dataclasses.replace(other.labels, name="else")
    for arguments, message in (
        (([source], tmp_path / "out", 3), "expected 1 to 2 shards"),
        (([source], tmp_path / "out", None, 0), "at least one byte"),
        (([source, source], tmp_path / "out"), "packed once"),
        (([source, other], tmp_path / "out"), "cannot be packed together"),
    ):
        with pytest.raises(ConfigError, match=message):
            pack(*arguments)
    assert list(tmp_path.iterdir()) == []


# Command line


def call(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    return end.value.code


def test_pack_and_read_on_the_command_line(own_data, tmp_path, capsys):
    output = tmp_path / "my records"
    data = ["--dataset", "folder", "--data-dir", own_data]
    splits = ["--split", "train", "--split", "val"]
    assert call("data", "pack", *data, *splits, "--shards", 2, "--output", output) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("train: 4 pairs in 2 shards, ")
    assert "val: 3 pairs in 2 shards" in out
    assert f"--dataset records --data-dir '{output}'" in out
    assert_equal(open_dataset("records", output, "val"), open_dataset("folder", own_data, "val"))
    assert call("data", "pack", *data, "--output", output) == 2
    assert capsys.readouterr().err.count("\n") == 1
