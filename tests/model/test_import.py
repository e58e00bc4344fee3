"""Checkpoints of other implementations: exact where goldens are at hand, refusals everywhere."""

import io
import json
import pickle

import h5py
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import fastscnn_tf as fs
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, ModelFileError
from fastscnn_tf.core.keras_api import keras3, tf_keras
from fastscnn_tf.core.labels import CAMVID, CITYSCAPES
from fastscnn_tf.model.checkpoints.checkpoint_file import read_checkpoint
from fastscnn_tf.model.checkpoints.import_checkpoint import import_checkpoint, recognise
from fastscnn_tf.model.checkpoints.keras_graph import differences, read_layers
from fastscnn_tf.model.checkpoints.peer_names import PEERS, by_depth
from fastscnn_tf.model.complexity import complexity
from fastscnn_tf.model.fast_scnn import copy_weights, fast_scnn, resize_model
from fastscnn_tf.model.folded import is_depthwise

GOLDEN = {
    "tramac": "tramac.pth",
    "mmseg": "mmseg.pth",
    "paddleseg": "paddleseg.pdparams",
    "zh320": "zh320.pth",
    "rachthree": "rachthree/weights.h5",
    "kshitizrimal": "kshitizrimal_py/weights.h5",
    "kshitizrimal-notebook": "kshitizrimal_ipynb/weights.h5",
    "skywa7ch3r": "skywa7ch3r/model.h5",
    "mindspore": "mindspore/best_map.ckpt",
    "shrief": "shrief_kd/tils_fastscnn_kd.weights.h5",
}
OUTPUTS = {
    **{
        name: [f"{name}_192x384.npz", f"{name}_224x480.npz"]
        for name in ("tramac", "mmseg", "paddleseg", "zh320")
    },
    "rachthree": ["rachthree/golden_256x512.npz", "rachthree/golden_512x768.npz"],
    "kshitizrimal": ["kshitizrimal_py/golden_256x512.npz"],
    "kshitizrimal-notebook": ["kshitizrimal_ipynb/golden_256x512.npz"],
    "skywa7ch3r": ["skywa7ch3r/golden_256x512.npz", "skywa7ch3r/golden_512x512.npz"],
    "mindspore": ["mindspore/golden_768x768.npz", "mindspore/golden_1024x2048.npz"],
    "shrief": ["shrief_kd/golden_tils_256x256.npz"],
}
CASES = [(name, output) for name, outputs in OUTPUTS.items() for output in outputs]


# Logits in a file of outputs -> (at 1/8 or at full resolution, step of rows, of columns).
KINDS = {
    "logits_stride3": ("full", 3, 3),
    "logits_rows": ("full", 7, 5),
    "logits_8th": ("low", 1, 1),
    "logits_8th_chw": ("low", 1, 1),
    "logits_8th_chw_stride2": ("low", 2, 2),
}
OF_FILE = {"low": "logits", "full": "logits-full"}  # what a .tflite gives
LABELS = {"labels_8th": ("low", 1), "labels": ("full", 1), "labels_stride4": ("full", 4)}


class Golden:
    """An image and what the original program, or a rebuild of it, makes of it."""

    def __init__(self, path, config):
        with np.load(path) as arrays:
            self.arrays = {name: arrays[name] for name in arrays.files}
        image = self.arrays.get("input")  # normalised
        image = config.normalised(self.arrays["image"]) if image is None else image
        self.image = image.astype(np.float32)
        self.size = self.image.shape[:2]
        self.resolutions = {KINDS[name][0] for name in self.arrays if name in KINDS}

    def compare(self, got, tolerance):
        """Checks {"low", "full": logits (H, W, classes)}, whichever there are."""
        for name, (resolution, rows, columns) in KINDS.items():
            if name in self.arrays and resolution in got:
                value = self.arrays[name]
                if value.shape[-1] != got[resolution].shape[-1]:  # MindSpore's
                    value = value.transpose(1, 2, 0)
                    rows, columns = (37, 29) if name == "logits_rows" else (rows, columns)
                compare(got[resolution][::rows, ::columns], value, tolerance)
        for name, (resolution, step) in LABELS.items():
            if name in self.arrays and resolution in got:
                labels = got[resolution][::step, ::step].argmax(-1)
                assert np.mean(labels == self.arrays[name]) >= 0.9999


