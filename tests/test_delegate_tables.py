"""The tables of who runs the shipped files say what `inspect` says now."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("delegates", ROOT / "tflite" / "delegates.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables(script, tmp_path_factory):
    return script.tables(tmp_path_factory.mktemp("float32"))


def test_side_by_side(script, tables):
    """Else: python tflite/delegates.py."""
    assert script.between_marks(script.PAGE.read_text(encoding="utf-8")) == tables[0]


def test_operations(script, tables):
    assert script.OPERATIONS.read_text(encoding="utf-8") == tables[1]


def test_the_three_files_stand_side_by_side(tables):
    summary, operations = tables
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in summary.splitlines()}
    assert rows["target"][1:4] == ["int8-qat", "float16", "float32"]
    assert rows["XNNPACK"][1].startswith("113/115, 1 partition")
    assert rows["CONV_2D"][1:4] == ["31", "31", "31"]
    assert [line for line in operations.splitlines() if line.startswith("## ")] == [
        "## int8-qat",
        "## float16",
        "## float32",
    ]
