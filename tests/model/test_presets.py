"""The architectures of other implementations: counts, refusals, mixtures."""

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.keras_api import keras3, tf_keras
from fastscnn_tf.core.presets import PRESETS
from fastscnn_tf.model.complexity import complexity
from fastscnn_tf.model.fast_scnn import copy_weights, fast_scnn, resize_model
from fastscnn_tf.model.summary import summary
from fastscnn_tf.model.windows import pooling_windows, symmetric_pads

# Trainable parameters without and with auxiliary heads, as the original programs report them.
PARAMETERS = {
    "mmseg": (1_399_939, 1_456_617),
    "paddleseg": (1_401_187, 1_420_342),
    "gluon": (1_138_051, 1_176_278),
    "tramac": (1_138_051, 1_157_174),
    "zh320": (1_023_769, None),
    "mindspore": (1_137_776, 1_194_454),
    "rachthree": (1_134_313, 1_176_603),
    "kshitizrimal": (1_775_609, None),
    "kshitizrimal-notebook": (1_760_761, None),
    "skywa7ch3r": (1_760_892, None),
}
# Multiply-accumulates at 1024x2048, in millions.
MACS = {
    "mmseg": 7247,
    "paddleseg": 7247,
    "gluon": 6708,
    "tramac": 6708,
    "zh320": 6473,
    "mindspore": 6710,
    "rachthree": 7217,
    "kshitizrimal": 6789,
    "kshitizrimal-notebook": 8945,
    "skywa7ch3r": 8949,
}

SMALL = {"repeats": (2, 1, 1)}  # a bottleneck with a skip, and two without
MIXTURES = (
    {"fusion_order": "resize_first"},
    {
        "pyramid_bins": (2, 5),
        "pyramid_branch_norm": False,
        "repeats": (1, 2, 1),
        "align_corners": ("logits",),
        "std": (50.0, 60.0, 70.0),
        "fusion_dilation": 8,
    },
    {
        "width": 0.5,
        "stem_padding": "valid",
        "fusion_order": "resize_first",
        "fusion_dilation": 2,
        "fusion_norm": "sum",
        "conv_bias": ("*",),
        "separable_relu": True,
        "mean": (10.5, 20.0, 250.0),
    },
    {
        "stem_padding": "symmetric",
        "stride_padding": "symmetric",
        "pyramid_kernel": 3,
        "logits_norm": True,
        "mean": (120.0, 100.0, 90.0),
        "pad": True,
        "input_size": (90, 150),
    },
    {"align_corners": ("pyramid", "logits"), "width": 1.25, "pyramid_bins": (6, 1), "dropout": 0.0},
    {
        "pyramid_pooling": "ceil",
        "pyramid_branch": "strided",
        "pyramid_branch_width": 24,
        "fusion_branch": "separable",
        "fusion_norm": "high_and_sum",
        "separable_norm": False,
        "nearest": ("pyramid", "logits"),
        "logits_norm": True,
        "dropout_at": "logits",
        "bottleneck_widths": (24, 40, 48),
        "head_widths": (56, 72, 40),
        "expansion": 3,
    },
    {
        "pyramid_pooling": "fixed",
        "pyramid_windows": (2, 1, 1, 1),
        "pyramid_kernel": 0,
        "fusion_branch": "linear",
        "nearest": ("fusion",),
        "logits_norm": True,
        "logits_relu": False,
        "logits_bias": False,
        "stem_widths": (16, 24, 40),
        "width": 0.5,
        "pad": True,
        "input_size": (90, 150),
    },
)


@pytest.mark.parametrize("name", PARAMETERS)
def test_counts_of_the_original_programs(name):
    plain, heads = PARAMETERS[name]
    config = FastSCNNConfig.preset(name)
    result = summary(config)
    assert result.trainable == plain
    assert round(result.macs / 1e6) == MACS[name]
    if heads:
        assert summary(config.replace(aux_heads=True)).trainable == heads


