"""Images of any size in the model's input and their label maps back: geometry, edges, memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.images.image_file import resize_image
from fastscnn_tf.core.images.interpolation import interpolation_matrix
from fastscnn_tf.evaluation.evaluate import open_inference
from fastscnn_tf.runtime.fit import Box, fitted
from fastscnn_tf.runtime.postprocess import LogitsFrame
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.scoring.views import WholeImage

SIZE = (64, 96)


class Channel:
    """Says the class that the red channel holds, at the input's own size."""

    input_size, num_classes, mean_color = SIZE, 4, (200.4, 9.0, 11.0)
    seen: np.ndarray

    def run(self, image):
        self.seen = image
        return np.float32(image[..., :1] == np.arange(self.num_classes))


@pytest.mark.parametrize(
    ("image", "box"),
    [
        ((64, 96), (0, 0, 64, 96)),
        ((128, 192), (0, 0, 64, 96)),
        ((32, 96), (16, 0, 32, 96)),
        ((33, 96), (15, 0, 33, 96)),  # the odd row is below
        ((64, 64), (0, 16, 64, 64)),
        ((1, 1), (0, 16, 64, 64)),
        ((1, 16384), (31, 0, 1, 96)),
        ((16384, 1), (0, 47, 64, 1)),
        ((7, 3), (0, 34, 64, 27)),
    ],
)
def test_the_box_keeps_the_proportions_in_the_middle(image, box):
    assert Box.letterbox(image, SIZE) == box


def test_every_box_fills_one_side_and_lies_inside():
    rng = np.random.default_rng(0)
    for _ in range(500):
        image = tuple(int(n) for n in rng.integers(1, 20000, 2))
        model = tuple(int(n) * 32 for n in rng.integers(1, 64, 2))
        box = Box.letterbox(image, model)
        assert box.height == model[0] or box.width == model[1]
        assert 1 <= box.height <= model[0]
        assert 1 <= box.width <= model[1]
        below = model[0] - box.top - box.height
        right = model[1] - box.left - box.width
        assert 0 <= below - box.top <= 1
        assert 0 <= right - box.left <= 1


@pytest.mark.parametrize("size", [(32, 96), (64, 40), (64, 96), (33, 96), (64, 1)])
def test_a_picture_comes_back_pixel_for_pixel(size):
    """At scale 1 nothing is interpolated: letterboxing and back is the identity."""
    classes = np.random.default_rng(0).integers(0, 4, size, dtype=np.uint8)
    image = np.repeat(classes[..., None], 3, axis=2)
    predictor = Channel()
    look = WholeImage(predictor, "letterbox")
    assert np.array_equal(look.label_map(image, size), classes)
    box = Box.letterbox(size, SIZE)
    beside = np.ones(SIZE, bool)
    beside[box.rows, box.columns] = False
    assert (predictor.seen[beside] == (200, 9, 11)).all()  # the mean, rounded
    assert np.array_equal(predictor.seen[box.rows, box.columns], image)


def test_a_scaled_picture_comes_back_to_its_own_size():
    """Halves stay halves: 128x64 is scaled to 64x32 and back."""
    image = np.zeros((128, 64, 3), np.uint8)
    image[64:] = 3
    labels = WholeImage(Channel(), "letterbox").label_map(image, (128, 64))
    assert (labels[:63] == 0).all()
    assert (labels[65:] == 3).all()


@pytest.mark.parametrize("target", [(25, 96), (50, 200), (9, 7)])
def test_logits_at_an_eighth_are_cut_where_the_picture_lies(target):
    """Against float64: up to the input's size, cut to the box, on to the target."""
    logits = np.random.default_rng(1).normal(size=(8, 12, 5)).astype(np.float32)
    seen = fitted(np.zeros((25, 96, 3), np.uint8), SIZE, "letterbox")
    assert seen.box == (19, 0, 25, 96)
    rows, columns = (interpolation_matrix(n, 8 * n).astype(np.float64) for n in (8, 12))
    whole = np.einsum("ya,xb,abc->yxc", rows, columns, logits)[19:44]
    rows, columns = (
        interpolation_matrix(n, goal).astype(np.float64)
        for n, goal in zip((25, 96), target, strict=True)
    )
    exact = np.einsum("ya,xb,abc->yxc", rows, columns, whole)
    labels = seen.labels(logits, LogitsFrame.of(SIZE), target)
    two = np.sort(exact, axis=-1)[..., -2:]
    clear = two[..., 1] - two[..., 0] > 1e-5
    assert clear.mean() > 0.99
    assert np.array_equal(labels[clear], exact.argmax(-1)[clear])


