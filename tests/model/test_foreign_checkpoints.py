"""Checkpoints of Keras, TensorFlow, MindSpore and ONNX, written without these: names, refusals."""

import io
import json
import logging
import random
import struct
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from fuzzing import checkpoints, foreign  # noqa: E402

from fastscnn_tf.core.config import FastSCNNConfig  # noqa: E402
from fastscnn_tf.core.errors import ModelFileError  # noqa: E402
from fastscnn_tf.model.checkpoints.checkpoint_file import read_checkpoint  # noqa: E402
from fastscnn_tf.model.checkpoints.keras_graph import read_layers  # noqa: E402
from fastscnn_tf.model.checkpoints.onnx_order import EXPORTED, named_by_order  # noqa: E402
from fastscnn_tf.model.checkpoints.peer_names import PEERS  # noqa: E402
from fastscnn_tf.model.complexity import complexity  # noqa: E402
from fastscnn_tf.model.folded import is_depthwise  # noqa: E402

ARRAYS = foreign.ARRAYS


@pytest.fixture
def read(tmp_path):
    def call(content, name="x"):
        (tmp_path / name).write_bytes(content)
        return read_checkpoint(tmp_path / name)

    return call


@pytest.fixture
def saved(tmp_path):
    """A SavedModel's folder with these variables."""

    def write(index, data, name="s"):
        folder = tmp_path / name / "variables"
        folder.mkdir(parents=True)
        (folder / "variables.index").write_bytes(index)
        (folder / "variables.data-00000-of-00001").write_bytes(data)
        return tmp_path / name

    return write


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="fastscnn_tf")
    return lambda: [record.getMessage() for record in caplog.records]


def same(got, want):
    assert got.keys() == want.keys()
    for name, array in want.items():
        np.testing.assert_array_equal(got[name], array, strict=True)


def hdf5(write):
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        write(file)
    return stored.getvalue()


# Keras


@pytest.mark.parametrize(
    "content",
    [
        foreign.keras2(whole=False),
        foreign.keras2(whole=True),
        foreign.keras3(),
        foreign.keras3(False),
    ],
    ids=["weights", "whole", "keras 3", "keras 3 without names"],
)
@pytest.mark.parametrize("name", ["x.h5", "x.weights.h5", "x.pth"])
def test_hdf5_is_told_by_its_content(read, content, name):
    same(read(content, name), ARRAYS)


def test_keras_archive(read):
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", foreign.keras3())
    same(read(stored.getvalue()), ARRAYS)


def keras_file(layers, part=None):
    """Layers -> names of their weights; attributes in parts where `part` is a number."""

    def write(file):
        names = [layer.encode() for layer in layers]
        if part:
            for number, start in enumerate(range(0, len(names), part)):
                file.attrs[f"layer_names{number}"] = names[start : start + part]
        else:
            file.attrs["layer_names"] = names
        for layer, weights in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
            for number, weight in enumerate(weights):
                group[weight] = np.full(2, number, np.float32)

    return hdf5(write)


def test_names_of_keras_2(read):
    layers = {f"layer{n}": [f"layer{n}/kernel:0"] for n in (3, 1, 2)}
    assert list(read(keras_file(layers, part=2))) == [
        *("layer3/kernel", "layer1/kernel", "layer2/kernel"),
    ]
    scoped = {"conv2d_1": ["conv2d_1_2/kernel:0", "conv2d_1_2/bias:0"]}  # TensorFlow 1's scopes
    assert list(read(keras_file(scoped))) == ["conv2d_1/kernel", "conv2d_1/bias"]
    inner = {"model": ["conv2d/kernel:0", "conv2d_1/kernel:0"], "last": ["last/kernel"]}
    assert list(read(keras_file(inner))) == ["conv2d/kernel", "conv2d_1/kernel", "last/kernel"]
    bare = {"conv2d": ["kernel", "bias"]}  # early Keras 3
    assert list(read(keras_file(bare))) == ["conv2d/kernel", "conv2d/bias"]
    depthwise = {"depthwise_conv2d_3": ["depthwise_conv2d_3/kernel"]}  # Keras 3
    assert list(read(keras_file(depthwise))) == ["depthwise_conv2d_3/depthwise_kernel"]


