"""Run folders and outputs of strangers: --force and --resume lose nothing, and follow no link."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from fastscnn_tf.core.errors import InputError, OutputError
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.data.prepare.staging import put, staging
from fastscnn_tf.evaluation.pseudo_folder import Counts, PseudoFolder
from fastscnn_tf.reports.run_report import write_run_report
from fastscnn_tf.runs.about import about_model
from fastscnn_tf.runs.find_runs import find_runs
from fastscnn_tf.runs.run_folder import read_state, run_folder
from fastscnn_tf.runs.run_record import read_run
from fastscnn_tf.train.search.hyper_search import clear_search

WRITTEN = Path(__file__).parent / "written"


@pytest.fixture
def precious(tmp_path):
    """A folder of the user's, and a function that says whether all of it is there."""
    folder = tmp_path / "precious"
    for name in ("best.keras", "report/report.html", "tensorboard/x", "images/a.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")
    yield folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 4 and {path.read_text() for path in files} == {"precious"}


@pytest.mark.parametrize("name", [".replaced", "tensorboard", "report", ".lock"])
@pytest.mark.parametrize("resume", [True, False])
def test_links_in_a_run_folder_are_refused(tmp_path, precious, name, resume):
    run = shutil.copytree(WRITTEN / "run", tmp_path / "run")
    (run / name).symlink_to(precious)
    with pytest.raises(OutputError, match=f"{name}.* link"), run_folder(run, resume):
        pass
    assert (run / name).is_symlink() and (run / "run.json").exists()


def test_a_report_is_not_written_through_a_link(tmp_path, precious):
    run = shutil.copytree(WRITTEN / "run", tmp_path / "run")
    (run / "report").symlink_to(precious / "report")
    with pytest.raises(OutputError, match="is a link"):
        write_run_report(run, force=True)


@pytest.mark.parametrize("name", ["run.json", "state.json", "log.csv", ".lock"])
def test_pipes_in_a_run_folder_are_not_waited_for(tmp_path, name):
    run = shutil.copytree(WRITTEN / "run", tmp_path / "run")
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    if name == ".lock":
        assert read_run(run).state == "finished"
    else:
        with pytest.raises(InputError, match="a pipe"):
            read_run(run)
    assert len(find_runs([tmp_path])) == 1


def test_any_time_of_change_is_read(tmp_path):
    run = shutil.copytree(WRITTEN / "run", tmp_path / "run")
    for seconds in (1 << 33, 1 << 45, 1 << 60, -(1 << 40)):
        with contextlib.suppress(OverflowError, OSError):  # the file system's limits
            os.utime(run / "state.json", ns=(seconds * 10**9 % (1 << 63),) * 2)
        read_run(run).to_dict()


def test_a_run_that_begins_with_what_is_none(tmp_path):
    run = shutil.copytree(WRITTEN / "run", tmp_path / "run")
    os.mkfifo(tmp_path / "pipe.keras")
    for source in (str(tmp_path / "pipe.keras"), "a" * 5000 + ".keras", "a\0b", "/dev/zero"):
        settings = json.loads((run / "run.json").read_text())["settings"] | {"init_from": source}
        (run / "run.json").write_text(json.dumps({"settings": settings}))
        assert "license" not in about_model(run)
        assert about_model(run)["run"]["init_from"] == source


def test_a_huge_state_is_not_read(tmp_path):
    (tmp_path / "state.json").touch()
    os.truncate(tmp_path / "state.json", 10 << 30)
    with pytest.raises(InputError, match="damaged, 10,737,418,240 bytes"):
        read_state(tmp_path)


def test_a_search_removes_its_own_trials_only(tmp_path, precious):
    shutil.copytree(WRITTEN / "run", tmp_path / "trial-0000")
    (tmp_path / "trial-0001").mkdir()  # killed before it began
    (tmp_path / "trial-1-notes").mkdir()
    (tmp_path / "best.json").touch()
    (tmp_path / "trial-0002").symlink_to(precious)
    with pytest.raises(OutputError, match="trial-0002 is not a run of a search"):
        clear_search(tmp_path)
    assert (tmp_path / "trial-0000").exists() and (tmp_path / "best.json").exists()
    (tmp_path / "trial-0002").unlink()
    clear_search(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"trial-1-notes", "precious"}


def test_staging_moves_a_link_away_and_not_what_it_leads_to(tmp_path, precious):
    (tmp_path / "out").mkdir()
    for name, target in (("train", precious), ("val", tmp_path / "nowhere")):
        (tmp_path / "out" / name).symlink_to(target)
    with staging(tmp_path / "out") as stage:
        for name in ("train", "val"):
            (stage / name).mkdir()
            put(stage / name, tmp_path / "out" / name, stage)
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())


SPACE = LabelSpace.make("two", 2, ("a", "b"))
SETTINGS = {
    "model": "m.keras",
    "images": "pictures",
    "confidence": 0.9,
    "recursive": False,
    "sizes": [[32, 64]],
    "flip": False,
    "classes": ["a", "b"],
}


def opened(path, **options):
    return PseudoFolder(path, SETTINGS, SPACE, **{"resume": False, "force": False, **options})


def test_pseudo_labels_start_anew_without_the_pictures_of_the_user(tmp_path, precious):
    with pytest.raises(OutputError, match=r"images/a\.png is none of ours"):
        opened(precious, force=True)
    assert not (precious / "pseudo.json").exists()
    out, label = tmp_path / "out", np.zeros((2, 2), np.uint8)
    for copy in (False, True):
        folder = opened(out, force=True)
        folder.writer(copy)("a.png", precious / "images" / "a.png", label)
        folder.note("a.png", Counts((4, 0), (4, 0)))
    folder = opened(out, force=True)
    assert not any((out / name / "a.png").exists() for name in ("images", "labels"))
    folder.writer(True)("a.png", precious / "images" / "a.png", label)
    folder.note("a.png", Counts((4, 0), (4, 0)))
    (out / "labels" / "mine.png").touch()
    with pytest.raises(OutputError, match=r"labels/mine\.png is none of ours"):
        opened(out, force=True)
    assert (out / "images" / "a.png").exists()


@pytest.mark.parametrize("name", ["images", "labels", "pseudo.counts.jsonl"])
def test_pseudo_labels_are_not_written_through_links(tmp_path, precious, name):
    out = tmp_path / "out"
    opened(out)
    if (out / name).is_dir():
        (out / name).rmdir()
    (out / name).symlink_to(precious / ("best.keras" if name.endswith("l") else "images"))
    with pytest.raises(OutputError, match="is a link"):
        opened(out, resume=True)
    if name != "pseudo.counts.jsonl":
        opened(out, force=True)
        assert (out / name).is_dir() and not (out / name).is_symlink()


def test_a_journal_of_other_classes_is_named(tmp_path):
    out = tmp_path / "out"
    opened(out)
    for line in ('{"name": "a", "predicted": [1], "kept": [1]}', '{"name": 5}', "[" * 10_000):
        (out / "pseudo.counts.jsonl").write_text(f"{line}\n{{")  # the last one was cut off
        with pytest.raises(OutputError, match="damaged at line 1"):
            opened(out, resume=True)
