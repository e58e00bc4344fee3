"""Images in Parquet files: as those in folders, whoever made the file."""

import functools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_fleet import DONE, MODEL, content, picture, pictures, stopped_at

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, DataError, OutputError
from fastscnn_tf.core.files import parquet
from fastscnn_tf.core.images.decoding import read_image_file
from fastscnn_tf.core.images.image_file import encode_png
from fastscnn_tf.core.labels import CAMVID
from fastscnn_tf.evaluation.given_images import SKIPPED
from fastscnn_tf.evaluation.prediction import predict_files


@pytest.fixture
def shard(tmp_path):
    """Seven images with label maps as files of a `folder` data set, and as rows of another."""
    images, labels = tmp_path / "files" / "images", tmp_path / "files" / "labels"
    for folder in (images, labels):
        folder.mkdir(parents=True)
    for number in range(7):
        picture(images / f"{number:08}.png", number)
        label = np.random.default_rng(number).integers(0, 11, (6, 8), dtype=np.uint8)
        png = encode_png(label.repeat(30, axis=0).repeat(30, axis=1))
        (labels / f"{number:08}.png").write_bytes(png)
    as_hugging_face = [{"bytes": data, "path": None} for data in bytes_of(images)]
    path = tmp_path / "rows" / "drive.parquet"
    path.parent.mkdir()
    write(path, image=as_hugging_face, label=bytes_of(labels))
    names = ", ".join(
        f"{{name: {name}, color: [1, 2, {i}]}}" for i, name in enumerate(CAMVID.names)
    )
    for folder, split in (
        ("files", "images: images, labels: labels"),
        ("rows", "images: d*.parquet"),
    ):
        text = f"name: seven\nclasses: [{names}]\nsplits: {{val: {{{split}}}}}\n"
        (tmp_path / folder / "dataset.yaml").write_text(text)
    return path


def bytes_of(folder):
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def write(path, group=3, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=group)


@pytest.mark.parametrize("processes", [1, 2])
def test_predicting_rows_writes_what_predicting_files_does(shard, tmp_path, run, processes):
    assert (
        run("predict", MODEL, tmp_path / "files" / "images", "--output", tmp_path / "one")[0] == 0
    )
    command = ("predict", MODEL, "--output", tmp_path / "out", "--processes", processes, "--resume")
    code, out, err = run(*command, shard)
    assert (code, err) == (0, "")
    assert out.endswith(": label map and overlay of 7 images\n")
    assert content(tmp_path / "out" / "drive.parquet") == content(tmp_path / "one")
    assert {path.name for path in tmp_path.glob("out/*")} == {DONE, "drive.parquet"}
    code, _, err = run(*command, shard.parent)  # the folder, beside its dataset.yaml
    assert (code, "7 of 7 images are done already" in err) == (0, True)


def test_rows_are_scored_as_files_are(shard, tmp_path, run):
    results = []
    for name in ("files", "rows"):
        data = ("--dataset", "folder", "--data-dir", tmp_path / name)
        out = tmp_path / f"{name}.json"
        code, _, err = run("evaluate", MODEL, *data, "--boundary", "--processes", 2, "--json", out)
        assert (code, err) == (0, "")
        results.append(json.loads(out.read_text()))
        del results[-1]["latency_ms"]
    assert results[0] == results[1]
    assert results[0]["images"] == 7
    files, rows = (fs.check_dataset("folder", tmp_path / name) for name in ("files", "rows"))
    assert files.splits == rows.splits
    assert rows.splits[0].usable == 7


def test_rows_are_pseudo_labelled_as_files_are(shard, tmp_path, run):
    for name, images in (("one", tmp_path / "files" / "images"), ("two", shard)):
        command = ("pseudo-label", MODEL, "--images", images, "--output", tmp_path / name)
        assert run(*command, "--confidence", 0.3)[0] == 0
    for kind in ("images", "labels"):
        one, two = (content(tmp_path / name / kind) for name in ("one", "two"))
        assert {f"drive.parquet__{name}": data for name, data in one.items()} == two


