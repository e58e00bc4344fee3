"""`fastscnn inspect`: what a script gets."""

import json
from pathlib import Path

import pytest

INT8 = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"


def test_text_json_and_markdown(run, tmp_path):
    code, out, err = run("inspect", INT8)
    assert (code, err) == (0, "")
    assert "XNNPACK, measured: 113/115 nodes delegated, 1 partition" in out
    target = tmp_path / "m.json"
    code, out, err = run("inspect", INT8, "--parse-only", "--markdown", "--json", target)
    assert (code, err) == (0, "")
    assert out.startswith("`fastscnn_camvid_int8.tflite`: 1,497,935 bytes, 882.3 M")
    values = json.loads(target.read_text())
    assert values["measured"]["delegated"] is None
    assert {v["target"]: v["note"] for v in values["verdicts"]}["XNNPACK int8"] == "by the rules"
    code, out, err = run("inspect", INT8, "--parse-only", "--json", "-")
    assert json.loads(out)["macs"] == 882_341_504


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


def test_an_existing_result_is_kept(run, tmp_path):
    target = tmp_path / "m.json"
    target.write_text("mine")
    code, _, err = run("inspect", INT8, "--parse-only", "--json", target)
    assert code == 2
    assert "exists" in err
    assert target.read_text() == "mine"