def compare(logits, reference, tolerance):
    """The differences that a port of the same arithmetic may show."""
    error = np.abs(logits - reference).max() / reference.std()
    agree = np.mean(logits.argmax(-1) == reference.argmax(-1))
    assert error <= tolerance, error
    assert agree >= 0.9999, agree


def both(model, keras, image):
    """Logits at 1/8 and at full resolution, (H, W, classes)."""
    layer = model.get_layer("logits")
    outputs = keras.Model(model.input, [layer.input, layer.output])(image[None])
    return {name: np.asarray(x)[0] for name, x in zip(("low", "full"), outputs, strict=True)}


@pytest.fixture(scope="module")
def imported(golden_dir):
    """name -> the model, imported when first asked for."""

    class Models(dict):
        def __missing__(self, name):
            self[name] = import_checkpoint(golden_dir / GOLDEN[name])
            return self[name]

    return Models()


@pytest.mark.convert
@pytest.mark.parametrize(("name", "output"), CASES)
def test_logits_are_those_of_the_original_program(imported, golden_dir, name, output):
    golden = Golden(golden_dir / output, imported[name].config)
    model = resize_model(imported[name], golden.size)
    golden.compare(both(model, keras3(), golden.image), 1e-4)
    if output != OUTPUTS[name][0]:  # the twin of one size is enough
        return
    twin = fast_scnn(model.config, keras=tf_keras())
    copy_weights(model, twin)
    golden.compare(both(twin, tf_keras(), golden.image), 1e-4)


@pytest.mark.convert
@pytest.mark.parametrize(("name", "output"), CASES)
def test_float_file_gives_the_same_logits(imported, golden_dir, name, output, tmp_path):
    golden = Golden(golden_dir / output, imported[name].config)
    for resolution in golden.resolutions:
        path, outputs = tmp_path / f"{resolution}.tflite", OF_FILE[resolution]
        fs.export_tflite(imported[name], path, outputs=outputs, size=golden.size, input="float32")
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], golden.image[None])
        interpreter.invoke()
        logits = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
        golden.compare({resolution: logits}, 1e-3)


@pytest.mark.convert
@pytest.mark.parametrize("name", GOLDEN)
def test_raw_bytes_give_the_logits_of_the_normalised_image(name, randomise, tmp_path):
    keras3().utils.set_random_seed(0)
    few = {"num_classes": 5, "input_size": (96, 160), "width": 0.25, "repeats": (1, 1, 1)}
    model = randomise(fast_scnn(FastSCNNConfig.preset(name, **few)))
    pixels = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    mean, std = np.float32(model.config.mean), np.float32(model.config.std)
    expected = np.asarray(model(((pixels - mean) / std)[None]))[0]
    fs.export_tflite(model, tmp_path / "m.tflite", "float32", "logits-full")
    compare(fs.Segmenter(tmp_path / "m.tflite").run(pixels), expected, 1e-3)


@pytest.mark.parametrize("name", ["tramac", "mmseg", "paddleseg"])
def test_auxiliary_heads_are_kept_on_request(imported, golden_dir, name):
    model = import_checkpoint(golden_dir / GOLDEN[name], name, 19, aux_heads=True)
    assert set(model.output) == {"logits", *(f"aux_{h}" for h in model.config.aux_layout)}
    layer = "learning_to_downsample.conv"
    first, second = (m.get_layer(layer).get_weights()[0] for m in (model, imported[name]))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("name", "output", "aux"),
    [
        ("rachthree", "golden_256x512.npz", ("ds_aux_low", "gfe_aux_low")),
        ("mindspore", "golden_768x768.npz", ("aux1_chw", "aux2_chw")),
    ],
)
def test_auxiliary_logits_are_those_of_the_original_program(golden_dir, name, output, aux):
    path = golden_dir / GOLDEN[name]
    with np.load(path.parent / output) as arrays:
        image, *references = (arrays[n] for n in ("image", *aux))
    model = import_checkpoint(path, aux_heads=True, input_size=image.shape[:2])
    found = model(model.config.normalised(image)[None])
    for head, reference in zip(("aux_ltd", "aux_gfe"), references, strict=True):
        reference = reference.transpose(1, 2, 0) if name == "mindspore" else reference
        compare(np.asarray(found[head])[0], reference, 1e-4)


