"""Addresses of fsspec as paths: copies of what is read, outputs that are uploaded.

The filesystem is fsspec's memory; HTTP and S3 are in `tests/remote`.
"""

import functools
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, DataError, FastSCNNError, InputError, OutputError
from fastscnn_tf.core.files import addresses, remote
from fastscnn_tf.core.files.reading import local, read_bytes
from fastscnn_tf.core.files.remote_outputs import uploaded
from fastscnn_tf.core.files.writing import check_output, write_bytes
from fastscnn_tf.evaluation.prediction import predict_files
from fastscnn_tf.runs.run_folder import open_run
from fastscnn_tf.train import callbacks

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tflite" / "fastscnn_camvid_int8.tflite"
pytestmark = pytest.mark.usefixtures("empty_remote_cache")


@pytest.fixture
def memory():
    """fsspec's filesystem in memory, empty."""
    store = fsspec.filesystem("memory")
    for held in (store.store, store.pseudo_dirs):
        held.clear()
    store.pseudo_dirs.append("")
    yield store
    store.store.clear()


def png(seed=0, size=(64, 96)):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def put_folder(store, folder, to):
    for path in folder.rglob("*"):
        if path.is_file():
            store.pipe(f"{to}/{path.relative_to(folder).as_posix()}", path.read_bytes())


@pytest.mark.parametrize("path", ["s3://bucket/a", "memory://a", "https://h/a?b", "hf://a/b@c"])
def test_an_address(path):
    assert addresses.is_url(path)


@pytest.mark.parametrize(
    "path",
    ["C:/a", "C://a", "a:b.png", "/a/b:c", "s3:/a", "://a", "s3://", Path("s3://a"), None, ""],
)
def test_no_address(path):
    assert not addresses.is_url(path)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/../../etc/passwd",
        "s3://bucket/./a//b/..",
        "s3://../a",
        "s3://bucket/a\\..\\b",
        "s3://bucket/%2E%2E/a%00",
        "s3://bucket/a\nb\x00c",
        "https://host:80/a/..?../../x",
        "s3://bucket//etc/passwd",
    ],
)
def test_no_name_leads_out_of_the_folder(url):
    place = addresses.place_of(url)
    assert place.is_relative_to(addresses.root() / "copies")
    assert ".." not in place.parts and place.as_posix().isprintable()
    assert Path(os.path.normpath(place)) == place
    assert addresses.address_of(place) == url
    assert addresses.is_place(place)


def test_passwords_and_nested_addresses_are_refused():
    for url in ("https://me:secret@host/a", "s3://me:secret@bucket/a"):
        with pytest.raises(InputError, match="a password in an address") as caught:
            addresses.place_of(url)
        assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="one inside another"):
        addresses.place_of("zip://a.png::https://host/b.zip")


def test_messages_show_addresses():
    place = addresses.place_of("s3://bucket/my set/a.png")
    assert addresses.shown(f"{place}: no such image") == "s3://bucket/my set/a.png: no such image"
    assert addresses.shown("/remote/a: no such image") == "/remote/a: no such image"
    place = addresses.place_of("file:///a/b.png")
    assert addresses.shown(f"{place}: label map") == "file:///a/b.png: label map"


def test_plain_paths_import_no_fsspec(tmp_path):
    code = (
        "import sys; from fastscnn_tf.core.files.reading import local, read_bytes\n"
        f"import fastscnn_tf as fs; fs.read_image({str(tmp_path / 'a.png')!r})\n"
        "assert 'fsspec' not in sys.modules"
    )
    (tmp_path / "a.png").write_bytes(png())
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_listed_is_fetched_when_it_is_read(memory):
    memory.pipe("/set/a.png", png())
    memory.pipe("/set/sub/b.png", png(1))
    place = local("memory://set")
    listed = place / "a.png", place / "sub" / "b.png"
    assert [path.stat().st_size for path in listed] == [len(png()), len(png(1))]
    assert not any(path.stat().st_mode & 0o777 for path in listed)
    before = listed[1].stat().st_mtime_ns
    assert read_bytes(listed[1]) == png(1)
    assert (listed[1].stat().st_mtime_ns, listed[0].stat().st_mode & 0o777) == (before, 0)
    assert fs.read_image("memory://set/sub/b.png").shape == (64, 96, 3)


