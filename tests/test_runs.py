"""Runs are found, listed and compared: written by hand in every state, and real ones."""

import contextlib
import json
import os

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import ConfigError, InputError, OutputError
from fastscnn_tf.reports.run_comparison import compare_runs
from fastscnn_tf.runs.find_runs import Damaged, find_runs, runs_table
from fastscnn_tf.runs.run_record import read_run

NAMES = ("road", "car", "sky")
# Rows are true classes: IoU 6/10, 2/6 and 10/10; their mean is 29/45.
MATRIX = [[6, 2, 0], [2, 2, 0], [0, 0, 10]]
IOU = {"road": 0.6, "car": 1 / 3, "sky": 1.0}
SETTINGS = {
    "dataset": "toy",
    "data_dir": None,
    "size": [64, 96],
    "epochs": 3,
    "learning_rate": 0.01,
    "recipe": "paper",
}


def write_run(folder, changes=None, state=None, log="", **run):
    """A run folder as training leaves it."""
    folder.mkdir(parents=True)
    content = {
        "settings": {**SETTINGS, **(changes or {})},
        "config": {"class_names": list(NAMES), "input_size": [64, 96]},
        "versions": {"keras": "3.15.1"},
        **run,
    }
    (folder / "run.json").write_text(json.dumps(content))
    if state is not None:
        (folder / "state.json").write_text(json.dumps(state))
    if log:
        (folder / "log.csv").write_text(log)
    return folder


def scored(done, best, epoch, **more):
    return {"epochs_done": done, "best": best, "best_epoch": epoch, **more}


@pytest.fixture
def folder(tmp_path):
    """Runs in every state, the later ones newer."""
    write_run(tmp_path / "a", {"epochs": 2}, scored(2, 0.5, 2))
    write_run(tmp_path / "deep" / "b", {"recipe": "strong"}, scored(1, 0.25, 1))
    write_run(tmp_path / "a" / "qat", {"model": "a/best.keras"}, scored(3, 0.45, 0))
    pretrain = write_run(tmp_path / "p", state=scored(3, 0.75, 3))
    (pretrain / "run.json").write_text(
        json.dumps({"settings": {"data_dir": "IMAGENET", "size": [224, 224], "epochs": 3}})
    )
    for age, name in enumerate(("p", "deep/b", "a/qat", "a")):
        os.utime(tmp_path / name / "state.json", (1e9 - age, 1e9 - age))
    hidden = tmp_path / "a" / ".replaced"
    write_run(hidden, state=scored(9, 0.9, 9))
    return tmp_path


def names(found, top):
    return [run.folder.relative_to(top).as_posix() for run in found]


def test_runs_are_found_below_each_other_and_sorted(folder):
    assert names(find_runs([folder]), folder) == ["p", "deep/b", "a/qat", "a"]
    assert names(find_runs([folder], "miou"), folder) == ["a", "a/qat", "deep/b", "p"]
    assert names(find_runs([folder / "a", folder / "a" / "qat"]), folder) == ["a/qat", "a"]
    kinds = {run.folder.name: (run.kind, run.state) for run in find_runs([folder])}
    assert kinds == {
        "a": ("train", "finished"),
        "b": ("train", "stopped"),
        "qat": ("quantize", "finished"),
        "p": ("pretrain", "finished"),
    }
    with pytest.raises(InputError, match="no such folder"):
        find_runs([folder / "none"])
    with pytest.raises(ConfigError, match="date or miou"):
        find_runs([folder], "name")


def test_a_run_is_running_while_its_lock_is_held(tmp_path):
    from fastscnn_tf.runs.run_folder import run_folder

    write_run(tmp_path / "r", state=scored(1, 0.5, 1))
    with run_folder(tmp_path / "r", resume=True):
        assert read_run(tmp_path / "r").state == "running"
    assert read_run(tmp_path / "r").state == "stopped"
    (tmp_path / "r" / ".lock").touch()  # its process was killed
    assert read_run(tmp_path / "r").state == "stopped"


def test_a_run_that_gave_up_is_finished(tmp_path):
    write_run(tmp_path / "r", {"epochs": 9, "early_stopping": 2}, scored(5, 0.5, 3))
    assert read_run(tmp_path / "r").state == "finished"
    write_run(tmp_path / "s", {"epochs": 9, "early_stopping": 2}, scored(4, 0.5, 3))
    assert read_run(tmp_path / "s").state == "stopped"


