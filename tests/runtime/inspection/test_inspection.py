"""`inspect` as a whole: real files, and files that crash the interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import chain, convolution, crash_in_kernels, crash_in_xnnpack, unary

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, ModelFileError
from fastscnn_tf.inspection.probe import probe
from fastscnn_tf.tflite.parser import parse_tflite

TFLITE = Path(__file__).parents[3] / "tflite"


@pytest.fixture(scope="module")
def shipped():
    return fs.inspect(TFLITE / "fastscnn_camvid_int8.tflite")


def test_shipped_int8_file(shipped):
    assert shipped.size_bytes == 1_498_543
    # Those of the network, and 38,144 of means that are convolutions in int8.
    assert shipped.macs - shipped.filling_macs == 862_691_712 + 38_144
    # The first kernel is filled up from 3x3 of 3 channels to 3x2 of 6.
    assert (shipped.padding_macs, shipped.filling_macs) == (1_563_952, 224 * 304 * 32 * (36 - 27))
    assert (shipped.tensors, shipped.float_tensors) == (242, 0)
    (source,), (result,) = shipped.inputs, shipped.outputs
    assert (source.shape, source.dtype, source.scales, source.zero_points) == (
        *((1, 448, 608, 3), "uint8"),
        *((1 / 128,), (128,)),
    )
    assert (result.shape, result.dtype) == ((1, 56, 76, 11), "uint8")
    assert "fastscnn_tf" in shipped.metadata_entries
    assert shipped.metadata["recipe"] == "int8-qat"
    digest = json.loads((TFLITE / "fastscnn_camvid_int8.tflite.json").read_text())["sha256"]
    assert shipped.sha256 == digest


def test_shipped_int8_file_is_one_partition_between_two_changes_of_bytes(shipped):
    measured = shipped.measured
    assert measured.problems == ()
    assert measured.partitions == 1
    assert set(range(115)) - set(measured.delegated) == {0, 114}
    xnnpack = shipped.verdict("XNNPACK int8")
    assert (xnnpack.answer, xnnpack.taken, xnnpack.total) == ("part", 113, 115)
    assert [finding.op for finding in xnnpack.findings] == [0, 114]
    assert xnnpack.findings[0].reason == "uint8 to int8 is not supported"
    assert shipped.verdict("XNNPACK float").answer == "nothing to run"


def test_arena_is_measured(shipped):
    measured = shipped.measured
    # The input as uint8 and as int8, and one of the outputs; the other lies where the input was.
    ends = 2 * 448 * 608 * 3 + 56 * 76 * 11
    assert ends <= measured.xnnpack_arena_bytes < ends + 4096
    assert shipped.arena_lower_bound == 2_996_224
    assert measured.arena_bytes > shipped.arena_lower_bound


@pytest.mark.parametrize(
    ("target", "taken"),
    [
        ("GPU (TFLite delegate)", 115),
        ("GPU (LiteRT accelerator)", 115),
        ("NNAPI 27", 17),
        ("NNAPI 29", 107),
        ("NNAPI 30", 114),
        ("Edge TPU (Coral)", 115),
        ("LiteRT.js (WebGPU)", 115),
        ("MediaPipe ImageSegmenter", 115),
    ],
)
def test_verdicts_on_the_shipped_int8_file(shipped, target, taken):
    assert shipped.verdict(target).taken == taken


def test_a_verdict_names_operations_and_sources(shipped):
    (finding,) = shipped.verdict("NNAPI 35").findings
    assert (finding.op, finding.kind) == (41, "MEAN")
    assert finding.reason == "tensor 161 and the output differ in scale or zero point"
    assert finding.source.endswith("NNAPIDelegateKernel::Validate")
    assert "deprecated from level 35" in shipped.verdict("NNAPI 35").note


def test_an_unknown_target_is_named(shipped):
    with pytest.raises(ConfigError, match="unknown target 'NNAPI 26': expected one of XNNPACK"):
        shipped.verdict("NNAPI 26")


def test_float16_file_is_taken_whole():
    found = fs.inspect(TFLITE / "fastscnn_camvid_float16.tflite")
    assert found.float_tensors == 293
    assert (found.measured.partitions, len(found.measured.delegated)) == (1, 203)
    for target in (
        "XNNPACK float",
        "GPU (TFLite delegate)",
        "GPU (LiteRT accelerator)",
        "NNAPI 30",
    ):
        assert found.verdict(target).answer == "all"


def test_partitions_are_counted():
    content = chain("int8")
    measured = probe(content, parse_tflite(content).main)
    assert (measured.partitions, measured.delegated) == (2, (0, 2))
    content = chain("float32")
    measured = probe(content, parse_tflite(content).main)
    assert (measured.partitions, measured.delegated) == (1, (0, 1, 2))


def test_a_file_that_crashes_the_interpreter_gets_the_rest(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(crash_in_kernels())
    found = fs.inspect(path)
    assert found.ops == {"ADD": 1}
    assert found.measured.arena_bytes is None
    assert found.measured.problems == (
        "without delegates: the interpreter crashed on this file (SIGABRT)",
        "with XNNPACK: the interpreter crashed on this file (SIGABRT)",
    )
    assert "not measured with XNNPACK: the interpreter crashed" in found.text()
    assert found.verdict("XNNPACK int8").note == "by the rules"


def test_a_crash_in_one_stage_leaves_the_other(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(crash_in_xnnpack())
    problems = sorted(fs.inspect(path).measured.problems)
    # XNNPACK reads in front of its tensors there: what lies in memory decides whether it crashes.
    crashed = "with XNNPACK: the interpreter crashed on this file (SIGSEGV)"
    refused = "with XNNPACK: the interpreter refuses the file (Tensor at index 0 was optional"
    assert problems[0] == crashed or problems[0].startswith(refused)
    assert problems[1].startswith("without delegates: the interpreter refuses the file (Tensor")


def test_memory_and_time_are_limited():
    content = unary("RELU", input=(1, 20_000, 20_000, 4), output=(1, 20_000, 20_000, 4))
    measured = probe(content, parse_tflite(content).main, memory=2 << 30)
    assert measured.arena_bytes is None
    assert measured.problems
    small = convolution()
    measured = probe(small, parse_tflite(small).main, seconds=0)
    assert measured.problems == (
        "without delegates: no end after 0 s",
        "with XNNPACK: no end after 0 s",
    )


def test_a_python_that_cannot_be_started_again_leaves_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    path = tmp_path / "m.tflite"
    path.write_bytes(convolution())
    found = fs.inspect(path)
    assert found.macs == 8 * 8 * 8 * 36
    reason = "no process could be started (No such file or directory)"
    assert found.measured.problems == (f"without delegates: {reason}", f"with XNNPACK: {reason}")


def test_json_markdown_and_text_say_the_same(shipped):
    values = json.loads(json.dumps(shipped.to_dict(), allow_nan=False))
    assert values["macs"] == shipped.macs
    assert values["measured"]["partitions"] == 1
    assert values["scale_changes"][1]["op"] == 106
    nnapi = next(v for v in values["verdicts"] if v["target"] == "NNAPI 30")
    assert (nnapi["answer"], nnapi["findings"][0]["op"]) == ("part", 41)
    text = shipped.text()
    assert "882,341,504" in text
    assert "113/115 nodes delegated, 1 partition" in text
    assert "NNAPI 29-35: MEAN 41: tensor 161 and the output differ" in text
    rows = shipped.markdown().splitlines()
    operations = [row for row in rows if row.startswith("| 41 | MEAN |")]
    assert len(operations) == 1
    assert sum(row.startswith("| ") and row.split(" | ")[0][2:].isdigit() for row in rows) == 115
    header = next(row for row in rows if "NNAPI 30-34" in row and "operation" in row)
    assert header.count("|") == operations[0].count("|")


def test_numbers_that_are_none_become_null(tmp_path):
    content = unary("RELU", "int8", scales=(((float("nan"),), (0,)), None))
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    values = fs.inspect(path, load=False).to_dict()
    assert values["inputs"][0]["scales"] == [None]
    json.dumps(values, allow_nan=False)


def test_needs_no_tensorflow():
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'tf_keras'): sys.modules[name] = None\n"
        "import fastscnn_tf as fs\n"
        f"print(fs.inspect({str(TFLITE / 'fastscnn_camvid_int8.tflite')!r}).measured.partitions)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


def test_more_classes_than_a_label_map_can_name_are_refused(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(convolution(input=(1, 32, 32, 3), filters=300))
    assert fs.inspect(path, load=False).outputs[0].shape == (1, 32, 32, 300)
    with pytest.raises(ModelFileError, match="300 output channels, but a label map has room for"):
        fs.Segmenter(path)
