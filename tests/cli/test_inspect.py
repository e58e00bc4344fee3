"""`fastscnn inspect`: what a script gets."""

import json
from pathlib import Path

import pytest

TFLITE = Path(__file__).parents[2] / "tflite"
INT8, FLOAT16 = (TFLITE / f"fastscnn_camvid_{kind}.tflite" for kind in ("int8", "float16"))


def test_text_json_and_markdown(run, tmp_path):
    code, out, err = run("inspect", INT8)
    assert (code, err) == (0, "")
    assert "XNNPACK, measured: 113/115 nodes delegated, 1 partition" in out
    target = tmp_path / "m.json"
    code, out, err = run("inspect", INT8, "--parse-only", "--markdown", "--json", target)
    assert (code, err) == (0, "")
    assert out.startswith("`fastscnn_camvid_int8.tflite`: 1,498,543 bytes, 882.3 M")
    values = json.loads(target.read_text())
    assert values["measured"]["delegated"] is None
    assert {v["target"]: v["note"] for v in values["verdicts"]}["XNNPACK int8"] == "by the rules"
    code, out, err = run("inspect", INT8, "--parse-only", "--json", "-")
    assert json.loads(out)["macs"] == 882_341_504


def test_several_files_stand_side_by_side(run, tmp_path):
    target = tmp_path / "m.json"
    code, out, err = run("inspect", INT8, FLOAT16, "--markdown", "--json", target)
    assert (code, err) == (0, "")
    assert "| XNNPACK | 113/115, 1 partition | 203/203, 1 partition |" in out
    assert [each["path"] for each in json.loads(target.read_text())["files"]] == [
        str(INT8),
        str(FLOAT16),
    ]
    code, out, err = run("inspect", INT8, FLOAT16, "--parse-only")
    assert (code, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines() if "sha256" in line] == [
        str(INT8),
        str(FLOAT16),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not a .tflite file"), (INT8.read_bytes()[:5000], "damaged or truncated .tflite file")],
)
def test_bad_files_give_one_line(run, tmp_path, content, message):
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    code, out, err = run("inspect", path)
    assert (code, out) == (2, "")
    assert err.startswith(f"fastscnn: {path}: ")
    assert message in err
    assert err.count("\n") == 1


def test_one_thing_goes_to_stdout(run):
    code, out, err = run("inspect", INT8, "--markdown", "--json", "-", "--parse-only")
    assert (code, out) == (2, "")
    assert "choose one of --markdown and --json -" in err


def test_an_existing_result_is_kept(run, tmp_path):
    target = tmp_path / "m.json"
    target.write_text("mine")
    code, _, err = run("inspect", INT8, "--parse-only", "--json", target)
    assert code == 2
    assert "exists" in err
    assert target.read_text() == "mine"


def test_bad_files_are_named_and_the_others_shown(run, tmp_path):
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"no model")
    missing, target = tmp_path / "missing.tflite", tmp_path / "m.json"
    files = [bad, INT8, missing]
    code, out, err = run("inspect", *files, "--parse-only", "--json", target)
    assert code == 2
    assert [line.partition(".tflite:")[0] for line in err.splitlines()] == [
        f"fastscnn: {tmp_path}/bad",
        f"fastscnn: {tmp_path}/missing",
    ]
    assert out.count("sha256") == 1
    assert [each["path"] for each in json.loads(target.read_text())["files"]] == [str(INT8)]
    code, out, err = run("inspect", bad, missing)
    assert (code, out, err.count("\n")) == (2, "", 2)
    code, out, err = run("inspect", missing)
    assert (code, out, err.count("\n")) == (2, "", 1)