def test_the_table_is_aligned_and_says_everything(folder):
    lines = runs_table(find_runs([folder], "miou")).splitlines()
    head = ["run", "kind", "data set", "size", "recipe", "epochs", "best", "date", "state"]
    starts = [lines[0].index(f"{name}") for name in head]
    cells = [
        [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        for line in lines
    ]
    assert cells[0] == head
    assert [row[1] for row in cells[1:]] == ["train", "quantize", "train", "pretrain"]
    assert cells[3][2:7] == ["toy", "64x96", "strong", "1/3", "25.00 % (epoch 1)"]
    assert cells[4][2:7] == ["IMAGENET", "224x224", "paper", "3/3", "top-1 75.00 % (epoch 3)"]
    assert all(row[7].startswith("2001-09-0") for row in cells[1:])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("run.json", "{", "not valid JSON"),
        ("run.json", "[]", "expected object, got array"),
        ("run.json", "{}", "missing required field settings"),
        ("run.json", '{"settings": {"epochs": "x"}}', "settings: epochs: expected int"),
        ("run.json", '{"settings": {"size": [1]}}', "settings: size: expected array of length 2"),
        ("run.json", '{"settings": {}, "config": {"class_names": 5}}', "config: class_names: exp"),
        ("run.json", '{"settings": {"a": {}}}', "settings[...]: expected"),
        ("state.json", "{", "not valid JSON"),
        ("state.json", '{"epochs_done": -1}', "epochs_done: expected int >= 0"),
        ("state.json", '{"epochs_done": 1, "best": "x"}', "best: expected float"),
        ("state.json", '{"epochs_done": 1, "history": [{"loss": "x"}]}', "history[0][...]: expec"),
        ("state.json", '{"epochs_done": 1, "confusion": [[-1]]}', "confusion[0][0]: expected int"),
        ("state.json", '{"epochs_done": 1, "confusion": [[1, 2], [3]]}', "of 3 classes"),
        ("state.json", '{"epochs_done": 1, "confusion": [[1]]}', "of 3 classes"),
        ("log.csv", b"\xff\xfe\x00", "damaged"),
        ("log.csv", "loss\n1\n", "epoch among them"),
        ("log.csv", "epoch," * 1001, "at most 1000 columns"),
        ("log.csv", 'epoch\n"' + "9" * 200_000, "field larger than field limit"),
        ("log.csv", "epoch" + 999 * ",a" + "".join(f"\n{i}" for i in range(3001)), "000 cells"),
    ],
)
def test_damaged_runs_are_listed_with_the_reason(tmp_path, run, name, content, reason):
    write_run(tmp_path / "good", state=scored(1, 0.5, 1))
    bad = write_run(tmp_path / "bad", state=scored(1, 0.5, 1))
    (bad / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    good, damaged = find_runs([tmp_path])
    assert isinstance(damaged, Damaged)
    assert reason in damaged.reason
    code, out, _ = run("runs", "list", tmp_path)
    assert code == 0
    assert out.splitlines()[-1].startswith(f"{bad}: damaged, ")
    assert run("runs", "compare", good.folder, bad)[0] == 2


def test_logs_of_older_versions_and_torn_ones_are_read(tmp_path):
    log = "epoch,loss,val_miou\n1,2.0,\n2,1.5,0.25\n2,1.25,0.5\n3,nan,0.5\n4"
    found = read_run(write_run(tmp_path / "r", state=scored(3, 0.5, 2), log=log))
    assert found.rows == (
        {"epoch": 1, "loss": 2.0, "val_miou": None},
        {"epoch": 2, "loss": 1.25, "val_miou": 0.5},
        {"epoch": 3, "loss": None, "val_miou": 0.5},
        {"epoch": 4, "loss": None, "val_miou": None},
    )
    assert found.seconds is None


def test_class_iou_comes_from_wherever_it_is(tmp_path):
    state = scored(2, 0.5, 2)
    matrix = write_run(tmp_path / "m", state={**state, "confusion": MATRIX})
    assert read_run(matrix).class_iou == pytest.approx(IOU)
    saved = write_run(tmp_path / "s", state={**state, "class_iou": {"road": 0.5, "car": None}})
    assert read_run(saved).class_iou == {"road": 0.5, "car": None}
    log = "epoch,val_iou_road,val_iou_car,seconds\n1,0.1,0.2,10.5\n2,0.3,,20\n"
    logged = read_run(write_run(tmp_path / "l", state=state, log=log))
    assert logged.class_iou == {"road": 0.3, "car": None}
    assert logged.seconds == 30.5


@pytest.fixture
def two(tmp_path):
    log = "epoch,loss,learning_rate,val_miou\n1,2.0,0.01,0.2\n2,1.0,0.005,0.5\n"
    first = write_run(
        tmp_path / "first",
        state=scored(2, 0.5, 2, confusion=MATRIX, scores={"val_pixel_accuracy": 0.75}),
        log=log,
    )
    other = [[8, 0, 0], [2, 2, 0], [0, 5, 5]]  # IoU 8/10, 2/9, 5/10
    second = write_run(
        tmp_path / "second",
        {"learning_rate": 0.1, "ema": 0.99},
        scored(2, 0.625, 1, confusion=other),
        "epoch,loss,val_miou\n1,3.0,0.625\n2,1.5,0.25\n",
        versions={"keras": "3.16"},
    )
    return first, second


def test_comparison_names_differences_and_deltas(two):
    result = compare_runs(two)
    assert result.settings == {
        "learning_rate": (0.01, 0.1),
        "ema": (None, 0.99),
        "version of keras": ("3.15.1", "3.16"),
    }
    assert result.scores["mIoU"] == (0.5, 0.625)
    assert result.scores["pixel accuracy"] == (0.75, None)
    assert result.deltas("mIoU") == (0.0, 0.125)
    assert result.deltas("pixel accuracy") == (0.0, None)
    assert result.scores["IoU car"] == pytest.approx((1 / 3, 2 / 9))
    assert result.deltas("IoU sky") == pytest.approx((0.0, -0.5))
    lines = result.text().splitlines()
    assert next(x for x in lines if x.startswith("mIoU")).split()[1:] == [
        *("50.00", "(+0.00)", "62.50", "(+12.50)")
    ]
    assert next(x for x in lines if x.startswith("ema")).split() == ["ema", "-", "0.99"]


def test_compare_writes_curves_and_json_and_never_over_another(two, tmp_path, run):
    output, path = tmp_path / "curves.png", tmp_path / "c.json"
    code, out, _ = run("runs", "compare", *two, "--output", output, "--json", path)
    assert code == 0
    assert "learning_rate" in out
    with Image.open(output) as picture:
        picture = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for color in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):  # a line of each run
        assert (picture == color).all(1).sum() > 50
    assert json.loads(path.read_text())["deltas"]["mIoU"] == [0.0, 0.125]
    code, _, error = run("runs", "compare", *two, "--output", output)
    assert (code, "exists" in error) == (2, True)
    with pytest.raises(OutputError, match="exists"):
        compare_runs(two, output)
    with pytest.raises(ConfigError, match=r"\.png"):
        compare_runs(two, tmp_path / "curves.gif")