def test_own_normalisation_size_and_names(golden_dir):
    model = import_checkpoint(
        golden_dir / "mmseg.pth", input_size=(64, 96), mean=(1, 2, 3), std=(4, 5, 6)
    )
    assert model.config.mean == (1.0, 2.0, 3.0)
    assert model.output_shape == (None, 64, 96, 19)


def test_wrong_expectations_are_named(golden_dir):
    with pytest.raises(ModelFileError, match=r"mmseg.pth: has 19 classes, not 11"):
        import_checkpoint(golden_dir / "mmseg.pth", num_classes=11)
    with pytest.raises(ModelFileError, match="not a tramac checkpoint, but one of mmseg"):
        import_checkpoint(golden_dir / "mmseg.pth", "tramac")
    with pytest.raises(ConfigError, match="zh320 has no auxiliary heads"):
        import_checkpoint(golden_dir / "zh320.pth", aux_heads=True)


REDUCED = {
    "expansion": 3,
    "stem_widths": (16, 24, 32),
    "bottleneck_widths": (32, 48, 64),
    "head_widths": (128, 56, 40),
}


# --- checkpoints made here: a pickled dict of arrays, as PaddlePaddle writes it ---


def tensors_of(name, config, seed=0):
    """Random tensors with the names and shapes of an implementation."""
    rng, peer, found = np.random.default_rng(seed), PEERS[name], {}
    names, (weight, bias, *norms) = peer.names(config), peer.parts
    for cost in complexity(config).layers:
        if not cost.parameters:
            continue
        conv, norm = names[cost.name]
        if cost.kernel:
            order = (2, 3, 0, 1) if is_depthwise(cost.name) else (3, 2, 0, 1)
            kernel = rng.normal(0, 0.1, cost.kernel).astype(np.float32)
            found[f"{conv}{weight}"] = kernel if peer.is_keras else kernel.transpose(order)
        if cost.bias_weights:
            found[f"{conv}{bias}"] = rng.normal(size=cost.output[2]).astype(np.float32)
        if cost.norm_weights:
            for part in norms:
                found[f"{norm}{part}"] = rng.uniform(0.5, 1, cost.output[2]).astype(np.float32)
    return found


def write(path, tensors):
    """A pickle of torch's names; HDF5 of Keras'."""
    if any("/" in name for name in tensors):
        return write_h5(path.with_suffix(".h5"), tensors)
    buffer = io.BytesIO()
    pickle.dump(tensors, buffer, protocol=4)
    path.write_bytes(buffer.getvalue())
    return path


def write_h5(path, tensors, first=0, norm="batch_normalization"):
    """Weights as Keras 2 saves them, its automatic names counted from `first`."""

    def layer_of(name):
        kind, _, number = name.rpartition("_")
        if not number.isdigit() or name.startswith(("gfe_", "ffm_")):
            return name
        kind = kind.replace("batch_normalization", norm)
        return f"{kind}_{int(number) + first}" if int(number) + first else kind

    with h5py.File(path, "w") as file:
        layers = {}
        for name, value in tensors.items():
            layer, variable = name.split("/")
            layer, _, half = layer.partition(".")
            if layer.startswith("depthwise_conv2d") or layer.endswith("dwconv"):
                half = "depthwise"
            variable = f"{half}_kernel" if half and variable == "kernel" else variable
            layer = layer_of(layer)
            weight = f"{layer}/{variable}:0"
            file.create_group(layer) if layer not in file else None
            file[layer].create_dataset(weight, data=value)
            layers.setdefault(layer, []).append(weight)
        for layer, weights in layers.items():
            file[layer].attrs["weight_names"] = [weight.encode() for weight in weights]
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        file.attrs["keras_version"] = b"2.2.4-tf"
    return path


CLASSES = {
    "separable": "SeparableConv2D",
    "depthwise": "DepthwiseConv2D",
    "conv2d": "Conv2D",
    "batch": "BatchNormalization",
}


