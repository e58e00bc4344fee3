"""The network against the paper: counts, shapes, names, parity between the two Keras."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, ModelFileError
from fastscnn_tf.core.images.interpolation import ALIGNED, HALF_PIXEL, NEAREST, interpolation_matrix
from fastscnn_tf.core.keras_api import keras3, tf_keras
from fastscnn_tf.evaluation.evaluate import load_model
from fastscnn_tf.evaluation.saving import save_model
from fastscnn_tf.model.complexity import complexity
from fastscnn_tf.model.fast_scnn import copy_weights, fast_scnn, resize_model
from fastscnn_tf.model.layers import layers_for
from fastscnn_tf.model.windows import adaptive_windows
from fastscnn_tf.quantize.quantize_aware import quantize_aware

FEW = {"num_classes": 5, "repeats": (2, 1, 1)}  # a bottleneck with a skip, and two without


@pytest.fixture(scope="module")
def networks():
    """That of the paper without and with auxiliary heads; tests only look at them."""
    config = FastSCNNConfig(input_size=(64, 96))
    return fast_scnn(config), fast_scnn(config.replace(aux_heads=True))


def test_counts_of_the_paper():
    cost = complexity(FastSCNNConfig())
    assert cost.kernel_weights == 1_114_096
    # kernels + 19 logits biases + 4 values for each of 11,840 normalised channels
    assert cost.parameters == 1_114_096 + 19 + 4 * 11_840 == 1_161_475
    assert cost.macs == 6_674_259_968
    literal = FastSCNNConfig(fusion_order="resize_first")
    assert complexity(literal).macs == 6_674_259_968 + 15 * 9 * 262_144


def test_model_agrees_with_the_count(networks):
    for model in networks:
        assert model.count_params() == complexity(model.config).parameters


@pytest.mark.parametrize("size", [(64, 96), (224, 480), (32, 32)])
def test_stage_shapes(size):
    model = fast_scnn(FastSCNNConfig(num_classes=7, input_size=size))
    h, w = size
    shapes = {
        "learning_to_downsample.conv": (h // 2, w // 2, 32),
        "learning_to_downsample.ds1_pointwise": (h // 4, w // 4, 48),
        "learning_to_downsample.ds2_pointwise": (h // 8, w // 8, 64),
        "global_features.bottleneck1_3.project": (h // 16, w // 16, 64),
        "global_features.bottleneck2_3.project": (h // 32, w // 32, 96),
        "global_features.bottleneck3_3.project": (h // 32, w // 32, 128),
        "pyramid.pool6": (6, 6, 128),
        "pyramid.concat": (h // 32, w // 32, 256),
        "fusion.add": (h // 8, w // 8, 128),
        "classifier.logits": (h // 8, w // 8, 7),
        "logits": (h, w, 7),
    }
    for name, shape in shapes.items():
        assert tuple(model.get_layer(name).output.shape[1:]) == shape, name


def test_residuals_only_where_shapes_allow(networks):
    names = {layer.name for layer in networks[0].layers}
    added = {n.split(".")[1] for n in names if n.startswith("global") and n.endswith(".add")}
    assert added == {f"bottleneck{g}_{i}" for g in (1, 2, 3) for i in (2, 3)}


def test_every_layer_is_named_by_stage_and_flat(networks):
    stages = ("learning_to_downsample", "global_features", "pyramid", "fusion", "classifier")
    for layer in networks[0].layers:
        assert layer.name.split(".")[0] in (*stages, "image", "logits")
        assert not hasattr(layer, "layers")


def test_auxiliary_outputs(networks):
    shapes = {name: tuple(out.shape[1:]) for name, out in networks[1].output.items()}
    assert shapes == {"logits": (64, 96, 19), "aux_ltd": (8, 12, 19), "aux_gfe": (2, 3, 19)}


@pytest.mark.parametrize(
    ("length", "bins"), [(7, 3), (15, 6), (32, 6), (64, 3), (2, 6), (1, 6), (13, 1)]
)
def test_adaptive_windows_cover_and_never_go_empty(length, bins):
    windows = adaptive_windows(length, bins)
    assert windows[0][0] == 0
    assert windows[-1][1] == length
    assert all(0 <= a < b <= length for a, b in windows)
    assert all(b >= c for (_, b), (c, _) in itertools.pairwise(windows))


def test_adaptive_pooling_is_the_mean_of_each_rectangle():
    x = np.random.default_rng(0).normal(size=(2, 7, 15, 3)).astype(np.float32)
    means = layers_for(keras3()).WindowMeans
    rows, columns = adaptive_windows(7, 6), adaptive_windows(15, 6)
    got = np.asarray(means(columns, axis=2)(means(rows, axis=1)(x)))
    for i, (a, b) in enumerate(rows):
        for j, (c, d) in enumerate(columns):
            assert np.allclose(got[:, i, j], x[:, a:b, c:d].mean((1, 2)), atol=1e-6)


@pytest.mark.parametrize("size", [(19, 33), (28, 60), (3, 8)])
@pytest.mark.parametrize("sampling", [HALF_PIXEL, ALIGNED, NEAREST])
def test_resizes_read_where_their_matrices_say(sampling, size):
    x = np.random.default_rng(0).normal(size=(2, 7, 15, 3)).astype(np.float32)
    rows, columns = (
        interpolation_matrix(n, m, sampling) for n, m in zip((7, 15), size, strict=True)
    )
    expected = np.einsum("Hh,Ww,bhwc->bHWc", rows, columns, x)
    got = np.asarray(layers_for(keras3()).Resize(size, sampling)(x))
    np.testing.assert_allclose(got, expected, atol=1e-5)
    if sampling == NEAREST and size == (28, 60):
        np.testing.assert_array_equal(got, x.repeat(4, 1).repeat(4, 2))


def test_tf_keras_twin_has_the_same_names_and_outputs(randomise, noise):
    config = FastSCNNConfig(input_size=(96, 64), **FEW)
    model = randomise(fast_scnn(config))
    twin = fast_scnn(config, keras=tf_keras())
    assert [x.name for x in twin.layers] == [x.name for x in model.layers]
    copy_weights(model, twin)
    image = noise((96, 64))
    difference = np.abs(np.asarray(model(image)) - np.asarray(twin(image))).max()
    assert difference < 1e-5


def test_literal_fusion_differs_only_in_a_ring():
    """Dilation 4 after the x4 upsampling equals dilation 1 before it, away from the border."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 6, 8, 4))
    kernel = rng.normal(size=(3, 3, 4, 1))
    ones = [1, 1, 1, 1]

    def up(t):
        return tf.cast(tf.image.resize(tf.cast(t, tf.float32), (24, 32)), tf.float64)

    literal = tf.nn.depthwise_conv2d(up(x), kernel, ones, "SAME", dilations=[4, 4]).numpy()
    cheap = up(tf.nn.depthwise_conv2d(x, kernel, ones, "SAME")).numpy()
    difference = np.abs(literal - cheap)[0].max(-1)
    assert difference[6:-6, 6:-6].max() < 1e-5
    assert difference[:4].max() > 0.1


