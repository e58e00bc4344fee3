import json

import pytest

from fastscnn_tf.core.errors import OutputError
from fastscnn_tf.core.files import check_output, check_output_folder, replacing, write_json


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
