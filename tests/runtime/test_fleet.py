"""Work that is shared: scores equal to the last bit, calls that go on, what cannot be shared.

`tests/fleet` has the same by Ray's actors.
"""

import functools
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.cli import shared_options
from fastscnn_tf.core.errors import ConfigError, DataError, OutputError
from fastscnn_tf.core.files.journal import DONE, Journal
from fastscnn_tf.core.labels import CAMVID, CITYSCAPES
from fastscnn_tf.data.datasets.dataset import SegmentationDataset
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.evaluation.evaluate import evaluate
from fastscnn_tf.evaluation.given_images import SKIPPED
from fastscnn_tf.evaluation.prediction import predict_files
from fastscnn_tf.evaluation.pseudo_labels import pseudo_label
from fastscnn_tf.runtime.fleet import Fleet
from fastscnn_tf.scoring.protocol import evaluate_predictor
from fastscnn_tf.scoring.views import WholeImage

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tflite" / "fastscnn_camvid_int8.tflite"
SIZE = (24, 40)


class Drawn(SegmentationDataset):
    """Blocks of classes and their instances; the image says some of them wrongly."""

    name, split, labels = "drawn", "val", CITYSCAPES

    def __len__(self):
        return 9

    def sample_name(self, index):
        return f"drawn_{index}"

    def _blocks(self, seed):
        blocks = np.random.default_rng(seed).integers(0, 19, (6, 10), dtype=np.uint8)
        return blocks.repeat(4, axis=0).repeat(4, axis=1)

    def read_label(self, index):
        return self._blocks(index)

    def read_image(self, index):
        said = np.where(self._blocks(index + 100) < 9, self._blocks(index), self._blocks(index + 7))
        return np.repeat(said[..., None], 3, axis=2)

    def read_instances(self, index):
        raw = np.array(CITYSCAPES.raw_values)[self._blocks(index)]
        return np.where(raw >= 24, raw * 1000 + self._blocks(index + 50), raw).astype(np.int32)


class Holed(Drawn):
    def read_image(self, index):
        if index in (4, 7):
            raise DataError(f"drawn_{index}: a hole")
        return super().read_image(index)


class Reader:
    """Says the class that is in the red channel."""

    input_size, labels, num_classes = SIZE, CITYSCAPES, 19

    def run(self, image):
        return np.float32(image[..., :1] == np.arange(19)) * 8


def reader():
    return WholeImage(Reader())


def scores(fleet, journal=None, progress=iter):
    """Everything that is scored of the drawn pairs; not the time that it took."""
    both = {"boundary": True, "instances": True, "fleet": fleet, "reopen": reader}
    result = evaluate_predictor(Reader(), Drawn(), progress, journal=journal, **both).to_dict()
    del result["latency_ms"]
    return json.dumps(result)


def picture(path, seed=0):
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(blocks.repeat(30, axis=0).repeat(30, axis=1)).save(path)
    return path


def pictures(folder, count):
    folder.mkdir()
    return [picture(folder / f"{i:03}.png", i) for i in range(count)]


