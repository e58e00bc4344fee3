"""The weights and .tflite files that ship: whole, licensed, and scoring what their card says."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from fastscnn_tf.core.files.json_text import read_json
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.evaluation.agreement import argmax_agreement
from fastscnn_tf.evaluation.evaluate import evaluate
from fastscnn_tf.model.io import load_keras
from fastscnn_tf.runs.about import about_model
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.file import own_metadata, read_model

TFLITE = Path(__file__).parent.parent / "tflite"
CAMVID = TFLITE / "camvid"
USE = (448, 608)  # the size at which they are used, chosen on val
WIDTHS = {"fastscnn_camvid": 1, "fastscnn_camvid_0.5": 0.5, "fastscnn_camvid_1.5": 1.5}
RUNS = {name: CAMVID if width == 1 else CAMVID / f"width_{width}" for name, width in WIDTHS.items()}
ON_TRAIN = {  # of width 1.5 they would take too much room
    "fastscnn_camvid": CAMVID / "train_averaged.keras",
    "fastscnn_camvid_0.5": CAMVID / "width_0.5" / "train_averaged.keras",
}
FIGURES = {name: read_json(folder / "figures.json") for name, folder in RUNS.items()}
LARGEST = {0.5: 1_000_000, 1: 3_000_000, 1.5: 6_000_000}  # bytes of any file
LEAST = {"fastscnn_camvid": 0.72, "fastscnn_camvid_0.5": 0.62}  # mIoU on val
KINDS = ("float16", "int8")


def device(name, kind):
    return TFLITE / f"{name}_{kind}.tflite"


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_for_devices_is_whole_and_segments_a_street(name, kind):
    path = device(name, kind)
    facts = read_json(path.with_name(path.name + ".json"))
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_size == FIGURES[name]["bytes"][path.name] < LARGEST[WIDTHS[name]]
    segmenter = Segmenter(path)
    assert segmenter.labels.names[:4] == ("Sky", "Building", "Pole", "Road")
    scene, _ = draw_scene((1,), (288, 512))
    labels = segmenter.predict(scene)
    assert labels.shape == (288, 512)
    assert labels[-40:].max() < 11
    assert len(np.unique(labels)) > 2


@pytest.mark.parametrize("name", RUNS)
def test_weights_are_small_and_know_their_size_and_width(name):
    for path in filter(None, (TFLITE / f"{name}.keras", ON_TRAIN.get(name))):
        assert path.stat().st_size < LARGEST[WIDTHS[name]]
        config = load_keras(path).config
        assert config.input_size == USE
        assert config.width == WIDTHS[name]


def test_all_weights_of_the_repository_take_less_than_25_mb():
    kinds = (".keras", ".tflite", ".npz")
    sizes = [path.stat().st_size for path in TFLITE.rglob("*") if path.suffix in kinds]
    assert sum(sizes) < 25_000_000


@pytest.mark.parametrize("name", RUNS)
def test_the_weights_say_the_licence_and_run_that_their_files_for_devices_say(name):
    weights = TFLITE / f"{name}.keras"
    about = about_model(weights)
    assert about["license"].startswith("CC BY-NC 4.0")
    assert weights.stat().st_size == FIGURES[name]["bytes"][weights.name]
    for kind in KINDS:
        metadata = own_metadata(read_model(device(name, kind))[1])
        assert {name: metadata[name] for name in about} == about


def test_the_notice_and_the_card_ship_with_the_weights():
    notice = (TFLITE / "LICENSE-camvid-weights.txt").read_text()
    assert "CC BY-NC 4.0" in notice
    card = (TFLITE / "fastscnn_camvid.md").read_text()
    for figures in FIGURES.values():
        for kind in ("keras", "keras_flip", "int8"):
            assert f"{100 * figures['val_miou'][kind]:.2f}" in card


@pytest.mark.convert
@pytest.mark.parametrize("name", ON_TRAIN)
def test_the_weights_of_train_alone_score_what_their_card_says(name, camvid_dir):
    found = evaluate(ON_TRAIN[name], "camvid", camvid_dir, split="val", size=USE).miou
    assert found == pytest.approx(FIGURES[name]["val_miou"]["keras"], abs=5e-4)
    assert found > LEAST[name]


@pytest.mark.convert
@pytest.mark.parametrize("name", RUNS)
def test_int8_and_float16_on_the_device_are_the_shipped_weights(name, camvid_dir):
    """On images it was trained with, which says nothing about its accuracy, but about int8."""
    files = {kind: device(name, kind) for kind in KINDS}
    found = {kind: evaluate(path, "camvid", camvid_dir).miou for kind, path in files.items()}
    assert abs(found["int8"] - found["float16"]) < 0.003
    data = open_dataset("camvid", camvid_dir, "val", USE)
    same = argmax_agreement(files["float16"], files["int8"], data)
    assert same == pytest.approx(FIGURES[name]["agreement"]["float16_int8"], abs=5e-4)
