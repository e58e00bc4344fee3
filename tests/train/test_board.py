"""TensorBoard files of real training, read back with TensorBoard's own reader."""

import contextlib
import functools
import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.keras_api import keras3, tensorflow, tf_keras
from fastscnn_tf.core.plots import strip
from fastscnn_tf.data.check.usable import Subset
from fastscnn_tf.data.datasets.dataset import SegmentationDataset
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.scoring.views import WholeImage
from fastscnn_tf.train.board import EVENTS, board_for, forget_after
from fastscnn_tf.train.callbacks import callbacks_for
from fastscnn_tf.train.losses.segmentation_loss import segmentation_losses
from fastscnn_tf.train.predictor import KerasPredictor

SIZE = (64, 96)


@pytest.fixture(scope="module")
def data() -> SegmentationDataset:
    return Subset(ToyStreets("val", SIZE), range(4))


@functools.cache
def network(keras):
    """A small compiled network, and the predictor of it."""
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    config = FastSCNNConfig.for_labels("toy", input_size=SIZE, aux_heads=True, **few)
    model = fast_scnn(config, keras=keras)
    model.compile(keras.optimizers.SGD(0.01), **segmentation_losses(True, config.aux_layout))
    return model, KerasPredictor(model) if keras is keras3() else None


class Training:
    """The network with its callbacks."""

    def __init__(self, keras, data, folder, epochs=4, every=1, pictures=1):
        self.model, predictor = network(keras)
        own = callbacks_for(keras)
        self.validate = own.Validate(lambda: predictor, data, every, epochs)
        self.board = board_for(keras)(folder, self.validate, pictures)
        self.callbacks = [self.validate, self.board]
        for callback in self.callbacks:
            callback.set_model(self.model)

    def fit(self, data, epochs):
        """Real training on one batch."""
        pairs = [data.read(index) for index in range(len(data))]
        pictures = np.stack([(image - 128.0) / 128 for image, _ in pairs]).astype(np.float32)
        labels = np.stack([label for _, label in pairs])
        heads = dict.fromkeys(("logits", "aux_ltd", "aux_gfe"), labels)
        settings = {"epochs": epochs, "callbacks": self.callbacks, "verbose": 0}
        return self.model.fit(pictures, heads, batch_size=4, **settings).history

    def pretend(self, first, last, loss):
        """The callbacks' part of training epochs, without the steps."""
        for epoch in range(first, last):
            logs = {"loss": loss}
            self.board.on_epoch_begin(epoch)
            self.validate.on_epoch_end(epoch, logs)
            self.board.on_epoch_end(epoch, logs)
        self.board.on_train_end()


def scalars(folder):
    """tag -> [(step, value)] as TensorBoard shows them."""
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["tensors"] if not is_image(events, tag)]
    found = {tag: events.Tensors(tag) for tag in tags}
    number = tensorflow().make_ndarray
    return {t: [(e.step, float(number(e.tensor_proto))) for e in es] for t, es in found.items()}


def images(folder):
    """tag -> [(step, pixels)]."""
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["tensors"] if is_image(events, tag)]
    return {
        tag: [(e.step, decode(e.tensor_proto.string_val[2])) for e in events.Tensors(tag)]
        for tag in tags
    }


def is_image(events, tag):
    return events.SummaryMetadata(tag).plugin_data.plugin_name == "images"


def decode(content):
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture)


