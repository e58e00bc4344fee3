"""Distillation: arithmetic, who learns, what is saved, which teachers fit, logits from disk."""

import dataclasses

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, DataError, ModelFileError
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.data.augment import numpy_ops
from fastscnn_tf.data.augment.augmentation import DRAWS, Augmentation
from fastscnn_tf.data.augment.pair import augment_pair
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.evaluation.evaluate import load_predictor
from fastscnn_tf.model.fast_scnn import fast_scnn, logits_layer, resize_model
from fastscnn_tf.model.io import load_keras, save_keras
from fastscnn_tf.model.layers import COARSE
from fastscnn_tf.train.distill.distillation import distillation_loss, distilling_model
from fastscnn_tf.train.distill.saved_logits import logits_batches, sampled, save_logits, shown_cells
from fastscnn_tf.train.distill.teacher import open_teacher
from fastscnn_tf.train.losses.segmentation_loss import segmentation_losses
from fastscnn_tf.train.recipes import train_settings
from fastscnn_tf.train.registered import register_training_objects
from fastscnn_tf.train.trainer import run_training
from fastscnn_tf.train.training_state import read_checkpoint

SIZE, CLASSES = (64, 96), 9
FEW = {"input_size": SIZE, "width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
SMALL = FastSCNNConfig(num_classes=CLASSES, **FEW)


def compiled(model):
    config = model.config
    model.compile(
        optimizer=keras3().optimizers.SGD(0.01, momentum=0.9),
        **segmentation_losses(config.aux_heads, config.aux_layout),
    )
    return model


def logits_of(model, images):
    head = keras3().Model(model.inputs, model.get_layer(logits_layer(model.config)).output)
    return keras3().ops.convert_to_numpy(head([images], training=False))


def divergence(teacher, student, temperature):
    """(..., classes) float64 -> KL of each cell, from the definition."""
    p, q = (
        np.exp(x / temperature) / np.exp(x / temperature).sum(-1, keepdims=True)
        for x in (teacher.astype(np.float64), student.astype(np.float64))
    )
    return temperature**2 * (p * np.log(p / q)).sum(-1)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_the_divergence(temperature):
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(0, 3, (2, 2, 3, 4, 5)).astype(np.float32)
    both = np.concatenate([student, teacher], -1)
    cells = divergence(teacher, student, temperature)
    loss = distillation_loss(temperature)
    assert float(loss(None, both)) == pytest.approx(cells.mean(), rel=1e-5)
    weight = rng.integers(0, 2, (2, 3, 4))
    expected = (cells * weight).sum() / weight.sum()
    assert float(loss(weight, both)) == pytest.approx(expected, rel=1e-5)
    assert float(loss(0 * weight, both)) == 0


def test_a_worked_example():
    # Teacher 3/4 and 1/4, student 1/2 each: 3/4 log(3/2) + 1/4 log(1/2).
    both = np.array([[[[0.0, 0.0, np.log(3.0), 0.0]]]], np.float32)
    assert float(distillation_loss()(None, both)) == pytest.approx(0.130812, abs=1e-6)


@pytest.fixture(scope="module")
def learned(tmp_path_factory, noise):
    """A student after an epoch with a teacher of another size, width and normalisation."""
    config = SMALL.replace(aux_heads=True)
    teacher = fast_scnn(
        SMALL.replace(input_size=(96, 128), width=0.5, mean=(120.0, 110.0, 100.0), dropout=0.5)
    )
    path = tmp_path_factory.mktemp("distill") / "teacher.keras"
    save_keras(teacher, path)
    student = fast_scnn(config)
    training = compiled(distilling_model(student, path, 2.0, 0.5))
    held = training.get_layer("distill").network
    before = [weight.copy() for weight in held.get_weights()]
    start = [weight.copy() for weight in student.get_weights()]
    images = noise(SIZE, 4)
    labels = np.random.default_rng(0).integers(0, CLASSES, (4, *SIZE)).astype(np.uint8)
    outputs = dict.fromkeys(("logits", "aux_ltd", "aux_gfe"), labels)
    logs = training.fit(images, outputs, batch_size=2, epochs=1, verbose=0).history
    return teacher, student, training, before, start, logs, path.parent


@pytest.mark.train
def test_only_the_student_learns(learned):
    teacher, student, training, before, start, logs, _ = learned
    ids = [id(v) for v in student.trainable_variables]
    assert [id(v) for v in training.trainable_variables] == ids
    held = training.get_layer("distill").network
    assert held.trainable_variables == []
    for old, new, original in zip(
        before, held.get_weights(), teacher.get_weights()[: len(before)], strict=True
    ):
        assert np.array_equal(old, new)
        assert np.array_equal(old, original)
    changed = [not np.array_equal(a, b) for a, b in zip(start, student.get_weights(), strict=True)]
    assert np.mean(changed) > 0.9
    parts = [logs[name][0] for name in ("logits_loss", "aux_ltd_loss", "aux_gfe_loss")]
    l2 = float(sum(student.losses))
    total = parts[0] + 0.4 * (parts[1] + parts[2]) + 0.5 * logs["distill"][0] + l2
    assert logs["loss"][0] == pytest.approx(total, rel=2e-2)  # l2 is that after the last step


def test_the_saved_file_is_the_student_with_its_optimizer(learned):
    _, student, training, *_, folder = learned
    save_keras(training, folder / "student.keras")
    register_training_objects()
    loaded = load_keras(folder / "student.keras", compile=True)
    assert type(loaded).__name__ == "FastSCNN"
    assert loaded.count_params() == student.count_params()
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in student.layers]
    for a, b in zip(loaded.get_weights(), student.get_weights(), strict=True):
        assert np.array_equal(a, b)
    moments = [np.array(v) for v in training.optimizer.variables]
    assert len(moments) == 2 + len(student.trainable_variables)
    for a, b in zip(loaded.optimizer.variables, moments, strict=True):
        assert np.array_equal(np.array(a), b)