def described(path, config, **changes):
    """Writes SkyWa7ch3r's whole model of 256x512 but for fields of layers: name__field=value."""
    twos = (*STRIDED, *(f"pyramid.bin{n}" for n in config.pyramid_bins))
    fields = {"input": ("InputLayer", {"batch_input_shape": [None, 256, 512, 3]})}
    for ours, both in PEERS["skywa7ch3r"].names(config).items():
        for name in filter(None, both):
            kind = CLASSES[name.partition("_")[0]]
            steps = [2, 2] if ours in twos else [1, 1]
            padding = "same" if ours in twos or "depth" in ours else "valid"
            told = {"strides": steps, "dilation_rate": [1, 1], "padding": padding, "epsilon": 1e-3}
            fields.setdefault(name.partition(".")[0], (kind, told))
    for number, side in enumerate(([4, 8], [2, 4], [1, 2], [1, 2])):
        fields[f"pool_{number}"] = ("AveragePooling2D", {"pool_size": side, "strides": side})
    fields |= {
        "resize": ("Resizing", {"interpolation": "bilinear"}),
        "concat": ("Concatenate", {}),
        "up_fusion": ("UpSampling2D", {"interpolation": "nearest"}),
        "up_last": ("UpSampling2D", {"interpolation": "nearest"}),
        "relu": ("ReLU", {"max_value": None}),
    }
    for change, value in changes.items():
        name, _, field = change.partition("__")
        for each in [n for n in fields if n == name or name == n[:5] == "batch"]:
            fields[each][1][field] = value
    layers = [{"class_name": k, "config": {"name": n, **c}} for n, (k, c) in fields.items()]
    with h5py.File(path, "a") as file:
        model = {"class_name": "Functional", "config": {"layers": layers}}
        file.attrs["model_config"] = json.dumps(model)
    return path


STRIDED = (
    *("learning_to_downsample.conv", "learning_to_downsample.ds1_depthwise"),
    *("learning_to_downsample.ds2_depthwise", "global_features.bottleneck1_1.depthwise"),
    "global_features.bottleneck2_1.depthwise",
)


SKY = FastSCNNConfig.preset("skywa7ch3r", num_classes=7, input_size=(256, 512))
TOLD = {
    "bn_epsilon 1e-05": {"batch__epsilon": 1e-5},
    "fusion_dilation 4": {"depthwise_conv2d_9__dilation_rate": [4, 4]},
}


@pytest.mark.parametrize("said", TOLD)
def test_what_a_whole_model_says_of_its_layers_is_taken(tmp_path, caplog, said):
    path = write(tmp_path / "m.h5", tensors_of("skywa7ch3r", SKY))
    field, value = said.split()
    for changes in ({}, TOLD[said]):
        model = import_checkpoint(described(path, SKY, **changes), input_size=(256, 512))
        assert (str(getattr(model.config, field)) == value) == bool(changes)
        assert (f"m.h5: by its own description, {said}" in caplog.text) == bool(changes)


def test_a_whole_model_of_another_network_is_refused(tmp_path):
    path = write(tmp_path / "m.h5", tensors_of("skywa7ch3r", SKY))
    described(path, SKY, up_last__interpolation="bilinear")
    with pytest.raises(ModelFileError, match=r"1 different \(up_last: interpolation bilinear inst"):
        import_checkpoint(path, input_size=(256, 512))
    described(path, SKY, batch_normalization_4__epsilon=1e-5)
    with pytest.raises(ModelFileError, match=r"have epsilons .*, 1e-05: expected one"):
        import_checkpoint(path, input_size=(256, 512))


def test_layers_that_compute_something_else_are_named(tmp_path):
    path, model = write(tmp_path / "m.h5", {"a/kernel": np.zeros(1)}), fast_scnn(SKY)
    for change, value, said in (
        ("none__name", "", None),
        ("separable_conv2d_1__strides", [1, 1], "strides (1, 1) instead of (2, 2)"),
        ("depthwise_conv2d_3__dilation_rate", 2, "dilation_rate (2, 2) instead of (1, 1)"),
        ("conv2d_0__padding", "valid", "padding valid instead of same"),
        ("pool_2__pool_size", [2, 4], "strides (1, 2) instead of (2, 4)"),
        ("pool_0__padding", "same", None),  # which makes no difference at this size
        ("up_fusion__interpolation", "bilinear", "interpolation bilinear instead of nearest"),
        ("resize__interpolation", "nearest", "interpolation nearest instead of bilinear"),
        ("relu__max_value", 6, "max_value 6 instead of None"),
    ):
        layers = read_layers(described(path, SKY, **{change: value}))
        faults = differences(layers, PEERS["skywa7ch3r"], model)
        named = [f"{change.partition('__')[0]}: {said}"] if said else []
        assert [fault for fault in faults if "pool_size" not in fault] == named