def test_layers_of_keras_3_come_by_their_numbers(read):
    def write(file):
        for number in (10, 2, 0):
            name = f"layers/conv2d{f'_{number}' if number else ''}/vars"
            file[f"{name}/0"], file[f"{name}/1"] = np.ones((1, 1, 1, 1)), np.full(1, number)
        file["layers/functional/layers/dense/vars/0"] = np.ones(3)
        file["layers/dropout/seed_generator/vars/0"] = np.ones(2, np.uint32)

    assert list(read(hdf5(write))) == [
        *("conv2d/kernel", "conv2d/bias", "conv2d_2/kernel", "conv2d_2/bias"),
        *("conv2d_10/kernel", "conv2d_10/bias", "functional/dense/0"),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f["a"].attrs.__setitem__("weight_names", [b"../b/w"]), "a/../b/w is missing"),
        (lambda f: f["a"].__setitem__("l", h5py.SoftLink("/a/w")), "a link to elsewhere"),
        (lambda f: f["a"].__setitem__("l", h5py.ExternalLink("/etc/passwd", "/")), "a link to"),
        (
            lambda f: f["a"].create_dataset("w2", (1 << 40,), "f4", chunks=(1 << 20,)).attrs,
            "more than .* bytes of arrays",
        ),
        (
            lambda f: f["a"].create_dataset("w2", data=np.zeros(9 << 20), compression="gzip"),
            "more than .* bytes of arrays",
        ),
        (lambda f: f["a"].create_dataset("w2", data=[b"text"]), "expected numbers"),
    ],
    ids=["path", "soft link", "external link", "shape", "bomb", "text"],
)
def test_hostile_hdf5(read, change, said):
    def write(file):
        file.attrs["layer_names"] = [b"a"]
        file["a/w"] = np.ones(3, np.float32)
        file["a"].attrs["weight_names"] = [b"w", b"w2"]
        change(file)

    with pytest.raises(ModelFileError, match=said):
        read(hdf5(write))


INNER = {"class_name": "Functional", "config": {"layers": [{"class_name": "Conv2DV2"}]}}
RELU = {"class_name": "ReLU", "config": {"name": "r", "max_value": 6}}
MODEL = json.dumps({"class_name": "Functional", "config": {"layers": [INNER, RELU]}})


def test_layers_of_a_whole_model(saved, tmp_path):
    """From HDF5, `.keras` and beside a SavedModel; none where a file has weights alone."""
    (tmp_path / "w.h5").write_bytes(foreign.keras2(whole=False))
    whole = hdf5(lambda file: file.attrs.__setitem__("model_config", MODEL))
    (tmp_path / "x.h5").write_bytes(whole)
    with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
        archive.writestr("config.json", MODEL)
    folder = saved(*foreign.variables())
    assert read_layers(tmp_path / "w.h5") == read_layers(folder) == []
    node = foreign.field(2, 0) + foreign.field(3, "root") + foreign.field(5, MODEL)
    (folder / "keras_metadata.pb").write_bytes(foreign.field(1, node))
    for path in (tmp_path / "x.h5", tmp_path / "x.keras", folder):
        conv, relu = read_layers(path)
        assert (conv.kind, relu.kind, relu.config.max_value) == ("Conv2D", "ReLU", 6)
    for content in (b"\x0a\xff", b"\x08\x01", foreign.field(1, foreign.field(5, "{"))):
        (folder / "keras_metadata.pb").write_bytes(content)
        with pytest.raises(ModelFileError, match=r"damaged|not valid JSON"):
            read_layers(folder)


# TensorFlow


def test_saved_model(saved):
    folder = saved(*foreign.variables())
    for path in (folder, folder / "variables", folder / "variables" / "variables.index"):
        same(read_checkpoint(path), ARRAYS)
    same(read_checkpoint(folder / "variables" / "variables"), ARRAYS)  # what a checkpoint is called


