"""The built wheel in the other Pythons, with nothing but what the runtime needs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from built_wheel import build_wheel, without_trials
from golden import digest
from network_camera import PICTURES, network_camera
from PIL import Image

from fastscnn_tf.core.labels import CAMVID, IGNORE, TOY_STREETS
from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.evaluation.evaluate import evaluate
from fastscnn_tf.evaluation.model_comparison import compare_models

ROOT = Path(__file__).parents[2]
NAMES = {"road": "Road", "pavement": "Pavement", "building": "Building", "tree": "Tree"}
NAMES |= {"sky": "Sky", "car": "Car", "person": "Pedestrian", "pole": "Pole", "sign": "SignSymbol"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module", params=["3.12", "3.13"])
def device(request, target_tools, wheel, tmp_path_factory):
    """Runs a command of the wheel in another Python; warnings are errors."""
    programs = target_tools("pythons") / request.param / "bin"
    folder = tmp_path_factory.mktemp(f"python{request.param}")
    install = [programs / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    install += ["install", "--no-deps", "--no-index", "--force-reinstall", wheel]
    subprocess.run(install, check=True, capture_output=True)

    def call(*arguments, code=0, said=""):
        environment = {"PATH": "", "HOME": str(folder), "PYTHONWARNINGS": "error"}
        environment["FASTSCNN_CACHE"] = str(folder / "cache")
        environment["FASTSCNN_CONFIG"] = str(folder / "config")
        command = [programs / "fastscnn", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
        assert done.returncode == code, done.stderr
        assert said in done.stderr if said else not without_trials(done.stderr)
        return done.stdout

    call.version = request.param
    return call


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> Path:
    """Drawn streets with CamVid's classes, as own data."""
    root = tmp_path_factory.mktemp("own")
    table = np.full(256, IGNORE, np.uint8)
    for index, name in enumerate(TOY_STREETS.names):
        table[index] = CAMVID.names.index(NAMES[name])
    for kind in ("images", "labels"):
        (root / kind).mkdir()
    for i in range(3):
        picture, label = draw_scene((2026, i), (180, 240))
        Image.fromarray(picture).save(root / "images" / f"{i}.png")
        Image.fromarray(table[label]).save(root / "labels" / f"{i}.png")
    classes = "".join(f"  - {{name: {name}}}\n" for name in CAMVID.names)
    split = "splits:\n  val: {images: images, labels: labels}\n"
    (root / "dataset.yaml").write_text(f"name: own\nclasses:\n{classes}void: [{IGNORE}]\n{split}")
    return root


def test_the_versions_are_those_of_this_python():
    ours, theirs = (
        dict(re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(), re.MULTILINE))
        for path in (ROOT / "requirements.txt", Path(__file__).parent / "pythons/requirements.txt")
    )
    assert theirs
    assert theirs.items() <= ours.items()


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_label_maps_are_the_same(device, model_files, street_files, label_maps, kind, tmp_path):
    device(
        "predict", model_files[kind], *street_files.values(), "--output", tmp_path, "--threads", 1
    )
    for name, expected in label_maps[kind].items():
        labels = np.asarray(Image.open(tmp_path / f"{name}_labels.png"))
        assert digest(labels) == digest(expected), name


def test_processes_share_the_pictures(device, model_files, street_files, label_maps, tmp_path):
    pictures = street_files.values()
    device("predict", model_files["int8"], *pictures, "--output", tmp_path, "--processes", 2)
    for name, expected in label_maps["int8"].items():
        labels = np.asarray(Image.open(tmp_path / f"{name}_labels.png"))
        assert digest(labels) == digest(expected), name


def test_scores_are_the_same(device, model_files, streets, tmp_path):
    data = ("--dataset", "folder", "--data-dir", streets)
    missing = "never occur"  # in so few pictures
    device("evaluate", model_files["int8"], *data, "--json", tmp_path / "e.json", said=missing)
    found = json.loads((tmp_path / "e.json").read_text())
    here = evaluate(model_files["int8"], "folder", streets)
    assert found["confusion_matrix"] == here.to_dict()["confusion_matrix"]
    assert found["miou"] == here.miou
    both = (model_files["float16"], model_files["int8"])
    results = ("--json", tmp_path / "c.json", "--output", tmp_path / "c")
    device("compare", *both, *data, *results, said=missing)
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["agreement"] == compare_models(*both, "folder", streets).agreement
    assert (tmp_path / "c" / "report.html").exists()


def test_a_file_is_looked_at(device, model_files, tmp_path):
    model = Path(shutil.copy(model_files["int8"], tmp_path / "m.tflite"))
    inspected = device("inspect", model)
    assert "XNNPACK, measured: 113/115 nodes delegated" in inspected
    result = json.loads(device("benchmark", model, "--runs", 2, "--json", "-"))
    assert result["latency_ms"]["median"] > 0
    assert "device = pi4" in device("settings", model, "--for", "pi4", "--set", "cpu.num_threads=1")
    assert "num_threads = 1" in device("settings", model)
    device("card", model, "--output", tmp_path / "card.md")
    assert hashlib.sha256(model.read_bytes()).hexdigest() in (tmp_path / "card.md").read_text()
    extra = 'keras is not installed: pip install "fastscnn-tf[train]"'
    device("summary", ROOT / "tflite" / "fastscnn_camvid.keras", code=2, said=extra)


def test_a_network_stream_is_watched_where_opencv_is(device, model_files, tmp_path):
    with network_camera() as address:
        watch = ("watch", f"{address}/ended", model_files["int8"], "--output", tmp_path / "w")
        if device.version == "3.12":
            ended = f"the stream ended or broke off after {PICTURES} frames"
            out = device(*watch, "--keep-all", code=1, said=ended)
            assert out.startswith(f"{PICTURES} frames, ")
            assert len(list((tmp_path / "w").glob("*_labels.png"))) == PICTURES
            silent = ("watch", f"{address}/silent", model_files["int8"], "--no-window")
            device(*silent, "--timeout", 2, code=2, said="no frame came within 2 seconds")
            huge = ("watch", f"{address}/huge", model_files["int8"], "--no-window")
            huge = (*huge, "--timeout", 600)  # to make one takes a while
            device(*huge, code=2, said="frames of 10000x10000, expected at most 50,000,000")
        else:
            device(*watch, code=2, said='needs OpenCV, which is not installed: pip install "fastsc')
