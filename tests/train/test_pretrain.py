"""Pre-training on folders of images, and starting from other weights."""

import csv
import dataclasses
import functools
import shutil

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, DataError, InputError, ModelFileError, OutputError
from fastscnn_tf.evaluation.saving import save_model
from fastscnn_tf.model.classifier import fast_scnn_classifier
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.initialise import initialise, read_start
from fastscnn_tf.quantize.run_settings import QuantizeSettings
from fastscnn_tf.train.pretrain import PretrainSettings, run_pretraining, top_accuracy
from fastscnn_tf.train.settings import TrainSettings
from fastscnn_tf.train.trainer import run_training

COLOURS = ("blau", "grün", "rot")
FEW = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Noise in three colours: easy to tell apart."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 6)):
        for channel, name in enumerate(COLOURS):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                shape = (int(rng.integers(40, 90)), int(rng.integers(40, 120)), 3)
                noise = rng.integers(0, 90, shape)
                noise[..., 2 - channel] += 150
                Image.fromarray(noise.astype(np.uint8)).save(folder / f"{i}.jpg")
    return root


def short_run(pictures, **changes):
    values = {"epochs": 5, "batch_size": 4, "learning_rate": 0.01, "bn_momentum": 0.8}
    return PretrainSettings(str(pictures), (64, 64), **{**values, "width": 0.5, **changes})