def test_a_reduced_network_of_a_distillation():
    """KD-WSI-sTILs-Scoring's student, whose trained weights are public, in full."""
    assert FastSCNNConfig.preset("shrief") == FastSCNNConfig(
        num_classes=2,
        input_size=(256, 256),
        repeats=(2, 2, 2),
        expansion=4,
        head_widths=(64, 64, 64),
        separable_relu=True,
        pyramid_pooling="ceil",
        pyramid_branch_width=64,
        fusion_order="resize_first",
        fusion_branch="linear",
        fusion_dilation=1,
        aux_layout=(),
        mean=(0.0, 0.0, 0.0),
        std=(255.0, 255.0, 255.0),
    )
    assert summary(FastSCNNConfig.preset("shrief")).trainable == 508_850


def test_files_of_other_networks_say_nothing_of_younger_fields():
    """So they stay what they were, byte by byte, and older versions read them."""
    older = FastSCNNConfig.preset("zh320").to_dict()
    assert not {"expansion", "nearest", "pyramid_pooling", "logits_relu"} & set(older)
    assert len(older) == 28
    younger = FastSCNNConfig.preset("kshitizrimal").to_dict()
    assert younger["nearest"] == ("fusion", "logits")
    assert "expansion" not in younger


def test_the_paper_is_the_default():
    assert FastSCNNConfig.preset("paper") == FastSCNNConfig()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json_and_every_size(name):
    config = FastSCNNConfig.preset(name, num_classes=5, input_size=(64, 96))
    assert FastSCNNConfig.from_dict(config.to_dict()) == config
    model = fast_scnn(config.replace(**SMALL))
    assert model.count_params() == summary(model.config).parameters
    assert model.output_shape == (None, 64, 96, 5)
    assert resize_model(model, (96, 32)).output_shape == (None, 96, 32, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion_dilation": 1}, "multiple of 4, or fusion_order='resize_first'"),
        ({"align_corners": ("fusion",)}, "does not commute"),
        ({"align_corners": "fusion"}, "list of names"),
        ({"align_corners": ("head",)}, "may name pyramid, fusion or logits"),
        ({"stem_padding": "reflect"}, "must be same, symmetric or valid"),
        ({"stride_padding": "valid"}, "must be same or symmetric"),
        ({"pyramid_kernel": 5}, "must be 0, 1 or 3"),
        ({"pyramid_pooling": "fixed"}, r"pyramid_windows must be 4 numbers of 1\.\.1024, got \(\)"),
        ({"pyramid_windows": (1, 2, 3, 4)}, "pyramid_windows must be 0 numbers"),
        (
            {"nearest": ("logits",), "align_corners": ("logits",)},
            "logits: align_corners or nearest",
        ),
        ({"width": 4.0, "head_widths": (128, 160, 128)}, "width 4.0 times 160 channels"),
        ({"expansion": 7}, "expansion must be .*1.*6"),
        ({"stem_widths": (32, 48)}, "3 numbers of 1..512"),
        (
            {"fusion_branch": "separable", "separable_relu": True},
            "does not commute with the upsampling",
        ),
        ({"pyramid_bins": (1, 2, 2)}, "must differ"),
        ({"repeats": (3, 3)}, "3 numbers of 1..16"),
        ({"repeats": (3, 0, 3)}, "1..16"),
        ({"width": 0.1}, "between 0.25 and 4.0"),
        ({"width": True}, "width"),
        ({"aux_heads": True, "aux_layout": ()}, "needs an aux_layout"),
        ({"aux_layout": ("ppm",)}, "may name ltd or gfe"),
        ({"aux_heads": True, "pad": True}, "for inference"),
        ({"separable_relu": "yes"}, "True or False"),
        ({"fusion_norm": "add"}, "branches, sum or high_and_sum"),
        ({"repeats": (2.7, 1, 1)}, "whole numbers"),
        ({"repeats": "321"}, "whole numbers"),
        ({"pyramid_bins": (True, 2)}, "whole numbers"),
        ({"mean": "123"}, "list of numbers"),
        ({"std": (0.229, 0.224, 0.225)}, "multiply both by 255"),
        ({"class_colors": ("ab", "cd")}, "list of"),
        ({"class_names": "ab"}, "list of names"),
    ],
)
def test_impossible_architectures_are_refused_with_the_reason(changes, message):
    with pytest.raises(ConfigError, match=message):
        FastSCNNConfig(**changes)