@pytest.mark.parametrize("name", ["rachthree", "skywa7ch3r"])
def test_numbers_by_the_depth_of_layers(name, tmp_path):
    """`.weights.h5` of tf_keras: the fusion's two normalisations change places."""
    config = FastSCNNConfig.preset(name, num_classes=7, input_size=(256, 256))
    peer, tensors = PEERS[name], tensors_of(name, config)
    other = by_depth(tensors, peer.names(config))
    norms = [peer.names(config)[n][1] for n in ("fusion.high", "fusion.low_depthwise")]
    assert np.array_equal(other[f"{norms[0]}/gamma"], tensors[f"{norms[1]}/gamma"])
    model = import_checkpoint(write(tmp_path / "m.h5", other), input_size=(256, 256))
    gamma = model.get_layer("fusion.high.bn").get_weights()[0]
    assert np.array_equal(gamma, tensors[f"{norms[0]}/gamma"])


@pytest.mark.parametrize("name", PEERS)
def test_every_source_is_recognised_and_read_whole(name, tmp_path):
    config = FastSCNNConfig.preset(name, num_classes=7, input_size=(64, 96))
    tensors = tensors_of(name, config)
    model = import_checkpoint(write(tmp_path / "m.pdparams", tensors), input_size=(64, 96))
    assert model.config == config
    kernel = model.get_layer("classifier.logits").get_weights()[0]
    conv, peer = PEERS[name].names(config)["classifier.logits"][0], PEERS[name]
    stored = tensors[f"{conv}{peer.parts[0]}"]
    assert np.array_equal(kernel, stored if peer.is_keras else stored.transpose(2, 3, 1, 0))


@pytest.mark.convert
@pytest.mark.parametrize("name", ["mmseg", "tramac", "paddleseg", "gluon", "mindspore"])
def test_auxiliary_tensors_are_optional(name, tmp_path):
    config = FastSCNNConfig.preset(name, num_classes=7, input_size=(64, 96), aux_heads=True)
    tensors = tensors_of(name, config)
    path = write(tmp_path / "m.pdparams", tensors)
    assert import_checkpoint(path, input_size=(64, 96)).config.aux_heads is False
    assert import_checkpoint(path, aux_heads=True, input_size=(64, 96)).config == config
    bare = {k: v for k, v in tensors.items() if not k.startswith(PEERS[name].aux_prefixes)}
    path = write(tmp_path / "bare.pdparams", bare)
    assert import_checkpoint(path, input_size=(64, 96)).config.num_classes == 7
    with pytest.raises(ModelFileError, match=r"\d+ missing \(aux"):
        import_checkpoint(path, aux_heads=True, input_size=(64, 96))


@pytest.mark.parametrize("name", ["rachthree", "kshitizrimal", "skywa7ch3r"])
def test_keras_counts_from_anywhere(name, tmp_path):
    """A session that had built other models before, and TensorFlow 2.0's names."""
    config = FastSCNNConfig.preset(name, num_classes=7, input_size=(256, 256))
    config = config.replace(aux_heads=bool(config.aux_layout))
    tensors = tensors_of(name, config)
    for first, norm in ((0, "batch_normalization"), (97, "batch_normalization_v2")):
        stored = read_checkpoint(write_h5(tmp_path / f"{first}.h5", tensors, first, norm))
        assert any(n.startswith(f"{norm}_{first + 2}/") for n in stored)
        assert recognise(stored, "auto", "m.h5") == name
        again = PEERS[name].spelled(stored)
        assert again.keys() == tensors.keys()
        assert all(np.array_equal(again[n], tensors[n]) for n in tensors)