def test_what_is_none_of_the_layers_is_left_out(saved):
    names = ("a/kernel", "optimizer/a/kernel/.OPTIMIZER_SLOT/m", "save_counter", "keras_api/x")
    names += ("seed_generator_1/seed_generator_state",)
    entries, data = {"": foreign.field(1, 1)}, b""
    for name in names:
        array = np.ones(2, np.float32)
        entries[f"{name}/.ATTRIBUTES/VARIABLE_VALUE"] = foreign.entry(array, len(data))
        data += array.tobytes()
    assert list(read_checkpoint(saved(foreign.table(entries, 1), data))) == ["a/kernel"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"crc": 1}, "checksum of a variable does not fit"),
        ({"size": 1 << 40}, "more bytes than there are"),
        ({"size": 4}, r"shape \(2, 2, 3, 2\) has 4 bytes"),
        ({"shape": (1 << 60,)}, "out of range"),
        ({"shape": (1,) * 9}, "not a sequence of up to 8"),
        ({"kind": 7}, "is of a kind that cannot be read"),
        ({"kind": 99}, "is of a kind that cannot be read"),
    ],
)
def test_lies_of_an_entry(saved, changes, said):
    with pytest.raises(ModelFileError, match=said):
        read_checkpoint(saved(*foreign.variables(**changes)))