def test_unknown_preset_and_pattern_without_a_layer():
    with pytest.raises(ConfigError, match="unknown preset 'mmsegg': expected one of paper, mmseg"):
        FastSCNNConfig.preset("mmsegg")
    with pytest.raises(ConfigError, match="no field 'widht': did you mean 'width'"):
        FastSCNNConfig.preset("mmseg", widht=1)
    config = FastSCNNConfig(input_size=(32, 32), conv_bias=("fusion.lo",))
    with pytest.raises(ConfigError, match=r"did you mean 'fusion\.low'"):
        fast_scnn(config)


def test_bias_only_where_the_patterns_say():
    config = FastSCNNConfig.preset("zh320", input_size=(32, 32))
    biased = {x.name for x in complexity(config).layers if x.bias_weights}
    assert "global_features.bottleneck1_1.expand" in biased
    assert "global_features.bottleneck1_1.project" not in biased
    assert {"pyramid.output", "classifier.logits", "classifier.ds1_pointwise"} <= biased
    assert not {"pyramid.bin1", "fusion.low", "learning_to_downsample.conv"} & biased


@pytest.mark.convert
@pytest.mark.parametrize("name", PRESETS)
def test_twin_of_every_preset(name, randomise, noise):
    keras3().utils.set_random_seed(3)  # not one whose logits a ReLU makes all zero
    config = FastSCNNConfig.preset(name, num_classes=4, input_size=(64, 96), **SMALL)
    model, twin = randomise(fast_scnn(config)), fast_scnn(config, keras=tf_keras())
    copy_weights(model, twin)
    image = noise((64, 96))
    expected = np.asarray(model(image))
    assert np.abs(np.asarray(twin(image)) - expected).max() < 1e-4 * expected.std()


@pytest.mark.train
@pytest.mark.parametrize("changes", MIXTURES)
def test_mixtures_train(changes, noise):
    config = FastSCNNConfig(**{"num_classes": 3, "input_size": (64, 96), **SMALL, **changes})
    model = fast_scnn(config)
    assert model.count_params() == complexity(config).parameters
    model.compile("sgd", "mse", run_eagerly=True)  # the same operations, without a trace of 2 s
    target = np.zeros((2, *config.input_size, 3), np.float32)
    assert np.isfinite(model.train_on_batch(noise(config.input_size), target))


@pytest.mark.parametrize(("kind", "padding"), [("floor", "VALID"), ("ceil", "SAME")])
def test_windows_are_those_of_average_pooling(kind, padding):
    """Keras' AveragePooling2D(pool_size=size // bins), whose strides are the same."""
    import tensorflow as tf

    config = FastSCNNConfig(pyramid_pooling=kind, pyramid_bins=(2, 3, 5))
    x = np.random.default_rng(0).normal(size=(1, 7, 11, 2)).astype(np.float32)
    for bins, (rows, columns) in zip(
        config.pyramid_bins, pooling_windows((7, 11), config), strict=True
    ):
        side = 7 // bins, 11 // bins
        expected = tf.nn.avg_pool2d(x, side, side, padding).numpy()
        got = [[x[0, a:b, c:d].mean((0, 1)) for c, d in columns] for a, b in rows]
        np.testing.assert_allclose(np.array(got)[None], expected, atol=1e-6)


