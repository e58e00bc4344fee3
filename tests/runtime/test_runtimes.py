"""ONNX Runtime and OpenVINO beside LiteRT: the same label maps, and nothing of strangers' files."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, InputError, ModelFileError
from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.runtime.onnx_reader import read_onnx
from fastscnn_tf.runtime.runtime_comparison import RuntimeRow, fastest_of

HEIGHT, WIDTH, CLASSES = 64, 96, 4
HAS_OPENVINO = importlib.util.find_spec("openvino") is not None
OPENVINO = pytest.param(
    "openvino",
    marks=pytest.mark.skipif(
        not HAS_OPENVINO, reason="openvino is not installed: make test-targets"
    ),
)
INT8 = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"
FLOAT16 = INT8.with_name("fastscnn_camvid_float16.tflite")
OWN = {
    "class_names": ["road", "sky", "car", "tree"],
    "mean": [128.0] * 3,
    "std": [128.0] * 3,
    "input_size": f"{HEIGHT}x{WIDTH}",
    "outputs": "logits",
    "recipe": "float32",
}
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(0, 0.1, (CLASSES, 3, 8, 8)).astype(np.float32)
BIAS = RNG.normal(0, 0.1, CLASSES).astype(np.float32)
IMAGE = draw_scene((3,), (HEIGHT, WIDTH))[0]


def scores(values: np.ndarray) -> np.ndarray:
    """What the network below gives for (H, W, 3) values: (H / 8, W / 8, classes)."""
    patches = values.reshape(HEIGHT // 8, 8, WIDTH // 8, 8, 3)
    return np.einsum("iajbc,kcab->ijk", patches, WEIGHTS) + BIAS


def save(path: Path, nodes, image, result, metadata=None, constants=(), **fields) -> Path:
    """Writes a network as the `onnx` package does."""
    ports = [helper.make_tensor_value_info(*port) for port in (image, result)]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], list(constants), **fields)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if metadata is not None:
        helper.set_model_props(model, {"fastscnn": json.dumps(metadata)})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


CONSTANTS = [
    numpy_helper.from_array(WEIGHTS, "w"),
    numpy_helper.from_array(BIAS, "b"),
    numpy_helper.from_array(np.float32(128), "half"),
]
CONV = helper.make_node("Conv", ["planes", "w", "b"], ["scores"], strides=[8, 8])


def own_file(path: Path, outputs: str = "logits", input: str = "uint8") -> Path:
    """A network as this package writes it: channels last at both ends, metadata inside."""
    fed = "image"
    nodes = []
    if input == "uint8":
        nodes += [
            helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["real", "half"], ["centred"]),
            helper.make_node("Div", ["centred", "half"], ["fed"]),
        ]
        fed = "fed"
    last = "logits" if outputs == "logits" else "rows"
    nodes += [
        helper.make_node("Transpose", [fed], ["planes"], perm=[0, 3, 1, 2]),
        CONV,
        helper.make_node("Transpose", ["scores"], [last], perm=[0, 2, 3, 1]),
    ]
    kind, shape = TensorProto.FLOAT, [1, HEIGHT // 8, WIDTH // 8, CLASSES]
    if outputs != "logits":
        kind, shape = TensorProto.UINT8, shape[:3]
        nodes += [
            helper.make_node("ArgMax", ["rows"], ["index"], axis=3, keepdims=0),
            helper.make_node("Cast", ["index"], ["labels"], to=TensorProto.UINT8),
        ]
    element = TensorProto.UINT8 if input == "uint8" else TensorProto.FLOAT
    result = ("logits" if outputs == "logits" else "labels", kind, shape)
    image = ("image", element, [1, HEIGHT, WIDTH, 3])
    return save(path, nodes, image, result, OWN | {"outputs": outputs}, CONSTANTS)


def foreign_file(path: Path, last: str = "", batch: int | str = 1) -> Path:
    """One as PyTorch writes it: planes of floats, no word of how they are normalised."""
    name = "result" if last else "scores"
    nodes = [CONV, *([helper.make_node(last, ["scores"], ["result"])] if last else [])]
    if last == "Softmax":
        nodes[1] = helper.make_node(last, ["scores"], ["result"], axis=1)
    result = (name, TensorProto.FLOAT, [batch, CLASSES, HEIGHT // 8, WIDTH // 8])
    image = ("planes", TensorProto.FLOAT, [batch, 3, HEIGHT, WIDTH])
    return save(path, nodes, image, result, constants=CONSTANTS[:2])


@pytest.mark.parametrize("runtime", ["onnxruntime", OPENVINO])
@pytest.mark.parametrize("input", ["uint8", "float32"])
def test_own_files_need_no_options(tmp_path, runtime, input):
    segmenter = fs.Segmenter(own_file(tmp_path / "m.onnx", input=input), runtime=runtime)
    assert segmenter.runtime == runtime and segmenter.outputs == "logits"
    assert segmenter.input_size == (HEIGHT, WIDTH)
    assert list(segmenter.labels.names) == OWN["class_names"] and not segmenter.ports.told
    expected = scores((IMAGE - np.float32(128)) / 128)
    found = segmenter.run(IMAGE)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found.argmax(-1) == expected.argmax(-1)).all()
    assert segmenter.predict(IMAGE).shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("runtime", ["onnxruntime", OPENVINO])
def test_label_maps(tmp_path, runtime):
    segmenter = fs.Segmenter(own_file(tmp_path / "m.onnx", "labels-8"), runtime=runtime)
    expected = scores((IMAGE - np.float32(128)) / 128).argmax(-1)
    assert (segmenter.run(IMAGE) == expected).all()
    assert (segmenter.predict(IMAGE)[::8, ::8] == expected).all()


@pytest.mark.parametrize("runtime", ["onnxruntime", OPENVINO])
@pytest.mark.parametrize("batch", [1, "n"])
def test_files_of_others_take_the_options_of_a_tflite(tmp_path, runtime, batch):
    path = foreign_file(tmp_path / "m.onnx", batch=batch)
    with pytest.raises(ConfigError, match=r"how its float32 input is normalised.*--scale 255"):
        fs.Segmenter(path, runtime=runtime)
    segmenter = fs.Segmenter(path, runtime=runtime, mean=(0.5, 0.25, 0), std=1, scale=255)
    assert "fed with (x - (127.5, 63.75, 0)) / 255, as given" in segmenter.ports.told
    assert "logits of 4 classes" in segmenter.ports.told
    expected = scores((IMAGE - np.float32([127.5, 63.75, 0])) / np.float32(255))
    np.testing.assert_allclose(segmenter.run(IMAGE), expected, atol=1e-4)


@pytest.mark.parametrize("runtime", ["onnxruntime", OPENVINO])
@pytest.mark.parametrize("rank", [True, False])
def test_an_output_without_sizes(tmp_path, runtime, rank):
    """As PyTorch writes it where the batch is open: the sizes are computed, the batch is named."""
    model = onnx.load(foreign_file(tmp_path / "m.onnx", batch="n"))
    kind = model.graph.output[0].type.tensor_type
    for side in kind.shape.dim:
        side.dim_param = "x"
    if not rank:
        kind.ClearField("shape")
    onnx.save(model, tmp_path / "m.onnx")
    segmenter = fs.Segmenter(tmp_path / "m.onnx", runtime=runtime, scale=255)
    expected = scores(IMAGE / np.float32(255))
    np.testing.assert_allclose(segmenter.run(IMAGE), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("Softmax", "probabilities of 4 classes (Softmax)"),
        ("Sigmoid", "(Sigmoid)"),
        ("Relu", "logits of 4"),
    ],
)
def test_what_an_output_is_the_operation_tells(tmp_path, last, told):
    segmenter = fs.Segmenter(foreign_file(tmp_path / "m.onnx", last), scale=255)
    assert told in segmenter.ports.told
    assert segmenter.outputs == ("logits" if last == "Relu" else "prob")


@pytest.mark.skipif(not HAS_OPENVINO, reason="openvino is not installed: make test-targets")
@pytest.mark.parametrize(("path", "least"), [(INT8, 0.95), (FLOAT16, 0.9999)])
def test_openvino_runs_a_tflite_as_litert_does(path, least):
    image = draw_scene((0,), (180, 240))[0]
    ours, theirs = (fs.Segmenter(path, runtime=name) for name in ("litert", "openvino"))
    assert (ours.predict(image) == theirs.predict(image)).mean() > least
    assert theirs.logit_scale == ours.logit_scale


def test_a_runtime_takes_its_own_files(tmp_path, monkeypatch):
    path = own_file(tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match="litert does not run it: take onnxruntime or openvino"):
        fs.Segmenter(path, runtime="litert")
    with pytest.raises(ConfigError, match="onnxruntime does not run it: take litert or openvino"):
        fs.Segmenter(INT8, runtime="onnxruntime")
    with pytest.raises(ConfigError, match="one of litert, onnxruntime, openvino, got 'tvm'"):
        fs.Segmenter(path, runtime="tvm")
    monkeypatch.setenv("FASTSCNN_RUNTIME", "litert")
    with pytest.raises(ConfigError, match="litert does not run it"):
        fs.load_predictor(path)
    assert fs.load_predictor(INT8).runtime == "litert"
    monkeypatch.setenv("FASTSCNN_RUNTIME", "foo")
    with pytest.raises(ConfigError, match=r"FASTSCNN_RUNTIME must be one of .*, got 'foo'"):
        fs.load_predictor(INT8)


KERAS = INT8.with_name("fastscnn_camvid.keras")


@pytest.mark.parametrize(
    "command",
    [
        ("predict", KERAS, "x.png", "--output", "out"),
        ("evaluate", KERAS, "--dataset", "toy"),
        ("evaluate", "camvid", "--dataset", "toy", "--flip", "--scales", "1,2"),
        ("compare", KERAS, KERAS, "--dataset", "toy"),
        ("agreement", KERAS, KERAS, "--dataset", "toy"),
        ("save-logits", KERAS, "--dataset", "toy", "--output", "out"),
        ("pseudo-label", KERAS, "--images", "x", "--output", "out"),
        ("reproduce", KERAS),
    ],
    ids=lambda command: command[0],
)
def test_a_keras_model_has_no_runtime(run, command):
    code, _, err = run(*command, "--runtime", "onnxruntime")
    assert (code, "--runtime is for a .tflite or .onnx: export it first" in err) == (2, True), err


@pytest.mark.skipif(HAS_OPENVINO, reason="openvino is installed")
def test_a_runtime_that_is_missing_names_its_extra():
    with pytest.raises(InputError, match=r"openvino is not installed.*fastscnn-tf\[openvino\]"):
        fs.Segmenter(INT8, runtime="openvino")


def test_settings_give_other_runtimes_their_threads(tmp_path, caplog):
    settings = fs.DeviceSettings(cpu=fs.CpuSettings(num_threads=1, kernel_mode="reference"))
    caplog.set_level("INFO", "fastscnn_tf")
    segmenter = fs.Segmenter(own_file(tmp_path / "m.onnx"), settings=settings)
    assert segmenter.threads == 1
    assert "onnxruntime has no use for cpu.kernel_mode of its settings" in caplog.text


def test_commands(tmp_path, run):
    path, street = own_file(tmp_path / "m.onnx"), tmp_path / "street.png"
    Image.fromarray(IMAGE).save(street)
    code, _, err = run("predict", path, street, "--output", tmp_path / "out", "--format", "index")
    assert (code, err) == (0, "")
    found = np.asarray(Image.open(tmp_path / "out" / "street_labels.png"))
    assert (found == fs.Segmenter(path).predict(IMAGE)).all()
    code, out, _ = run("benchmark", path, "--runs", 1, "--warmup", 0, "--json", "-")
    assert code == 0 and json.loads(out)["runtime"].startswith("onnxruntime ")
    code, out, _ = run("benchmark", path, "--runs", 1, "--warmup", 0, "--threads", 1)
    assert code == 0 and ", 1 thread: median" in out
    code, _, err = run("predict", path, street, "--output", tmp_path / "no", "--kernels", "micro")
    assert code == 2 and "kernels are LiteRT's: leave them out with onnxruntime" in err
    for command in (
        ("inspect", path),
        ("compile", path, "--for", "ethos-u85-256", "--output", "o"),
    ):
        code, _, err = run(*command)
        assert code == 2 and "no TFL3 mark at byte 4): this takes no .onnx" in err
    for format in ("onnx", "tflite", "c-array"):
        code, _, err = run("export", path, "--output", tmp_path / "n", "--format", format)
        assert code == 2 and "expected a .keras, .npz or run folder; such a file is an" in err
    for options in ((), ("--for", "ethos-u55")):
        code, _, err = run("export", INT8, "--output", tmp_path / "n.tflite", *options)
        assert code == 2 and "an export already, which --format onnx and c-array take" in err
    code, out, _ = run("benchmark", path, "--all-runtimes", "--runs", 2, "--image", street)
    assert code == 0 and "agrees with onnxruntime, %" in out and "<- fastest" in out
    assert ("openvino is not installed" in out) is not HAS_OPENVINO
    code, _, err = run("predict", path, street, "--output", tmp_path / "no", "--runtime", "litert")
    assert code == 2 and "litert does not run it" in err and not (tmp_path / "no").exists()
    assert "FASTSCNN_RUNTIME" not in os.environ
    code, _, err = run("benchmark", path, "--all-runtimes", "--runtime", "openvino")
    assert code == 2 and "choose one of --runtime and --all-runtimes" in err


def test_scores(tmp_path):
    names = [{"name": name} for name in OWN["class_names"]]
    (tmp_path / "dataset.yaml").write_text(
        json.dumps(
            {"name": "d", "classes": names, "splits": {"val": {"images": "i", "labels": "l"}}}
        )
    )
    path = own_file(tmp_path / "m.onnx")
    labels = fs.Segmenter(path).predict(IMAGE)
    for folder, values in (("i", IMAGE), ("l", labels)):
        (tmp_path / folder).mkdir()
        Image.fromarray(values).save(tmp_path / folder / "a.png")
    result = fs.evaluate(path, "folder", tmp_path, runtime="onnxruntime")
    assert "FASTSCNN_RUNTIME" not in os.environ
    for model in (KERAS, fs.Segmenter(path)):
        with pytest.raises(ConfigError, match=r"--runtime is for .*: export it first"):
            fs.evaluate(model, "folder", tmp_path, runtime="onnxruntime")
    for runtime, told in (("litert", "litert does not run it"), ("tpu", "unknown runtime 'tpu'")):
        with pytest.raises(ConfigError, match=told):
            fs.evaluate(path, "folder", tmp_path, runtime=runtime)
    assert result.pixel_accuracy == 1.0 and result.details["runtime"].startswith("onnxruntime ")


def test_all_runtimes_of_a_tflite(tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "street.png")
    table = fs.compare_runtimes(INT8, 1, 2, 1, tmp_path / "street.png")
    assert [row.runtime.split()[0] for row in table.rows] == ["litert", "openvino"][
        : len(table.rows)
    ]
    assert len(table.rows) + len(table.absent) == 2
    assert table.rows[0].agreement == 1.0
    assert table.to_dict()["frame"] == f"{HEIGHT}x{WIDTH}" and json.dumps(table.to_dict())
    with pytest.raises(ConfigError, match="runs must be at least 1"):
        fs.compare_runtimes(INT8, runs=0)


def test_several_files_of_one_network(tmp_path, run):
    Image.fromarray(IMAGE).save(tmp_path / "street.png")
    for name, input in (("bytes.onnx", "uint8"), ("floats.onnx", "float32")):
        own_file(tmp_path / name, input=input)
    paths = tmp_path / "bytes.onnx", tmp_path / "floats.onnx"
    table = fs.compare_runtimes(paths, 1, 1, 0, tmp_path / "street.png")
    assert list(dict.fromkeys(row.model for row in table.rows)) == list(map(str, paths))
    assert all(row.agreement == 1.0 for row in table.rows)
    with pytest.raises(ConfigError, match=r"bytes.onnx is not another form of .*_int8.tflite"):
        fs.compare_runtimes([paths[0], INT8])
    code, _, err = run("benchmark", *paths)
    assert code == 2 and "several models are for --all-runtimes" in err


def test_a_faster_wrong_runtime_is_not_the_fastest():
    rows = [
        RuntimeRow("m", "a", 2, 20, 1, 1.0),
        RuntimeRow("m", "b", 1, 10, 1, 0.5),
        RuntimeRow("m", "c", 1, 15, 1, 0.97),
    ]
    assert fastest_of(rows) == 2 and fastest_of(rows[:2]) == 0


# What strangers may write.


def changed(path: Path, change) -> Path:
    model = onnx.load(own_file(path))
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def elsewhere(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def elsewhere_in_a_constant(model):
    elsewhere(model)
    tensor = model.graph.initializer.pop(0)
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))


def function(model):
    model.functions.append(helper.make_function("d", "F", [], [], [], []))


def loop(model):
    body = helper.make_graph([], "b", [], [])
    model.graph.node.append(helper.make_node("Loop", ["half"], ["x"], body=body))


def other_maker(model):
    model.graph.node.append(
        helper.make_node("EPContext", ["half"], ["x"], domain="com.microsoft", ep_cache_context="f")
    )


def open_size(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "h"


def huge(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 40


def too_many(model):
    for side in model.graph.input[0].type.tensor_type.shape.dim[1:3]:
        side.dim_value = 1 << 16


def negative(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -HEIGHT


def no_shape(model):
    model.graph.input[0].type.tensor_type.ClearField("shape")


def sparse(model):
    model.graph.sparse_initializer.append(onnx.SparseTensorProto())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (elsewhere, "the numbers of 'w' lie in another file, and none is opened"),
        (elsewhere_in_a_constant, "the numbers of 'w' lie in another file"),
        (function, "functions"),
        (loop, "its operation Loop holds a graph"),
        (other_maker, "its operation com.microsoft.EPContext is none of ONNX"),
        (open_size, "of fixed size"),
        (huge, "an input or output of 1 x 1099511627776"),
        (too_many, "an input or output of 1 x 65536 x 65536 x 3: .* fewer than 2\\*\\*31 values"),
        (negative, "an input or output of 1 x -64 x 96 x 3: expected sides of 0 to 65536"),
        (no_shape, "of fixed size"),
        (sparse, "sparse weights"),
    ],
)
def test_what_is_refused_before_it_runs(tmp_path, change, said):
    with pytest.raises(ModelFileError, match=said) as failure:
        fs.Segmenter(changed(tmp_path / "m.onnx", change))
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not ONNX: there is no graph in it"),
        (b"no network, but a text\n", "not ONNX, or damaged: field 13 is of wire type 6"),
        (INT8.read_bytes(), "a .tflite file under the name of an .onnx"),
    ],
    ids=["empty", "text", "tflite"],
)
def test_what_is_no_onnx(tmp_path, content, said):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=said):
        read_onnx(path)


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, as it stands in a message."""
    parts = []
    for value in (number << 3 | 2, len(content)):
        while value > 127:
            parts.append(value & 127 | 128)
            value >>= 7
        parts.append(value)
    return bytes(parts) + content


