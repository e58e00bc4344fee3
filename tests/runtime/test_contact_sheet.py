"""Contact sheets: the images are training's own, whole and where they belong."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, OutputError
from fastscnn_tf.core.images.visualize import hatched, legend, overlay
from fastscnn_tf.core.labels import CAMVID, TOY_STREETS
from fastscnn_tf.data.augment.augmentation import augmentation
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.data.numpy_pipeline import BatchSource
from fastscnn_tf.scoring.contact_sheet import (
    Sample,
    contact_sheet,
    draw_samples,
    save_contact_sheet,
)

SIZE = (96, 160)


def test_samples_are_those_that_training_gets():
    toy, paper = ToyStreets("val", SIZE), augmentation("paper")
    samples = draw_samples(toy, (64, 96), paper, count=3, seed=5)
    config = FastSCNNConfig.for_labels("toy", input_size=(64, 96))
    source = BatchSource(toy, config, paper, 3, 5)
    images, labels = source.batch(0, 0)
    for i, sample in enumerate(samples):
        assert sample.name == toy.sample_name(int(source.order(0)[i]))
        assert np.array_equal(sample.label, labels[i])
        assert np.abs(sample.image / 128 - 1 - images[i]).max() < 0.6 / 128


def test_without_augmentation_the_pairs_come_as_they_are(own_data):
    from fastscnn_tf.data.datasets.registry import open_dataset

    data = open_dataset("folder", own_data, "val")
    samples = draw_samples(data, count=5)  # of 3 pairs
    assert [s.name for s in samples] == [data.sample_name(i) for i in (0, 1, 2, 0, 1)]
    assert all(np.array_equal(samples[i].image, data.read(i)[0]) for i in range(3))
    with pytest.raises(ConfigError, match="count"):
        draw_samples(data, count=0)


def test_the_sheet_shows_picture_overlay_void_and_shares():
    image = np.full((*SIZE, 3), 100, np.uint8)
    label = np.zeros(SIZE, np.uint8)  # road, the right quarter void
    label[:, 120:] = 255
    samples = [Sample(f"/data/straße {i}.png", image, label) for i in range(3)]
    sheet = contact_sheet(samples, TOY_STREETS, "Titel", columns=2)
    # Cells of 160 x (96 + 2 + 96 + 20) in two rows, then a legend of 10 entries.
    top, height = 10 + 30, 2 * 96 + 2 + 20
    assert sheet.shape[1] == 700
    key = legend(TOY_STREETS, 20, [0.75, *[0.0] * 8, 0.25], 680)
    assert sheet.shape[0] == top + 2 * (height + 10) + len(key) + 10
    assert np.array_equal(sheet[-10 - len(key) : -10, 10:690], key)
    for row, column in ((0, 0), (0, 1), (1, 0)):
        y, x = top + row * (height + 10), 10 + column * 170
        assert np.array_equal(sheet[y : y + 96, x : x + 160], image)
        expected = hatched(overlay(image, label, TOY_STREETS), label)
        assert np.array_equal(sheet[y + 98 : y + 194, x : x + 160], expected)
        assert (sheet[y + 194 : y + 214, x : x + 160] < 128).any()  # the name
    assert (sheet[top + height + 10 : top + 2 * height + 10, 180:] == 255).all()
    with pytest.raises(ConfigError, match="columns"):
        contact_sheet(samples, TOY_STREETS, columns=0)


def test_void_is_hatched_and_nothing_else():
    image = np.full((16, 16, 3), 100, np.uint8)
    label = np.full((16, 16), 255, np.uint8)
    label[:, 8:] = 3
    result = hatched(image, label)
    assert (result[:, 8:] == 100).all()
    values, counts = np.unique(result[:, :8, 0], return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {0: 16, 100: 96, 255: 16}


def test_long_names_keep_their_end_and_stay_in_the_cell():
    image, label = np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8)
    sheet = contact_sheet([Sample("x" * 300, image, label)], TOY_STREETS)
    assert (sheet[10 + 194 : 10 + 214, 170:] == 255).all()


@pytest.mark.parametrize(("width", "rows"), [(None, 11), (10, 11), (400, 4), (5000, 1)])
def test_legend_spreads_over_columns(width, rows):
    picture = legend(CAMVID, 20, width=width)
    assert picture.shape[0] == rows * 20
    assert width in (None, 10) or picture.shape[1] == width
    for color in CAMVID.colors:
        assert (picture == color).all(2).sum() > 100


def test_a_sheet_is_written_without_tensorflow_and_never_over_another(tmp_path):
    path = tmp_path / "ein Blatt für mich.png"
    code = (
        "import sys; from fastscnn_tf.scoring.contact_sheet import save_contact_sheet as s;"
        f"n = s({str(path)!r}, 'toy', augment='strong', size=(64, 96), count=2);"
        "sys.exit(n != 2 or bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with Image.open(path) as picture:
        assert picture.format == "PNG"
    with pytest.raises(OutputError, match="exists"):
        save_contact_sheet(path, "toy")
    with pytest.raises(OutputError, match=r"\.png or \.jpg"):
        save_contact_sheet(tmp_path / "sheet.gif", "toy")
