"""TFLite Micro: its interpreter beside the reference kernels, its arena, and the C arrays."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.console import quiet_stderr
from fastscnn_tf.core.errors import ModelFileError
from fastscnn_tf.core.images.image_file import read_image, resize_image
from fastscnn_tf.export.c_array import write_c_array
from fastscnn_tf.inspection.inspect_tflite import inspect
from fastscnn_tf.runtime.native import MicroInterpreter

HERE = Path(__file__).parent / "micro"
INT8 = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"
ARENA = 3_125_120  # bytes


@pytest.fixture(scope="module")
def site(target_tools) -> Iterator[Path]:
    """TFLite Micro's package, importable meanwhile: other files' tests are told it is missing."""
    folder = target_tools("micro") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "tflite_micro"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def small_models(tmp_path_factory) -> dict[str, Path]:
    """Input type -> a narrow int8 network of 96x128."""
    config = fs.FastSCNNConfig.for_labels("camvid", input_size=(96, 128), width=0.25)
    model, folder = fs.fast_scnn(config), tmp_path_factory.mktemp("narrow")
    pictures = np.random.default_rng(0).integers(0, 256, (4, 96, 128, 3), dtype=np.uint8)
    files = {}
    for input in ("uint8", "int8"):
        files[input] = folder / f"{input}.tflite"
        fs.export_tflite(model, files[input], "int8", input=input, calibration=pictures)
    return files


def by(kernels: str, model: Path) -> fs.Segmenter:
    settings = fs.DeviceSettings(cpu=fs.CpuSettings(kernel_mode=kernels))
    return fs.Segmenter(model, threads=1, settings=settings)


def test_it_equals_the_reference_kernels_to_the_bit(site, street_files, small_models):
    street = read_image(street_files["street_own"])
    for model in (INT8, *small_models.values()):
        micro = by("micro", model)
        picture = resize_image(street, micro.input_size)
        np.testing.assert_array_equal(micro.run(picture), by("reference", model).run(picture))
        usual = by("xnnpack", model).run(picture).astype(int)
        assert 0 < np.abs(usual - micro.run(picture)).max() <= 12


def test_the_command_line_scores_by_it(site, street_files, tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / "own" / kind).mkdir(parents=True)
    picture = read_image(street_files["street_small"])
    for kind, values in (("images", picture), ("labels", fs.Segmenter(INT8).predict(picture))):
        Image.fromarray(values).save(tmp_path / "own" / kind / "0.png")
    names = "".join(f"  - {{name: {name}}}\n" for name in fs.Segmenter(INT8).labels.names)
    split = "splits:\n  val: {images: images, labels: labels}\n"
    (tmp_path / "own" / "dataset.yaml").write_text(f"name: own\nclasses:\n{names}{split}")
    found = {}
    for kernels in ("micro", "reference"):
        command = [sys.executable, "-m", "fastscnn_tf", "evaluate", INT8, "--kernels", kernels]
        data = ["--dataset", "folder", "--data-dir", tmp_path / "own", "--json", "-"]
        environment = {"PYTHONPATH": f"{site}:{Path(fs.__file__).parents[1]}"}
        done = subprocess.run([*command, *data], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        found[kernels] = json.loads(done.stdout)
    assert found["micro"]["kernels"] == "micro"
    assert found["micro"]["runtime"].startswith("tflite_micro 0.")
    assert found["micro"]["confusion_matrix"] == found["reference"]["confusion_matrix"]


def test_a_benchmark_names_it(site, small_models):
    options = {"threads": 8, "runs": 1, "warmup": 0}
    found = fs.benchmark(small_models["int8"], kernels="micro", **options)
    assert found["runtime"].startswith("tflite_micro 0.")
    assert (found["kernels"], found["threads"]) == ("micro", 1)
    settings = fs.DeviceSettings(cpu=fs.CpuSettings(kernel_mode="micro"))
    opened = fs.Segmenter(small_models["int8"], 8, settings)
    assert opened.notes == ("threads=8 is not used: TFLite Micro has one thread",)


def test_the_arena_is_measured_and_planned(site, small_models):
    found = inspect(INT8)
    assert found.micro_bytes == found.measured.micro_arena_bytes == ARENA
    content = INT8.read_bytes()
    MicroInterpreter(content, ARENA)
    with quiet_stderr(), pytest.raises(RuntimeError, match="TFLite Micro has no kernels"):
        MicroInterpreter(content, ARENA - 16)
    for model in (INT8, *small_models.values()):
        found = inspect(model)
        assert found.micro_arena == pytest.approx(found.measured.micro_arena_bytes, rel=0.002)
    float16 = inspect(INT8.with_name("fastscnn_camvid_float16.tflite"))
    assert (float16.micro_arena, float16.measured.micro_arena_bytes) == (0, 0)
    assert float16.measured.problems == ()


def test_a_float16_file_is_refused(site):
    with pytest.raises(ModelFileError, match="no kernel for DEQUANTIZE of float16 weights: export"):
        by("micro", INT8.with_name("fastscnn_camvid_float16.tflite"))


@pytest.mark.parametrize("input", ["uint8", "int8"])
def test_the_example_runs(site, small_models, input, tmp_path):
    """Compiled, linked with the C++ code of the package, and run on a picture."""
    model = small_models[input]
    header, source, example = write_c_array(model, tmp_path / "narrow.h")
    program = tmp_path / "example.so"
    compiler = ["g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    compiler += ["-I", HERE / "include", "-I", header.parent, example, source, "-o", program]
    subprocess.run(compiler, check=True)
    reference = by("reference", model)
    picture = np.random.default_rng(2).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    runtime = site / "tflite_micro" / "python" / "tflite_micro" / "_runtime.so"
    command = [sys.executable, HERE / "run_example.py", runtime, program]
    done = subprocess.run(command, input=picture.tobytes(), capture_output=True, check=True)
    labels = np.frombuffer(done.stdout, np.uint8).reshape(12, 16)
    np.testing.assert_array_equal(labels, reference.run(picture).argmax(-1))
    assert len(np.unique(labels)) > 1
    centre = reference.labels.names[labels[6, 8]]
    assert done.stderr.decode().splitlines()[-1] == f"centre: {centre}"