def test_what_two_readers_see_in_two_ways(tmp_path):
    """Protocol buffers merge a second graph into the first, and cut large field numbers off."""
    path = own_file(tmp_path / "m.onnx")
    hidden = onnx.load(path)
    elsewhere(hidden)
    graph = hidden.graph.SerializeToString()
    whole = path.read_bytes()
    merged = onnx.load_from_string(whole + field(7, graph))
    assert len(merged.graph.initializer) == 2 * len(CONSTANTS)
    path.write_bytes(whole + field(7, graph))
    with pytest.raises(ModelFileError, match="field 7 is there 2 times"):
        read_onnx(path)
    path.write_bytes(whole + field(7 | 1 << 29, graph))
    with pytest.raises(ModelFileError, match="a field of the number 536870919"):
        read_onnx(path)


def test_damaged_files(tmp_path):
    """Cut off or with a changed byte a file is run or refused in one line; nothing is run here."""
    path = own_file(tmp_path / "m.onnx")
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        content = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(0, min(len(content), 700), 3):
            content[place] = rng.integers(0, 256)
        path.write_bytes(bytes(content))
        try:
            read_onnx(path)
        except ModelFileError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 100


@pytest.mark.parametrize("runtime", ["onnxruntime", OPENVINO])
def test_a_small_file_that_needs_all_memory(tmp_path, runtime):
    """Its trial ends in a process of its own; one 4 bytes long constant asks for 8 TB."""
    size = numpy_helper.from_array(np.int64([1 << 21, 1 << 20]), "size")
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        CONV,
        helper.make_node("Transpose", ["scores"], ["rows"], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMax", ["rows"], ["most"], keepdims=0),
        helper.make_node("Expand", ["most", "size"], ["all"]),
        helper.make_node("ReduceMax", ["all"], ["one"], keepdims=0),
        helper.make_node("Add", ["rows", "one"], ["logits"]),
    ]
    image = ("image", TensorProto.FLOAT, [1, HEIGHT, WIDTH, 3])
    result = ("logits", TensorProto.FLOAT, [1, HEIGHT // 8, WIDTH // 8, CLASSES])
    path = save(tmp_path / "m.onnx", nodes, image, result, OWN, [*CONSTANTS[:2], size])
    with pytest.raises(ModelFileError, match=r"refuses this file|was not run here"):
        fs.Segmenter(path, runtime=runtime)


@pytest.mark.parametrize("runtime", ["onnxruntime", OPENVINO])
def test_an_output_of_another_size_than_the_file_says(tmp_path, runtime):
    def lie(model):
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = ""
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = HEIGHT // 4
        model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = WIDTH // 4

    with pytest.raises(ModelFileError, match=r"not float32|refuses this file"):
        fs.Segmenter(changed(tmp_path / "m.onnx", lie), runtime=runtime).run(IMAGE)


@pytest.mark.process
@pytest.mark.parametrize("runtime", ["onnxruntime", OPENVINO])
def test_nothing_is_reported_to_its_maker(tmp_path, runtime):
    """Imported plainly both leave an identifier in the user's folders, and start to send."""
    path, home = own_file(tmp_path / "m.onnx"), tmp_path / "home"
    home.mkdir()
    script = f"import fastscnn_tf as fs; fs.Segmenter({str(path)!r}, runtime={runtime!r})"
    places = {"HOME": str(home), "TMPDIR": str(home), "FASTSCNN_CACHE": str(tmp_path / "cache")}
    switches = ("CI", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env=environment | places, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not list(home.iterdir())
