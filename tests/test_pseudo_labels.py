"""Pseudo-labels: which pixels are kept, the folder that comes out, and training on it."""

import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from fastscnn_tf.cli.commands import cli
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, DataError, OutputError
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.evaluation.evaluate import load_predictor
from fastscnn_tf.evaluation.pseudo_labels import confident_labels, pseudo_label
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.io import save_keras
from fastscnn_tf.scoring.averaged_views import AveragedViews
from fastscnn_tf.train.settings import TrainSettings
from fastscnn_tf.train.trainer import run_training


def class_probabilities(predictor, image, flip=False):
    return AveragedViews([predictor], flip).probabilities(image, image.shape[:2])


@pytest.fixture(scope="module")
def model(randomise):
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    config = FastSCNNConfig.for_labels("toy", input_size=(64, 96), **few)
    model = randomise(fast_scnn(config))
    layer = model.get_layer("classifier.logits")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * 8, bias])  # sure of some pixels
    return model


@pytest.fixture(scope="module")
def middle(model):
    """A confidence that about half of the pixels of the first image reach."""
    image = ToyStreets("train", (96, 160)).read_image(0)
    return float(np.median(class_probabilities(load_predictor(model), image).max(-1)))


def test_a_worked_example():
    probabilities = np.array(
        [[[0.6, 0.3, 0.1], [0.05, 0.9, 0.05], [0.0, 0.05, 0.95], [0.1, 0.89, 0.01]]], np.float32
    )
    labels, counts = confident_labels(probabilities, 0.9)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[255, 1, 2, 255]]
    assert (counts.predicted, counts.kept) == ((1, 2, 1), (0, 1, 1))


class Ramp:
    """A predictor whose logits are the red and green values, as integers of scale 1/16."""

    input_size, num_classes, logit_scale = (4, 8), 2, 1 / 16

    def run(self, image):
        return image[..., :2].astype(np.float32)


def test_probabilities_are_averaged_over_views():
    image = np.random.default_rng(0).integers(0, 64, (4, 8, 3)).astype(np.uint8)
    expected = np.exp(image[..., :2] / 16.0)
    expected /= expected.sum(-1, keepdims=True)
    assert np.allclose(class_probabilities(Ramp(), image), expected, atol=1e-6)

    class Sided(Ramp):
        def run(self, image):
            return super().run(image) + np.arange(8)[:, None] * [4, 0]

    mirrored = image[..., :2] + np.arange(8)[::-1, None] * [4, 0]
    plain = image[..., :2] + np.arange(8)[:, None] * [4, 0]
    both = [np.exp(x / 16) / np.exp(x / 16).sum(-1, keepdims=True) for x in (plain, mirrored)]
    found = class_probabilities(Sided(), image, flip=True)
    assert np.allclose(found, np.mean(both, 0), atol=1e-6)


@pytest.mark.train
def test_the_folder_is_a_data_set_and_trains(model, middle, own_data, small_weights, tmp_path):
    out = tmp_path / "pseudo"
    result = pseudo_label(model, own_data / "train" / "images", out, middle, flip=True)
    assert (result.images, result.skipped) == (4, ())
    assert sum(result.predicted) == 4 * 96 * 160
    assert 0 < result.share < 1
    data = open_dataset("folder", out, "train")
    assert data.labels.names == model.config.class_names
    kept = np.zeros(9, int)
    for index in range(4):
        image, label = data.read(index)
        probabilities = class_probabilities(load_predictor(model), image, flip=True)
        sure = probabilities.max(-1) >= np.float32(middle)
        assert np.array_equal(label, np.where(sure, probabilities.argmax(-1), 255))
        kept += np.bincount(label[label < 255], minlength=9)
    assert tuple(kept) == result.kept
    links = sorted((out / "images").iterdir())
    assert all(p.is_symlink() and not p.readlink().is_absolute() for p in links)
    # The extra data set of a real run: 4 labelled pairs and 4 of these make 2 batches of 4.
    settings = TrainSettings(
        "folder", str(own_data), (64, 96), 1, 4, 0.01, bn_momentum=0.9, aux_heads=False,
        init_from=str(small_weights),
        extra_dataset="folder", extra_data_dir=str(out), extra_split="train",
    )  # fmt: skip
    steps = []
    count = keras3().callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(1)
    )
    run_training(settings, tmp_path / "run", verbose=0, extra_callbacks=[count])
    assert len(steps) == 2