def test_a_new_version_takes_the_place_of_the_copy(memory):
    memory.pipe("/a", b"one")
    assert read_bytes("memory://a") == b"one"
    memory.pipe("/a", b"two")
    assert read_bytes("memory://a") == b"one"  # it is not asked for within a minute
    remote.forget_answers()
    assert read_bytes("memory://a") == b"two"
    memory.rm("/a")
    remote.forget_answers()
    with pytest.raises(InputError, match="memory://a: nothing lies at this address"):
        read_bytes("memory://a")


def test_a_version_that_came_after_the_listing_is_taken_whole(memory):
    memory.pipe("/set/a", b"one")
    place = local("memory://set")
    for content in (b"a longer one", b"1"):
        memory.pipe("/set/a", content)
        assert read_bytes(place / "a") == content
        memory.pipe("/set/a", b"one")
        remote.forget_answers()
        local("memory://set")


def test_what_is_gone_from_a_folder_is_gone_from_the_copies(memory):
    for name in ("a", "b", "sub/c"):
        memory.pipe(f"/set/{name}", b"1")
    place = local("memory://set")
    memory.rm("/set/b")
    memory.rm("/set/sub", recursive=True)
    remote.forget_answers()
    local("memory://set")
    assert [path.name for path in place.iterdir()] == ["a"]


def test_odd_names_are_left_out_and_counted(memory, capfd):
    for name in ("a.png", "x" * 300, "..", "b\\..\\c", "d\x01"):
        memory.store[f"/set/{name}"] = memory.store.get("/set/a.png") or _object(memory)
    place = local("memory://set")
    assert sorted(p.name for p in place.iterdir()) == ["%2E%2E", "a.png", "b%5C..%5Cc", "d%01"]
    assert read_bytes(place / "%2E%2E") == b"content"
    assert "left out 1 objects that cannot be files" in capfd.readouterr().err


def _object(memory):
    memory.pipe("/other/a", b"content")
    return memory.store["/other/a"]


def test_copies_are_bounded(memory, monkeypatch, capfd):
    monkeypatch.setenv("FASTSCNN_REMOTE_CACHE", "0.00001")  # 10,000 bytes
    for number in range(20):
        memory.pipe(f"/set/{number:02}", bytes([number]) * 1000)
    place = local("memory://set")
    for number in range(20):
        assert read_bytes(place / f"{number:02}") == bytes([number]) * 1000
        kept = [path for path in place.iterdir() if path.stat().st_mode & 0o200]
        assert sum(path.stat().st_size for path in kept) <= 10_000
        assert place / f"{number:02}" in kept
    assert place / "00" not in kept and len(list(place.iterdir())) == 20
    assert "do not fit: raise FASTSCNN_REMOTE_CACHE" in capfd.readouterr().err
    memory.pipe("/large", bytes(10_001))
    with pytest.raises(InputError, match="10,001 bytes, copies may take 10,000: raise"):
        read_bytes("memory://large")
    monkeypatch.setenv("FASTSCNN_REMOTE_CACHE", "much")
    with pytest.raises(InputError, match="must be gigabytes"):
        read_bytes(place / "00")


def test_the_bound_of_a_kind_of_file_holds_before_it_is_fetched(memory, monkeypatch):
    memory.pipe("/a", bytes(100))
    monkeypatch.setattr(type(memory), "get_file", None)  # nothing may come
    with pytest.raises(DataError, match="100 bytes, but a list may have at most 99"):
        read_bytes("memory://a", "list", largest=99, error=DataError)


def faulty(monkeypatch, memory, method, faults):
    """Makes a method of the filesystem raise these, one in each call, before it works."""
    whole = getattr(type(memory), method)

    def call(self, *args, **named):
        if faults:
            raise faults.pop(0)
        return whole(self, *args, **named)

    monkeypatch.setattr(type(memory), method, call)
    return faults