def test_compare_refuses_one_run_and_what_is_none(two, tmp_path, run):
    code, _, error = run("runs", "compare", two[0])
    assert (code, "2 to 26 runs, got 1" in error) == (2, True)
    code, _, error = run("runs", "compare", two[0], tmp_path)
    assert (code, f"{tmp_path} is not a run" in error) == (2, True)


def test_list_as_json_is_strict(folder, run):
    (folder / "p" / "run.json").write_text("{")
    code, out, _ = run("runs", "list", folder, "--sort", "miou", "--json", "-")
    assert code == 0

    def refuse(name):
        raise ValueError(name)

    rows = json.loads(out, parse_constant=refuse)["runs"]
    assert [row["state"] for row in rows] == ["finished", "finished", "stopped", "damaged"]
    assert rows[0]["best"] == 0.5
    assert rows[0]["date"].startswith("2001-09-0")


def test_a_folder_without_runs(tmp_path, run):
    with contextlib.chdir(tmp_path):
        assert run("runs", "list")[:2] == (0, "no runs found\n")


def test_real_runs_are_read(run_folder, qat_folder):
    trained, tuned = read_run(run_folder), read_run(qat_folder)
    assert (trained.kind, trained.state, trained.epochs_done) == ("train", "finished", 3)
    assert (tuned.kind, tuned.size) == ("quantize", "96x160")
    assert trained.rows[-1]["val_miou"] == pytest.approx(trained.best)
    assert trained.class_iou["road"] == pytest.approx(trained.rows[-1]["val_iou_road"])
    result = compare_runs([run_folder, qat_folder])
    assert result.settings["kind"] == ("train", "quantize")
    assert result.scores["mIoU"] == (trained.best, tuned.best)
