"""One process a folder; what killed ones left half-written goes, and nothing else."""

import os
import subprocess
import sys
import time

import pytest

from fastscnn_tf.core.errors import OutputError
from fastscnn_tf.core.files import leftovers
from fastscnn_tf.core.files.folder_lock import hold, is_held
from fastscnn_tf.core.files.leftovers import remove_leftovers
from fastscnn_tf.core.files.writing import check_output, check_output_folder, remove_own, replacing


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def aged(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_the_second_is_refused(tmp_path):
    with hold(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(OutputError, match="another run is writing"), hold(tmp_path):
            pass
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkfifo, lambda p: p.mkdir(), lambda p: p.symlink_to("../a")])
def test_a_lock_that_is_no_file_is_neither_waited_for_nor_written_through(tmp_path, make):
    (tmp_path / "a").write_text("precious")
    folder = tmp_path / "run"
    folder.mkdir()
    make(folder / ".lock")
    assert not is_held(folder)
    with pytest.raises(OutputError, match=r"\.lock: cannot be used as a lock"), hold(folder):
        pass
    assert (tmp_path / "a").read_text() == "precious"


def test_what_a_dead_process_left_goes_with_a_line(tmp_path, capsys):
    dead, own = dead_process(), os.getpid()
    stage = tmp_path / f".part.{dead}"
    (stage / "old").mkdir(parents=True)
    half = tmp_path / f".best.{dead}.part.keras"
    half.touch()
    kept = [f".best.{os.getppid()}.part.keras", f".x.{own}.part", f"x.{dead}.part", ".a.part.json"]
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / f".mine.{dead}.part").mkdir()
    with hold(tmp_path):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*kept, f".mine.{dead}.part"])
    err = capsys.readouterr().err.splitlines()
    assert err == [
        f"fastscnn: removed {path}, which a killed process left half-written"
        for path in (half, stage)
    ]


def test_a_process_number_is_used_again_after_a_day(tmp_path, capsys):
    path = tmp_path / f".m.{os.getppid()}.part.tflite"
    path.touch()
    remove_leftovers(tmp_path, held=True)
    assert path.exists()
    aged(path, leftovers.DAY + 60)
    remove_leftovers(tmp_path, held=True)
    assert not path.exists() and "killed" in capsys.readouterr().err


def test_a_link_goes_and_not_what_it_leads_to(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").touch()
    (tmp_path / f".part.{dead_process()}").symlink_to("mine")
    remove_leftovers(tmp_path, held=True)
    assert [p.name for p in tmp_path.rglob("*")] == ["mine", "a"]
    assert "killed" in capsys.readouterr().err


def test_beside_a_file_only_what_has_not_changed_for_a_minute_goes(tmp_path, capsys):
    """Another machine may be writing there, and its process is not known here."""
    dead = dead_process()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f".m.{dead}.part.tflite").touch()
    aged(tmp_path / "b" / f".m.{dead}.part.tflite", 90)
    check_output(tmp_path / "a" / "m.tflite")
    assert len(list((tmp_path / "a").iterdir())) == 1
    check_output_folder(tmp_path / "b")  # empty but for that
    assert list((tmp_path / "b").iterdir()) == []
    assert "killed" in capsys.readouterr().err


def test_an_output_that_is_a_link_is_replaced_and_never_written_through(tmp_path):
    (tmp_path / "a").write_text("precious")
    for target in ("a", "nowhere"):
        link = tmp_path / f"link-{target}"
        link.symlink_to(target)
        with pytest.raises(OutputError, match="exists"):
            check_output(link)
        with replacing(check_output(link, force=True)) as temporary:
            temporary.write_text("new")
        assert not link.is_symlink() and link.read_text() == "new"
    assert (tmp_path / "a").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_only_own_names_are_removed(tmp_path):
    for name in ("worst_1.png", "worst_day.png", "worst_1.png.txt"):
        (tmp_path / name).touch()
    (tmp_path / "worst_2.png").mkdir()
    remove_own(tmp_path, r"worst_\d+\.png")
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"worst_day.png", "worst_1.png.txt", "worst_2.png"}