def labelled(shard, out, **more):
    return fs.pseudo_label(MODEL, shard.parents[1] / "files" / "images", out, 0.3, **more)


def rows_of(out):
    """The rows of all files, in order."""
    parts = sorted(out.glob("*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def table_of(out):
    """Name, image and label map of each."""
    return [(row["name"], row["image"], row["label"]) for row in rows_of(out)]


@pytest.mark.parametrize("processes", [1, 2])
def test_pseudo_labels_in_parquet_files_are_those_in_files(shard, tmp_path, run, processes):
    one, two = tmp_path / "one", tmp_path / "two"
    for out, options in ((one, ()), (two, ("--parquet", "--processes", processes))):
        command = ("pseudo-label", MODEL, "--images", tmp_path / "files" / "images")
        code, said, _ = run(*command, "--confidence", 0.3, "--output", out, *options)
        assert (code, said.endswith(f"{out}: 7 images\n")) == (0, True)
    images, labels = (content(one / kind) for kind in ("images", "labels"))
    assert table_of(two) == [(name, images[name], labels[name]) for name in sorted(images)]
    files, rows = (fs.open_dataset("folder", out, "train") for out in (one, two))
    assert len(rows) == 7
    for index in range(7):
        for a, b in zip(files.read(index), rows.read(index), strict=True):
            assert np.array_equal(a, b)
    assert sorted(path.name for path in two.iterdir()) == [
        *(DONE, "dataset.yaml", "pseudo.json", "train-00000.parquet")
    ]


def test_parquet_files_that_are_whole_are_never_done_twice(shard, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "PART_ROWS", 2)
    whole, out = tmp_path / "whole", tmp_path / "out"
    expected = labelled(shard, whole, parquet=True)
    assert len(list(whole.glob("*.parquet"))) == 4
    with pytest.raises(KeyboardInterrupt):
        labelled(shard, out, parquet=True, progress=stopped_at(5))
    assert table_of(out) == table_of(whole)[:5]  # what was done before Ctrl-C is kept
    before = [path.stat().st_mtime_ns for path in sorted(out.glob("*.parquet"))]
    lines = (out / DONE).read_text().splitlines(keepends=True)
    (out / DONE).write_text("".join([*lines[:-1], lines[-1][:20]]))  # killed before it was noted
    (out / "train-00001.parquet").unlink()  # somebody removed one
    seen = []
    again = {"parquet": True, "resume": True}
    result = labelled(
        shard, out, **again, progress=lambda items: (seen.append(i) or i for i in items)
    )
    assert len(seen) == 5
    assert (result.predicted, result.kept) == (expected.predicted, expected.kept)
    assert sorted(table_of(out)) == table_of(whole)
    assert (out / "train-00000.parquet").stat().st_mtime_ns == before[0]
    assert labelled(shard, out, **again, progress=stopped_at(0)).images == 7
    with pytest.raises(ConfigError, match=r"cannot resume .* with parquet False: it began with "):
        labelled(shard, out, resume=True)
    with pytest.raises(OutputError, match="is not empty"):
        labelled(shard, out, parquet=True)
    labelled(shard, out, force=True)
    assert not list(out.glob("*.parquet"))
    assert len(fs.open_dataset("folder", out, "train")) == 7
    labelled(shard, out, force=True, parquet=True)
    assert sorted(table_of(out)) == table_of(whole)
    (out / "train-00009.parquet").write_bytes(b"somebody's")
    with pytest.raises(OutputError, match=r"train-00009\.parquet exists"):
        labelled(shard, out, **again)


def test_label_maps_in_parquet_files_are_those_in_files(shard, tmp_path, run, monkeypatch):
    monkeypatch.setattr(parquet, "PART_ROWS", 3)
    command = ("predict", MODEL, shard, "--output")
    assert run(*command, tmp_path / "one", "--format", "palette")[0] == 0
    labels = content(tmp_path / "one" / "drive.parquet")
    out, more = tmp_path / "out", ("--format", "parquet", "--processes", 2)
    predict = functools.partial(predict_files, MODEL, [shard], out, format="parquet", resume=True)
    with pytest.raises(KeyboardInterrupt):
        predict(progress=stopped_at(4))
    assert [row["name"] for row in rows_of(out)] == [f"drive.parquet/{i:08}.png" for i in range(4)]
    before = (out / "labels-00000.parquet").stat().st_mtime_ns
    lines = (out / DONE).read_text().splitlines(keepends=True)
    (out / DONE).write_text("".join(lines[:-1]))  # killed before the second was noted
    code, said, err = run(*command, out, *more, "--resume")
    assert (code, err) == (0, "fastscnn: 3 of 7 images are done already\n")
    assert said == f"{out}: label map (in Parquet files) of 7 images\n"
    assert (out / "labels-00000.parquet").stat().st_mtime_ns == before
    found = {row["name"].removeprefix("drive.parquet/"): row["label"] for row in rows_of(out)}
    assert {f"{name[:8]}_labels.png": label for name, label in found.items()} == labels
    assert len(rows_of(out)) == 7
    code, _, err = run(*command, out, *more)
    assert (code, f"{out / 'labels-00000.parquet'} exists: --resume" in err) == (2, True)
    code, _, err = run(*command, out := out.rename(tmp_path / "moved"), *more, "--resume")
    assert (code, err) == (0, "fastscnn: 7 of 7 images are done already\n")
    assert run(*command, out, *more, "--force")[0] == 0
    assert len(rows_of(out)) == 7
    code, _, err = run("predict", MODEL, shard, "--format", "parquet", "--output", shard.parent)
    assert (code, "its files would lie among images" in err) == (2, True)


def test_one_call_at_a_time_writes_parquet_files(shard, tmp_path):
    """Their files are called alike: one call's would replace another's."""
    predict = functools.partial(predict_files, MODEL, [shard], tmp_path / "out", format="parquet")

    def again(items):
        for item in items:
            with pytest.raises(OutputError, match="another call is at work with it"):
                predict()
            yield item

    predict(progress=again)
    assert len(rows_of(tmp_path / "out")) == 7


def test_bad_rows_are_named_or_counted(shard, tmp_path, run):
    good = bytes_of(tmp_path / "files" / "images")
    rows = [good[0], None, b"no image", good[3][:200], b"", good[5]]
    write(shard, image=rows)
    command = ("predict", MODEL, shard, "--output", tmp_path / "out")
    code, _, err = run(*command)
    said = f"fastscnn: {shard}/00000001.png: expected bytes in column 'image', found nothing; --"
    assert (code, err.startswith(said), err.count("\n")) == (2, True, 1)
    code, out, err = run(*command, "--skip-bad", "--force")
    assert (code, f"skipped 4 of 6 images (first: {shard}/00000001.png" in err) == (0, True)
    assert out.endswith(": label map and overlay of 2 images\n")


def test_what_is_no_parquet_file_of_pictures_is_told(shard, tmp_path, run, monkeypatch):
    command = ("predict", MODEL, shard, "--output", tmp_path / "out")
    whole = shard.read_bytes()
    for data, said in (
        (b"", "cannot be read as Parquet: "),
        (whole[:-50], "cannot be read as Parquet: "),
        (b"PAR1" + b"x" * 99 + b"PAR1", "cannot be read as Parquet: "),
    ):
        shard.write_bytes(data)
        code, _, err = run(*command)
        assert (code, err.startswith(f"fastscnn: {shard}: {said}"), err.count("\n")) == (2, True, 1)
    write(shard, picture=[b"x"], label=[1])
    said = "expected a column 'image' of bytes, found picture (bytes), label (int64)"
    assert said in run(*command)[2]
    for value, kind in ((3, "int64"), ("a.png", "string")):
        write(shard, image=[value])
        code, _, err = run(*command, "--skip-bad")
        said = f"fastscnn: {shard}: expected a column 'image' of bytes, found image ({kind})\n"
        assert (code, err) == (2, said)
    write(shard, image=pa.array([], pa.binary()))
    assert "there are no images in it" in run(*command)[2]
    shard.write_bytes(whole)
    monkeypatch.setattr(parquet, "LARGEST_GROUP", 1000)
    assert "bytes of image.bytes in a row group, at most 1,000 are read" in run(*command)[2]
    text = (tmp_path / "rows" / "dataset.yaml").read_text()
    text = text.replace("images: d*.parquet", "images: d.parquet, labels: labels")
    (tmp_path / "rows" / "dataset.yaml").write_text(text)
    data = ("--dataset", "folder", "--data-dir", tmp_path / "rows")
    assert "leave labels, list and split out" in run("evaluate", MODEL, *data)[2]
    assert not (tmp_path / "out").exists()


def test_a_file_is_never_in_memory_as_a_whole(tmp_path):
    path = tmp_path / "large.parquet"
    noise = np.random.default_rng(0).bytes
    write(path, group=1, image=[noise(1 << 20) for _ in range(40)])
    before = pa.total_allocated_bytes()
    for row in parquet.rows(path):
        assert len(read_image_file(row)) == 1 << 20
        assert pa.total_allocated_bytes() - before < 8 << 20


def test_made_files_raise_nothing_but_one_line(shard, tmp_path):
    whole, random = shard.read_bytes(), np.random.default_rng(0)
    outcomes = []
    for number in range(400):
        data = bytearray(whole)
        last = 1500 if number % 2 else len(data)  # the footer, or anything
        for _ in range(random.integers(1, 4)):
            data[len(data) - random.integers(1, last)] = random.integers(0, 256)
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(bytes(data))
        try:
            for row in parquet.rows(path):
                read_image_file(row)
        except DataError as error:
            assert "\n" not in str(error)
            outcomes.append(str(error))
        path.unlink()
    assert 40 < len(outcomes) < 360


def test_a_file_that_changes_is_opened_again(shard):
    first = read_image_file(parquet.rows(shard)[0])
    write(shard, image=[b"another"])
    assert (read_image_file(parquet.rows(shard)[0]), first == b"another") == (b"another", False)
    with pytest.raises(DataError, match="no row 6, it has 1"):
        read_image_file(shard / "00000006.png")


def test_what_is_no_row_is_told(shard):
    for name in ("x.png", "-1.png", "00000000.label.label.png"):
        with pytest.raises(DataError):
            read_image_file(shard / name)


def test_force_replaces_files_only_once_there_is_one_of_its_own(tmp_path, run):
    given = pictures(tmp_path / "in", 3)
    bad, out = tmp_path / "bad.png", tmp_path / "out"
    bad.write_bytes(b"no image")
    command = ("predict", MODEL, "--format", "parquet", "--output", out)
    assert run(*command, *given, "--resume")[0] == 0
    before = content(out)
    for skip in ((), ("--skip-bad",)):
        code, _, _ = run(*command, bad, "--force", *skip)
        found = {name: data for name, data in content(out).items() if name != SKIPPED}
        assert (code, found) == (2, before)
    assert run(*command, given[2], "--force")[0] == 0
    assert [pq.read_table(path).num_rows for path in out.glob("*.parquet")] == [1]
    foreign = out / "labels-mine.parquet"
    foreign.write_bytes(b"somebody's")
    code, _, err = run(*command, *given, "--force")
    assert (code, f"{foreign} exists" in err, foreign.read_bytes()) == (2, True, b"somebody's")
    foreign.unlink()
    code, _, err = run(*command, *given, "--resume")  # the journal of the files before is gone
    assert (code, "labels-00000.parquet exists" in err) == (2, True)