def test_keras_may_name_the_last_separable_convolutions(golden_dir):
    stored = read_checkpoint(golden_dir / GOLDEN["kshitizrimal"])
    assert "DSConv1_classifier/depthwise_kernel" in stored
    spelled = PEERS["kshitizrimal"].spelled(stored)
    kernel = stored["DSConv2_classifier/pointwise_kernel"]
    assert np.array_equal(spelled["separable_conv2d_4.pointwise/kernel"], kernel)


@pytest.mark.parametrize("name", GOLDEN)
def test_goldens_are_told_apart(name, golden_dir):
    """SkyWa7ch3r's network is the notebook's: the number of classes tells them apart."""
    assert recognise(read_checkpoint(golden_dir / GOLDEN[name]), "auto", "x") == name
    assert recognise(read_checkpoint(golden_dir / GOLDEN[name]), name, "x") == name


def test_folder_and_file_hold_the_same(golden_dir):
    peer, read = PEERS["rachthree"], lambda name: read_checkpoint(golden_dir / "rachthree" / name)
    file, folder = (peer.spelled(read(name)) for name in ("weights.h5", "final_model.pb"))
    assert len(file) == 296
    assert file.keys() == folder.keys()
    assert all(np.array_equal(file[name], folder[name]) for name in file)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("shrief", {}),
        (
            "shrief",
            {
                **REDUCED,
                "repeats": (1, 2, 1),
                "pyramid_branch_width": 40,
                "head_widths": (48, 56, 40),
            },
        ),
        ("rachthree", REDUCED),
    ],
)
def test_sizes_of_a_reduced_network_are_read_from_its_shapes(name, changes, tmp_path, caplog):
    config = FastSCNNConfig.preset(name, num_classes=3, input_size=(256, 256), **changes)
    path = write(tmp_path / "m.h5", tensors_of(name, config))
    assert import_checkpoint(path, input_size=(256, 256)).config == config
    assert ("by its shapes, " in caplog.text) == bool(changes)


def test_one_channel_becomes_two_classes(tmp_path, caplog):
    config = FastSCNNConfig.preset("mmseg", num_classes=2, input_size=(64, 96), aux_heads=True)
    tensors = tensors_of("mmseg", config)
    ends = ("decode_head.conv_seg.", "auxiliary_head.0.conv_seg.", "auxiliary_head.1.conv_seg.")
    tensors = {n: v[1:] if n.startswith(ends) else v for n, v in tensors.items()}
    path = write(tmp_path / "m.pdparams", tensors)
    model = import_checkpoint(path, input_size=(64, 96), aux_heads=True)
    assert model.config == config
    assert "one channel, for a sigmoid" in caplog.text
    for layer, end in zip(("classifier.", "aux_gfe.", "aux_ltd."), ends, strict=True):
        kernel, bias = model.get_layer(f"{layer}logits").get_weights()
        difference = kernel[0, 0, :, 1] - kernel[0, 0, :, 0]  # softmax is the sigmoid of this
        assert np.array_equal(difference, tensors[f"{end}weight"][0, :, 0, 0])
        assert np.array_equal(bias[1] - bias[0], tensors[f"{end}bias"][0])
        assert bias[0] == -bias[1]
    with pytest.raises(ModelFileError, match="has 2 classes, not 3"):
        import_checkpoint(path, num_classes=3)


def test_a_class_of_void_and_wrong_numbers_of_names(tmp_path, caplog):
    config = FastSCNNConfig.preset("skywa7ch3r", input_size=(64, 96))
    path = write(tmp_path / "m.h5", tensors_of("skywa7ch3r", config))
    model = import_checkpoint(path, input_size=(64, 96))
    assert model.config.class_names == (*CITYSCAPES.names, "void")
    assert model.config.class_colors[-1] == (0, 0, 0)
    assert "20 classes, taken for road, ... and void" in caplog.text
    with pytest.raises(ModelFileError, match="has 20 classes, not 11, as there are names"):
        import_checkpoint(path, class_names=CAMVID.names)
    own = tuple("abcdefghijklmnopqrs")
    found = import_checkpoint(path, class_names=own, input_size=(64, 96)).config
    assert (found.class_names, found.class_colors) == ((*own, "void"), ())