def test_what_fails_once_is_tried_again(memory, monkeypatch):
    memory.pipe("/a", b"content")
    faulty(monkeypatch, memory, "info", [ConnectionResetError("reset"), TimeoutError()])
    faulty(monkeypatch, memory, "get_file", [OSError("broken")])
    assert read_bytes("memory://a") == b"content"


def test_what_fails_too_often_is_one_line(memory, monkeypatch, tmp_path):
    memory.pipe("/a", b"content")
    faulty(monkeypatch, memory, "get_file", [OSError("broken\npipe")] * 3)
    with pytest.raises(FastSCNNError) as caught:
        read_bytes("memory://a")
    assert str(caught.value) == (
        "memory://a: failed 3 times (OSError: broken pipe): try again later"
    )
    assert not list((tmp_path / "cache").rglob("*.part*"))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (FileNotFoundError("a"), "nothing lies at this address"),
        (PermissionError("Forbidden"), "refused .PermissionError: Forbidden.: give the cred"),
        (
            ImportError("Install s3fs to access S3"),
            "its package is not installed .ImportError: Install s3fs",
        ),
        (OSError(28, "No space left on device"), "no room for its copy"),
        (ValueError("bad name"), "cannot be used .ValueError: bad name."),
    ],
)
def test_what_no_other_try_mends_is_said_at_once(memory, monkeypatch, fault, said):
    memory.pipe("/a", b"content")
    faulty(monkeypatch, memory, "get_file", [fault])
    with pytest.raises(DataError, match=said):
        read_bytes("memory://a", error=DataError)


def test_an_unknown_kind_of_address():
    said = r"^nowhere://a.*: no such kind of address: file.* can be opened here, .* for "
    with pytest.raises(InputError, match=said):
        read_bytes("nowhere://a/b")
    with pytest.raises(InputError, match=r"expected file:///PATH, .* got the host 'host'$"):
        read_bytes("file://host/a")


def test_what_a_command_leaves_in_its_memory_is_refused(tmp_path):
    """In a process of its own; where Python calls it, what is there can be read afterwards."""
    command = [sys.executable, "-m", "fastscnn_tf", "predict", MODEL, MODEL, "--output"]
    end = subprocess.run(
        list(map(str, [*command, "memory://a/out"])), capture_output=True, text=True, cwd=tmp_path
    )
    assert end.returncode == 2
    assert "memory://a/out would be gone with this process" in end.stderr
    assert end.stderr.count("\n") == 1


def test_threads_fetch_a_file_once(memory, monkeypatch):
    memory.pipe("/set/a", b"content")
    place, count, whole = local("memory://set"), [], type(memory).get_file
    monkeypatch.setattr(
        type(memory), "get_file", lambda *args, **named: (count.append(1), whole(*args, **named))
    )
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(read_bytes(place / "a"))) for _ in range(8)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert found == [b"content"] * 8 and len(count) == 1