def test_resume_does_what_is_left(model, middle, own_data, tmp_path):
    images, whole, halves = own_data / "train" / "images", tmp_path / "whole", tmp_path / "halves"
    expected = pseudo_label(model, images, whole, middle)

    def interrupted(items):
        for item in items:
            if item == 2:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        pseudo_label(model, images, halves, middle, progress=interrupted)
    with (halves / "pseudo.counts.jsonl").open("a") as journal:
        journal.write('{"name": "2.jp')  # as a crash leaves it
    first = (halves / "labels" / "0.png").stat().st_mtime_ns
    with pytest.raises(OutputError, match="not empty"):
        pseudo_label(model, images, halves, middle)
    with pytest.raises(ConfigError, match=f"confidence 1.0: it began with {middle}"):
        pseudo_label(model, images, halves, 1.0, resume=True)
    result = pseudo_label(model, images, halves, middle, resume=True)
    assert (result.predicted, result.kept) == (expected.predicted, expected.kept)
    assert (halves / "labels" / "0.png").stat().st_mtime_ns == first
    for path in (whole / "labels").iterdir():
        assert path.read_bytes() == (halves / "labels" / path.name).read_bytes()
    again = pseudo_label(model, images, halves, 1.0, force=True)
    assert sum(again.kept) < sum(result.kept)


def test_bad_pictures_are_named_and_names_stay_apart(model, own_data, tmp_path):
    streets = tmp_path / "streets"
    for city in ("a", "b"):
        (streets / city).mkdir(parents=True)
        Image.new("RGB", (48, 32), "grey").save(streets / city / "x.jpg")
    (streets / "b" / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="--recursive looks into its sub-folders"):
        pseudo_label(model, streets, tmp_path / "out")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        pseudo_label(model, streets, tmp_path / "out", recursive=True)
    result = pseudo_label(
        model, streets, tmp_path / "out", 0.0, recursive=True, resume=False, force=True,
        skip_bad=True, copy=True,
    )  # fmt: skip
    assert len(result.skipped) == 1
    names = sorted(path.name for path in (tmp_path / "out" / "images").iterdir())
    assert names == ["a__x.jpg", "b__x.jpg"]
    assert not (tmp_path / "out" / "images" / "a__x.jpg").is_symlink()
    assert len(open_dataset("folder", tmp_path / "out", "train")) == 2
    assert result.kept == result.predicted
    Image.new("RGB", (48, 32), "grey").save(streets / "a" / "x.png")
    with pytest.raises(DataError, match="would have the same label map"):
        pseudo_label(model, streets, tmp_path / "other", recursive=True)
    for bad in ({"confidence": 1.5}, {"scales": ()}, {"scales": (-1.0,)}):
        with pytest.raises(ConfigError):
            pseudo_label(model, own_data / "val" / "images", tmp_path / "other", **bad)


def test_a_labelled_picture_that_is_gone_is_told(model, own_data, tmp_path, caplog):
    images, out = own_data / "train" / "images", tmp_path / "out"
    done = pseudo_label(model, images, out, 0.1).images
    lost = min(images.iterdir())
    lost.unlink()
    assert pseudo_label(model, images, out, 0.1, resume=True).images == done
    gone = f"labelled before, but gone: 1 image (first: {out / 'images' / lost.name}); the label"
    assert gone in caplog.text
    assert (out / "labels" / f"{lost.stem}.png").is_file()


def test_nothing_is_replaced_or_begun_where_no_picture_can_be_read(model, own_data, tmp_path):
    images, bad, out = own_data / "train" / "images", tmp_path / "bad", tmp_path / "out"
    bad.mkdir()
    (bad / "0.png").write_bytes(b"no image")
    pseudo_label(model, images, out, 0.1)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert len(before) > 8
    for skip_bad, said in (
        (True, "none of the 1 images can be read"),
        (False, "--skip-bad goes"),
    ):
        for folder, force in ((out, True), (tmp_path / "new", False)):
            with pytest.raises(DataError, match=said):
                pseudo_label(model, bad, folder, 0.1, force=force, skip_bad=skip_bad)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "new").exists()


def test_the_command(model, own_data, tmp_path):
    save_keras(model, tmp_path / "m.keras")
    arguments = [
        *("pseudo-label", str(tmp_path / "m.keras"), "--images", str(own_data / "val" / "images")),
        *("--confidence", "0.3", "--scales", "0.5,1.0", "--output", str(tmp_path / "out")),
        *("--json", str(tmp_path / "p.json")),
    ]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "road" in result.output
    assert "3 images" in result.output
    written = json.loads((tmp_path / "p.json").read_text())
    assert written["images"] == 3
    assert "no pixel is labelled" not in result.output
    sure = [*arguments[:5], "0.999999", "--output", str(tmp_path / "none")]
    assert "no pixel is labelled" in CliRunner().invoke(cli, sure).output
    settings = json.loads((tmp_path / "out" / "pseudo.json").read_text())
    assert settings["sizes"] == [[32, 64], [64, 96]]  # multiples of 32; 48 rounds to the even 64
    description = yaml.safe_load((tmp_path / "out" / "dataset.yaml").read_text())
    assert description["splits"] == {"train": {"images": "images", "labels": "labels"}}
