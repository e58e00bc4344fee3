"""A .tflite as C++ source; `targets/test_micro` compiles it and runs its example."""

import re
import resource
from pathlib import Path

import pytest

from fastscnn_tf.core.errors import ConfigError, ModelFileError, OutputError
from fastscnn_tf.export.c_array import check_c_array, write_c_array

INT8 = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_c_array(INT8, tmp_path_factory.mktemp("c") / "out" / "street.h")


def test_the_bytes_are_those_of_the_file(files):
    head, _, values = files[1].read_text().partition("{")
    assert bytes(map(int, re.findall(r"\d+", values))) == INT8.read_bytes()
    assert "alignas(16) const unsigned char street_model[STREET_BYTES]" in head


def test_the_header_says_sizes_and_labels(files):
    text = files[0].read_text()
    numbers = dict(re.findall(r"STREET_(\w+) = (\d+),", text))
    arena = int(numbers.pop("ARENA_BYTES"))
    assert arena % 1024 == 0
    assert 3_125_120 <= arena < 3_250_000
    sizes = {"HEIGHT": "448", "WIDTH": "608", "ROWS": "56", "COLUMNS": "76", "CLASSES": "11"}
    sizes |= {"PADDED_HEIGHT": "448", "PADDED_WIDTH": "608"}
    assert numbers == {"BYTES": str(INT8.stat().st_size), **sizes}
    assert '[STREET_CLASSES] = {"Sky", "Building", "Pole"' in text
    assert "[STREET_CLASSES][3] = {{128, 128, 128}, {128, 0, 0}" in text


def test_the_example_adds_every_operation_of_the_graph(files):
    text = files[2].read_text()
    added = set(re.findall(r"resolver\.Add(\w+)\(\);", text))
    assert added == {
        *("Add", "Concatenation", "Conv2D", "DepthwiseConv2D", "Mean", "Quantize", "Reshape"),
        *("ResizeBilinear", "StridedSlice"),
    }
    assert f"MicroMutableOpResolver<{len(added)}>" in text
    assert "@" not in text


def test_nothing_is_written_of_other_files(run, tmp_path):
    told = "expected an int8 .tflite of this package with uint8 or int8 input"
    with pytest.raises(ModelFileError, match=told):
        write_c_array(INT8.with_name("fastscnn_camvid_float16.tflite"), tmp_path / "m.h")
    for name in ("m.cc", "2m.h", "m-n.h", "é.h"):
        with pytest.raises(ConfigError, match=r"expected NAME\.h"):
            write_c_array(INT8, tmp_path / name)
    command = ("export", INT8, "--format", "c-array", "--output", tmp_path / "m.h")
    code, _, err = run(*command, "--recipe", "int8")
    assert (code, "--recipe would do nothing" in err) == (2, True)
    (tmp_path / "m_example.cc").write_text("mine")
    with pytest.raises(OutputError, match=r"m_example\.cc exists"):
        write_c_array(INT8, tmp_path / "m.h")
    assert [path.name for path in tmp_path.iterdir()] == ["m_example.cc"]
    code, out, _ = run(*command, "--force")
    assert (code, out.count("m_example.cc")) == (0, 1)
    assert (tmp_path / "m_example.cc").read_text().startswith("// Segments one image")


def test_on_a_full_disk_all_three_files_stay_what_they_were(tmp_path):
    before = [path.write_text("mine") and path for path in check_c_array(tmp_path / "m.h")]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*m\.cc: File too large"):
            write_c_array(INT8, tmp_path / "m.h", force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(tmp_path.iterdir()) == sorted(before)
    assert {path.read_text() for path in before} == {"mine"}


@pytest.mark.convert
def test_a_keras_model_is_exported_beside_it(run, tmp_path, run_folder):
    command = ("export", run_folder, "--format", "c-array", "--output", tmp_path / "toy.h")
    size = ("--size", "60x90", "--pad")
    code, _, err = run(*command, "--recipe", "int8", "--dataset", "toy", *size)
    assert code == 0, err
    header = (tmp_path / "toy.h").read_text()
    assert f"TOY_BYTES = {(tmp_path / 'toy.tflite').stat().st_size}," in header
    numbers = dict(re.findall(r"TOY_(\w+) = (\d+),", header))
    names = ("HEIGHT", "WIDTH", "PADDED_HEIGHT", "PADDED_WIDTH", "ROWS", "COLUMNS")
    assert [numbers[name] for name in names] == ["60", "90", "64", "96", "8", "12"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--recipe", "float32"), "format c-array has --recipe int8 or int8-qat, not float32"),
        (("--recipe", "int8", "--outputs", "labels"), "has --outputs logits or logits-full or"),
        (("--recipe", "int8", "--input", "float32"), "has --input uint8 or int8, not float32"),
        (("--for", "android-gpu"), "has --recipe int8 or int8-qat, not float16"),
    ],
)
def test_what_can_never_be_one_is_not_converted(run, tmp_path, options, message):
    model = INT8.with_name("fastscnn_camvid.keras")
    command = ("export", model, "--format", "c-array", "--output", tmp_path / "toy.h")
    code, _, err = run(*command, *options)
    assert (code, message in err) == (2, True), err
    assert not list(tmp_path.iterdir())
