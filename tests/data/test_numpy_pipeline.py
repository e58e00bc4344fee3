"""The NumPy input path: nothing by chance, on any backend."""

import subprocess
import sys

import numpy as np
import pytest
from test_pipeline import CONFIG, Coded, same

from fastscnn_tf import FastSCNNConfig, fast_scnn, load_dataset, load_pydataset, segmentation_loss
from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.data.augment.augmentation import PRESETS, Augmentation
from fastscnn_tf.data.numpy_pipeline import numpy_batches


def epochs_of(data, epochs):
    given = []
    for data.epoch in epochs:
        given += list(data)
    return given


def test_batches_are_the_same_for_any_number_of_workers_and_anywhere_resumed():
    def make(workers, seed=1):
        return numpy_batches(Coded(), CONFIG, PRESETS["strong"], 2, seed, workers)

    whole = epochs_of(make(1), range(4))
    assert len(whole) == 12
    for workers in (2, 5):
        assert same(whole, epochs_of(make(workers), range(4)))
    assert same(whole[6:], epochs_of(make(2), range(2, 4)))
    assert same(whole[7:9], list(make(2).at(2, 1)))
    backwards = make(2)
    assert same(whole[2::-1], [backwards[i] for i in (2, 1, 0)])
    assert not same(whole[:3], whole[3:6])
    assert not same(whole[:3], epochs_of(make(2, seed=2), range(1)))


def test_an_epoch_shows_every_image_once_and_only_full_batches():
    config = CONFIG.replace(input_size=(96, 128))
    shown = [
        int(label[label < 8].max())
        for _, labels in numpy_batches(Coded(), config, Augmentation(), 3, 0)
        for label in labels
    ]
    assert sorted(shown) == [1, 2, 3, 4, 5, 6]
    assert [len(x) for x, _ in numpy_batches(Coded(), config, Augmentation(), 4, 0)] == [4]


def test_geometry_stays_in_step_and_padding_is_void():
    strong = Augmentation(scale=(0.5, 2.0), flip=True)
    data = numpy_batches(Coded(), CONFIG, strong, 6, 3)
    for images, labels in epochs_of(data, range(4)):
        red = np.rint((images[..., 0] * 128 + 128) / 20)
        padded = labels == 255
        # Bilinear blends at class borders are the only place where both may differ.
        assert ((red == labels) | padded).mean() > 0.93
        assert set(np.unique(labels)) <= {*range(9), 255}
        assert np.allclose(images[padded], 0.0, atol=1e-6)


def test_evaluation_batches_are_those_of_tf_data(own_data):
    choice = {"split": "val", "config": CONFIG, "batch_size": 2}
    found = list(load_pydataset("folder", own_data, **choice))
    expected = [(x.numpy(), y.numpy()) for x, y in load_dataset("folder", own_data, **choice)]
    assert [len(x) for x, _ in found] == [2, 1]
    assert same(found, expected)


@pytest.mark.parametrize("layout", [("ltd",), ("ltd", "gfe")])
def test_auxiliary_heads_get_their_labels(layout):
    config = CONFIG.replace(aux_heads=True, aux_layout=layout)
    _, labels = load_pydataset("toy", split="val", config=config, batch_size=2)[0]
    assert set(labels) == {"logits", *(f"aux_{head}" for head in layout)}
    assert all(label.shape == (2, *CONFIG.input_size) for label in labels.values())


@pytest.mark.parametrize("batch_size", [2, 3])
def test_every_epoch_of_fit_gets_its_own_batches(batch_size):
    keras, data = keras3(), numpy_batches(Coded(), CONFIG, PRESETS["paper"], batch_size, 0, 3)
    means: list[float] = []

    class Means(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            means.append(logs["loss"] * (batch + 1) - sum(means[len(means) - batch :]))

    inputs = keras.Input((*CONFIG.input_size, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1)(inputs))
    ops = keras.ops
    model.compile("sgd", loss=lambda y, x: ops.mean(ops.cast(y, "float32")) + 0.0 * ops.mean(x))
    model.fit(data, epochs=2, shuffle=False, verbose=0, callbacks=[Means()])
    again = numpy_batches(Coded(), CONFIG, PRESETS["paper"], batch_size, 0)
    assert np.allclose(means, [y.mean() for _, y in epochs_of(again, range(2))], rtol=1e-3)
    assert data.epoch == 2


def test_an_unreadable_file_is_named(own_data):
    path = own_data / "train" / "images" / "2.jpg"
    path.write_bytes(path.read_bytes()[:300])
    choice = {"config": CONFIG, "augment": "paper", "batch_size": 1, "seed": 0}
    data = load_pydataset("folder", own_data, **choice)
    with pytest.raises(DataError, match=r"2\.jpg"):
        list(data)
    model = fast_scnn(CONFIG.replace(width=0.25, repeats=(1, 1, 1), pyramid_bins=(1, 2)))
    model.compile(optimizer="sgd", loss=segmentation_loss)
    with pytest.raises(DataError, match=r"2\.jpg"):
        model.fit(data, shuffle=False, verbose=0)


def test_bad_pairs_are_left_out_on_request(own_data, capsys):
    (own_data / "train" / "images" / "2.jpg").write_bytes(b"")
    choice = {"config": CONFIG, "augment": "paper", "batch_size": 3, "seed": 0, "skip_bad": True}
    for load in (load_dataset, load_pydataset):
        assert [len(images) for images, _ in load("folder", own_data, **choice)] == [3]
        assert "skipped 1 of 4 pairs that cannot be used" in capsys.readouterr().err


def test_wrong_requests():
    with pytest.raises(ConfigError, match="toy has 9 classes but the model has 19"):
        load_pydataset("toy", config=FastSCNNConfig(input_size=(64, 96)))
    with pytest.raises(ConfigError, match="larger than the 6 pairs"):
        numpy_batches(Coded(), CONFIG, PRESETS["paper"], 7)
    with pytest.raises(ConfigError, match="unknown augmentation"):
        load_pydataset("toy", config=CONFIG, augment="wild")
    with pytest.raises(ConfigError, match="workers"):
        load_pydataset("toy", config=CONFIG, workers=0)
    with pytest.raises(IndexError):
        load_pydataset("toy", config=CONFIG, batch_size=400)[1]


def test_batches_need_neither_tensorflow_nor_keras():
    code = (
        "import sys; from fastscnn_tf.core.config import FastSCNNConfig;"
        "from fastscnn_tf.data.augment.augmentation import PRESETS;"
        "from fastscnn_tf.data.numpy_pipeline import BatchSource;"
        "from fastscnn_tf.data.datasets.toy_streets import ToyStreets;"
        "config = FastSCNNConfig(num_classes=9, input_size=(64, 96));"
        "BatchSource(ToyStreets('val', (64, 96)), config, PRESETS['paper'], 2, 0).batch(0, 0);"
        "sys.exit(' '.join({'tensorflow', 'keras'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