@pytest.fixture(scope="module")
def pretrained(pictures, one_bottleneck, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    with one_bottleneck():
        return run_pretraining(short_run(pictures), folder, verbose=0)


@pytest.mark.train
def test_it_learns_and_leaves_a_run_folder(pretrained):
    assert pretrained.epochs == 5
    assert pretrained.top1 > 0.5
    assert pretrained.top5 == 1.0  # three classes
    names = {path.name for path in pretrained.folder.iterdir()}
    assert {"best.keras", "last.keras", "run.json", "state.json", "log.csv"} <= names
    rows = (pretrained.folder / "log.csv").read_text().splitlines()
    assert rows[0] == "epoch,loss,val_top1,val_top5"
    assert len(rows) == 6


@pytest.mark.train
def test_resumed_it_ends_as_an_uninterrupted_one(pictures, one_bottleneck, interrupted, tmp_path):
    """It stops after an epoch, and then within one of two steps."""
    settings = short_run(pictures, epochs=2, batch_size=24, width=0.25)
    often = dataclasses.replace(settings, save_every="0.001s")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    with one_bottleneck():
        assert run_pretraining(settings, whole, verbose=0).epochs == 2
        with interrupted(0):
            run_pretraining(settings, parts, verbose=0)
        with interrupted(1):
            run_pretraining(often, parts, resume=True, verbose=0)
        assert run_pretraining(settings, parts, resume=True, verbose=0).epochs == 2
    weights = (read_start(path / "last.keras").model.get_weights() for path in (whole, parts))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, 1e-3, 1e-4)
    rows = list(csv.DictReader((parts / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]


@pytest.mark.train
def test_a_folder_that_is_not_empty_and_other_settings_are_refused(pictures, pretrained):
    with pytest.raises(OutputError, match="not empty"):
        run_pretraining(short_run(pictures), pretrained.folder)
    other = short_run(pictures, learning_rate=0.5)
    with pytest.raises(ConfigError, match=r"learning_rate 0\.5: it began with 0\.01"):
        run_pretraining(other, pretrained.folder, resume=True)


def test_top_accuracy_worked_by_hand():
    class Model:
        def predict_on_batch(self, images):
            return np.array([[9, 1, 2, 3, 4, 5, 6], [0, 9, 8, 7, 6, 5, 4]])

    batches = [(None, np.array([0, 6])), (None, np.array([1, 5]))]
    # Ranks of the right labels: 1, 6 and 7, 5.
    assert top_accuracy(Model(), batches) == (0.25, 0.5)


def test_classifier_shares_the_trunk():
    config = FastSCNNConfig(num_classes=5, input_size=(64, 64), **FEW)
    model = fast_scnn_classifier(config, 10)
    assert model.output_shape == (None, 10)
    trunk = {x.name for x in model.layers if x.weights and not x.name.startswith("labels")}
    assert trunk <= {x.name for x in fast_scnn(config).layers}
    with pytest.raises(ConfigError, match="num_labels"):
        fast_scnn_classifier(config, 1)


@pytest.mark.train
def test_training_starts_from_it(pretrained, shared_data, tmp_path, capsys):
    place = ("folder", str(shared_data), (64, 96))
    settings = TrainSettings(*place, 1, 2, 1e-9, init_from=str(pretrained.folder), validate_every=1)
    result = run_training(settings, tmp_path / "seg", verbose=2)
    said = capsys.readouterr().out
    assert "layers taken; new: aux_gfe, aux_ltd, classifier, fusion" in said
    layer = "global_features.bottleneck1_1.expand"
    before = read_start(pretrained.best).model.get_layer(layer).get_weights()[0]
    after = fs.load_model(result.best).get_layer(layer).get_weights()[0]
    assert np.allclose(before, after, atol=1e-5)


@pytest.mark.train
def test_a_classifier_is_no_segmentation_model(pretrained, tmp_path):
    with pytest.raises(ModelFileError, match="train --init-from"):
        fs.load_model(pretrained.folder)
    model = fast_scnn(FastSCNNConfig(num_classes=3, input_size=(32, 32), **FEW))
    save_model(model, tmp_path / "m.keras")
    from fastscnn_tf.model.io import load_keras

    with pytest.raises(ModelFileError, match="expected an image classifier"):
        load_keras(tmp_path / "m.keras", classifier=True)


@pytest.mark.train
@pytest.mark.parametrize("preset", ["paper", "zh320"])
def test_other_class_count_starts_only_the_logits_anew(preset, randomise, tmp_path):
    config = FastSCNNConfig.preset(preset, num_classes=19, input_size=(64, 96), **FEW)
    source = randomise(fast_scnn(config))
    save_model(source, tmp_path / "m.keras")
    model = fast_scnn(config.replace(num_classes=4, input_size=(32, 64)))
    report = initialise(model, read_start(tmp_path / "m.keras"))
    assert report.endswith("only the logits start anew, for 4 classes instead of 19")
    for layer in model.layers:
        if layer.weights and not layer.name.startswith("classifier.logits"):
            expected = source.get_layer(layer.name).get_weights()
            assert all(map(np.array_equal, layer.get_weights(), expected)), layer.name


def test_same_class_count_takes_everything(randomise, tmp_path):
    config = FastSCNNConfig(5, input_size=(64, 96), aux_heads=True, **FEW)
    source = randomise(fast_scnn(config))
    save_model(source, tmp_path / "m.keras")
    model = fast_scnn(config.replace(input_size=(32, 32)))
    assert initialise(model, read_start(tmp_path / "m.keras")).endswith("layers taken")
    assert all(map(np.array_equal, model.get_weights(), source.get_weights()))


@pytest.mark.parametrize("preset", ["paper", "zh320"])  # with auxiliary heads, and with a norm
def test_classes_are_carried_over_by_name(preset, randomise, tmp_path):
    config = FastSCNNConfig.preset(
        preset,
        num_classes=3,
        class_names=("sky", "road", "car"),
        input_size=(64, 96),
        aux_heads=preset == "paper",
        **FEW,
    )
    source = randomise(fast_scnn(config))
    save_model(source, tmp_path / "m.keras")

    def start(*classes, **matching):
        new = config.replace(num_classes=len(classes), class_names=classes, input_size=(32, 32))
        model = randomise(fast_scnn(new), 1)
        report = initialise(model, read_start(tmp_path / "m.keras"), **matching)
        return model, report.partition("layers taken; ")[2]

    def rows(model, head="classifier"):
        layers = [layer for layer in model.layers if layer.name.startswith(f"{head}.logits")]
        weights = [w for layer in layers for w in layer.get_weights()]
        assert len(weights) >= 2  # kernel and bias, and those of a normalisation
        return [[w[..., i] for w in weights] for i in range(weights[0].shape[-1])]

    def same(first, second):
        return all(map(np.array_equal, first, second))

    heads = ("classifier", "aux_ltd", "aux_gfe") if config.aux_heads else ("classifier",)
    model, said = start("car", "sky", "road")
    assert said == "the logits of all 3 classes carried over by name, in another order"
    for head in heads:
        before, after = rows(source, head), rows(model, head)
        assert all(same(after[new], before[old]) for new, old in enumerate((2, 0, 1)))
    model, said = start("bus", "Road", "sky", "tree")
    assert said == "the logits of 2 of 4 classes carried over by name, new: bus, tree, 1 left out"
    before, after = rows(source), rows(model)
    assert same(after[1], before[1])
    assert same(after[2], before[0])
    assert not any(same(row, other) for row in (after[0], after[3]) for other in before)
    model, said = start("a", "b", "c")
    assert said == "only the logits start anew, for 3 classes instead of 3, none of the same name"
    model, said = start("a", "b", "c", match="index")
    assert said == "classes matched by index: as asked for"
    assert all(map(np.array_equal, model.get_weights(), source.get_weights()))
    (tmp_path / "c.yaml").write_text("car: bus\nsky:\n")
    model, said = start("bus", "road", "sky", class_map=tmp_path / "c.yaml")
    assert said.startswith("the logits of 2 of 3 classes carried over by ")
    assert said.endswith("c.yaml, new: sky, 1 left out")
    assert same(rows(model)[0], before[2])


@pytest.mark.train
def test_architecture_and_widths_come_from_the_starting_weights(own_data, tmp_path):
    """Of a pruned network, which trains on, with the pairs of a second data set."""
    few = {**FEW, "width": 0.5, "repeats": (1, 2, 1)}
    whole = fast_scnn(FastSCNNConfig.preset("tramac", input_size=(64, 96), **few))
    source = fs.prune(whole, 0.7).model
    assert source.config.head_widths != whole.config.head_widths
    save_model(source, tmp_path / "m.keras")
    start = str(tmp_path / "m.keras")
    place = {"dataset": "folder", "data_dir": str(own_data), "size": (64, 96)}
    more = {"epochs": 1, "batch_size": 6, "init_from": start, "validate_every": 0}
    extra = {"extra_dataset": "folder", "extra_split": "val"}  # a batch of 6 needs both
    settings = fs.train_settings("finetune", **place, **more, **extra)
    result = run_training(settings, tmp_path / "run", verbose=0)
    config = fs.load_model(result.best).config
    expected = source.config.replace(
        num_classes=9, class_names=config.class_names, class_colors=config.class_colors
    )
    # The run is short, and the momentum of batch normalisation follows its steps.
    assert config.bn_momentum < source.config.bn_momentum
    assert config == expected.replace(bn_momentum=config.bn_momentum)
    assert result.epochs == 1
    with pytest.raises(ConfigError, match="leave out preset"):
        TrainSettings("toy", None, (64, 96), init_from=start, preset="paper")


def test_another_architecture_is_refused_by_layer(randomise, tmp_path):
    config = FastSCNNConfig(input_size=(32, 32), **FEW)
    save_model(fast_scnn(config), tmp_path / "m.keras")
    other = fast_scnn(config.replace(repeats=(1, 2, 1)))
    with pytest.raises(ConfigError, match=r"bottleneck2_2\.expand' is missing"):
        initialise(other, read_start(tmp_path / "m.keras"))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batch_size": 1000}, ConfigError, "use at most 48"),
        ({"data_dir": "/nowhere"}, DataError, "no such folder"),
        ({"epochs": 0}, ConfigError, "epochs must be at least 1"),
        ({"size": (100, 64)}, ConfigError, "96 or 128"),
        ({"preset": "resnet"}, ConfigError, "preset must be one of"),
    ],
)
def test_wrong_settings(pictures, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        values = {"data_dir": str(pictures), "size": (64, 64), "batch_size": 8, **changes}
        settings = PretrainSettings(**values)
        run_pretraining(settings, tmp_path / "r", verbose=0)
    assert not (tmp_path / "r").exists()


@pytest.mark.train
def test_unreadable_picture_is_named(tmp_path, pictures, one_bottleneck):
    import shutil

    root = tmp_path / "data"
    shutil.copytree(pictures, root)
    broken = root / "train" / "rot" / "3.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    settings = PretrainSettings(str(root), (64, 64), epochs=1, batch_size=8)
    with one_bottleneck(), pytest.raises(DataError, match=r"rot/3\.jpg"):
        run_pretraining(settings, tmp_path / "r", verbose=0)


@pytest.mark.parametrize("settings_of", [TrainSettings, functools.partial(QuantizeSettings, "x")])
def test_mistakes_of_the_extra_data_are_said_before_anything_is_read(
    own_data, tmp_path, settings_of
):
    """They name what tells where it lies and which split it is, as it was given."""
    from fastscnn_tf.train.trainer import find_data

    (tmp_path / "other").mkdir()
    shutil.copytree(own_data / "train", tmp_path / "other" / "train")
    (tmp_path / "other" / "dataset.yaml").write_text(
        "classes: [moon, sun]\nsplits:\n  train: {images: train/images, labels: train/labels}\n"
    )
    for picture in own_data.rglob("*.jpg"):
        picture.write_bytes(b"")  # whoever reads one fails otherwise
    toy, own = ("toy", None), ("folder", str(own_data))
    for place, extra, said in (
        (toy, {}, r"'folder' needs its folder: pass extra_data_dir$"),
        (own, {}, r"extra_split train_extra: .*describes: train, val$"),
        (own, {"dir": str(tmp_path / "none")}, r"^extra_dataset folder, .*none: no such file"),
        (own, {"dir": str(tmp_path / "other"), "split": "train"}, r"moon.* both data sets$"),
    ):
        folder, split = extra.get("dir"), extra.get("split", "train_extra")
        given = {"extra_dataset": "folder", "extra_data_dir": folder, "extra_split": split}
        with pytest.raises(InputError, match=said):
            find_data(settings_of(*place, (64, 96), **given), None)


def test_more_training_data_of_the_same_classes(own_data):
    """The second data set's pairs join the training split."""
    from fastscnn_tf.train.trainer import training_data

    extra = {"extra_dataset": "folder", "extra_split": "val"}
    settings = TrainSettings("folder", str(own_data), (64, 96), 1, 6, **extra)
    assert len(training_data(settings, settings.size)) == 4 + 3
    tuned = QuantizeSettings("x.keras", "folder", str(own_data), **extra)
    assert len(training_data(tuned, settings.size)) == 4 + 3
    with pytest.raises(ConfigError, match="extra_data_dir needs extra_dataset"):
        TrainSettings("toy", None, (64, 96), extra_data_dir="x")
    with pytest.raises(ConfigError, match="extra_data_dir needs extra_dataset"):
        QuantizeSettings("x.keras", "toy", None, extra_data_dir="x")