def test_the_teacher_sees_its_own_normalisation_and_size(learned, noise):
    teacher, student, training, *_ = learned
    images = noise(SIZE, 2, seed=3)
    raw = images * 128 + 128
    own = (raw - np.array(teacher.config.mean, np.float32)) / 128
    expected = logits_of(resize_model(teacher, SIZE), own.astype(np.float32))
    outputs = training(images, training=False)
    assert getattr(outputs["logits"], COARSE)[0].shape == (2, 8, 12, CLASSES)  # for the fused loss
    both = keras3().ops.convert_to_numpy(outputs["distill"])
    assert both.shape == (2, 8, 12, 2 * CLASSES)
    assert np.allclose(both[..., CLASSES:], expected, atol=1e-5)
    assert np.allclose(both[..., :CLASSES], logits_of(student, images), atol=1e-5)


def test_a_student_that_is_its_own_teacher_has_nothing_to_learn(noise):
    student = fast_scnn(SMALL)
    training = compiled(distilling_model(student, student, 3.0))
    labels = np.zeros((2, *SIZE), np.uint8)
    logs = training.evaluate(noise(SIZE), labels, batch_size=2, verbose=0, return_dict=True)
    assert logs["distill"] == pytest.approx(0, abs=1e-6)
    assert student.trainable_variables  # only the copy is frozen


def test_any_keras_model_teaches(noise, tmp_path):
    layers = keras3().layers
    image = keras3().Input((None, None, 3))
    logits = layers.Conv2D(CLASSES, 3, 4, padding="same", name="scores")(image)
    foreign = keras3().Model(image, layers.Softmax()(logits))
    foreign.save(tmp_path / "foreign.keras")
    training = distilling_model(fast_scnn(SMALL), tmp_path / "foreign.keras")
    images = noise(SIZE, 1)
    both = keras3().ops.convert_to_numpy(training(images, training=False)["distill"])
    full = np.log(keras3().ops.convert_to_numpy(foreign(images)))  # (1, 16, 24, 9)
    halved = full.reshape(1, 8, 2, 12, 2, CLASSES).mean((2, 4))  # bilinear at cell centres
    assert np.allclose(both[..., CLASSES:], halved, atol=1e-5)


def test_teachers_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="teacher has 4 classes but the student has 9"):
        distilling_model(fast_scnn(SMALL), fast_scnn(SMALL.replace(num_classes=4)))
    named = [SMALL.replace(class_names=tuple(letters)) for letters in ("abcdefghi", "abcdxfghi")]
    with pytest.raises(ConfigError, match="class 4 is x but the student's is e"):
        open_teacher(fast_scnn(named[1]), named[0])
    image = keras3().Input((32, 32, 3))
    other = keras3().Model(image, keras3().layers.Conv2D(CLASSES, 1)(image))
    with pytest.raises(ConfigError, match=r"takes \(32, 32, 3\), expected one input \(64, 96, 3\)"):
        open_teacher(other, SMALL)
    with pytest.raises(ModelFileError, match="no such model file"):
        open_teacher(tmp_path / "none.keras", SMALL)
    (tmp_path / "text.keras").write_text("no zip")
    with pytest.raises(ModelFileError, match="damaged"):
        open_teacher(tmp_path / "text.keras", SMALL)
    for bad in ({"temperature": 0.0}, {"weight": -1.0}, {"weight": float("nan")}):
        with pytest.raises(ConfigError, match="must be"):
            distilling_model(fast_scnn(SMALL), fast_scnn(SMALL), **bad)