def test_label_maps_of_the_graph_are_cut_too():
    labels = np.arange(64, dtype=np.int32)[:, None].repeat(96, axis=1)
    seen = fitted(np.zeros((32, 96, 3), np.uint8), SIZE, "letterbox")
    frame = LogitsFrame.of(SIZE)
    assert np.array_equal(seen.labels(labels, frame, (32, 96))[:, 0], np.arange(16, 48))
    eighth = labels[::8, ::8] // 8
    assert np.array_equal(seen.labels(eighth, frame, (32, 96))[:, 0], np.arange(16, 48) // 8)


@pytest.mark.parametrize("outputs", ["logits", "logits-full", "labels", "prob"])
def test_every_kind_of_output_takes_every_picture(tflite_files, outputs):
    segmenter = Segmenter(tflite_files["int8", outputs])
    rng = np.random.default_rng(0)
    for size in ((1, 1), (1, 500), (500, 1), (96, 160), (97, 161), (40, 160)):
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        for fit in ("resize", "letterbox"):
            labels = segmenter.predict(image, fit=fit)
            assert labels.shape == size
            assert labels.dtype == np.uint8
            assert labels.max() < 9
        stretched, boxed = (segmenter.predict(image, (30, 50), fit) for fit in ("resize",) * 2)
        assert np.array_equal(stretched, boxed)
    whole = rng.integers(0, 256, (96, 160, 3), dtype=np.uint8)
    assert np.array_equal(segmenter.predict(whole, fit="letterbox"), segmenter.predict(whole))


def test_a_letterboxed_street_keeps_its_labels(tflite_files):
    """A street in a wider image: what the model says in the box is what it says of the street."""
    from fastscnn_tf.data.datasets.toy_streets import ToyStreets

    segmenter = Segmenter(tflite_files["float32", "logits-full"])
    street = ToyStreets("val", (96, 160)).read_image(0)
    narrow = resize_image(street, (96, 120))
    canvas = np.full((96, 160, 3), 128, np.uint8)
    canvas[:, 20:140] = narrow
    expected = segmenter.predict(canvas)[:, 20:140]
    assert np.array_equal(segmenter.predict(narrow, fit="letterbox"), expected)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_very_wide_picture_needs_little_memory(tflite_files):
    """16384x1024 is 50 MB; beside it and Pillow's copy of 67 MB only strips are held."""
    code = """
import sys
from pathlib import Path
import numpy as np
from fastscnn_tf.runtime.segmenter import Segmenter
segmenter = Segmenter(sys.argv[1])
small = np.zeros((96, 160, 3), np.uint8)
segmenter.predict(small)
# Of getrusage it would be that of the process which started this one, if that was larger.
peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
image = np.random.default_rng(0).integers(0, 256, (1024, 16384, 3), dtype=np.uint8)
before = peak()
for fit in ("resize", "letterbox"):
    assert segmenter.predict(image, fit=fit).shape == (1024, 16384)
print(peak() - before)
"""
    command = [sys.executable, "-c", code, str(tflite_files["int8", "logits"])]
    grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 250  # all interpolated logits at once would be 604 MB


def test_what_fits_is_told(tflite_files):
    segmenter = Segmenter(tflite_files["int8", "logits"])
    with pytest.raises(ConfigError, match="fit must be resize or letterbox, got 'crop'"):
        segmenter.predict(np.zeros((4, 4, 3), np.uint8), fit="crop")
    with pytest.raises(ConfigError, match="got 'crop'"):
        segmenter.stream([], fit="crop")
    with pytest.raises(ConfigError, match="--fit is for one look"):
        open_inference(Channel(), flip=True, fit="letterbox")
    assert "proportions kept" in WholeImage(Channel(), "letterbox").protocol


def test_predict_and_evaluate_letterbox(tflite_files, tmp_path, run):
    from fastscnn_tf.data.datasets.toy_streets import ToyStreets

    model = tflite_files["int8", "logits"]
    street = ToyStreets("val", (96, 160)).read_image(0)[:, :80]
    Image.fromarray(street).save(tmp_path / "narrow.png")
    arguments = ["predict", model, tmp_path / "narrow.png", "--output", tmp_path / "out"]
    assert run(*arguments, "--fit", "letterbox")[0] == 0
    labels = np.asarray(Image.open(tmp_path / "out" / "narrow_labels.png"))
    assert np.array_equal(labels, Segmenter(model).predict(street, fit="letterbox"))
    code, out, _ = run("evaluate", model, "--dataset", "toy", "--fit", "letterbox")
    assert code == 0
    assert "proportions kept" in out
    assert run(*arguments, "--fit", "letterbox", "--flip", "--force")[0] == 2
