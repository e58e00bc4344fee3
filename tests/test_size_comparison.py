"""The table of sizes: what it counts, what it marks, exports of a Keras model, the command."""

import dataclasses
import json
from pathlib import Path

import pytest

from fastscnn_tf.core.errors import ConfigError, OutputError
from fastscnn_tf.evaluation.size_comparison import size_table
from fastscnn_tf.evaluation.size_comparison_result import SizeRow, SizeTable, best_at

TFLITE = Path(__file__).parents[1] / "tflite"
FEW = {"input_size": (64, 96), "width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
INT8, FLOAT16 = (TFLITE / f"fastscnn_camvid_{kind}.tflite" for kind in ("int8", "float16"))


def row(macs, frame_ms, miou=None):
    return SizeRow("m", (64, 96), macs, 1, frame_ms, frame_ms, 1.0, miou)


def test_the_best_that_is_fast_enough_is_marked():
    rows = (row(100, 20.0), row(300, 90.0), row(200, 50.0), row(300, 95.0), row(400, 101.0))
    assert best_at(rows, 10) == 1  # the fastest of the most MACs within 100 ms
    assert best_at(rows, 40) == 0
    assert best_at(rows, 60) is None
    assert best_at(rows, None) is None
    scored = (row(100, 20.0, 0.7), row(300, 90.0, 0.6), row(400, 101.0, 0.9))
    assert best_at(scored, 10) == 0
    lines = SizeTable(rows, 2, None, 10.0, 1).text().splitlines()
    assert [line.endswith("<-") for line in lines[1:6]] == [False, True, False, False, False]
    assert (lines[0].split()[6:8], lines[1].split()[5]) == (["micro,", "MB"], "-")
    planned = (dataclasses.replace(rows[0], micro_bytes=2_345_678),)
    assert "~2.35" in SizeTable(planned, 2, None, None, None).text()
    assert lines[6] == "<- the best that gives 10 frames/s here"
    assert SizeTable(rows, 2, None, 60.0, None).text().endswith("none gives 60 frames/s here")


def test_files_are_measured_in_turns(tmp_path, run):
    arguments = ["size-table", FLOAT16, INT8, "--threads", 1, "--fps", 0.01, "--frame", "100x200"]
    code, out, err = run(*arguments, "--rounds", 1, "--json", tmp_path / "t.json")
    assert (code, err) == (0, "")
    result = json.loads((tmp_path / "t.json").read_text())
    assert result["frame"] == "100x200"
    first, second = result["rows"]
    assert (first["macs"], second["macs"]) == (862_691_712, 862_691_712 + 38_144)  # int8's means
    assert {first["input_size"], second["input_size"]} == {"448x608"}
    assert first["ratio"] == 1.0
    assert first["micro_bytes"] == 0  # no kernels for float16
    assert second["micro_bytes"] == pytest.approx(3_125_120, rel=0.01)
    assert 0 < second["arena_bytes"] < first["arena_bytes"]
    assert first["network_ms"] > 0
    assert first["fps"] == pytest.approx(1000 / first["frame_ms"])
    assert result["chosen"] in (0, 1)
    assert "<- the best that gives 0.01 frames/s here" in out


@pytest.mark.convert
def test_a_keras_model_is_exported_at_every_size(tmp_path):
    from fastscnn_tf.core.config import FastSCNNConfig
    from fastscnn_tf.model.fast_scnn import fast_scnn
    from fastscnn_tf.model.io import save_keras

    path = tmp_path / "m.keras"
    config = FastSCNNConfig.for_labels("toy", **FEW)
    save_keras(fast_scnn(config), path)
    said = []
    result = size_table(
        [path],
        [(32, 64), (64, 96)],
        "toy",
        recipe="float16",
        rounds=1,
        output=tmp_path / "out",
        say=said.append,
    )
    assert sorted(p.name for p in (tmp_path / "out").glob("*.tflite")) == [
        "00_32x64_float16.tflite",
        "01_64x96_float16.tflite",
    ]
    small, large = result.rows
    assert (small.input_size, large.input_size) == ((32, 64), (64, 96))
    assert small.macs < large.macs
    assert small.arena_bytes < large.arena_bytes
    assert all(0 <= each.miou < 0.5 for each in result.rows)
    assert said[0].endswith("m.keras at 32x64")
    assert said[-1].endswith("m.keras (2 of 2)")
    with pytest.raises(OutputError, match="is not empty"):
        size_table([path], output=tmp_path / "out")


def test_an_onnx_stands_beside_a_tflite(tmp_path, randomise, run):
    """What it costs in operations and memory is not known."""
    pytest.importorskip("onnxruntime")
    from fastscnn_tf.core.config import FastSCNNConfig
    from fastscnn_tf.export.export_onnx import export_onnx
    from fastscnn_tf.model.fast_scnn import fast_scnn

    config = FastSCNNConfig.for_labels("toy", **FEW)
    path = export_onnx(randomise(fast_scnn(config)), tmp_path / "m.onnx").path
    code, out, err = run("size-table", path, INT8, "--rounds", 1, "--json", tmp_path / "t.json")
    assert (code, err) == (0, "")
    first, second = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert (first["macs"], first["arena_bytes"], first["micro_bytes"]) == (None, None, 0)
    assert first["input_size"] == "64x96"
    assert first["network_ms"] > 0
    assert second["macs"] > 0
    assert out.splitlines()[1].split()[2:6] == ["-"] * 4  # mIoU, operations, both arenas
    with pytest.raises(ConfigError, match=r"of an \.onnx are not counted: pass --dataset"):
        size_table([path, INT8], fps=10)
    scored = size_table([path], dataset="toy", rounds=1, fps=0.001)
    assert (scored.chosen, 0 <= scored.rows[0].miou < 0.5) == (0, True)


def test_bad_input_is_told(run):
    for options in ({"sizes": [(32, 64)]}, {"output": "out"}, {"recipe": "int8"}):
        match = rf"--{next(iter(options))} would do nothing: a \.tflite or \.onnx is measured as it"
        with pytest.raises(ConfigError, match=match):
            size_table([INT8], **options)
    with pytest.raises(ConfigError, match="--data-dir and --skip-bad would do nothing without --d"):
        size_table([INT8], data_dir="x", skip_bad=True)
    with pytest.raises(ConfigError, match="rounds must be at least 1 and fps above 0"):
        size_table([INT8], rounds=0)
    with pytest.raises(ConfigError, match="expected at least one model"):
        size_table([])
    code, _, err = run("size-table", "no.tflite")
    assert (code, err) == (2, "fastscnn: no.tflite: no such model file\n")
    code, _, err = run("size-table", "m.keras", "--sizes", "32x64,33x64")
    assert code == 2
    assert "height 33 is not a multiple of 32" in err
