"""Several files side by side: who takes which operations, and why not."""

from pathlib import Path

import pytest
from single_operations import CASES
from tiny_models import chain, convolution

from fastscnn_tf.inspection.inspect_tflite import inspect
from fastscnn_tf.inspection.side_by_side import markdown_side_by_side

TFLITE = Path(__file__).parents[3] / "tflite"


@pytest.fixture
def report(tmp_path):
    """name -> content: the lines of their report, cells split."""

    def make(files):
        found = []
        for name, content in files.items():
            path = tmp_path / f"{name}.tflite"
            path.write_bytes(content)
            found.append(inspect(path, load=False))
        return markdown_side_by_side(found).splitlines()

    return make


def cells(lines, start):
    (row,) = [line for line in lines if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_what_is_left_out_names_its_files_and_reasons(report):
    lines = report({"a": convolution("int8"), "b": chain("int8"), "c": CASES["float32 gather nd"]})
    assert cells(lines, "operation")[1:5] == ["a.tflite", "b.tflite", "c.tflite", "XNNPACK"]
    assert cells(lines, "CONV_2D")[1:5] == ["1", "2", "", "·"]
    relu = cells(lines, "RELU")
    assert relu[1:4] == ["", "1", ""]
    assert relu[4].startswith("0/1 [")  # of the only file that has it
    (reason,) = [line for line in lines if line.startswith(relu[4].split()[1])]
    assert "] a tensor is int8, taken: float32 (tensorflow/lite/delegates/xnnpack/" in reason
    assert cells(lines, "XNNPACK")[1:4] == ["1/1", "2/3", "0/1"]


def test_files_that_share_an_answer_share_a_cell(report):
    conv = convolution("int8")
    lines = report({"a": conv, "b": conv, "c": convolution("float32")})
    nnapi = cells(lines, "operation").index("NNAPI 27-28")
    assert cells(lines, "CONV_2D")[nnapi].startswith("a.tflite, b.tflite 0/1 [")
    lines = report({"a": conv, "b": conv})
    assert cells(lines, "CONV_2D")[nnapi - 1].startswith("0/1 [")


def test_a_client_that_refuses_one_file(report):
    lines = report({"a": convolution("int8"), "b": convolution("uint8")})
    answers = cells(lines, "LiteRT.js (WASM)")
    assert answers[1].startswith("no [") and answers[2] == "1/1"
    assert cells(lines, "MediaPipe ImageSegmenter")[3] == (
        "no label file in TFLITE_METADATA: classes have no names"
    )


def test_remarks_say_of_which_file_and_level_they_are(report):
    shipped = (TFLITE / "fastscnn_camvid_int8.tflite").read_bytes()
    lines = report({"shipped": shipped, "conv": convolution("uint8")})
    assert cells(lines, "MediaPipe ImageSegmenter")[3] == (
        "shipped.tflite: enlarges the output with aligned corners: borders move by up to half a "
        "cell; conv.tflite: no label file in TFLITE_METADATA: classes have no names"
    )
    assert cells(lines, "NNAPI 30-35")[3].startswith("NNAPI 35: deprecated from level 35 on")


def test_recipes_name_the_columns_where_they_differ():
    paths = [TFLITE / f"fastscnn_camvid_{kind}.tflite" for kind in ("int8", "float16")]
    found = [inspect(path) for path in paths]
    lines = markdown_side_by_side(found).splitlines()
    assert cells(lines, "target")[1:3] == ["int8-qat", "float16"]
    assert cells(lines, "XNNPACK")[1:3] == ["113/115, 1 partition", "203/203, 1 partition"]
    lines = markdown_side_by_side([found[0], found[0]]).splitlines()
    name = "fastscnn_camvid_int8.tflite"
    assert cells(lines, "target")[1:3] == [f"{name} (1)", f"{name} (2)"]