def content(folder):
    """What lies in a folder of results, but for the journal."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != DONE}


def test_scores_of_processes_are_those_of_one_to_the_last_bit():
    alone = scores(None)
    assert 0 < json.loads(alone)["iiou"]["mean"] < 1
    assert scores(Fleet(3)) == alone


def test_a_bad_pair_is_named_or_counted():
    shared = functools.partial(evaluate_predictor, Reader(), Holed(), fleet=Fleet(2), reopen=reader)
    with pytest.raises(DataError, match="drawn_4: a hole"):
        shared()
    assert shared(skip_bad=True).skipped == 2


def test_the_command_evaluates_in_processes(run, tmp_path):
    names = tmp_path / "names.yaml"
    names.write_text("SignSymbol: sign\nPedestrian: person\nFence:\nBicyclist:\n")
    arguments = ("evaluate", MODEL, "--dataset", "toy", "--class-map", names)
    results = []
    for processes in (1, 2):
        out = tmp_path / f"{processes}.json"
        code, _, err = run(*arguments, "--processes", processes, "--json", out)
        assert code == 0, err
        results.append(json.loads(out.read_text()))
        assert results[-1].pop("latency_ms")["median"] > 0
    assert results[0] == results[1]


def stopped_at(number):
    """A progress bar that is interrupted."""

    def shown(items):
        for item in items:
            if item == number:
                raise KeyboardInterrupt
            yield item

    return shown


def noted(path):
    """The lines of a journal, but for its settings."""
    return [json.loads(line)["done"] for line in path.read_text().splitlines()[1:]]


@pytest.mark.parametrize("fleet", [None, Fleet(2)], ids=["one", "two"])
def test_scoring_goes_on_where_it_was_cut_off_to_the_last_bit(tmp_path, fleet):
    path = tmp_path / "done.jsonl"
    whole = scores(None)
    with pytest.raises(KeyboardInterrupt):
        scores(None, Journal(path, {}), stopped_at(5))
    before = noted(path)
    assert [int(name.split()[0]) for name in before] == [0, 1, 2, 3, 4]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], *lines[3:], '{"done": "5']))  # 1 is gone, 5 cut short
    seen = []
    again = scores(fleet, Journal(path, {}), lambda items: (seen.append(i) or i for i in items))
    assert (seen, again == whole) == ([1, 5, 6, 7, 8], True)
    assert len(noted(path)) == 9
    assert scores(fleet, Journal(path, {})) == whole  # nothing is left to do


def test_what_was_noted_of_scores_is_checked(tmp_path):
    path = tmp_path / "done.jsonl"
    scores(None, Journal(path, {}))
    written = path.read_text()
    for was, damaged, said in (
        ('"cells": [0', '"cells": [9999', "damaged at 0 .*: remove it"),
        ('"cells": [0', '"cells": [0, 0', "damaged at 0 .*: remove it"),
        ('"cells": [0', '"cells": ["0"', r"0 \w+: cells\[0\]: expected int, got str"),
        ('"boundary": [[', '"boundary": [[[0.5],', "damaged at 0 .*: remove it"),
    ):
        assert was in written
        path.write_text(written.replace(was, damaged, 1))
        with pytest.raises(OutputError, match=said):
            scores(None, Journal(path, {}))


@pytest.fixture(name="four")
def four_pairs(tmp_path):
    """A `folder` data set of four drawn pairs with the classes of the model."""
    pairs = tmp_path / "data" / "images", tmp_path / "data" / "labels"
    for folder in pairs:
        folder.mkdir(parents=True)
    for number in range(4):
        picture(pairs[0] / f"{number}.png", number)
        label = np.random.default_rng(number).integers(0, 11, (6, 8), dtype=np.uint8)
        Image.fromarray(label.repeat(30, axis=0).repeat(30, axis=1)).save(
            pairs[1] / f"{number}.png"
        )
    names = ", ".join(
        f"{{name: {name}, color: [1, 2, {i}]}}" for i, name in enumerate(CAMVID.names)
    )
    text = f"name: four\nclasses: [{names}]\nsplits: {{val: {{images: images, labels: labels}}}}\n"
    (tmp_path / "data" / "dataset.yaml").write_text(text)
    return tmp_path / "data"


def test_the_command_goes_on_scoring(four, tmp_path, run, monkeypatch):
    out, done = tmp_path / "scores.json", tmp_path / "scores.json.done.jsonl"
    data = ("evaluate", MODEL, "--dataset", "folder", "--data-dir", four, "--boundary")
    command = (*data, "--json", out, "--resume")

    def result():
        found = json.loads(out.read_text())
        assert found.pop("latency_ms")["median"] > 0
        out.unlink()
        return found

    assert run(*data, "--json", out)[0] == 0
    whole = result()
    monkeypatch.setattr(shared_options, "progress", lambda label: stopped_at(2))
    assert run(*command)[0] == 130
    monkeypatch.undo()
    assert (len(noted(done)), out.exists()) == (2, False)
    code, _, err = run(*command[:-1])
    on = f"fastscnn: {done} exists: --resume (resume=True in Python) goes on with what is there"
    assert (code, err.startswith(on)) == (2, True)
    code, _, err = run(*command, "--flip")
    assert (code, err.count("\n")) == (2, 1)
    assert f"cannot resume {done} with --flip True: it began with False; give that, or" in err
    os.utime(four / "images" / "0.png", ns=(1, 1))  # as if it had changed
    code, _, err = run(*command, "--processes", 2)
    assert (code, err) == (0, "fastscnn: 1 of 4 pairs are scored already\n")
    code, _, err = run(*command)  # once more, when all is done
    assert (code, err) == (0, "fastscnn: 4 of 4 pairs are scored already\n")
    assert "cannot resume" in run(*command, "--flip")[2]
    assert (result(), done.exists()) == (whole, True)
    done.unlink()
    monkeypatch.setattr(shared_options, "progress", lambda label: stopped_at(2))
    assert run(*command)[0] == 130
    monkeypatch.undo()
    assert run(*command[:-1], "--force")[0] == 0
    assert (result(), done.exists()) == (whole, False)
    for end in ((), ("--json", "-")):
        code, _, err = run(*data, "--resume", *end)
        assert (code, "--resume needs --json FILE" in err) == (2, True)
    for call in (
        functools.partial(evaluate, MODEL, Drawn(), resume=done),
        functools.partial(evaluate, Reader(), "toy", resume=done),
    ):
        with pytest.raises(ConfigError, match="resume needs the path of a model and the name"):
            call()
    for wrong in (True, ""):
        with pytest.raises(
            ConfigError, match=f"resume: expected the path of a file, got {wrong!r}"
        ):
            evaluate(MODEL, "toy", resume=wrong)
    assert not done.exists()


def test_a_work_has_one_call_at_a_time(four, tmp_path):
    """Whichever thread or process it is in, as long as it lives."""
    images, done = four / "images", tmp_path / "new" / "done.jsonl"
    outputs = {
        done: lambda **more: evaluate(MODEL, "folder", four, resume=done, **more),
        tmp_path / "out" / DONE: lambda **more: predict_files(
            MODEL, [images], tmp_path / "out", resume=True, **more
        ),
        tmp_path / "pseudo" / "pseudo.counts.jsonl": lambda **more: pseudo_label(
            MODEL, images, tmp_path / "pseudo", 0.3, resume=True, **more
        ),
    }
    for journal, call in outputs.items():
        refusals = []

        def again(items, call=call, journal=journal, refusals=refusals):
            for item in items:
                with pytest.raises(OutputError, match=f"^{journal}: another call is at work"):
                    call()
                refusals.append(item)
                yield item

        call(progress=again)
        assert len(refusals) == 4
        call()
        assert not [path for path in journal.parent.iterdir() if path.suffix == ".lock"]
    with pytest.raises(DataError):
        evaluate(MODEL, "folder", tmp_path / "none", resume=tmp_path / "no" / "folder" / "x")
    assert not (tmp_path / "no").exists()


@pytest.mark.process
def test_a_killed_call_holds_nobody_up(tmp_path, run):
    given, out = pictures(tmp_path / "in", 200), tmp_path / "out"
    command = ("predict", MODEL, tmp_path / "in", "--output", out, "--resume")
    words = [sys.executable, "-m", "fastscnn_tf", *map(str, command), "--processes", "2"]
    with subprocess.Popen(words) as process:
        end = time.monotonic() + 600
        journal = out / DONE  # an image is noted after those before it, its files lie there sooner
        while not (journal.exists() and b'"done":' in journal.read_bytes()):
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)  # it cannot end before the other call comes
        code, _, err = run(*command)
        said = f"fastscnn: {out / DONE}: another call is at work with it: let that"
        assert (code, err.startswith(said), err.count("\n")) == (2, True, 1)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert (out / ".fastscnn-done.jsonl.lock").exists()
    code, _, err = run(*command)
    assert (code, "of 200 images are done already" in err) == (0, True)
    assert len(content(out)) == 2 * len(given)


def test_a_folder_that_was_moved_is_gone_on_with(tmp_path):
    given, out = pictures(tmp_path / "in", 3), tmp_path / "out"
    predict_files(MODEL, given, out, resume=True)
    assert str(out) not in (out / DONE).read_text()
    moved = out.rename(tmp_path / "moved")
    (moved / "001_labels.png").unlink()
    before = content(moved)
    predict_files(MODEL, given, moved, resume=True)
    assert len(content(moved)) == len(before) + 1
    old = (moved / DONE).read_text().replace('"begun":"', f'"begun":"{moved}/')
    (moved / DONE).write_text(old)  # as it was noted once
    (moved / "002_labels.png").unlink()
    predict_files(MODEL, given, moved, resume=True)
    assert len(content(moved)) == len(before) + 1


def test_settings_beside_the_model_are_noted(tmp_path, run):
    """They choose the kernels, and kernels round differently."""
    shutil.copy(MODEL, model := tmp_path / "m.tflite")
    given, out = pictures(tmp_path / "in", 2), tmp_path / "out"
    predict_files(model, given, out, resume=True)
    assert run("settings", model, "--set", "cpu.num_threads=1")[0] == 0
    predict_files(model, given, out, resume=True)
    assert run("settings", model, "--set", "cpu.kernel_mode=builtin", "--force")[0] == 0
    with pytest.raises(ConfigError, match=r"with cpu\.kernel_mode builtin: it began without"):
        predict_files(model, given, out, resume=True)


def test_an_option_that_is_left_out_is_not_noted(tmp_path, run):
    """A file of this package says itself how it is read."""
    command = ("predict", MODEL, *pictures(tmp_path / "in", 1), "--output", tmp_path / "o")
    assert run(*command, "--resume", "--threshold", 0.3)[0] == 0
    code, _, err = run(*command, "--resume")
    assert (code, "1 of 1 images are done already" in err) == (0, True)
    assert "threshold" not in (tmp_path / "o" / DONE).read_text()


def test_a_call_goes_on_where_one_was_cut_off(tmp_path):
    given = pictures(tmp_path / "in", 5)
    predict_files(MODEL, given, tmp_path / "whole")

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        predict_files(MODEL, given, out, resume=True, progress=stopped_at(3))
    (out / "003_labels.png").write_bytes(b"written, and not yet noted")
    with (out / DONE).open("a") as journal:
        journal.write('{"done": "/so')  # as a crash leaves it
    before = {name: (out / name).stat().st_mtime_ns for name in content(out) if name < "003"}
    (out / "001_overlay.png").unlink()  # somebody removed a result
    seen = []
    predict_files(
        MODEL, given, out, resume=True, progress=lambda items: (seen.append(i) or i for i in items)
    )
    assert seen == [1, 3, 4]
    assert content(out) == content(tmp_path / "whole")
    assert (out / "000_labels.png").stat().st_mtime_ns == before["000_labels.png"]
    with pytest.raises(ConfigError, match=r"with opacity 0\.2: it began with 0\.5"):
        predict_files(MODEL, given, out, resume=True, opacity=0.2)
    with pytest.raises(OutputError, match="exists"):
        predict_files(MODEL, given, out)


def test_pictures_that_come_later_join_and_foreign_files_stay(tmp_path, run):
    given = pictures(tmp_path / "in", 2)
    command = ("predict", MODEL, tmp_path / "in", "--output", tmp_path / "out", "--resume")
    assert run(*command)[0] == 0
    picture(tmp_path / "in" / "002.png", 2)
    assert "2 of 3 images are done already" in run(*command)[2]
    picture(tmp_path / "in" / "003.png", 3)
    (tmp_path / "out" / "003_overlay.png").write_bytes(b"somebody's")
    code, _, err = run(*command)
    assert (code, "003_overlay.png exists" in err) == (2, True)
    assert (tmp_path / "out" / "003_overlay.png").read_bytes() == b"somebody's"
    lines = (tmp_path / "out" / DONE).read_text().splitlines()
    (tmp_path / "out" / DONE).write_text("\n".join([*lines[:2], "{", *lines[2:]]))
    code, _, err = run(*command)
    assert (code, "damaged at line 3" in err) == (2, True)
    assert len(given) == 2


def test_what_is_there_is_refused_and_both_ways_on_are_named(tmp_path):
    given = pictures(tmp_path / "in", 1)
    on = r"--resume \(resume=True in Python\) goes on with what is there, --force .* replaces it"
    for name, resume, said in (("a", True, on), ("b", False, "has --resume from the start can be")):
        predict_files(MODEL, given, tmp_path / name, resume=resume)
        with pytest.raises(OutputError, match=said):
            predict_files(MODEL, given, tmp_path / name)


def test_force_forgets_what_was_noted_of_another_model(tmp_path, run):
    given, out = pictures(tmp_path / "in", 2), tmp_path / "out"
    predict_files(MODEL, given, out, resume=True)
    other = ROOT / "tflite" / "fastscnn_camvid_0.5_int8.tflite"
    predict_files(other, given[:1], out, force=True)
    assert not (out / DONE).exists()
    code, _, err = run("predict", MODEL, *given, "--output", out, "--resume")
    assert (code, f"{out / '000_labels.png'} exists" in err) == (2, True)


def test_results_below_the_pictures_are_not_taken_for_pictures(tmp_path, run):
    (tmp_path / "in").mkdir()
    pictures(tmp_path / "in" / "a", 2)
    out = tmp_path / "in" / "out"
    command = ("predict", MODEL, tmp_path / "in", "--recursive", "--resume", "--output")
    assert run(*command, out)[0] == 0
    before = content(out / "a")
    code, _, err = run(*command, out)
    assert (code, content(out / "a"), len(list(out.iterdir()))) == (0, before, 2)
    listed = f"fastscnn: left out 4 results (first: {out / 'a' / '000_labels.png'}) of earlier"
    assert err.startswith(f"{listed} calls, listed in {out / DONE}\n")
    assert run(*command, tmp_path / "elsewhere")[2].startswith(listed)


def test_what_stays_of_earlier_calls_is_said(tmp_path, run):
    given, out = pictures(tmp_path / "in", 3), tmp_path / "out"
    assert run("predict", MODEL, *given, "--output", out)[0] == 0
    given[1].write_bytes(b"no image")
    force = ("--skip-bad", "--force", "--output", out)
    stays = f"what an earlier call made of 1 image (first: {given[1]}) that was skipped stays\n"
    assert stays in run("predict", MODEL, *given, *force)[2]
    assert len((out / SKIPPED).read_text().splitlines()) == 1
    code, _, err = run("predict", MODEL, given[1], tmp_path / "none.png", *force)
    assert (code, f"listed in {out / SKIPPED}" in err) == (2, True)
    assert len((out / SKIPPED).read_text().splitlines()) == 2
    with pytest.raises(DataError):  # the list is of this call, or of none
        predict_files(MODEL, given, out, force=True)
    assert not (out / SKIPPED).exists()
    coco = ("--format", "coco", "--resume", "--output", tmp_path / "coco")
    assert run("predict", MODEL, given[0], given[2], *coco)[0] == 0
    said = f"coco.json: left out 1 image (first: {given[0]}) of earlier calls\n"
    assert run("predict", MODEL, given[2], *coco)[2].endswith(said)


def test_one_file_of_all_goes_on_too(tmp_path):
    given = pictures(tmp_path / "in", 3)
    for name, first in (("whole", given), ("parts", given[:2])):
        predict_files(MODEL, first, tmp_path / name, format="coco", resume=True)
    predict_files(MODEL, given, tmp_path / "parts", format="coco", resume=True)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_pseudo_labels_of_processes_are_those_of_one(tmp_path):
    pictures(tmp_path / "in", 4)
    for name, processes in (("one", 1), ("two", 2)):
        result = pseudo_label(MODEL, tmp_path / "in", tmp_path / name, 0.3, processes=processes)
        assert result.images == 4
    for folder in ("labels", "images"):
        assert content(tmp_path / "one" / folder) == content(tmp_path / "two" / folder)
    one, two = ((tmp_path / n / "pseudo.counts.jsonl").read_text() for n in ("one", "two"))
    assert one == two


@pytest.fixture(name="packed")
def packed_pairs(four, tmp_path, run):
    """The same pairs in two shards, whose images lie in two folders."""
    for kind in ("images", "labels"):
        (four / kind / "a").mkdir()
        (four / kind / "0.png").rename(four / kind / "a" / "0.png")
    with (four / "dataset.yaml").open("a") as description:
        description.write("recursive: true\n")
    out = tmp_path / "packed"
    command = ("data", "pack", "--dataset", "folder", "--data-dir", four, "--split", "val")
    assert run(*command, "--shards", 2, "--output", out)[0] == 0
    return out


def below(folder):
    """All files below a folder of results, but for what is hidden."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("processes", [1, 2])
