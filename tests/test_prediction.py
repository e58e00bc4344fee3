"""predict among the user's own images: results are known by a list, never by their names."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import DataError, OutputError
from fastscnn_tf.core.files.folders import walk
from fastscnn_tf.core.files.written_files import LIST, WrittenFiles
from fastscnn_tf.evaluation.given_images import find_images
from fastscnn_tf.stream.sources import open_source

MODEL = Path(__file__).parents[1] / "tflite" / "fastscnn_camvid_int8.tflite"


def picture(path, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != LIST}


@pytest.fixture
def streets(tmp_path):
    """A folder with an image, and one that is named as results are."""
    folder = tmp_path / "streets"
    folder.mkdir()
    picture(folder / "a.png", 1)
    picture(folder / "b_labels.png", 2)
    return folder


def test_results_among_pictures_are_told_by_a_list(streets, run):
    own = contents(streets)
    code, out, err = run("predict", MODEL, streets, "--output", streets)
    assert (code, out) == (0, f"{streets}: label map and overlay of 2 images\n")
    assert f"takes 1 file (first: {streets / 'b_labels.png'}) for images" in err
    written = contents(streets)
    assert own.items() < written.items()
    assert len(written) == 6
    code, _, err = run("predict", MODEL, streets, "--output", streets)
    assert code == 2
    assert "a_labels.png exists" in err
    code, out, err = run("predict", MODEL, streets, "--output", streets, "--force")
    assert (code, out) == (0, f"{streets}: label map and overlay of 2 images\n")
    assert "left out 4 results (first: " in err
    assert contents(streets) == written


def test_force_never_replaces_what_predict_did_not_write(streets, run):
    """Neither the user's own, nor a result that was worked on, nor what a link points to."""
    command = ["predict", MODEL, streets, "--output", streets, "--force"]
    picture(streets / "a_overlay.png", 3)
    own = contents(streets)
    code, _, err = run(*command)
    assert code == 2
    assert f"{streets / 'a_overlay.png'} is among the images and not listed" in err
    assert contents(streets) == own
    (streets / "a_overlay.png").unlink()
    assert run(*command)[0] == 0
    picture(streets / "a_overlay.png", 4)  # edited
    edited = contents(streets)
    assert run(*command)[0] == 2
    assert contents(streets) == edited
    (streets / "a_overlay.png").unlink()
    (streets / "a_overlay.png").symlink_to("a_labels.png")  # of listed content, but a link
    assert run(*command)[0] == 2
    assert (streets / "a_overlay.png").is_symlink()


def test_results_without_a_list_are_taken_for_pictures_and_said(streets, run):
    assert run("predict", MODEL, streets, "--output", streets)[0] == 0
    (streets / LIST).unlink()  # as earlier versions left them
    before = contents(streets)
    code, _, err = run("predict", MODEL, streets, "--output", streets, "--force")
    assert code == 2
    assert "takes 5 files (first: " in err
    assert "a_labels.png is among the images and not listed" in err
    assert contents(streets) == before


def test_a_folder_of_results_alone_holds_no_list(streets, tmp_path, run):
    for _ in range(2):
        code, _, err = run("predict", MODEL, streets, "--output", tmp_path / "out", "--force")
        assert (code, err) == (0, "")
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_a_forged_list_puts_nothing_at_risk(streets, tmp_path, run):
    victim = picture(tmp_path / "victim.png", 5)
    own = picture(streets / "a_overlay.png", 3).read_bytes()
    names = ["../victim.png", str(victim), "a_overlay.png", "..", "", "b_labels.png"]
    lines = [json.dumps({"name": n, "bytes": len(own), "blake2b": "00" * 16}) for n in names]
    (streets / LIST).write_text("\n".join([*lines, "[" * 9999, '{"name": 3}', "\0\xff"]))
    before = contents(streets), victim.read_bytes()
    code, _, err = run("predict", MODEL, streets, "--output", streets, "--force")
    assert code == 2
    assert "a_overlay.png is among the images" in err
    assert (contents(streets), victim.read_bytes()) == before


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "a pipe, expected a list"),
        (lambda p: p.symlink_to(p.parent.parent / "victim"), "a link, expected a list"),
        (lambda p: p.mkdir(), "a folder, expected a list"),
    ],
)
def test_a_list_that_is_no_file_is_refused(streets, run, make, said):
    make(streets / LIST)
    code, out, err = run("predict", MODEL, streets, "--output", streets)
    assert (code, out) == (2, "")
    assert said in err
    assert not (streets.parent / "victim").exists()


