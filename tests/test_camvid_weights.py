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
SHIPPED = TFLITE / "fastscnn_camvid.keras"
ON_TRAIN = TFLITE / "camvid" / "train_last" / "best.keras"
USE = (448, 608)  # the size at which they are used, chosen on val
DEVICE = {kind: TFLITE / f"fastscnn_camvid_{kind}.tflite" for kind in ("float16", "int8")}
FIGURES = read_json(TFLITE / "camvid" / "figures.json")


@pytest.mark.parametrize("kind", DEVICE)
def test_a_file_for_devices_is_whole_and_segments_a_street(kind):
    path = DEVICE[kind]
    facts = read_json(path.with_name(path.name + ".json"))
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_size == FIGURES["bytes"][path.name] < 2_400_000
    segmenter = Segmenter(path)
    assert segmenter.labels.names[:4] == ("Sky", "Building", "Pole", "Road")
    scene, _ = draw_scene((1,), (288, 512))
    labels = segmenter.predict(scene)
    assert labels.shape == (288, 512)
    assert labels[-40:].max() < 11
    assert len(np.unique(labels)) > 2


@pytest.mark.parametrize(("path", "size"), [(SHIPPED, USE), (ON_TRAIN, (704, 960))])
def test_weights_are_small_and_know_their_size(path, size):
    assert path.stat().st_size < 5_500_000
    assert load_keras(path).config.input_size == size


def test_the_weights_say_the_licence_and_run_that_their_files_for_devices_say():
    about = about_model(SHIPPED)
    assert about["license"].startswith("CC BY-NC 4.0")
    assert SHIPPED.stat().st_size == FIGURES["bytes"][SHIPPED.name]
    for path in DEVICE.values():
        metadata = own_metadata(read_model(path)[1])
        assert {name: metadata[name] for name in about} == about


def test_the_notice_and_the_card_ship_with_the_weights():
    notice = (TFLITE / "LICENSE-camvid-weights.txt").read_text()
    assert "CC BY-NC 4.0" in notice
    card = (TFLITE / "fastscnn_camvid.md").read_text()
    assert f"{100 * FIGURES['val_miou']['keras']:.2f}" in card
    assert f"{100 * FIGURES['val_miou']['keras_flip']:.2f}" in card


@pytest.mark.convert
def test_the_weights_of_train_alone_score_what_their_card_says(camvid_dir):
    found = evaluate(ON_TRAIN, "camvid", camvid_dir, split="val", size=USE).miou
    assert found == pytest.approx(FIGURES["val_miou"]["keras"], abs=5e-4)
    assert found > 0.70


@pytest.mark.convert
def test_int8_and_float16_on_the_device_are_the_shipped_weights(camvid_dir):
    """On pictures it was trained with, which says nothing about its accuracy, but about int8."""
    found = {kind: evaluate(path, "camvid", camvid_dir).miou for kind, path in DEVICE.items()}
    assert abs(found["int8"] - found["float16"]) < 0.003
    data = open_dataset("camvid", camvid_dir, "val", USE)
    same = argmax_agreement(DEVICE["float16"], DEVICE["int8"], data)
    assert same == pytest.approx(FIGURES["agreement"]["float16_int8"], abs=5e-4)
