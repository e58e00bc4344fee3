"""imgclsmob's network, against pytorchcv itself where an environment with PyTorch is at hand."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import fastscnn_tf as fs
from fastscnn_tf.core.keras_api import tf_keras
from fastscnn_tf.model.fast_scnn import copy_weights, fast_scnn, resize_model

ROOT = Path(__file__).parents[2]
SIZES = ((192, 384), (224, 480))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    python = Path(os.environ.get("FASTSCNN_TORCH", ROOT / ".venv-torch/bin/python"))
    if not python.is_file():
        pytest.skip(f"no {python}: `make backends` makes an environment with PyTorch")
    path = tmp_path_factory.mktemp("gluon")
    script = ROOT / "tests/backends/make_gluon_golden.py"
    subprocess.run([python, script, path], check=True)
    return path


def compare(logits, reference, tolerance):
    error = np.abs(logits - reference).max() / reference.std()
    assert error <= tolerance, error
    assert np.mean(logits.argmax(-1) == reference.argmax(-1)) >= 0.9999


@pytest.mark.parametrize("size", SIZES)
def test_logits_are_those_of_pytorchcv(folder, size, tmp_path):
    golden = np.load(folder / f"gluon_{size[0]}x{size[1]}.npz")
    image, logits = golden["input"][None], golden["logits"]
    model = resize_model(fs.import_checkpoint(folder / "gluon.pth", "gluon", 19), size)
    compare(np.asarray(model(image))[0], logits, 1e-4)
    twin = fast_scnn(model.config, keras=tf_keras())
    copy_weights(model, twin)
    compare(np.asarray(twin(image))[0], logits, 1e-4)
    fs.export_tflite(model, tmp_path / "m.tflite", outputs="logits-full", input="float32")
    interpreter = Interpreter(str(tmp_path / "m.tflite"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    output = interpreter.get_output_details()[0]["index"]
    compare(interpreter.get_tensor(output)[0], logits, 1e-3)


def test_old_format_and_wrappers_give_the_same_model(folder):
    first, second = (
        fs.import_checkpoint(folder / name, input_size=(64, 96), aux_heads=True)
        for name in ("gluon.pth", "gluon_legacy.pth")
    )
    assert first.config.aux_width == 64
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(a, b)
