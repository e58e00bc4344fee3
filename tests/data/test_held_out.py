"""`--val-split`: which images validate where there is no val; and sizes from the images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.data.check.usable import open_usable
from fastscnn_tf.data.datasets.dataset import FileDataset
from fastscnn_tf.data.datasets.held_out import held_out
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.train.proposals import proposals, proposed_size

SPACE = LabelSpace.make("own", 2)


def dataset(names, root="data"):
    pairs = tuple((Path(root) / "images" / n, Path(root) / "labels" / n) for n in names)
    return FileDataset("own", "train", SPACE, pairs)


def parts(names, share=0.2, root="data"):
    """Names of train and of val."""
    data = dataset(names, root)
    found = {split: held_out(data, share, split) for split in ("train", "val")}
    return [
        {Path(part.sample_name(i)).name for i in range(len(part))} for part in found.values()
    ], found["val"].note


def test_each_picture_is_in_one_part_wherever_the_folder_lies():
    names = [f"IMG_{i:04}.png" for i in range(200)]
    (train, val), note = parts(names)
    assert train | val == set(names)
    assert not train & val
    assert 25 <= len(val) <= 55
    assert f"val: {len(val)} of 200 images" in note
    assert "neighbours of a video may be in both" in note
    assert parts(names, root="/elsewhere/x")[0] == [train, val]
    (more, wider), _ = parts([*names, *(f"IMG_{i:04}.png" for i in range(200, 230))])
    assert train <= more  # what was added moved nothing
    assert val <= wider


@pytest.mark.parametrize("form", ["seq{}_{:06}.png", "s{}/{:04}.png", "{}-frame{}_left.png"])
def test_sequences_stay_together(form):
    names = [form.format(i // 10, i % 10) for i in range(200)]
    data = dataset(names)
    val = held_out(data, 0.3, "val")
    assert 0 < len(val) < 200
    assert len(val) % 10 == 0
    assert "20 sequences" in val.note


def test_two_pictures_are_needed():
    (train, val), _ = parts(["a.png", "b.png"])
    assert (len(train), len(val)) == (1, 1)
    with pytest.raises(DataError, match="cannot be split"):
        parts(["a.png"])


@pytest.fixture
def own(tmp_path):
    """Eleven images without a val."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for i in range(11):
        size = (480, 640) if i else (100, 90)
        image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "images" / f"p{i}.png")
        Image.fromarray(np.uint8(image[..., 0] > 99)).save(tmp_path / "labels" / f"p{i}.png")
    (tmp_path / "dataset.yaml").write_text(
        "classes: [a, b]\nsplits: {train: {images: images, labels: labels}}\n"
    )
    return tmp_path


def test_the_pictures_propose_size_and_batch(own):
    given = {"dataset": "folder", "data_dir": own}
    found, lines = proposals(given)
    assert found == {"size": (448, 608), "batch_size": 5}
    assert "10 of 11 images looked at are 480x640, 2 sizes in all" in lines[0]
    assert "batch size 5 instead of 12: 11 pairs" in lines[1]
    train = len(open_usable("folder", own, "train", val_split=0.2))
    val = open_usable("folder", own, "val", val_split=0.2)
    assert train + len(val) == 11
    assert val.split == "val"
    found, _ = proposals({**given, "size": (64, 64), "val_split": 0.2})
    assert found == {"batch_size": train // 2}
    assert proposals({**given, "size": (64, 64), "batch_size": 3}) == ({}, [])


@pytest.mark.parametrize(
    ("own_size", "proposed"),
    [
        ((1080, 1920), (384, 704)),
        ((3024, 4032), (448, 608)),
        ((200, 333), (192, 320)),
        ((9, 40), (32, 32)),
    ],
)
def test_a_size_has_the_proportions_of_the_pictures(own_size, proposed):
    class Drawn(FileDataset):
        def read_image(self, index):
            return np.zeros((*own_size, 3), np.uint8)

    data = Drawn("own", "train", SPACE, ((Path("a"), Path("b")),))
    assert proposed_size(data)[0] == proposed
    assert proposed[0] * proposed[1] <= 300_000


def test_a_run_without_val_says_what_to_do(own, tmp_path):
    from fastscnn_tf.train.settings import TrainSettings
    from fastscnn_tf.train.trainer import find_data

    settings = {"dataset": "folder", "data_dir": str(own), "size": (32, 32)}
    with pytest.raises(DataError, match=r"no split 'val'.*val_split 0.2"):
        find_data(TrainSettings(**settings), None)
    with pytest.raises(DataError, match=r"describes: train; split chooses one of them$"):
        open_dataset("folder", own, "val")  # as evaluate does
    (own / "dataset.yaml").write_text(
        "classes: [a, b]\nsplits:\n  train: {images: images, labels: labels}\n"
        "  val: {images: images, labels: labels}\n"
    )
    with pytest.raises(ConfigError, match=r"has a split 'val': leave val_split out"):
        find_data(TrainSettings(**settings, val_split=0.2), None)


@pytest.mark.parametrize(
    ("recipe", "pairs", "few"),
    [("paper", 199, True), ("paper", 200, False), ("finetune", 10, False)],
)
def test_what_the_data_decided_is_said(recipe, pairs, few, capsys):
    from fastscnn_tf.train.build import run_config
    from fastscnn_tf.train.recipes import train_settings
    from fastscnn_tf.train.trainer import say_more

    training = dataset([f"a{i // 10}_{i % 10}.png" for i in range(pairs)])
    place = {"dataset": "folder", "size": (32, 32)}
    settings = train_settings(recipe, **place, epochs=3, batch_size=5)
    config = run_config(settings, SPACE, None, pairs)
    say_more(settings, config, (training, held_out(training, 0.2, "val")))
    out = capsys.readouterr().out
    assert ("recipe finetune and init_from camvid" in out) == few
    assert f"momentum {config.bn_momentum:.3g}, so that" in out
    assert f" of {pairs} images of train" in out
    given = train_settings(recipe, **place, bn_momentum=config.bn_momentum)
    say_more(given, config, (training, None))
    assert "momentum" not in capsys.readouterr().out