def test_tricks_of_a_saved_model(saved, tmp_path):
    index, data = foreign.variables()
    array = np.ones(2, np.float32)
    header = foreign.field(1, 1)
    shard = foreign.table({"": header, "a": foreign.entry(array, 0, shard=1)})
    beyond = foreign.table({"": header, "a": foreign.entry(array, len(data) - 4)})
    packed = bytearray(index)
    packed[index.rindex(b"\0\0\0\0\1\0\0\0\0") + 8] = 1  # of the index block
    many = {f"k{n}": foreign.entry(array, 0) for n in range(200)}
    for number, (content, said) in enumerate(
        [
            (shard, "shard 1 of 1"),
            (beyond, "reaches beyond"),
            (bytes(packed), "compressed"),
            (index[:-1], "no index"),
            (index[:40] + b"\xff" + index[41:], "checksum of the index"),
            (b"", "no index"),
            (foreign.table({"": header, **many}), "more bytes than there are"),
        ]
    ):
        with pytest.raises(ModelFileError, match=said):
            read_checkpoint(saved(content, data, str(number)))
    folder = saved(index, data, "lacking")
    (folder / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ModelFileError, match="no such file of variables"):
        read_checkpoint(folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(ModelFileError, match="expected a SavedModel's folder"):
        read_checkpoint(tmp_path / "none")
    for name in ("ckpt-1.index", "ckpt-2.index"):
        (tmp_path / "none" / name).write_bytes(index)
    with pytest.raises(ModelFileError, match="several checkpoints: name one of them"):
        read_checkpoint(tmp_path / "none")


# MindSpore

CKPT = {"a.conv.weight": ARRAYS["conv2d/kernel"], "b.bn.gamma": ARRAYS["conv2d/bias"]}


def test_checkpoint_of_mindspore(read, lines):
    same(read(foreign.mindspore(CKPT)), CKPT)
    half = {"a.w": np.ones(3, np.float16)}
    same(read(foreign.mindspore(half)), half)
    assert not lines()


def test_training_checkpoint_of_mindspore(read, lines):
    one = np.ones(1, np.float32)
    trained = {f"network.{name}": array for name, array in CKPT.items()}
    trained |= {f"accum.{name}": array for name, array in CKPT.items()}
    trained |= {f"stat.network.{name}": array for name, array in CKPT.items()}
    same(read(foreign.mindspore({**trained, "global_step": one, "momentum": one})), CKPT)
    assert lines() == [
        "6 entries of the training are left out: accum.*, stat.*, global_step, momentum",
        "all names begin with 'network.', as of a wrapper: that is left out",
    ]


def test_lying_lengths_of_mindspore(read):
    content = foreign.mindspore(CKPT)
    for length in range(1, len(content), 7):
        with pytest.raises(ModelFileError):
            read(content[:length])
    name, tensor = foreign.field(1, "a.w"), foreign.field(2, "Float32")
    for dims, values, said in [
        ((3,), bytes(8), r"of shape .* has 8 bytes"),
        ((1 << 62,), bytes(8), "out of range"),
        ((1,) * 9, bytes(4), "not a sequence of up to 8"),
        ((1,), bytes(5), r"of shape .* has 5 bytes"),
    ]:
        sizes = b"".join(foreign.field(1, size) for size in dims)
        value = foreign.field(2, sizes + tensor + foreign.field(3, values))
        with pytest.raises(ModelFileError, match=said):
            read(foreign.field(1, name + value))
    with pytest.raises(ModelFileError, match="more fields than are read"):
        read(foreign.field(1, name + foreign.field(2, b"\x08\x01" * 1_000_001)))


# ONNX


STRIDED = (
    *("learning_to_downsample.conv", "learning_to_downsample.ds1_depthwise"),
    *("learning_to_downsample.ds2_depthwise", "global_features.bottleneck1_1.depthwise"),
    "global_features.bottleneck2_1.depthwise",
)


def graph(source, rng, high_first=False, shuffled=False):
    """The graph of a source with folded normalisations: nodes, tensors, and kernels by layer."""
    config = FastSCNNConfig.preset(source)
    costs = complexity(config.replace(input_size=(32, 32), pad=False)).layers
    nodes, tensors, kernels = [], [], {}

    def conv(cost, x):
        height, width, inputs, outputs = cost.kernel
        ways = (outputs, 1) if is_depthwise(cost.name) else (outputs, inputs)
        ways = (inputs, 1) if is_depthwise(cost.name) else ways
        shape = (*(min(way, 2 + number) for number, way in enumerate(ways)), height, width)
        kernels[cost.name] = rng.normal(size=shape).astype(np.float32)
        name, y = f"onnx::Conv_{len(tensors)}", f"y{len(nodes)}"
        tensors.append(foreign.onnx_tensor(name, kernels[cost.name]))
        pads = (int(config.stem_padding == "symmetric"),) * 4
        stride = (2, 2) if cost.name in STRIDED else (1, 1)
        nodes.append(foreign.onnx_node("Conv", (x, name), y, pads=pads, strides=stride))
        return y

    def add(*inputs, kind="Add"):
        nodes.append(foreign.onnx_node(kind, inputs, f"y{len(nodes)}"))
        return f"y{len(nodes) - 1}"

    x, branches, layers = "x", [], {cost.name: cost for cost in costs if cost.kernel}
    for name, cost in layers.items():
        if name == "global_features.bottleneck1_1.expand":
            shallow = x
        if name.startswith("pyramid.bin"):
            branches.append(conv(cost, add(x, kind="AveragePool")))
        elif name == "pyramid.output":
            x = conv(cost, add(x, *branches, kind="Concat"))
        elif name == "fusion.high":
            high = conv(cost, shallow)
            x = add(*((high, x) if high_first else (x, high)))
        else:
            x = conv(cost, x)
            if name.endswith("_2.project"):
                x = add(x, x)
        if name == "fusion.high" and config.fusion_norm == "sum":
            parts = [f"norm{part}" for part in range(4)]
            tensors.extend(foreign.onnx_tensor(p, np.ones(3, np.float32)) for p in parts)
            x = add(x, *parts, kind="BatchNormalization")
    if shuffled:
        rng.shuffle(nodes)
    return nodes, tensors, x, kernels


def resize(nodes, x, mode):
    attribute = foreign.field(1, "coordinate_transformation_mode") + foreign.field(4, mode)
    node = foreign.onnx_node("Resize", (x,), "out") + foreign.field(5, attribute)
    return [*nodes, node]


@pytest.mark.parametrize("source", EXPORTED)
@pytest.mark.parametrize("ways", [(False, False), (True, False), (True, True)])
def test_graph_order_tells_the_layers(read, source, ways, lines):
    """Whichever way round the fusion adds, and in whatever order nodes are listed."""
    nodes, tensors, x, kernels = graph(source, np.random.default_rng(0), *ways)
    mode = "align_corners" if FastSCNNConfig.preset(source).align_corners else "half_pixel"
    content = foreign.onnx_model(resize(nodes, x, mode), tensors, "out")
    named = named_by_order(read(content), "x.onnx")
    names = PEERS[source].names(FastSCNNConfig.preset(source))
    for layer, kernel in kernels.items():
        np.testing.assert_array_equal(named[f"{names[layer][0]}.weight"], kernel)
    assert f"were taken for those of {source} in the order" in lines()[-1]
    assert named_by_order(read(content), "x.onnx", "paddleseg").keys() == named.keys()
    assert len(lines()) == 1  # what is then refused is not told before


@pytest.mark.parametrize("wrong", ["resize", "pads", "dilations", "strides", "short", "long"])
def test_another_graph_is_refused(read, wrong):
    nodes, tensors, x, _ = graph("mmseg", np.random.default_rng(0))
    extra = foreign.onnx_node("Conv", (x, "onnx::Conv_0"), "end", pads=(0,) * 4)
    stem = {"pads": (1,) * 4, "strides": (2, 2), "dilations": (1, 1)}
    stem |= {"pads": {"pads": (0,) * 4}, "dilations": {"dilations": (4, 4)}}.get(wrong, {})
    stem |= {"strides": (1, 1)} if wrong == "strides" else {}
    nodes[0] = foreign.onnx_node("Conv", ("x", "onnx::Conv_0"), "y0", **stem)
    content = {
        "resize": (resize(nodes, x, "align_corners"), "out"),
        "short": (nodes, f"y{len(nodes) - 2}"),
        "long": ([*nodes, extra], "end"),
    }.get(wrong, (nodes, x))
    tensors = read(foreign.onnx_model(content[0], tensors, content[1]))
    with pytest.raises(ModelFileError, match="give the checkpoint that it was exported from"):
        named_by_order(tensors, "x.onnx")


def test_a_folded_bias_is_added_by_the_normalisation(read):
    nodes, tensors, x, _ = graph("mmseg", np.random.default_rng(0))
    bias = np.float32([5, 6])
    nodes[0] = foreign.onnx_node(
        "Conv", ("x", "onnx::Conv_0", "b"), "y0", pads=(1,) * 4, strides=(2, 2)
    )
    content = foreign.onnx_model(nodes, [*tensors, foreign.onnx_tensor("b", bias, raw=False)], x)
    named = named_by_order(read(content), "x.onnx")
    norm = "backbone.learning_to_downsample.conv.bn"
    scale, shift, mean, variance = (
        named[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    epsilon = np.float32(FastSCNNConfig.preset("mmseg").bn_epsilon)
    np.testing.assert_array_equal(
        (3 - mean) / np.sqrt(variance + epsilon) * scale + shift, 3 + bias
    )


def test_names_are_kept_where_normalisations_are(read):
    assert list(read(foreign.onnx(folded=False))) == [
        *("a.weight", "a.bias", "b.weight", "b.bias", "b.running_mean", "b.running_var"),
    ]


def external(location):
    kernel = np.arange(12, dtype=np.float32).reshape(2, 3, 1, 2)
    node = foreign.onnx_node("Conv", ("x", "w"), "y", pads=(0,) * 4)
    tensor = foreign.onnx_tensor("w", kernel, external=location)
    return kernel, foreign.onnx_model([node], [tensor], "y")


def test_external_data_lie_beside_the_model(read, tmp_path):
    kernel, content = external("x.data")
    with pytest.raises(ModelFileError, match="no such file of weights"):
        read(content)
    (tmp_path / "x.data").write_bytes(kernel.tobytes())
    np.testing.assert_array_equal(read(content)["000.Conv.weight"], kernel)
    (tmp_path / "x.data").write_bytes(kernel.tobytes()[:-1])
    with pytest.raises(ModelFileError, match=r"reaches beyond x\.data"):
        read(content)


def test_external_data_count_once(read, tmp_path):
    kernel, _ = external("x.data")
    (tmp_path / "x.data").write_bytes(kernel.tobytes())
    nodes = [foreign.onnx_node("Conv", (f"y{n}", f"w{n}"), f"y{n + 1}") for n in range(2)]
    tensors = [foreign.onnx_tensor(f"w{n}", kernel, external="x.data") for n in range(2)]
    with pytest.raises(ModelFileError, match=r"reaches beyond x\.data"):
        read(foreign.onnx_model(nodes, tensors, "y2"))


def test_a_quantized_graph_is_named_for_what_it_is(read):
    nodes = [foreign.onnx_node("QLinearConv", ("x", "s", "z", "w"), "y")]
    with pytest.raises(ModelFileError, match="without convolutions of float weights"):
        read(foreign.onnx_model(nodes, [], "y"))


@pytest.mark.parametrize("location", ["../x", "/etc/passwd", "..", "a\\b", "link", "C:x"])
def test_external_data_lie_nowhere_else(read, tmp_path, location):
    (tmp_path.parent / "x").write_bytes(bytes(100))
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(ModelFileError, match="only a file beside it is read"):
        read(external(location)[1])


# What is not a checkpoint, and prefixes


def zip_of(*names):
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return stored.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty: 0 bytes; copy or download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\n <!DOCTYPE HTML><html><head>", "a web page saved in the place of the file"),
        (b'{"metadata": {}, "weight_map": {}}', "the index of a model in several files"),
        (b"[1]", "not a checkpoint of PyTorch"),
        (b"hello\n", "MindSpore or ONNX, but text: give the file of weights"),
        (b"\xbf:7h\\_", "MindSpore or ONNX$"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "an image: expected a checkpoint"),
        (struct.pack("<I", 28) + b"TFL3" + bytes(50), "a .tflite needs no import"),
        (b"\x1f\x8b\x08\0", "packed with gzip: unpack it"),
        (b"x" * 257 + b"ustar" + bytes(300), "a tar archive: unpack it"),
        (b"\x12\x01" + bytes(100), "parameters of MXNet"),
        (zip_of("a/readme.txt", "b.h5"), "it holds a/readme.txt, b.h5.: unpack it"),
        (b"\x08\x01\x12\x02ab", "the graph of a SavedModel: give the folder"),
        (
            foreign.field(1, foreign.field(1, "a") + foreign.field(2, "Const")),
            "a frozen graph of TensorFlow",
        ),
    ],
)
def test_other_files_are_named_for_what_they_are(read, content, said):
    with pytest.raises(ModelFileError, match=said):
        read(content, "x.pth")


@pytest.mark.parametrize(
    "prefix", ["student.", "segmentor.", "module.student.", "a.b.", "model.net."]
)
def test_an_unknown_prefix_is_left_out_and_told(read, prefix, lines):
    names = [f"{prefix}{name}" for name in ("down.conv.weight", "up.conv.weight")]
    arrays = dict.fromkeys(names, np.ones(2, np.float32))
    content = checkpoints.safetensors(arrays)
    assert list(read(content)) == ["down.conv.weight", "up.conv.weight"]
    assert lines() == [f"all names begin with '{prefix}', as of a wrapper: that is left out"]


def test_of_two_networks_one_is_chosen(tmp_path):
    names = [f"{name}.b{n}.weight" for name in ("student", "teacher") for n in range(100)]
    arrays = {f"model.{name}": np.full(1, n, np.float32) for n, name in enumerate(names)}
    path = tmp_path / "x.safetensors"
    path.write_bytes(checkpoints.safetensors(arrays))
    said = (
        r"several networks .*, under model.student. and model.teacher.: choose one, with --prefix"
    )
    with pytest.raises(ModelFileError, match=said):
        read_checkpoint(path)
    found = read_checkpoint(path, prefix="model.teacher.")
    assert list(found) == [f"b{n}.weight" for n in range(100)]
    assert found["b0.weight"] == 100
    with pytest.raises(ModelFileError, match="no names begin with 'x': they are such as"):
        read_checkpoint(path, prefix="x")


def test_a_place_in_the_network_is_no_prefix(read, lines):
    for names in (["head.weight", "head.bias"], ["a.b.weight", "a.b.bias"], ["a.x", "b.a.x"]):
        arrays = dict.fromkeys(names, np.ones(2, np.float32))
        assert list(read(checkpoints.safetensors(arrays))) == names
    assert not lines()


# Files of others

GOLDEN = {
    "rachthree/weights.h5": 296,
    "rachthree/final_model.pb": 296,
    "kshitizrimal_ipynb/weights.h5": 228,
    "kshitizrimal_py/weights.h5": 229,
    "skywa7ch3r/model.h5": 228,
    "shrief_kd/tils_fastscnn_kd.weights.h5": 177,
    "mindspore/best_map.ckpt": 235,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_real_files(golden_dir, name):
    found = read_checkpoint(golden_dir / name)
    assert len(found) == GOLDEN[name]
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    assert all(np.isfinite(array).all() for array in found.values())


def test_both_formats_of_one_network_agree(golden_dir):
    folder = golden_dir / "rachthree"
    same(read_checkpoint(folder / "final_model.pb"), read_checkpoint(folder / "weights.h5"))


@pytest.mark.parametrize(
    "name", ["mindspore/best_map.ckpt", "shrief_kd/tils_fastscnn_kd.weights.h5"]
)
def test_real_files_cut_off(golden_dir, read, name):
    content, rng = (golden_dir / name).read_bytes(), random.Random(0)
    for _ in range(4):
        with pytest.raises(ModelFileError):
            read(content[: rng.randrange(1, len(content))])