def test_packed_pictures_are_predicted_as_files_are(four, packed, tmp_path, run, processes):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run("predict", MODEL, four / "images", "--recursive", "--output", whole)[0] == 0
    command = ("predict", MODEL, "--output", out, "--resume", "--processes", processes)
    shards = sorted(packed.glob("*.tfrecord"))
    code, said, err = run(*command, shards[1])
    assert (code, err, said) == (0, "", f"{out}: label map and overlay of 2 images\n")
    code, said, err = run(*command, packed)
    assert (code, err) == (0, "fastscnn: 2 of 4 images are done already\n")
    assert below(out / "val") == below(whole)
    assert len(below(whole)) == 8
    assert "a/0_labels.png" in below(whole)


def test_packed_pictures_are_pseudo_labelled_as_files_are(four, packed, tmp_path, run):
    for name, images in (("one", four / "images"), ("two", packed)):
        command = ("pseudo-label", MODEL, "--images", images, "--recursive", "--confidence", 0.3)
        assert run(*command, "--output", tmp_path / name)[0] == 0
        assert run(*command, "--output", tmp_path / name, "--resume")[0] == 0
    for kind in ("images", "labels"):
        one, two = (content(tmp_path / name / kind) for name in ("one", "two"))
        assert {f"val__{name}": data for name, data in one.items()} == two
    assert len(open_dataset("folder", tmp_path / "two", "train")) == 4