def test_batch_norm_keeps_the_biased_variance():
    """The fused kernel's Bessel correction must not reach the running variance."""
    from fastscnn_tf.model.layers import layers_for

    layer = layers_for(keras3()).BatchNormalization(momentum=0.0, epsilon=1e-3)
    x = np.random.default_rng(0).normal(size=(12, 1, 1, 4)).astype(np.float32)
    y = np.asarray(layer(x, training=True))
    assert np.allclose(layer.moving_variance, x.var((0, 1, 2)), rtol=1e-5)
    assert np.allclose(layer.moving_mean, x.mean((0, 1, 2)), atol=1e-6)
    expected = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3)
    assert np.allclose(y, expected, atol=1e-5)
    one = layers_for(keras3()).BatchNormalization(momentum=0.0)
    assert np.isfinite(np.asarray(one(x[:1], training=True))).all()
    assert np.isfinite(np.asarray(one.moving_variance)).all()


def test_fused_batch_norm_agrees_with_the_plain_layer():
    from fastscnn_tf.model.layers import layers_for

    x = np.random.default_rng(0).normal(1, 2, (4, 8, 8, 6)).astype(np.float32)
    layers = (layers_for(keras3()).BatchNormalization(), keras3().layers.BatchNormalization())
    for training in (True, False):
        a, b = (np.asarray(layer(x, training=training)) for layer in layers)
        assert np.allclose(a, b, atol=1e-5)
    for a, b in zip(layers[0].get_weights(), layers[1].get_weights(), strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.process
def test_saved_model_is_read_back_in_a_fresh_process(tmp_path, randomise, noise):
    model = randomise(fast_scnn(FastSCNNConfig(input_size=(64, 96), **FEW)))
    save_model(model, tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", noise((64, 96)))
    code = (
        "import sys, numpy as np, fastscnn_tf as fs; m = fs.load_model(sys.argv[1] + '/m.keras');"
        "assert m.config.num_classes == 5;"
        "np.save(sys.argv[1] + '/y.npy', np.asarray(m(np.load(sys.argv[1] + '/x.npy'))))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert np.allclose(np.load(tmp_path / "y.npy"), np.asarray(model(noise((64, 96)))), atol=1e-5)


def test_same_weights_at_another_size(randomise, noise):
    model = randomise(fast_scnn(FastSCNNConfig(input_size=(64, 96), aux_heads=True, **FEW)))
    bigger = resize_model(model, (128, 160))
    assert bigger.output_shape == (None, 128, 160, 5)
    back = resize_model(bigger, (64, 96))
    image = noise((64, 96))
    assert np.allclose(np.asarray(back(image)), np.asarray(model(image)["logits"]), atol=1e-5)
    with pytest.raises(ConfigError, match="352 or 384"):
        resize_model(model, (360, 480))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no", b"x" * 500])
def test_damaged_model_file_is_named(tmp_path, content):
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"m\.keras: damaged"):
        load_model(path)


def test_truncated_and_foreign_model_files(tmp_path):
    model = fast_scnn(FastSCNNConfig(input_size=(32, 32), **FEW))
    save_model(model, tmp_path / "m.keras")
    content = (tmp_path / "m.keras").read_bytes()
    (tmp_path / "t.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(tmp_path / "t.keras")
    foreign = keras3().Sequential([keras3().Input((4,)), keras3().layers.Dense(2)])
    foreign.save(tmp_path / "f.keras")
    with pytest.raises(ModelFileError, match="not a Fast-SCNN"):
        load_model(tmp_path / "f.keras")
    with pytest.raises(ModelFileError, match="no such"):
        load_model(tmp_path / "missing.keras")


def test_edited_graph_is_refused_by_name():
    model = fast_scnn(FastSCNNConfig(input_size=(32, 32), **FEW))
    extra = keras3().layers.Softmax(name="my_softmax")(model.output)
    with pytest.raises(ConfigError, match="my_softmax"):
        quantize_aware(keras3().Model(model.input, extra))
