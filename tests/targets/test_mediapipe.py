"""MediaPipe's ImageSegmenter as a client of the exported files: metadata, labels, masks."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.images.interpolation import ALIGNED
from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.runtime.postprocess import LogitsFrame, labels_from_logits

ROOT = Path(__file__).parents[2]
SIZE = (224, 320)
FULL = [
    (recipe, "logits-full", input)
    for recipe in ("float32", "float16", "int8")
    for input in ("uint8", "float32")
]
COARSE = [(recipe, "logits", "uint8") for recipe in ("float32", "int8")]
PROBABILITIES = [(recipe, "prob", "uint8") for recipe in ("float32", "int8")]
MISREAD = [("float32", "labels", "uint8"), ("int8", "labels-8", "uint8")]
REFUSED = [("int8", "logits-full", "int8")]
FILES = [*FULL, *COARSE, *PROBABILITIES, *MISREAD, *REFUSED]


def street(*seed):
    return draw_scene(seed, SIZE)[0]


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """(recipe, outputs, input) -> file of the shipped network."""
    folder = tmp_path_factory.mktemp("exports")
    model = fs.load_model(ROOT / "tflite" / "fastscnn_camvid.keras")
    model = fs.resize_model(model, SIZE)
    scenes = np.stack([street(7, index) for index in range(4)])
    calibration = [((scenes - 128.0) / 128).astype(np.float32)]
    files = {kind: folder / f"{'_'.join(kind)}.tflite" for kind in FILES}
    for (recipe, outputs, input), path in files.items():
        fs.export_tflite(model, path, recipe, outputs, calibration=calibration, input=input)
    return files


@pytest.fixture(scope="module")
def segmented(target_tools, tmp_path_factory):
    """(image, files) -> what MediaPipe says of each, with its mask."""
    tools = target_tools("mediapipe")
    (libraries,) = (tools / "root" / "usr" / "lib").glob("*-linux-*")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["LD_LIBRARY_PATH"] = str(libraries)
    script = Path(__file__).parent / "mediapipe" / "segment.py"

    def run(image, files):
        folder = tmp_path_factory.mktemp("masks")
        np.save(folder / "image.npy", image)
        command = [tools / "venv/bin/python", script, folder / "image.npy", folder, *files]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        for line in lines:
            mask = folder / f"{line['model']}.npy"
            line["mask"] = np.load(mask) if mask.exists() else None
        return lines

    return run


@pytest.fixture(scope="module")
def image():
    return street(2026, 0)


@pytest.fixture(scope="module")
def found(segmented, exports, image):
    """(recipe, outputs, input) -> MediaPipe's answer about `image`."""
    return dict(zip(exports, segmented(image, exports.values()), strict=True))


def output(path, image):
    return fs.Segmenter(path, settings=DeviceSettings()).run(image)


@pytest.mark.parametrize("kind", FULL)
def test_masks_are_ours_and_labels_too(found, exports, image, kind):
    answer, scores = found[kind], output(exports[kind], image)
    assert answer["labels"] == list(fs.Segmenter(exports[kind]).labels.names)
    assert answer["sums"] == pytest.approx([1, 1], abs=1e-3)  # it applied the softmax
    assert len(np.unique(answer["mask"])) >= 4
    np.testing.assert_array_equal(answer["mask"], scores.argmax(-1))
    np.testing.assert_array_equal(answer["mask"], fs.Segmenter(exports[kind]).predict(image))


@pytest.mark.parametrize("kind", COARSE)
def test_logits_at_an_eighth_are_enlarged_with_aligned_corners(found, exports, image, kind):
    """Not as the network was trained: what borders on other classes moves by up to half a cell."""
    logits, mask = output(exports[kind], image), found[kind]["mask"]
    aligned = labels_from_logits(logits, LogitsFrame.of(SIZE, ALIGNED), SIZE)
    assert np.mean(mask == aligned) > 0.9995  # ties may break otherwise
    assert 0.85 < np.mean(mask == fs.Segmenter(exports[kind]).predict(image)) < 0.99


@pytest.mark.parametrize("kind", PROBABILITIES)
def test_probabilities_stay_as_they_are(found, exports, image, kind):
    answer, shares = found[kind], output(exports[kind], image)
    np.testing.assert_array_equal(answer["mask"], shares.argmax(-1))
    assert answer["sums"] == pytest.approx([1, 1], abs=0.02)  # a second softmax would level them


@pytest.mark.parametrize("kind", MISREAD)
def test_label_maps_are_misread(found, exports, image, kind):
    """As one picture whose columns are classes: why `inspect` says no."""
    expected = fs.Segmenter(exports[kind]).predict(image)
    assert np.mean(found[kind]["mask"] == expected) < 0.01


@pytest.mark.parametrize("kind", REFUSED)
def test_int8_bytes_are_refused(found, kind):
    assert found[kind]["mask"] is None
    assert "Requested one of these types: uint8/float32, got INT8" in found[kind]["error"]


def test_the_verdict_of_inspect_is_what_happens(exports):
    verdicts = {
        kind: fs.inspect(path, load=False).verdict("MediaPipe ImageSegmenter")
        for kind, path in exports.items()
    }
    refused = {kind for kind, verdict in verdicts.items() if verdict.answer == "no"}
    assert refused == {*MISREAD, *REFUSED}
    enlarged = {kind for kind, verdict in verdicts.items() if "aligned corners" in verdict.note}
    assert enlarged == set(COARSE)


def test_another_mean_and_std(segmented, config, randomise, noise, tmp_path):
    """Floats in: one for all channels. Bytes in: any, the input's quantization counts."""
    by_channel = {"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)}
    cases = [  # recipe, input, fields of the network
        ("float32", "float32", {"mean": (123.0,) * 3, "std": (58.0,) * 3}),
        ("float32", "uint8", by_channel),
        ("int8", "uint8", by_channel),
        ("float32", "float32", by_channel),
    ]
    files = []
    for number, (recipe, input, fields) in enumerate(cases):
        model = randomise(fs.fast_scnn(config.replace(**fields)))
        files.append(tmp_path / f"{number}.tflite")
        images = [noise(config.input_size)]
        fs.export_tflite(model, files[-1], recipe, "logits-full", input=input, calibration=images)
    pixels = np.random.default_rng(0).integers(0, 256, (*config.input_size, 3), dtype=np.uint8)
    *taken, refused = segmented(pixels, files)
    for path, answer in zip(files, taken, strict=False):
        assert answer["labels"] == list(config.labels.names)
        # (x - mean) / std, computed in another order, may differ in the last bit.
        assert np.mean(answer["mask"] == output(path, pixels).argmax(-1)) > 0.9995
    assert refused["error"] == "Per-channel image normalization is not available."
    for path in files:
        verdict = fs.inspect(path, load=False).verdict("MediaPipe ImageSegmenter")
        assert verdict.answer == ("no" if path == files[-1] else "all")


def test_the_shipped_files(segmented, model_files, street_files):
    from PIL import Image

    pixels = np.asarray(Image.open(street_files["street_own"]))
    for kind, answer in zip(model_files, segmented(pixels, model_files.values()), strict=True):
        logits = output(model_files[kind], pixels)
        frame = LogitsFrame.of(pixels.shape[:2], ALIGNED)
        expected = labels_from_logits(logits, frame, pixels.shape[:2])
        assert np.mean(answer["mask"] == expected) > 0.9995, kind