def test_other_networks_of_keras_are_told_by_their_shapes(tmp_path):
    tensors = tensors_of("rachthree", FastSCNNConfig.preset("rachthree"))
    other = {n: np.zeros((2, *t.shape), "f4") for n, t in tensors.items() if "depth" not in n}
    path = write(tmp_path / "m.h5", other)
    with pytest.raises(ModelFileError, match=r"232 tensors: conv2d/kernel \(2, 3, 3, 3, 32\)"):
        import_checkpoint(path)


def test_every_wrong_tensor_is_reported_at_once(tmp_path):
    config = FastSCNNConfig.preset("mmseg", num_classes=7, input_size=(64, 96))
    tensors = tensors_of("mmseg", config)
    conv = "backbone.learning_to_downsample.conv.conv.weight"
    del tensors["backbone.feature_fusion.dwconv.bn.bias"]
    tensors["backbone.extra.weight"] = np.zeros(3, np.float32)
    tensors[conv] = np.zeros((32, 4, 3, 3), np.float32)
    with pytest.raises(ModelFileError) as error:
        import_checkpoint(write(tmp_path / "m.pdparams", tensors))
    message = str(error.value)
    assert "1 missing (backbone.feature_fusion.dwconv.bn.bias)" in message
    assert "1 unexpected (backbone.extra.weight)" in message
    assert f"1 of another shape ({conv} is (32, 4, 3, 3) instead of (32, 3, 3, 3))" in message
    assert "\n" not in message


def test_non_finite_weights_and_other_networks_are_refused(tmp_path):
    config = FastSCNNConfig.preset("mmseg", num_classes=7, input_size=(64, 96))
    tensors = tensors_of("mmseg", config)
    tensors["decode_head.conv_seg.bias"][0] = np.nan
    with pytest.raises(ModelFileError, match=r"decode_head\.conv_seg\.bias is NaN"):
        import_checkpoint(write(tmp_path / "m.pdparams", tensors))
    tensors["decode_head.conv_seg.bias"][0] = 0
    variance = "backbone.learning_to_downsample.conv.bn.running_var"
    tensors[variance] = -tensors[variance]
    with pytest.raises(ModelFileError, match="a variance below 0"):
        import_checkpoint(write(tmp_path / "m.pdparams", tensors))
    with pytest.raises(ModelFileError, match="a folder"):
        import_checkpoint(tmp_path)
    other = {"layer1.0.conv1.weight": np.zeros((4, 3, 3, 3), np.float32)}
    with pytest.raises(ModelFileError, match=r"not a Fast-SCNN of .*layer1.0.conv1.weight"):
        import_checkpoint(write(tmp_path / "resnet.pdparams", other))
    with pytest.raises(ConfigError, match="unknown source 'timm'"):
        import_checkpoint(tmp_path / "m.pdparams", "timm")


def test_weights_go_out_and_come_back(tmp_path, randomise, noise):
    config = FastSCNNConfig.preset("zh320", num_classes=5, input_size=(64, 96))
    model = randomise(fast_scnn(config))
    count = fs.export_weights(model, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as arrays:
        assert len(arrays.files) == count + 1
        assert arrays["fusion.low_depthwise/kernel"].shape == (3, 3, 128, 1)
        assert arrays["fusion.add/gamma"].shape == (128,)
        assert sum(arrays[n].size for n in arrays.files if n != "config") == model.count_params()
    back = import_checkpoint(tmp_path / "w.npz")
    assert back.config == config
    assert np.array_equal(np.asarray(back(noise((64, 96)))), np.asarray(model(noise((64, 96)))))
    with pytest.raises(fs.FastSCNNError, match="exists"):
        fs.export_weights(model, tmp_path / "w.npz")
    with pytest.raises(ConfigError, match="its own configuration"):
        import_checkpoint(tmp_path / "w.npz", mean=(1, 2, 3))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no", b"x" * 300])
def test_damaged_weights_file(tmp_path, content):
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(ModelFileError, match="not a weights file"):
        import_checkpoint(tmp_path / "w.npz")


def test_weights_file_with_a_missing_array(tmp_path):
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    model = fast_scnn(FastSCNNConfig(num_classes=3, input_size=(32, 32), **few))
    fs.export_weights(model, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as file:
        arrays = {name: file[name] for name in file.files}
    del arrays["fusion.low/beta"]
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ModelFileError, match=r"'fusion.low' has arrays .* expected"):
        import_checkpoint(tmp_path / "x.npz")