def test_drawn_pictures_that_are_packed_have_names_too(tmp_path, run):
    pack = ("data", "pack", "--dataset", "toy", "--split", "val", "--size", "64x96", "--shards", 1)
    assert run(*pack, "--output", tmp_path / "packed")[0] == 0
    names = open_dataset("records", tmp_path / "packed", "val")
    first = names.sample_name(0)
    assert not Path(first).suffix
    predict_files(MODEL, [tmp_path / "packed"], tmp_path / "out", format="index")
    expected = fs.Segmenter(MODEL).predict(names.read_image(0))
    found = np.asarray(Image.open(tmp_path / "out" / "val" / f"{first}_labels.png"))
    assert np.array_equal(found, expected)


def test_what_is_wrong_with_packed_pictures_is_told(packed, tmp_path, run):
    shards = sorted(packed.glob("*.tfrecord"))
    whole = shards[0].read_bytes()
    data = bytearray(whole)
    data[200] ^= 255
    shards[0].write_bytes(data)
    command = ("predict", MODEL, packed, "--output", tmp_path / "out")
    code, _, err = run(*command)
    said = f"fastscnn: {shards[0]}: record 0 of 2 (1.png) is damaged: its checksum does not fit"
    assert (code, err.startswith(said), err.count("\n")) == (2, True, 1)
    assert "--skip-bad goes on without it" in err
    code, _, err = run(*command, "--skip-bad")
    assert (code, err.startswith("fastscnn: skipped 1 of 4 images (first: ")) == (0, True)
    cut = shutil.copytree(packed, tmp_path / "cut") / shards[0].name
    cut.write_bytes(data[:-1])
    said = f"{cut}: expected {len(data):,} bytes, got {len(data) - 1:,}"
    assert said in run(*command[:2], cut, *command[3:])[2]
    skipping = ("--output", tmp_path / "whole", "--skip-bad", "--force")
    shards[0].write_bytes(whole[:-1])  # its second image is cut short
    for given, count in ((shards[0], 2), (packed, 4)):
        code, _, err = run(*command[:2], given, *skipping)
        lost = f"skipped 1 of {count} images (first: {shards[0]}: record 1 of 2 "
        assert (code, lost in err, "the file ends within it" in err) == (0, True, True)
    scores = tmp_path / "scores.json"
    score = ("evaluate", MODEL, "--dataset", "records", "--data-dir", packed, "--json", scores)
    assert "record 1 of 2" in run(*score)[2]
    assert run(*score, "--skip-bad")[0] == 0
    found = json.loads(scores.read_text())
    assert (found["images"], found["skipped"], len(found["skipped_pairs"])) == (3, 1, 1)
    assert "the file ends within it" in found["skipped_pairs"][0]
    other = shutil.copy(shards[1], packed / "other.tfrecord")
    assert "records.json beside it does not list it" in run(*command[:2], other, *command[3:])[2]
    alone = shutil.copy(other, tmp_path / "x.tfrecord")
    assert "records.json: no such file; expected" in run(*command[:2], alone, *command[3:])[2]
    assert "records.json: no such file; expected" in run(*command[:2], tmp_path, *command[3:])[2]
    (tmp_path / "records.json").write_text("{}")
    code, _, err = run(*command[:2], tmp_path, *command[3:])
    said = (
        f"fastscnn: {tmp_path / 'records.json'}: not an index of packed records: expected one that"
    )
    assert (code, err) == (2, f"{said} fastscnn data pack wrote\n")
    other.unlink(), cut.unlink()
    said = f"{cut}: no such shard, but records.json lists it"
    assert said in run(*command[:2], cut.parent, *command[3:])[2]
    index = json.loads((packed / "records.json").read_text())
    index["splits"]["val"]["shards"][1]["names"] = ["1", "1.png"]
    (packed / "records.json").write_text(json.dumps(index))
    assert "gives two of its images one name" in run(*command[:2], shards[1], *command[3:])[2]