def test_a_list_survives_cut_lines_other_writers_and_its_own_length(tmp_path, monkeypatch):
    first, second = WrittenFiles(tmp_path), WrittenFiles(tmp_path)
    for number, written in ((1, first), (2, second)):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"%d" % number)
        written.add(path.name, path)
    with (tmp_path / LIST).open("ab") as file:
        file.write(b'{"name":"3.png","byt')
    (tmp_path / "4.png").write_bytes(b"4")
    first.add("4.png", tmp_path / "4.png")
    found = WrittenFiles(tmp_path)
    assert [found.has(tmp_path / f"{n}.png") for n in (1, 2, 3, 4)] == [True, True, False, True]
    second.check(tmp_path / "4.png")  # which another one wrote meanwhile
    (tmp_path / "4.png").write_bytes(b"5")
    with pytest.raises(OutputError, match=r"4\.png is among the images"):
        second.check(tmp_path / "4.png")
    (tmp_path / "1.png").unlink()
    monkeypatch.setattr("fastscnn_tf.core.files.written_files.SHORTEN", 10)
    WrittenFiles(tmp_path)
    assert b"1.png" not in (tmp_path / LIST).read_bytes()
    assert WrittenFiles(tmp_path).has(tmp_path / "2.png")


@pytest.mark.process
def test_an_interrupted_call_leaves_no_result_unlisted(tmp_path, run):
    for i in range(200):
        picture(tmp_path / f"{i:03}.png", i)
    command = [
        sys.executable,
        "-m",
        "fastscnn_tf",
        "predict",
        MODEL,
        tmp_path,
        "--output",
        tmp_path,
    ]
    process = subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 600
    while not (tmp_path / "002_overlay.png").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (130, "fastscnn: interrupted\n")
    written = WrittenFiles(tmp_path)
    results = [p for p in tmp_path.iterdir() if p.stem.endswith(("_labels", "_overlay"))]
    assert 6 <= len(results) < 400
    assert all(map(written.has, results))
    assert not [p for p in tmp_path.iterdir() if ".part" in p.name]


