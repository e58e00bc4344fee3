"""The page's modules under Node, against the Python they are written after."""

import itertools
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.images.image_file import resize_image, resize_label
from fastscnn_tf.core.images.interpolation import ALIGNED, NEAREST
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.runtime.fit import Box, Fitted, fitted
from fastscnn_tf.runtime.postprocess import LogitsFrame, labels_from_output, logit_strips

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "tflite" / "web" / "page"
CALL = ROOT / "tests" / "targets" / "browser" / "call.mjs"


@pytest.fixture
def call(target_tools, tmp_path):
    """Calls a JavaScript function; arrays go in as typed arrays, `dtype` says what comes out."""
    target_tools("browser")
    counter = itertools.count()

    def function(module, name, *arguments, dtype=None):
        def stored(value):
            if isinstance(value, np.ndarray):
                path = tmp_path / f"{next(counter)}.bin"
                path.write_bytes(value.tobytes())
                return {"file": str(path), "dtype": str(value.dtype)}
            if isinstance(value, bytes):
                path = tmp_path / f"{next(counter)}.bin"
                path.write_bytes(value)
                return {"file": str(path), "dtype": "buffer"}
            if isinstance(value, dict):
                return {key: stored(item) for key, item in value.items()}
            return value

        given, out = tmp_path / "given.json", tmp_path / "out"
        given.write_text(json.dumps([stored(value) for value in arguments]))
        command = ["node", str(CALL), str(PAGE / module), name, str(given), str(out)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        if dtype is None:
            return json.loads(out.read_text())
        return np.frombuffer(out.read_bytes(), dtype)

    return function


def rgba(image):
    return np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((37, 53), (64, 96)),
        ((360, 480), (448, 608)),
        ((720, 1280), (448, 608)),
        ((333, 201), (448, 608)),
        ((448, 301), (448, 608)),
        ((301, 608), (448, 608)),
        ((448, 608), (448, 608)),
        ((1, 1), (32, 32)),
        ((1000, 3), (32, 64)),
        ((480, 360), (448, 608)),
        ((91, 60), (30, 30)),  # the order of the passes turns between these
        ((90, 60), (30, 30)),
        ((1280, 720), (448, 252)),
    ],
)
def test_pictures_are_resized_as_pillow_does(call, source, target):
    image = np.random.default_rng(7).integers(0, 256, (*source, 3), np.uint8)
    image[: source[0] // 2] = np.where(image[: source[0] // 2] > 99, 255, 0)  # overshoots
    ours = call("resample.js", "resizeImage", rgba(image), source, target, dtype=np.uint8)
    np.testing.assert_array_equal(ours.reshape(*target, 3), resize_image(image, target))


@pytest.mark.parametrize(
    ("source", "target"), [((56, 76), (448, 608)), ((448, 608), (333, 201)), ((97, 31), (360, 481))]
)
def test_label_maps_are_resized_as_pillow_does(call, source, target):
    labels = np.random.default_rng(7).integers(0, 256, source, np.uint8)
    ours = call("resample.js", "resizeLabels", labels, source, target, dtype=np.uint8)
    np.testing.assert_array_equal(ours.reshape(target), resize_label(labels, target))


@pytest.mark.parametrize("size", [(360, 480), (333, 201), (100, 1000), (448, 608), (5, 3)])
@pytest.mark.parametrize("fit", ["resize", "letterbox"])
def test_pictures_are_fitted_as_python_does(call, size, fit):
    image = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    mean = [123.5, 116.28, 103.53]
    expected = fitted(image, (224, 320), fit, mean)
    ours = call("fit.js", "fitted", rgba(image), size, (224, 320), fit, mean)
    np.testing.assert_array_equal(ours["image"], expected.image.ravel())
    assert ours["box"] == (expected.box and expected.box._asdict())


def test_boxes_round_halves_to_even(call):
    rng = np.random.default_rng(0)
    sizes = [((4, 5), (10, 2)), ((2, 5), (9, 9)), *rng.integers(1, 60, (6, 2, 2)).tolist()]
    for picture, model in sizes:
        box = call("fit.js", "letterboxOf", picture, model)
        assert box == Box.letterbox(tuple(picture), tuple(model))._asdict()


def draw(kind, shape):
    rng = np.random.default_rng(1)
    if kind == "smooth":  # large areas of one class, as in streets
        small = rng.integers(0, 256, (1 + shape[0] // 4, 1 + shape[1] // 4, shape[2]))
        return small.repeat(4, 0).repeat(4, 1)[: shape[0], : shape[1]].astype(np.uint8)
    return {
        "bytes": lambda: rng.integers(0, 256, shape).astype(np.uint8),
        "ties": lambda: rng.integers(0, 3, shape).astype(np.uint8),
        "mirrored": lambda: np.concatenate([half := draw("bytes", shape), half[:, ::-1]], -1),
        "floats": lambda: rng.normal(0, 3, shape).astype(np.float32),
    }[kind]()


@pytest.mark.parametrize("kind", ["bytes", "smooth", "ties", "mirrored", "floats"])
@pytest.mark.parametrize("shape", [(14, 19, 11), (1, 1, 3), (1, 7, 2), (9, 1, 40)])
def test_upsampled_labels_are_pythons(call, kind, shape):
    logits = draw(kind, shape)
    ours = call("upsample.js", "upsampledLabels", logits, *logits.shape, dtype=np.uint8)
    size = (8 * shape[0], 8 * shape[1])
    frame = LogitsFrame(size, size)
    np.testing.assert_array_equal(ours.reshape(size), labels_from_output(logits, frame, size))


FRAMES = {
    "input": LogitsFrame.of((224, 320)),
    "padded": LogitsFrame.of((200, 300)),
    "aligned": LogitsFrame.of((224, 320), ALIGNED),
    "nearest": LogitsFrame.of((224, 320), NEAREST),
}


@pytest.mark.parametrize("target", [(224, 320), (200, 300), (360, 481), (111, 57)])
@pytest.mark.parametrize("letterbox", [False, True])
@pytest.mark.parametrize("frame", FRAMES)
def test_label_maps_of_any_size_are_pythons(call, frame, letterbox, target):
    """Where two classes come closer than float32 tells apart, either may win."""
    frame = FRAMES[frame]
    box = Box.letterbox(target, frame.size) if letterbox else None
    for kind in ("smooth", "floats"):
        logits = draw(kind, (28, 40, 11))
        image = np.empty((*frame.size, 3), np.uint8)
        expected = Fitted(image, box).labels(logits, frame, target)
        output = {"data": logits, "shape": logits.shape}
        ours = call(
            "postprocess.js",
            "labelsFromOutput",
            output,
            frame._asdict(),
            box and box._asdict(),
            target,
            dtype=np.uint8,
        ).reshape(target)
        placed, placed_frame = Fitted(image, box).placed(logits, frame)
        values = np.concatenate([s for _, s in logit_strips(placed, placed_frame, target)])
        differ = ours != expected
        won, ruled = (
            np.take_along_axis(values, maps[..., None], -1)[..., 0] for maps in (ours, expected)
        )
        assert np.abs(won - ruled).max() < 1e-4 * np.abs(logits).max()
        assert differ.mean() < (0.005 if kind == "smooth" else 1e-4)


@pytest.mark.parametrize("letterbox", [False, True])
@pytest.mark.parametrize("stride", [1, 8])
@pytest.mark.parametrize("channels", [0, 5])
def test_files_that_upsample_themselves(call, channels, stride, letterbox):
    frame = FRAMES["padded" if stride == 8 else "input"]
    shape = frame.padded if stride == 8 else frame.size
    target = (90, 222)
    box = Box.letterbox(target, frame.size) if letterbox else None
    rng = np.random.default_rng(2)
    size = tuple(side // stride for side in shape) + ((channels,) if channels else ())
    values = rng.integers(0, 9, size).astype(np.uint8)
    values = values if channels else values.astype(np.int32)
    expected = Fitted(np.empty((*frame.size, 3), np.uint8), box).labels(values, frame, target)
    ours = call(
        "postprocess.js",
        "labelsFromOutput",
        {"data": values, "shape": values.shape},
        frame._asdict(),
        box and box._asdict(),
        target,
        dtype=np.uint8,
    ).reshape(target)
    # Integers as small as these tie often, which float32 decides by its rounding.
    assert (ours == expected).mean() > (0.97 if channels else 0.99999)


def test_logits_that_are_no_numbers_are_refused(call):
    logits = np.zeros((28, 40, 3), np.float32)
    logits[5, 5, 1] = np.nan
    output = {"data": logits, "shape": logits.shape}
    answer = call(
        "postprocess.js", "labelsFromOutput", output, FRAMES["input"]._asdict(), None, (224, 320)
    )
    assert "NaN or infinite" in answer["refused"]


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_a_model_file_says_what_it_is(call, model_files, kind):
    segmenter = fs.Segmenter(model_files[kind], threads=1)
    file = call("model_file.js", "readModelFile", model_files[kind].read_bytes(), "m.tflite")
    assert file["size"] == list(segmenter.input_size) and file["dtype"] == "uint8"
    assert file["names"] == list(segmenter.labels.names)
    assert file["colors"] == [list(color) for color in segmenter.labels.colors]
    assert file["mean"] == [128.0] * 3 and file["sampling"] == "half_pixel"
    assert file["quantized"] == (kind == "int8")


def test_names_come_from_the_files_behind_a_model(call, model_files):
    content = model_files["int8"].read_bytes()
    content = content.replace(b"fastscnn_tf", b"fastscnn_xx")  # as a file of somebody else's
    file = call("model_file.js", "readModelFile", content, "m.tflite")
    labels = fs.Segmenter(model_files["int8"], threads=1).labels
    assert file["names"] == list(labels.names)
    assert file["colors"] == [list(color) for color in labels.colors]


def test_names_and_colours_are_generated_where_a_file_has_none(call, model_files):
    content = model_files["int8"].read_bytes().replace(b"fastscnn_tf", b"fastscnn_xx")
    content = content[: content.rindex(b"PK\x05\x06")]  # no archive
    file = call("model_file.js", "readModelFile", content, "m.tflite")
    made = LabelSpace.make("model", 11)
    assert file["names"] == list(made.names)
    assert file["colors"] == [list(color) for color in made.colors]


def test_truncated_and_foreign_files_are_refused(call, model_files):
    content = model_files["int8"].read_bytes()
    end = content.rindex(b"labels.txt")  # beyond it are the files behind the model
    for length in (8, 100, 5000, len(content) // 2, len(content) * 9 // 10):
        assert length < end
        answer = call("model_file.js", "readModelFile", content[:length], "m.tflite")
        assert answer["refused"].startswith("m.tflite is a damaged or truncated .tflite file")
    answer = call("model_file.js", "readModelFile", b"no model at all", "m.tflite")
    assert answer["refused"] == "m.tflite is not a .tflite file (no TFL3 mark at byte 4)."


def test_pictures_are_counted_on_slow_devices_too(call):
    assert call("times.js", "recent", [0, 500, 1000, 2100]) == [500, 1000, 2100]
    assert call("times.js", "recent", [0, 1000, 5000]) == [1000, 5000]
    assert call("times.js", "recent", [7]) == [7]


def test_label_maps_are_saved_as_pngs_that_open_in_colours(call, tmp_path):
    labels = np.random.default_rng(0).integers(0, 11, (33, 70), np.uint8)
    space = LabelSpace.make("model", 11)
    content = call("png.js", "labelPng", labels, labels.shape, space.colors, dtype=np.uint8)
    path = tmp_path / "labels.png"
    path.write_bytes(content.tobytes())
    with Image.open(path) as image:
        image.load()
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), space.palette()[labels])
