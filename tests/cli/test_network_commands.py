"""import, export-weights, summary, and sizes on the command line."""

import json
import pickle

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.evaluation.evaluate import load_model
from fastscnn_tf.evaluation.saving import save_model
from fastscnn_tf.model.checkpoints.import_checkpoint import SOURCES
from fastscnn_tf.model.fast_scnn import fast_scnn
from tests.model.test_import import tensors_of

SMALL = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}


def refused(result, message):
    code, _, err = result
    assert code == 2
    assert err.startswith("fastscnn: ")
    assert err.count("\n") == 1, err
    assert message in err, err


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint as PaddlePaddle writes it."""
    config = FastSCNNConfig.preset("paddleseg", num_classes=11, input_size=(64, 96))
    path = tmp_path / "model.pdparams"
    path.write_bytes(pickle.dumps(tensors_of("paddleseg", config)))
    return path


@pytest.mark.convert
def test_from_a_checkpoint_to_a_file(checkpoint, tmp_path, run):
    model, weights, file = (tmp_path / n for n in ("m.keras", "w.npz", "m.tflite"))
    command = ["import", checkpoint, "--from", "paddleseg", "--classes", 11, "--labels", "camvid"]
    code, out, err = run(*command, "--size", "64x96", "--output", model)
    assert (code, err) == (0, "")
    assert "11 classes" in out
    assert "auxiliary heads left out" in out
    assert load_model(model).config.class_names[0] == "Sky"
    code, out, err = run("export-weights", model, "--output", weights)
    assert (code, err) == (0, "")
    assert "arrays" in out
    again = tmp_path / "again.keras"
    assert run("import", weights, "--output", again)[0] == 0
    for a, b in zip(load_model(model).get_weights(), load_model(again).get_weights(), strict=True):
        assert np.array_equal(a, b)
    code, out, err = run("export", model, "--recipe", "float16", "--output", file)
    assert (code, err) == (0, "")


def test_import_says_in_one_line_what_is_wrong(checkpoint, tmp_path, run):
    output = tmp_path / "m.keras"
    refused(run("import", checkpoint, "--classes", 19, "--output", output), "has 11 classes, not")
    refused(run("import", checkpoint, "--from", "zh320", "--output", output), "one of paddleseg")
    refused(run("import", checkpoint, "--from", "timm", "--output", output), "unknown source")
    refused(run("import", tmp_path / "no.pth", "--output", output), "no such checkpoint")
    refused(run("import", checkpoint, "--output", tmp_path / "m.h5"), "must end in .keras")
    refused(run("import", checkpoint, "--size", "60x96", "--output", output), "32 or 64")
    refused(run("import", checkpoint, "--mean", "1,2", "--output", output), "three numbers")
    refused(run("import", checkpoint, "--labels", "toy", "--output", output), "11 classes, not 9")
    refused(run("import", checkpoint, "--aux", "--output", output), "missing (aux")
    assert not output.exists()
    output.write_bytes(b"precious")
    refused(run("import", checkpoint, "--output", output), "exists")
    assert output.read_bytes() == b"precious"


def test_labels_of_own_data(checkpoint, tmp_path, run):
    names = [f"kind {i}" for i in range(11)]
    for count, folder in ((11, "right"), (3, "wrong")):
        (tmp_path / folder).mkdir()
        classes = "".join(f"  - {{name: {name}, color: [9, 9, 9]}}\n" for name in names[:count])
        (tmp_path / folder / "dataset.yaml").write_text(f"classes:\n{classes}")
    model, command = tmp_path / "m.keras", ["import", checkpoint, "--size", "64x96", "--output"]
    refused(run(*command, model, "--labels", tmp_path / "wrong"), "11 classes, not 3")
    refused(run(*command, model, "--labels", "citiscapes"), "unknown label space 'citiscapes'")
    refused(run(*command, model, "--labels", tmp_path / "no.yaml"), "no such file")
    assert not model.exists()
    code, out, err = run(*command, model, "--labels", tmp_path / "right" / "dataset.yaml")
    assert (code, "11 classes, " in out) == (0, True)
    assert "a network of paddleseg" in err
    config = load_model(model).config
    assert (list(config.class_names), config.class_colors[3]) == (names, (9, 9, 9))


def test_the_help_names_every_source(run):
    shown = "".join(run("import", "--help")[1].split())
    assert [source for source in SOURCES if source not in shown] == []


def test_summary_of_a_preset_and_of_a_file(tmp_path, run):
    code, out, err = run("summary")
    assert (code, err) == (0, "")
    assert "1024x2048, 19 classes: 1,114,096 kernel weights" in out
    assert "6,674.3 M" in out
    code, out, _ = run("summary", "--preset", "zh320", "--size", "512x1024", "--json", "-")
    assert code == 0
    assert json.loads(out)["trainable"] == 1_023_769
    half = run("summary", "--width", 0.5, "--size", "90x100", "--pad", "--json", "-")[1]
    assert json.loads(half)["stages"][-1]["output"] == [90, 100, 19]
    config = FastSCNNConfig(num_classes=7, input_size=(64, 96), **SMALL)
    save_model(fast_scnn(config), tmp_path / "m.keras")
    assert "64x96, 7 classes" in run("summary", tmp_path / "m.keras")[1]
    refused(run("summary", tmp_path / "m.keras", "--width", 0.5), "leave out --width")
    refused(run("summary", tmp_path / "m.keras", "--classes", 5), "leave out --classes")
    refused(run("summary", "--preset", "resnet"), "unknown preset")
    refused(run("summary", "--size", "90x100"), "64 or 96")


@pytest.mark.convert
def test_other_sizes_of_a_keras_model(own_data, tmp_path, run):
    model = tmp_path / "m.keras"
    config = FastSCNNConfig.for_labels("toy", input_size=(64, 96), **SMALL)
    save_model(fast_scnn(config), model)
    data = ["--dataset", "folder", "--data-dir", own_data]
    for size in (["--size", "96x160"], ["--size", "90x150", "--pad"]):
        code, out, err = run("evaluate", model, *data, *size)
        assert (code, err) == (0, "")
        assert f"images at {size[1]}" in out
    refused(run("evaluate", model, *data, "--size", "90x150"), "64 or 96")
    pictures = own_data / "val" / "images"
    code, _, err = run(
        "predict", model, pictures, "--size", "90x150", "--pad", "--output", tmp_path / "p"
    )
    assert (code, err) == (0, "")
    file = tmp_path / "m.tflite"
    pad = ["--size", "90x150", "--pad"]
    assert run("export", model, "--recipe", "float32", *pad, "--output", file)[0] == 0
    code, out, _ = run("evaluate", file, *data)
    assert "images at 90x150" in out
    refused(run("evaluate", file, *data, "--size", "64x96"), "export it with --size")
    code, out, _ = run("agreement", model, file, *data)
    assert code == 2  # the sizes differ


@pytest.mark.convert
def test_input_of_normalised_images(tmp_path, run):
    model = tmp_path / "m.keras"
    save_model(fast_scnn(FastSCNNConfig(num_classes=3, input_size=(64, 96), **SMALL)), model)
    arguments = ["export", model, "--input", "float32", "--output", tmp_path / "m.tflite"]
    assert run(*arguments, "--recipe", "float32")[0] == 0
    refused(run(*arguments, "--recipe", "int8", "--force"), "needs calibration images")
