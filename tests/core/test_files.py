import json
import os

import pytest

from fastscnn_tf.core.errors import OutputError
from fastscnn_tf.core.files.writing import (
    PART,
    check_output,
    check_output_folder,
    replacing,
    write_json,
)


def test_existing_output_is_refused_unless_forced(tmp_path):
    path = tmp_path / "out.json"
    path.write_text("old")
    with pytest.raises(OutputError, match="--force"):
        check_output(path)
    assert check_output(path, force=True) == path
    assert path.read_text() == "old"


def test_folder_in_use_is_refused(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(OutputError, match="not empty"):
        check_output_folder(tmp_path)


def test_unwritable_place_gives_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write into") as error:
        check_output(tmp_path / "file" / "out.json")
    assert "\n" not in str(error.value)


def test_failure_while_writing_keeps_the_old_content(tmp_path):
    path = tmp_path / "out.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize("name", ["x" * 251 + ".txt", "ä" * 125 + ".json", "x." + "y" * 253])
def test_names_of_any_length_that_the_disk_takes_are_written(tmp_path, name):
    """The temporary name is no longer than the final one may be, and still known by `PART`."""
    with replacing(tmp_path / name) as temporary:
        temporary.write_text("new")
        assert PART in temporary.name
        assert len(temporary.name.encode()) <= 255
    assert (tmp_path / name).read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_name_that_cannot_be_gets_one_line(tmp_path):
    for path, said in ((tmp_path / ("x" * 256), "256 bytes"), (tmp_path / "a\0b", "no file can")):
        with pytest.raises(OutputError, match=said) as error:
            check_output(path)
        assert "\n" not in str(error.value)


def test_links_that_were_laid_in_the_way_are_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".out.{os.getpid()}{PART}.json").symlink_to(victim)
    write_json(tmp_path / "out.json", 1)
    (tmp_path / "dangling.json").symlink_to(tmp_path / "nothing")
    with pytest.raises(OutputError, match="exists"):
        check_output(tmp_path / "dangling.json")
    assert victim.read_text() == "mine"
    assert (tmp_path / "out.json").read_text() == "1\n"


@pytest.mark.parametrize("below", ["", "run", "run/qat"])
def test_a_link_to_nothing_is_no_folder_to_write_into(tmp_path, below):
    for name, target in (("loop", "loop"), ("lost", "nowhere")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(OutputError, match="a link to nothing, or a loop of links"):
            check_output_folder(tmp_path / name / below)
