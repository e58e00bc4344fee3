"""`--kernels`: a file by other families of kernels; those of TFLite Micro: `targets/test_micro`."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import ConfigError, InputError
from fastscnn_tf.core.labels import CAMVID
from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.delegates.cpu import CpuSettings
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.delegates.kernels import VARIABLE, using_kernels, wanted_kernels
from fastscnn_tf.delegates.settings_file import write_settings
from fastscnn_tf.evaluation.evaluate import evaluate, load_predictor
from fastscnn_tf.evaluation.model_comparison import compare_models
from fastscnn_tf.runtime.model_settings import settings_of
from fastscnn_tf.runtime.segmenter import Segmenter

INT8 = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"
KERAS = INT8.with_name("fastscnn_camvid.keras")


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Path:
    """One drawn street with what the shipped file sees in it, as own data."""
    root = tmp_path_factory.mktemp("own")
    picture = draw_scene((2026, 0), (448, 608))[0]
    for kind, values in (("images", picture), ("labels", Segmenter(INT8).predict(picture))):
        (root / kind).mkdir()
        Image.fromarray(values).save(root / kind / "0.png")
    classes = "".join(f"  - {{name: {name}}}\n" for name in CAMVID.names)
    split = "splits:\n  val: {images: images, labels: labels}\n"
    (root / "dataset.yaml").write_text(f"name: own\nclasses:\n{classes}{split}")
    return root


@pytest.fixture(scope="module")
def scored(street):
    return evaluate(INT8, "folder", street, kernels="reference")


def test_reference_kernels_score_otherwise_and_nearly_the_same(street, scored):
    usual = evaluate(INT8, "folder", street, kernels="xnnpack")
    assert usual.pixel_accuracy == 1.0
    assert 0.95 < scored.pixel_accuracy < 1.0  # a drawn street is nothing that it knows well
    assert (usual.details["kernels"], scored.details["kernels"]) == ("xnnpack", "reference")
    assert wanted_kernels() == ""


def test_the_command_line_gives_the_same_score(street, scored, run, tmp_path):
    data = ("--dataset", "folder", "--data-dir", street, "--json", tmp_path / "e.json")
    code, _, _ = run("evaluate", INT8, *data, "--kernels", "reference")
    found = json.loads((tmp_path / "e.json").read_text())
    assert (code, found["kernels"]) == (0, "reference")
    assert found["confusion_matrix"] == scored.to_dict()["confusion_matrix"]
    assert VARIABLE not in os.environ


def test_a_file_is_compared_with_itself_by_other_kernels(street, scored, run, tmp_path):
    data = ("--dataset", "folder", "--data-dir", street, "--json", tmp_path / "c.json")
    code, out, _ = run("compare", INT8, INT8, *data, "--kernels", "xnnpack,reference")
    found = json.loads((tmp_path / "c.json").read_text())
    assert (code, found["agreement"]) == (0, scored.pixel_accuracy)
    assert f"second: {INT8} (reference)" in out
    same = compare_models(INT8, INT8, "folder", street, kernels=("builtin", "builtin"))
    assert same.agreement == 1.0
    code, _, err = run("compare", INT8, INT8, *data, "--force", "--kernels", "a,b,c")
    assert (code, "expected one or two names, got 'a,b,c'" in err) == (2, True)


def test_kernels_take_the_place_of_a_files_settings(tmp_path):
    """Of these only the threads are left: XNNPACK's flags contradict other kernels."""
    model = tmp_path / "m.tflite"
    model.write_bytes(INT8.read_bytes())
    write_settings(model, DeviceSettings("android-gpu", "gpu", cpu=CpuSettings(num_threads=1)))
    picture = np.zeros((448, 608, 3), np.uint8)
    with using_kernels("builtin"):
        segmenter = Segmenter(model)
    mode = DeviceSettings(cpu=CpuSettings(num_threads=1, kernel_mode="builtin"))
    assert (segmenter.settings, segmenter.threads, segmenter.notes) == (mode, 1, ())
    expected = Segmenter(INT8, settings=mode).run(picture)
    np.testing.assert_array_equal(segmenter.run(picture), expected)


def test_what_has_no_kernels_is_refused(street):
    for model in (KERAS, Segmenter(INT8)):
        with pytest.raises(ConfigError, match=r"--kernels is for a \.tflite: export it first"):
            evaluate(model, "folder", street, kernels="builtin")
    with pytest.raises(ConfigError, match=r"xnnpack, builtin, reference, micro, got 'fast'"):
        evaluate(INT8, "folder", street, kernels="fast")
    for mode in ("micro", "reference"):
        with pytest.raises(ConfigError, match=f"kernel_mode={mode} needs api=interpreter"):
            DeviceSettings(api="compiled_model", cpu=CpuSettings(kernel_mode=mode))
    with pytest.raises(ConfigError, match="kernel_mode=micro keeps out"):
        CpuSettings(kernel_mode="micro", weight_cache_dir="x")


def test_without_tflite_micro_it_is_said_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    told = 'tflite_micro is not installed.*pip install "fastscnn-tf\\[micro\\]"'
    with using_kernels("micro"), pytest.raises(InputError, match=told):
        load_predictor(INT8)
    model = tmp_path / "m.tflite"
    model.write_bytes(INT8.read_bytes())
    write_settings(model, DeviceSettings(cpu=CpuSettings(kernel_mode="micro")))
    assert "pip install" in settings_of(model).text()