def test_what_cannot_be_shared_is_told(tmp_path, run):
    for bad in (0, 257, 1.5, True):
        with pytest.raises(ConfigError, match=rf"processes must be 1\.\.256, got {bad}"):
            Fleet(bad)
    for address in ("", "nowhere", "a b:1", "http://h:1", "h:123456"):
        with pytest.raises(ConfigError, match="address is HOST:PORT or auto, got"):
            Fleet(2, address)
    assert Fleet(ray="[::1]:6379").alone is False
    for call in (
        functools.partial(evaluate, Reader(), Drawn(), processes=2),
        functools.partial(pseudo_label, Reader(), tmp_path, tmp_path / "out", processes=2),
    ):
        with pytest.raises(ConfigError, match="several processes need the path of a model"):
            call()

    class Local(Drawn):
        """Cannot be pickled."""

    class Once(Drawn):
        def indices(self):
            return iter(range(9))

    for data, said in ((Local(), "cannot be pickled"), (Once(), "gone through once")):
        with pytest.raises(ConfigError, match=said):
            evaluate_predictor(Reader(), data, fleet=Fleet(2), reopen=reader)
    command = ("predict", MODEL, picture(tmp_path / "a.png"), "--output", tmp_path / "out")
    code, _, err = run(*command, "--address", "127.0.0.1:6379")
    assert (code, "--address is for --engine ray" in err) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(bool(importlib.util.find_spec("pyarrow")), reason="pyarrow is installed")