def test_windows_never_exceed_the_map_and_have_a_cell():
    config = FastSCNNConfig(pyramid_bins=(1, 2), pyramid_pooling="fixed", pyramid_windows=(24, 4))
    assert pooling_windows((7, 30), config)[0] == ([(0, 7)], [(0, 24)])
    assert pooling_windows((7, 9), config)[1] == ([(0, 4)], [(0, 4), (4, 8)])
    floor = FastSCNNConfig(pyramid_bins=(1, 8), pyramid_pooling="floor")
    assert pooling_windows((2, 3), floor)[1] == ([(0, 1), (1, 2)], [(0, 1), (1, 2), (2, 3)])


def test_width_scales_channels_in_eights():
    config = FastSCNNConfig(width=0.75, input_size=(64, 96))
    widths = {x.name: x.output[2] for x in complexity(config).layers}
    assert widths["learning_to_downsample.conv"] == 24
    assert widths["global_features.bottleneck2_1.project"] == 72
    assert widths["fusion.add"] == 96
    assert widths["pyramid.bin3"] == 24
    assert complexity(config).macs < complexity(config.replace(width=1.0)).macs


def test_symmetric_padding_is_that_of_pytorch():
    """out[i] reads in[2i-1 .. 2i+1]; beyond the edge there is zero."""
    import tensorflow as tf

    x = np.arange(1.0, 9.0, dtype=np.float32).reshape(1, 8, 1, 1) * np.ones((1, 1, 8, 1), "f")
    pads = symmetric_pads((8, 8), 2)
    padded = tf.pad(x, [[0, 0], *map(list, pads), [0, 0]])
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[0, 1] = 1  # the row above
    got = tf.nn.conv2d(padded, kernel, 2, "VALID").numpy()[0, :, 1, 0]
    assert got.tolist() == [0, 2, 4, 6]
    assert symmetric_pads((511, 1023), 2) is None
    assert symmetric_pads((7, 8), 2) == ((1, 1), (1, 0))


def test_summary_agrees_with_the_built_model():
    config = FastSCNNConfig.preset("mmseg", num_classes=7, input_size=(96, 160), aux_heads=True)
    result, model = summary(config), fast_scnn(config)
    assert sum(stage.parameters for stage in result.stages) == model.count_params()
    assert result.trainable == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    macs = 0
    for layer in model.layers:
        if layer.name.endswith(".bn") or not layer.get_weights():
            continue
        kernel = layer.get_weights()[0]
        macs += kernel.size * int(np.prod(layer.output.shape[1:3]))
    assert result.macs == macs == sum(stage.macs for stage in result.stages)
    shapes = {stage.name: stage.output for stage in result.stages}
    assert shapes["global_features.bottleneck3"] == (3, 5, 128)
    assert shapes["aux_gfe"] == (3, 5, 7)
    assert shapes["upsampling"] == (96, 160, 7)


def test_receptive_field_is_what_a_pixel_can_change(noise):
    """A change just outside the counted field does not reach the centre; one inside does."""
    config = FastSCNNConfig(num_classes=3, input_size=(160, 160))
    stages = {stage.name: stage for stage in summary(config).stages}
    field = stages["learning_to_downsample.ds2"].receptive_field
    assert field == (15, 15)
    import keras

    model = fast_scnn(config)
    name = "learning_to_downsample.ds2_pointwise"
    head = keras.Model(model.inputs, model.get_layer(name).output)
    image = noise((160, 160), 1)
    before = np.asarray(head([image]))[0, :, 10]
    changed = image.copy()
    changed[0, 80] += 1.0
    rows = np.flatnonzero(np.abs(np.asarray(head([changed]))[0, :, 10] - before).max(-1) > 0)
    # Row 80 lies in the fields of the cells whose 15 rows hold it: at steps of 8, one or two.
    assert 1 <= len(rows) <= 2
    assert stages["pyramid"].receptive_field == (160, 160)