class Many(fsspec.AbstractFileSystem):
    """A filesystem of 100 folders with many objects, one folder of them in memory at a time."""

    protocol, objects = "many", int(os.environ.get("FASTSCNN_OBJECTS", "2_000"))

    def info(self, path, **named):
        return {"name": path, "size": 0, "type": "directory"}

    def ls(self, path, detail=True, **named):
        if "/" not in path:
            return [self.info(f"{path}/{number:03}") for number in range(100)]
        names = (f"{path}/{number:06}.png" for number in range(self.objects // 100))
        return [{"name": name, "size": 1 << 20, "type": "file", "ETag": name} for name in names]


def peak_of(call):
    """Bytes that a call needs at most at a time, and what it gives."""
    tracemalloc.start()
    result = call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, result


def test_a_long_listing_streams():
    """`make remote` runs it with 100,000 objects."""
    fsspec.register_implementation("many", Many, clobber=True)
    local("many://other")  # Python's table of file names grows once
    whole, found = peak_of(lambda: Many().find("set", detail=True))
    streamed, place = peak_of(lambda: local("many://set"))
    assert len(found) == sum(1 for _ in place.glob("*/*.png")) == Many.objects
    print(f"{Many.objects:,} objects: {streamed / 1e6:.1f} MB, {whole / 1e6:.1f} MB by find")
    assert streamed < whole / 4
    first = next(place.glob("*/*.png")).stat()
    assert (first.st_size, first.st_blocks) == (1 << 20, 0)
    shutil.rmtree(addresses.root())


def test_a_model_and_pictures(memory, tmp_path, run):
    memory.pipe("/models/m.tflite", MODEL.read_bytes())
    for number in range(2):
        memory.pipe(f"/images/{number}.png", png(number))
    out = tmp_path / "out"
    code, said, _ = run("predict", "memory://models/m.tflite", "memory://images", "--output", out)
    assert (code, said) == (0, f"{out}: label map and overlay of 2 images\n")
    for number in range(2):
        expected = fs.Segmenter(MODEL).predict(Image.open(io.BytesIO(png(number))))
        found = np.asarray(Image.open(out / f"{number}_labels.png"))
        assert np.array_equal(found, expected)
    code, _, said = run("inspect", "memory://models/none.tflite")
    assert (code, said) == (
        2,
        "fastscnn: memory://models/none.tflite: nothing lies at this address\n",
    )


def test_a_data_set_and_its_description(memory, own_data, tmp_path, monkeypatch):
    put_folder(memory, own_data, "/set")
    names = {"Road": "road", "Building": "building", "Tree": "tree", "Sky": "sky", "Car": "car"}
    names |= {"Pavement": "pavement", "Pole": "pole", "Pedestrian": "person", "SignSymbol": "sign"}
    lines = [f"{one}: {other}\n" for one, other in names.items()]
    memory.pipe("/map.yaml", "".join([*lines, "Fence:\nBicyclist:\n"]).encode())
    scored = {
        where: fs.evaluate(MODEL, "folder", where, class_map="memory://map.yaml").to_dict()
        for where in (str(own_data), "memory://set", "memory://set/dataset.yaml")
    }
    first, *others = scored.values()
    assert all(each["miou"] == first["miou"] for each in others)
    journal = tmp_path / "done.jsonl"
    again = functools.partial(fs.evaluate, MODEL, "folder", "memory://set", resume=journal)
    assert again(class_map="memory://map.yaml").miou == first["miou"]
    monkeypatch.chdir(tmp_path)  # where an address stays what it is
    assert again(class_map="memory://map.yaml").miou == first["miou"]
    settings = json.loads(journal.read_text().splitlines()[0])["settings"]
    assert settings["data_dir"] == "memory://set"
    memory.pipe("/map.yaml", "".join([*lines, "Fence: road\nBicyclist:\n"]).encode())
    remote.forget_answers()
    with pytest.raises(ConfigError, match=r"cannot resume .* with class_map "):
        again(class_map="memory://map.yaml")
    memory.pipe("/set/dataset.yaml", b"splits: {val: {images: ../../etc, labels: s3://x/y}}")
    remote.forget_answers()
    with pytest.raises(DataError):
        fs.open_dataset("folder", "memory://set", "val")


def test_a_picture_that_is_gone_is_skipped_and_listed(memory, tmp_path, run):
    memory.pipe("/images/1.png", png())
    memory.pipe("/images/2.png", png(1))
    pictures, out = ("memory://images/1.png", "memory://images/2.png"), tmp_path / "out"
    assert (
        run("predict", MODEL, *pictures, "--output", tmp_path / "both")[0] == 0
    )  # copies lie here
    memory.rm("/images/2.png")
    remote.forget_answers()
    code, _, err = run("predict", MODEL, *pictures, "--output", out)
    why, gone = "no such file of an image", "memory://images/2.png"
    assert (code, err) == (2, f"fastscnn: {gone}: nothing lies at this address\n")
    code, _, err = run("predict", MODEL, *pictures, "--output", out, "--skip-bad")
    assert (code, f"skipped 1 of 2 images (first: {gone}: {why})" in err) == (0, True)
    line = json.loads((out / ".fastscnn-skipped.jsonl").read_text())
    assert line == {"picture": gone, "reason": f"{gone}: {why}"}
    memory.pipe("/images/list.txt", b"1.png\n")
    code, _, err = run("predict", MODEL, "memory://images/list.txt", "--output", out)
    said = "lists name files of this machine: copy the list and its images"
    assert (code, err) == (2, f"fastscnn: memory://images/list.txt: {said}\n")


def test_records(memory, tmp_path, run):
    arguments = ("--dataset", "toy", "--split", "val", "--size", "64x96", "--shards", "2")
    assert run("data", "pack", *arguments, "--output", tmp_path / "packed")[0] == 0
    assert run("data", "pack", *arguments, "--output", "memory://b/packed")[0] == 0
    here = fs.open_dataset("records", tmp_path / "packed", "val")
    there = fs.open_dataset("records", "memory://b/packed", "val")
    assert len(here) == len(there)
    for index in (0, len(here) - 1):
        for one, other in zip(here.read(index), there.read(index), strict=True):
            assert np.array_equal(one, other)


def test_outputs_are_uploaded_whole_and_not_replaced(memory, tmp_path, run):
    memory.pipe("/images/a.png", png())
    arguments = ("predict", MODEL, "memory://images", "--output", "memory://b/out")
    code, said, _ = run(*arguments)
    assert (code, said) == (0, "memory://b/out: label map and overlay of 1 image\n")
    found = {name: memory.cat(name) for name in memory.find("/b")}
    assert sorted(found) == ["/b/out/a_labels.png", "/b/out/a_overlay.png"]
    code, _, said = run(*arguments)
    assert code == 2 and "memory://b/out/a_labels.png exists: choose another output" in said
    assert run(*arguments, "--format", "index", "--force")[0] == 0
    assert memory.cat("/b/out/a_labels.png") != found["/b/out/a_labels.png"]
    assert memory.cat("/b/out/a_overlay.png") == found["/b/out/a_overlay.png"]
    assert not list((tmp_path / "cache" / "remote").glob("output-*"))


def test_results_among_remote_pictures_are_told_by_their_list(memory, run):
    memory.pipe("/images/a.png", png())
    arguments = ("predict", MODEL, "memory://images", "--output", "memory://images")
    assert run(*arguments)[0] == 0
    assert "/images/.fastscnn-predict.jsonl" in memory.find("/images")
    remote.forget_answers()
    code, said, err = run(*arguments, "--force")
    assert code == 0 and "of 1 image\n" in said
    assert "left out 2 results (first: memory://images/a_labels.png)" in err


def test_one_file_and_those_beside_it(memory):
    memory.pipe("/b/m.tflite", b"old")
    memory.pipe("/b/other", b"other")
    with fs.staged("memory://b/m.tflite") as path:
        with pytest.raises(OutputError, match="exists"):
            check_output(path)
        assert not (path.parent / "other").exists()
        write_bytes(check_output(path, force=True), b"new")
        write_bytes(path.with_name("m.tflite.settings.json"), b"{}")
    assert {name: memory.cat(name) for name in memory.find("/b")} == {
        "/b/m.tflite": b"new",
        "/b/m.tflite.settings.json": b"{}",
        "/b/other": b"other",
    }


def test_what_was_written_before_a_failure_is_kept_and_what_was_removed_goes(memory):
    for name in ("a", "b"):
        memory.pipe(f"/run/{name}", b"old")
    with pytest.raises(KeyboardInterrupt), fs.staged("memory://run") as path:
        write_bytes(path / "c", b"new")
        (path / "b").unlink()
        raise KeyboardInterrupt
    assert sorted(memory.find("/run")) == ["/run/a", "/run/c"]
    assert memory.cat("/run/a") == b"old"


def test_what_cannot_be_uploaded_stays_here(memory, monkeypatch, run):
    faulty(monkeypatch, memory, "put_file", [OSError("broken")] * 99)
    memory.pipe("/images/a.png", png())
    code, _, err = run("predict", MODEL, "memory://images", "--output", "memory://b/out")
    assert code == 1 and "memory://b/out/a_labels.png: failed 3 times (OSError: broken)" in err
    kept = Path(err.split("stays in ")[1].split(",")[0])
    assert sorted(p.name for p in kept.rglob("*.png")) == ["a_labels.png", "a_overlay.png"]
    assert not memory.exists("/b/out/a_labels.png")


def test_a_store_that_shows_what_is_half_written_gets_it_by_a_rename(tmp_path):
    path = tmp_path / "store" / "m.tflite"
    with fs.staged(f"file://{path}") as place:
        write_bytes(place, b"content")
        assert not list(path.parent.iterdir())
    assert [each.name for each in path.parent.iterdir()] == ["m.tflite"]
    assert read_bytes(f"file://{path}") == path.read_bytes() == b"content"


def test_what_came_meanwhile_is_not_replaced(memory):
    came = pytest.raises(OutputError, match="memory://b/a came meanwhile")
    with came, fs.staged("memory://b/a") as path:
        write_bytes(path, b"mine")
        memory.pipe("/b/a", b"theirs")
    assert memory.cat("/b/a") == b"theirs"


def test_a_run_goes_on_where_an_epoch_cannot_be_uploaded(memory, monkeypatch, capfd):
    with fs.staged("memory://b/run") as folder:
        write_bytes(folder / "last.keras", b"1")
        faults = faulty(monkeypatch, memory, "put_file", [OSError("broken")] * 3)
        uploaded(folder)
        assert "failed 3 times" in capfd.readouterr().err and not faults
        uploaded(folder)
        assert memory.cat("/b/run/last.keras") == b"1"
    uploaded(folder)  # of no stage any more


def test_an_address_where_only_a_path_will_do(memory, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="only --output takes an address; in Python: with"):
        predict_files(MODEL, [MODEL], "s3://bucket/out")
    with pytest.raises(OutputError, match="only --output takes an address; in Python: with"):
        open_run("s3://bucket/run", {}, "last.keras")
    code, _, err = run("inspect", MODEL, "--json", "s3://bucket/a.json")
    assert code == 2 and "only --output takes an address" in err
    code, _, err = run("predict", MODEL, MODEL, "--output", "https://host/a")
    assert code == 2 and "https://host/a: cannot be written to" in err
    workers = ("train", "--dataset", "toy", "--size", "64x96", "--strategy", "multi-worker")
    code, _, err = run(*workers, "--output", "memory://b/run")
    assert code == 2 and "memory://b/run: several workers need a folder that all of them" in err
    assert not list(tmp_path.glob("*:*"))


@pytest.mark.train
def test_a_run_is_uploaded_after_every_epoch_and_goes_on(
    memory, small_weights, shared_data, run, monkeypatch
):
    memory.pipe("/start.keras", small_weights.read_bytes())
    start = ("--init-from", "memory://start.keras", "--no-aux", "--size", "64x96")
    data = ("--dataset", "folder", "--data-dir", shared_data, "--batch-size", 2, "--epochs", 2)
    arguments = ("train", *data, *start, "--output", "memory://b/run")
    upload = callbacks.uploaded

    def interrupted(folder):
        upload(folder)
        if b'"epochs_done": 1' in memory.cat("/b/run/state.json"):
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks, "uploaded", interrupted)
    code, _, err = run(*arguments)
    assert code == 130 and "finished epochs are kept" in err, err
    monkeypatch.setattr(callbacks, "uploaded", upload)
    first = memory.cat("/b/run/last.keras")
    code, _, err = run(*arguments)
    assert code == 2 and "memory://b/run is not empty" in err
    code, said, _ = run(*arguments, "--resume")
    assert code == 0 and "memory://b/run/best.keras: val mIoU " in said
    assert b'"epochs_done": 2' in memory.cat("/b/run/state.json")
    assert memory.cat("/b/run/last.keras") != first
    assert fs.load_model("memory://b/run").config.num_classes == 9