@pytest.mark.parametrize("seed", range(6))
def test_saved_logits_go_where_the_picture_goes(seed):
    """An image of ramps, and logits that are the same ramps: both must show the same."""
    settings = Augmentation(scale=(0.5, 2.0), aspect=1.3, flip=True, balance=0.3)
    config = SMALL.replace(mean=(0.0,) * 3, std=(1.0,) * 3)
    height, width = 96, 128
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, 0 * rows], -1).astype(np.uint8)
    label = (rows // 40).astype(np.uint8)
    vector = np.random.default_rng(seed).random(DRAWS, np.float32)
    shown, _ = augment_pair(image, label, vector, settings, config, numpy_ops)
    ys, xs, inside = shown_cells(label, vector, settings, config)
    cells = np.stack(np.mgrid[: height // 8, : width // 8] * 8.0 + 3.5, -1).astype(np.float32)
    told = sampled(cells, ys, xs)
    # A cell's centre lies between four pixels of the crop.
    pixels = shown[3:, 3:][:60:8][:, :92:8, :2], shown[4:, 4:][:60:8][:, :92:8, :2]
    centre = (pixels[0] + pixels[1]) / 2
    edge = (told > 5) & (told < np.array([height, width]) - 6)  # logits end at the outer centres
    sure = inside[..., None] & edge
    sure &= inside[..., None] & (np.abs(pixels[1] - pixels[0]) < 4)  # not across the padding
    assert sure.sum() > 30
    assert np.abs(told - centre)[sure].max() < 0.6


@pytest.mark.train
def test_training_on_saved_logits(tmp_path):
    data = ToyStreets("val", SIZE)
    teacher = fast_scnn(SMALL)
    few = type("Few", (ToyStreets,), {"__len__": lambda self: 4})("val", SIZE)
    folder = save_logits(load_predictor(teacher), few, tmp_path / "logits")
    assert sorted(p.name for p in folder.glob("*.npy"))[-1] == "000003.npy"
    assert np.load(folder / "000000.npy").shape == (8, 12, CLASSES)
    plain = Augmentation(flip=True, brightness=20.0)
    stream = logits_batches(few, SMALL, folder, plain, 2, seed=0)
    (images, told), labels = stream[0]
    assert (images.shape, labels.shape) == ((2, *SIZE, 3), (2, *SIZE))
    assert told.shape == (2, 8, 12, CLASSES + 1)
    assert np.all(told[..., -1] == 1)  # images of the crop's size: no padding
    student = fast_scnn(SMALL)
    training = compiled(distilling_model(student, temperature=2.0))
    logs = training.fit(stream, epochs=1, verbose=0).history
    assert np.isfinite(logs["loss"][0])
    assert logs["distill"][0] > 0
    (images, told), _ = logits_batches(few, SMALL, folder, None, 2)[1]
    assert np.allclose(told[..., :-1], logits_of(teacher, images), atol=1e-2)  # float16
    with pytest.raises(ConfigError, match="do not follow the augmentation rotation"):
        logits_batches(few, SMALL, folder, Augmentation(rotation=(0.5, 5.0)), 2)
    with pytest.raises(DataError, match="save them again"):
        logits_batches(data, SMALL, folder, None, 2)


@pytest.mark.train
def test_a_run_learns_from_saved_logits_and_resumes_to_the_bit(
    shared_data, small_weights, interrupted, tmp_path, run
):
    data = ("--dataset", "folder", "--data-dir", shared_data)
    teacher, folder = tmp_path / "teacher.keras", tmp_path / "logits"
    fast_scnn(FastSCNNConfig.for_labels("toy", **FEW)).save(teacher)
    assert run("save-logits", teacher, *data, "--output", folder)[0] == 0
    place = {"dataset": "folder", "data_dir": str(shared_data), "size": SIZE}
    place["teacher"] = str(folder)
    more = {"epochs": 2, "batch_size": 2, "bn_momentum": 0.9, "deterministic": True}
    start = {"init_from": str(small_weights), "aux_heads": False}
    settings = train_settings("paper", **place, **more, **start)
    run_training(settings, tmp_path / "whole", verbose=0)
    often = dataclasses.replace(settings, save_every="0.001s")
    with interrupted(1):
        run_training(often, tmp_path / "parts", verbose=0)
    run_training(settings, tmp_path / "parts", resume=True, verbose=0)
    one, other = (read_checkpoint(tmp_path / x / "last.keras")[1] for x in ("whole", "parts"))
    assert all(np.array_equal(value, other[name]) for name, value in one.items())
    with pytest.raises(ConfigError, match="do not follow the augmentation rotation"):
        run_training(train_settings("strong", **place, batch_size=2), tmp_path / "strong")
    assert not (tmp_path / "strong").exists()
