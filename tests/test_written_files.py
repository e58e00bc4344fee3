"""Files that earlier versions wrote are read: `tests/written` holds some of version 0.1."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from fastscnn_tf.core.errors import InputError
from fastscnn_tf.core.files.json_text import decode_json, dump_json, plain, read_json
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.data.datasets.registry import find_splits
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.data.records.packed_dataset import RecordsDataset
from fastscnn_tf.evaluation.pseudo_folder import PseudoFolder
from fastscnn_tf.evaluation.reproduction_ledger import add_record, read_ledger
from fastscnn_tf.reports.card import read_evaluation
from fastscnn_tf.runs.run_files import RUN, check_state
from fastscnn_tf.runs.run_folder import check_resumable, check_same_settings
from fastscnn_tf.runs.run_record import read_run
from fastscnn_tf.train.recipes import recipe_settings
from fastscnn_tf.train.settings import TrainSettings

WRITTEN = Path(__file__).parent / "written"


def test_runs():
    run = read_run(WRITTEN / "run")
    assert (run.kind, run.state, run.epochs_done, run.epochs) == ("train", "finished", 1, 1)
    assert run.size == "32x64" and run.class_names[0] == "road" and len(run.class_iou) == 9
    assert run.best == run.rows[0]["val_miou"] and run.confusion.shape == (9, 9)
    tuned = read_run(WRITTEN / "qat")
    assert (tuned.kind, tuned.state, len(tuned.rows)) == ("quantize", "finished", 2)
    assert set(tuned.settings) >= {"model", "freeze_ranges"}
    for each in (run, tuned):
        assert json.loads(dump_json(each.to_dict())) == plain(each.to_dict())


def test_runs_go_on():
    """With the settings that they were written with."""
    settings = json.loads((WRITTEN / "run" / RUN).read_text())["settings"]
    given = TrainSettings.from_dict(settings).to_dict()
    assert check_resumable(WRITTEN / "run", given, "last.keras") is None
    state = json.loads((WRITTEN / "run" / "state.json").read_text())
    assert check_state(state, "last.keras") == state


def test_a_data_dir_whose_name_is_no_utf_8(tmp_path):
    """Its bytes are halves of surrogate pairs, which earlier versions wrote as they are."""
    settings = {"dataset": "camvid", "data_dir": "/data/stra\udcdfe", "size": (32, 64), "epochs": 3}
    (tmp_path / RUN).write_text(json.dumps({"settings": settings}))
    old = read_run(tmp_path).settings
    write_json(tmp_path / RUN, {"settings": settings})
    assert read_run(tmp_path).settings == old
    assert old["data_dir"] == r"/data/stra\udcdfe"
    check_same_settings(tmp_path, old, settings)


def test_numbers_that_are_none(tmp_path):
    state = {"epochs_done": 1, "best": float("nan"), "history": [{"epoch": 1, "loss": math.inf}]}
    (tmp_path / RUN).write_text('{"settings": {"dataset": "NaN \\"Infinity"}}')
    (tmp_path / "state.json").write_text(json.dumps(state))
    run = read_run(tmp_path)
    assert run.best is None and run.settings["dataset"] == 'NaN "Infinity'
    write_json(tmp_path / "state.json", state)
    found = {"epochs_done": 1, "best": None, "history": [{"epoch": 1, "loss": None}]}
    assert read_json(tmp_path / "state.json") == found


def test_mending_is_linear():
    for text in ('"' + '\\"' * 100_000, '"' * 100_001, "-" * 100_000, '"\\ud800' * 20_000):
        with pytest.raises(InputError):
            decode_json(text, "x", mend=True)


def test_records():
    assert find_splits("records", WRITTEN / "records") == ("val",)
    found = RecordsDataset(WRITTEN / "records", "val")
    source = ToyStreets("val", (16, 24))
    assert len(found) == 3 and found.labels == source.labels
    for index in range(3):
        for a, b in zip(found.read(index), source.read(index), strict=True):
            np.testing.assert_array_equal(a, b)


def test_recipes():
    name, settings = recipe_settings(WRITTEN / "run" / "recipe.json")
    assert (name, settings["epochs"], settings["learning_rate"]) == ("paper", 1, 0.05)
    name, settings = recipe_settings(WRITTEN / "best.json")
    assert name == "paper" and 0.001 <= settings["learning_rate"] <= 0.1


def test_scores():
    found = read_evaluation(WRITTEN / "evaluation.json")
    assert found["dataset"] == "toy" and found["images"] == 60 and len(found["class_iou"]) == 9


def test_ledger(tmp_path):
    path = tmp_path / "reproduced.json"
    shutil.copy(WRITTEN / "reproduced.json", path)
    records = read_ledger(path)
    assert records["dada-seg"].measured == 12.5
    add_record(path, "dada-seg", records["dada-seg"])
    assert path.read_text() == (WRITTEN / "reproduced.json").read_text()


def test_pseudo_labels():
    folder = WRITTEN / "pseudo"
    settings = json.loads((folder / "pseudo.json").read_text())
    space = LabelSpace.make("toy", 9, tuple(settings["classes"]))
    found = PseudoFolder(folder, settings, space, resume=True, force=False)
    assert found.has("0.png") and sum(found.done["1.png"].predicted) == 32 * 64
    assert find_splits("folder", folder) == ("train",)


def test_search():
    from fastscnn_tf.train.search.hyper_search import _Search

    found = read_json(WRITTEN / "search.json", _Search)
    assert found.space == ["learning_rate=log:0.001..0.1"]