def test_two_links_to_a_picture_are_two_pictures(streets, tmp_path, run):
    original = picture(tmp_path / "original.png", 1)
    for name in ("one.png", "two.png"):
        (streets / name).symlink_to(original)
    again = streets / "../streets/one.png"
    code, out, err = run("predict", MODEL, streets, again, "--output", tmp_path / "out")
    assert (code, out) == (0, f"{tmp_path / 'out'}: label map and overlay of 4 images\n")
    assert err == "fastscnn: 1 of 5 images are given twice by one path: each is taken once\n"
    one, two = (tmp_path / "out" / f"{name}_labels.png" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_two_pictures_of_one_name_are_refused(tmp_path, run):
    for name in ("a/x.png", "b/x.png"):
        (tmp_path / name).parent.mkdir()
        picture(tmp_path / name, 1)
    code, _, err = run("predict", MODEL, tmp_path / "a", tmp_path / "b", "--output", tmp_path / "o")
    assert (code, err.count("\n")) == (2, 1)
    assert err.endswith(
        f"x.png would both become {tmp_path / 'o' / 'x'}: give each an output of its own\n"
    )


@pytest.mark.parametrize("format", ["pictures", "index"])
def test_pictures_that_differ_in_their_suffix_alone(format, tmp_path, run):
    for name in ("x.jpg", "x.jfif", "y.jpg", "below/x.jpg"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True, parents=True)
        picture(tmp_path / "in" / name, 1)
    arguments = (MODEL, tmp_path / "in", "--recursive", "--output", tmp_path / "out")
    code, _, err = run("predict", *arguments, "--format", format)
    assert code == 0
    first = tmp_path / "in" / "x.jfif"
    said = f"2 images (first: {first}) differ in their suffix alone: it is in the results' names"
    assert err == f"fastscnn: {said}\n"
    found = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png")}
    labels = {name for name in found if name.endswith("_labels.png")}
    names = ("below/x", "x.jfif", "x.jpg", "y")
    assert labels == {f"{name}_labels.png" for name in names}
    assert len(found) == len(labels) * (1 + (format == "pictures"))


def test_loops_of_links_end(tmp_path, caplog):
    """Two links in each folder would give 2 ** 40 paths."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    picture(tmp_path / "a" / "b" / "x.png")
    for name in ("up", "upper"):
        (tmp_path / "a" / "b" / name).symlink_to(tmp_path)
    (tmp_path / "a" / "self.png").symlink_to("self.png")
    again = []
    assert len(list(walk(tmp_path, again.append))) == 3
    assert len(again) == 2
    found = find_images(tmp_path, recursive=True)
    assert [p.name for p in found] == ["x.png", "self.png"]
    assert "left out 2 links (first: " in caplog.text
    assert [f.name for f in open_source(f"{tmp_path}/**/x.png").frames(None)] == ["x"]
    with pytest.raises(DataError, match=r"self\.png: a loop of links"):
        list(open_source(f"{tmp_path}/**").frames(None))


def test_links_out_of_a_folder_are_left_out(tmp_path, caplog):
    for name in ("streets", "private", "streets of others"):
        (tmp_path / name).mkdir()
        picture(tmp_path / name / f"{name}.png")
    (tmp_path / "streets" / "more").symlink_to(tmp_path / "private")
    (tmp_path / "streets" / "others").symlink_to("../streets of others")
    (tmp_path / "streets" / "root").symlink_to("/")
    assert [p.name for p in find_images(tmp_path / "streets", True)] == ["streets.png"]
    assert "left out 3 links (first: " in caplog.text
    (tmp_path / "link").symlink_to("private")  # what the person names is followed
    assert [p.name for p in find_images(tmp_path / "link", True)] == ["private.png"]


def test_results_are_no_pictures_for_another_folder_either(streets, tmp_path, run):
    assert run("predict", MODEL, streets, "--output", streets)[0] == 0
    code, out, err = run("predict", MODEL, streets, "--output", tmp_path / "out")
    assert (code, out) == (0, f"{tmp_path / 'out'}: label map and overlay of 2 images\n")
    assert "left out 4 results (first: " in err


def test_a_picture_that_is_none_is_named(streets, tmp_path, run):
    os.mkfifo(streets / "c.png")
    code, _, err = run("predict", MODEL, streets, "--output", tmp_path / "out")
    assert code == 2
    assert "c.png: a pipe, expected a file of an image" in err
    for path, said in (("/dev/null", "a device, expected"), (streets / "none", "no such file")):
        code, _, err = run("predict", MODEL, path, "--output", tmp_path / "out")
        assert code == 2
        assert said in err


def test_names_whose_results_cannot_exist_get_one_line(tmp_path, run):
    picture(tmp_path / f"{'ä' * 120}.png")  # 244 bytes; its label map's name has 251
    long = picture(tmp_path / f"{'x' * 249}.png")
    code, _, err = run("predict", MODEL, long, "--output", tmp_path / "out")
    assert code == 2
    assert "a name of 260 bytes" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_list_names_pictures(streets, tmp_path, run):
    elsewhere = picture(tmp_path / "c.png", 3)
    listed, out = streets / "some.txt", tmp_path / "out"
    listed.write_text(f"a.png\tlabels/a.png\n\n{elsewhere}\n../c.png\n")
    code, said, err = run("predict", MODEL, listed, "--output", out)
    assert (code, said) == (0, f"{out}: label map and overlay of 2 images\n")
    assert "1 of 3 images are given twice" in err
    assert sorted(p.name for p in out.glob("*_labels.png")) == ["a_labels.png", "c_labels.png"]
    command = ("pseudo-label", MODEL, "--images", listed, "--confidence", 0.1)
    assert run(*command, "--output", tmp_path / "pseudo")[0] == 0
    listed.write_text("a.png\nnone.png\n")
    for call in (("predict", MODEL, listed), command):
        code, _, err = run(*call, "--output", tmp_path / "other")
        lost = streets / "none.png"
        said = f"{listed}: line 2: {lost}: no such file; --skip-bad goes on without it"
        assert (code, err) == (2, f"fastscnn: {said}\n")
    listed.write_text("\n")
    assert "there are no images in it" in run("predict", MODEL, listed, "--output", out)[2]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_list_names_and_is_missing_is_skipped_and_listed(streets, tmp_path, run, processes):
    listed = streets / "some.txt"
    names = [f"{number}.png" for number in range(5)]
    listed.write_text("\n".join(["a.png", *names]))
    lost = [str(streets / name) for name in names]
    predict = ("predict", MODEL, listed, streets / "gone.png", "--processes", processes)
    label = ("pseudo-label", MODEL, "--images", listed, "--confidence", 0.1)
    for call, all_lost in ((predict, [*lost, str(streets / "gone.png")]), (label, lost)):
        out = tmp_path / call[0]
        code, _, err = run(*call, "--output", out, "--skip-bad")
        several = f"{len(all_lost)} of {len(all_lost) + 1} images"
        first = "; ".join(f"{path}: no such file of an image" for path in lost[:3])
        noted = out / ".fastscnn-skipped.jsonl"
        said = f"fastscnn: skipped {several} (first: {first}), listed in {noted}\n"
        assert (code, err) == (0, said)
        lines = [json.loads(line) for line in noted.read_text().splitlines()]
        assert [line["picture"] for line in lines] == all_lost
        assert all(
            line["reason"] == f"{line['picture']}: no such file of an image" for line in lines
        )
        listed.write_text("a.png\n")
        picture(streets / "gone.png")
        assert run(*call, "--output", out, "--skip-bad", "--force")[0] == 0
        assert not noted.exists()
        (streets / "gone.png").unlink()
        listed.write_text("\n".join(["a.png", *names]))
    listed.write_text("\n".join(names))
    code, _, err = run(*label, "--output", tmp_path / "none", "--skip-bad")
    assert (code, "none of the 5 images can be read (first: " in err) == (2, True)


def test_an_address_in_a_list_is_one_line(streets, tmp_path, run):
    listed = streets / "some.txt"
    listed.write_text("a.png\nhttps://example.org/b.png\n")
    code, _, err = run("predict", MODEL, listed, "--output", tmp_path / "out", "--skip-bad")
    where = f"{listed}: line 2: https://example.org/b.png"
    said = f"fastscnn: {where}: lists name files: give addresses on the command line\n"
    assert (code, err) == (2, said)


def test_an_output_where_no_file_can_be_is_one_line(streets, run):
    code, _, err = run("predict", MODEL, streets, "--output", "/proc/x")
    assert (code, err) == (
        2,
        "fastscnn: cannot write into /proc: it takes no files, name another\n",
    )