@pytest.mark.train
def test_everything_of_a_run_is_in_the_files_at_its_epoch(data, tmp_path):
    training = Training(keras3(), data, tmp_path, epochs=4, every=2, pictures=2)
    history = training.fit(data, 4)
    found = scalars(tmp_path)
    heads = {"total": "loss", **{h: f"{h}_loss" for h in ("logits", "aux_ltd", "aux_gfe")}}
    for tag, name in heads.items():
        assert [step for step, _ in found[f"loss/{tag}"]] == [1, 2, 3, 4]
        values = [value for _, value in found[f"loss/{tag}"]]
        assert values == pytest.approx(history[name], rel=1e-6)
    assert [value for _, value in found["learning_rate"]] == pytest.approx([0.01] * 4)
    assert [step for step, _ in found["val_miou"]] == [2, 4]
    result = training.validate.result
    assert found["val_miou"][-1][1] == pytest.approx(result.miou, rel=1e-6)
    assert found["val_pixel_accuracy"][-1][1] == pytest.approx(result.pixel_accuracy, rel=1e-6)
    for name, iou in result.class_iou.items():
        assert found[f"val_iou/{name}"][-1] == (4, pytest.approx(iou, abs=1e-7))
    shown = images(tmp_path)
    assert {tag: [step for step, _ in each] for tag, each in shown.items()} == {
        "confusion_matrix": [2, 4],
        "val/1": [2, 4],
        "val/2": [2, 4],
    }
    for tag, index in (("val/1", 0), ("val/2", 3)):  # the first and the last of 4
        image, label = data.read(index)
        prediction = WholeImage(training.validate.predictor).label_map(image, label.shape)
        expected = strip(image, label, prediction, data.labels)
        assert np.array_equal(shown[tag][-1][1], expected)


def test_pictures_are_rare_in_long_runs(data, tmp_path):
    """Validated every 3 epochs, shown at the first validation after each multiple of 5."""
    board = Training(keras3(), data, tmp_path, epochs=100, every=3).board
    shown = [done for done in (*range(3, 100, 3), 100) if board.shows_pictures(done)]
    firsts = [next(d for d in (*range(3, 100, 3), 100) if d >= m) for m in range(5, 101, 5)]
    assert shown == firsts
    assert shown[:4] == [6, 12, 15, 21]


def test_a_resumed_run_has_every_step_once(data, tmp_path):
    """Epoch 3 was written, its checkpoint was not, and the writer died within a record."""
    Training(keras3(), data, tmp_path).pretend(0, 3, loss=1.0)
    (path,) = tmp_path.glob(EVENTS)
    path.write_bytes(path.read_bytes() + b"\x18\0\0\0\0")
    Training(keras3(), data, tmp_path).pretend(2, 4, loss=2.0)
    found = scalars(tmp_path)
    assert found["loss/total"] == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]
    assert [step for step, _ in found["val_miou"]] == [1, 2, 3, 4]
    assert [step for step, _ in images(tmp_path)["val/1"]] == [1, 2, 3, 4]


def test_files_without_later_steps_stay_as_they_are(data, tmp_path):
    Training(keras3(), data, tmp_path, every=0).pretend(0, 2, loss=1.0)
    (path,) = tmp_path.glob(EVENTS)
    content = path.read_bytes()
    forget_after(tmp_path, 2)
    assert path.read_bytes() == content
    forget_after(tmp_path, 1)
    assert scalars(tmp_path)["loss/total"] == [(1, 1.0)]
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_show_the_averaged_weights(data, tmp_path):
    training = Training(keras3(), data, tmp_path)

    @contextlib.contextmanager
    def zeros():
        raw = training.model.get_weights()
        training.model.set_weights([weight * 0 for weight in raw])
        yield
        training.model.set_weights(raw)

    training.validate.averaged = zeros
    training.pretend(0, 1, loss=1.0)
    image, label = data.read(0)
    first = np.zeros(label.shape, np.uint8)  # equal logits everywhere
    assert np.array_equal(images(tmp_path)["val/1"][0][1], strip(image, label, first, data.labels))


def test_fine_tuning_in_tf_keras_writes_them_too(data, tmp_path):
    Training(tf_keras(), data, tmp_path, every=0).pretend(0, 1, loss=1.0)
    found = scalars(tmp_path)
    assert found == {"loss/total": [(1, 1.0)], "learning_rate": [(1, pytest.approx(0.01))]}