def test_without_pyarrow_its_extra_is_named(tmp_path, run):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    code, _, err = run("predict", MODEL, tmp_path / "a.parquet", "--output", tmp_path / "out")
    expected = (
        'fastscnn: pyarrow is not installed, which Parquet files need: pip install "fastscnn-tf['
    )
    assert (code, err) == (2, f'{expected}parquet]"\n')
    given = picture(tmp_path / "a.png")
    for command in (
        ("predict", MODEL, given, "--format", "parquet", "--resume"),
        ("pseudo-label", MODEL, "--images", given, "--parquet"),
    ):
        code, _, err = run(*command, "--output", tmp_path / "out")
        assert (code, err) == (2, f'{expected}parquet]"\n')
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(bool(importlib.util.find_spec("ray")), reason="Ray is installed")
def test_without_ray_its_extra_is_named(tmp_path, run):
    command = ("predict", MODEL, picture(tmp_path / "a.png"), "--output", tmp_path / "out")
    code, _, err = run(*command, "--engine", "ray")
    expected = 'fastscnn: ray is not installed, which --engine ray needs: pip install "fastscnn-tf['
    assert (code, err) == (2, f'{expected}ray]"\n')
    assert not (tmp_path / "out").exists()
    assert "RAY_USAGE_STATS_ENABLED" not in os.environ
