"""ONNX files beside the Keras models and .tflite files that they are made of."""

import functools
import importlib
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from hostile_models import changed, negative_scale

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, ExportError, ModelFileError, OutputError
from fastscnn_tf.core.images.interpolation import ALIGNED, HALF_PIXEL, NEAREST
from fastscnn_tf.core.presets import PRESETS
from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.export import export_onnx as module
from fastscnn_tf.export.edits import Editor
from fastscnn_tf.export.export_onnx import check_onnx, export_onnx, tflite_to_onnx
from fastscnn_tf.export.export_tflite import ExportOptions, export_tflite
from fastscnn_tf.export.npu_resizes import resizes_to_convolutions
from fastscnn_tf.export.onnx_blocks import float_graph
from fastscnn_tf.export.onnx_graph import same_pads
from fastscnn_tf.export.onnx_rounding import adding_scales, interpolation
from fastscnn_tf.export.pack import pack
from fastscnn_tf.export.quantization_recipes import OUTPUTS
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.folded import fold
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.file import read_metadata, read_model, unpack
from fastscnn_tf.tflite.graph import Tensor
from fastscnn_tf.train.predictor import KerasPredictor

NAMES = {"prob": "probabilities", "labels": "labels", "labels-8": "labels"}
TINY = FastSCNNConfig.for_labels("toy", input_size=(64, 96), width=0.25, repeats=(1, 1, 1))


@functools.lru_cache(maxsize=1)  # for all images of one file
def session(content):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # others would spin while they wait
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def computed(content, image):
    """The one result of one image."""
    (result,) = session(content).run(None, {"image": image[None]})
    return result[0]


def streets(size, count=3):
    return [draw_scene((0, 1, index), size)[0] for index in range(count)]


def same_classes(got, scores):
    """Whether these are the classes of the scores, but where two are as good as equal."""
    second, first = np.moveaxis(np.sort(scores, -1)[..., -2:], -1, 0)
    clear = first - second > 2e-5 * np.ptp(scores)
    return clear.mean() > 0.999 and np.array_equal(got[clear], scores.argmax(-1)[clear])


def ops(content):
    return {node.op_type for node in onnx.load_from_string(content).graph.node}


@pytest.mark.parametrize("outputs", list(OUTPUTS))
def test_a_float_file_is_the_keras_model(trained, tmp_path, outputs):
    result = export_onnx(trained, tmp_path / "m.onnx", outputs=outputs)
    content = result.path.read_bytes()
    (image,), (port,) = session(content).get_inputs(), session(content).get_outputs()
    high, wide = trained.config.input_size
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", [1, high, wide, 3])
    assert port.name == NAMES.get(outputs, "logits")
    scale = 8 if outputs in ("logits", "labels-8") else 1
    last = [] if outputs.startswith("labels") else [9]
    assert port.shape == [1, high // scale, wide // scale, *last]
    predictor = KerasPredictor(trained, full=scale == 1)
    for street in streets((high, wide)):
        scores, got = predictor.run(street), computed(content, street)
        if outputs.startswith("labels"):
            assert got.dtype == np.uint8
            assert same_classes(got, scores)
            continue
        if outputs == "prob":
            scores = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        assert np.abs(got - scores).max() <= 1e-5 * np.ptp(scores)
        assert same_classes(got.argmax(-1), scores)
    assert "as the Keras model: 100.00 % of the classes" in result.verified
    assert str(result).endswith(result.verified)


@pytest.mark.parametrize(
    "changes",
    [
        {"input_size": (50, 70), "pad": True, "mean": (123.7, 116.3, 103.5)},
        {"align_corners": ("pyramid", "logits"), "stem_padding": "symmetric"},
        {"align_corners": ("pyramid", "fusion", "logits"), "fusion_order": "resize_first"},
        {"nearest": ("pyramid", "logits"), "pyramid_kernel": 3, "stride_padding": "symmetric"},
        {"pyramid_pooling": "floor", "stem_padding": "valid", "mean": (120.0, 110.0, 100.0)},
        {"pyramid_pooling": "ceil", "pyramid_branch": "strided", "std": (58.0, 57.0, 57.5)},
        {"fusion_branch": "separable", "fusion_norm": "sum", "logits_norm": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_architecture_is_the_keras_model(randomise, changes):
    model = randomise(fast_scnn(TINY.replace(**changes)))
    network = fold(model)
    for input in ("uint8", "float32"):
        content = float_graph(network, "logits-full", input, half=False).content({})
        (street,) = streets(model.config.input_size, 1)
        expected = KerasPredictor(model, full=True).run(street)
        fed = street if input == "uint8" else model.config.normalised(street)
        got = computed(content, fed)
        assert np.abs(got - expected).max() <= 1e-5 * np.ptp(expected)


def test_inside_it_turns_nothing(trained):
    graph = float_graph(fold(trained), "logits", "uint8", half=False)
    assert graph.ops["Transpose"] == 2
    assert set(graph.ops) <= {
        *("Transpose", "Cast", "Sub", "Conv", "Relu", "Add", "Concat", "Resize", "MatMul"),
        "GlobalAveragePool",
    }


def test_float16_stores_half(trained, tmp_path):
    sizes = {}
    for recipe in ("float32", "float16"):
        result = export_onnx(trained, tmp_path / f"{recipe}.onnx", recipe)
        sizes[recipe] = sum(
            onnx.numpy_helper.to_array(each).nbytes
            for each in onnx.load(result.path).graph.initializer
        )
        assert result.metadata["recipe"] == recipe
    assert sizes["float16"] < 0.6 * sizes["float32"]


def test_weights_beyond_float16_are_refused(randomise):
    network = fold(randomise(fast_scnn(TINY)))
    kernel, bias = network.weights["fusion.high"]
    weights = {**network.weights, "fusion.high": (kernel, bias + 1e6)}
    with pytest.raises(ExportError, match=r"fusion\.high\.bias: weights beyond float16"):
        float_graph(network.replace(weights=weights), "logits", "uint8", half=True)


@pytest.mark.convert
@pytest.mark.parametrize("outputs", list(OUTPUTS))
@pytest.mark.parametrize("recipe", ["float32", "int8-qat"])
def test_a_tflite_becomes_the_same(tflite_files, tmp_path, recipe, outputs):
    source = tflite_files[recipe, outputs]
    result = tflite_to_onnx(source, tmp_path / "m.onnx")
    content, segmenter = result.path.read_bytes(), Segmenter(source)
    graph = read_model(source)[1].main
    end = graph.tensors[graph.outputs[0]]
    scale, zero = (end.scales[0], end.zero_points[0]) if end.quantized else (1.0, 0)
    for street in streets(segmenter.input_size):
        expected, got = segmenter.run(street), computed(content, street)
        if outputs.startswith("labels"):
            assert (got == expected).mean() >= 0.999
            continue
        real = (expected.astype(np.float32) - np.float32(zero)) * np.float32(scale)
        if recipe == "float32":
            assert np.abs(got - real).max() <= 1e-5 * np.ptp(real)
            assert same_classes(got.argmax(-1), real)
        else:
            assert np.rint(np.abs(got - real) / scale).max() <= 2
            assert (got.argmax(-1) == real.argmax(-1)).mean() >= 0.999
    assert "as the .tflite" in result.verified


@pytest.mark.convert
@pytest.mark.parametrize("device", ["ethos-u55", "coral"])
def test_a_file_for_an_npu_becomes_the_same(tflite_files, tmp_path, device):
    """Its resizes are TRANSPOSE and CONV_2D with a scale for each row."""
    model = unpack(tflite_files["int8-qat", "logits"].read_bytes())
    resizes_to_convolutions(Editor(model), device)
    source = tmp_path / "npu.tflite"
    source.write_bytes(pack(model, 1 << 20))
    result = tflite_to_onnx(source, tmp_path / "m.onnx")
    assert result.ops["Transpose"] >= 2 + 4 * 3
    content, segmenter, graph = result.path.read_bytes(), Segmenter(source), read_model(source)[1]
    zero = graph.main.tensors[graph.main.outputs[0]].zero_points[0]
    for street in streets(segmenter.input_size):
        steps = np.rint(computed(content, street) / segmenter.logit_scale) + zero
        assert np.abs(steps - segmenter.run(street)).max() <= 2


@pytest.mark.convert
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_becomes_the_same(randomise, tmp_path, preset):
    """int8 frames the images of some by their mean colour, padded ones twice."""
    few = {"input_size": (64, 96), "width": 0.25, "repeats": (1, 1, 1), "num_classes": 9}
    model = randomise(fast_scnn(FastSCNNConfig.preset(preset, **few)))
    framed = [("int8", (64, 96))] if preset in ("mmseg", "mindspore", "zh320") else []
    for recipe, size in (("float16", (50, 70)), ("int8", (50, 70)), *framed):
        options = ExportOptions(recipe, size=size, pad=True)
        images = streets(size, 2) if recipe == "int8" else None
        path = tmp_path / "m.onnx"
        result = export_onnx(model, path, calibration=images, options=options, force=True)
        source = "the .tflite" if recipe == "int8" else "the Keras model"
        assert f"on 4 drawn streets: as {source}: " in result.verified


@pytest.mark.convert
@pytest.mark.parametrize(
    ("recipe", "outputs"), [("float32", "logits-full"), ("float16", "logits"), ("int8", "labels")]
)
def test_a_padded_tflite_becomes_the_same(trained, tmp_path, recipe, outputs):
    """Zeros around the image are left to its first convolution, which pads by itself, too."""
    source, size = tmp_path / "m.tflite", (50, 70)
    export_tflite(
        trained, source, recipe, outputs, size=size, pad=True, calibration=streets(size, 4)
    )
    result = tflite_to_onnx(source, tmp_path / "m.onnx")
    assert "Pad" not in result.ops
    assert "as the .tflite: " in result.verified
    content, segmenter = result.path.read_bytes(), Segmenter(source)
    for street in streets(size):
        expected, got = segmenter.run(street), computed(content, street)
        assert got.shape == expected.shape
        if outputs == "labels":
            assert (got == expected).mean() >= 0.999
        else:
            assert np.abs(got - expected).max() <= 1e-5 * np.ptp(expected)


@pytest.mark.convert
def test_a_mean_of_one_cell_is_that_cell(trained, tmp_path):
    """At 32x32; the converter leaves it out, and the bias behind must have the scale without it."""
    source = tmp_path / "m.tflite"
    export_tflite(trained, source, "int8", size=(32, 32), calibration=streets((32, 32), 4))
    graph = read_model(source)[1].main
    for op in graph.ops:
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            x, kernel, bias = (graph.tensors[index] for index in op.inputs)
            assert np.allclose(bias.scales, x.scales[0] * np.array(kernel.scales), rtol=1e-5)
    assert "as the .tflite: " in tflite_to_onnx(source, tmp_path / "m.onnx").verified


@pytest.mark.convert
def test_int8_has_the_scales_zero_points_and_integers_of_the_tflite(tflite_files, tmp_path):
    source = tflite_files["int8-qat", "logits"]
    content = tflite_to_onnx(source, tmp_path / "m.onnx").path.read_bytes()
    model, tflite = onnx.load_from_string(content), read_model(source)[1].main
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in model.graph.initializer}
    grids = set()
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero = (constants[name] for name in node.input[1:3])
            grids.add((float(scale), int(zero)))
    own = {
        (float(np.float32(t.scales[0])), t.zero_points[0] + (128 if t.dtype == "int8" else 0))
        for t in tflite.tensors
        if t.quantized and not t.constant
    }
    assert grids <= own
    kernels = [op.inputs[1] for op in tflite.ops if op.kind == "CONV_2D"]
    biases = [op.inputs[2] for op in tflite.ops if op.kind == "CONV_2D"]
    stored = [each for each in constants.values() if each.dtype == np.int8]
    for index in kernels[1:]:  # the first is of pairs of pixels
        tensor = tflite.tensors[index]
        wanted = np.frombuffer(tensor.data, np.int8).reshape(tensor.shape).transpose(0, 3, 1, 2)
        assert any(np.array_equal(wanted, each) for each in stored)
    for index in biases:
        wanted = np.frombuffer(tflite.tensors[index].data, np.int32)
        assert any(np.array_equal(wanted, each) for each in constants.values())


@pytest.mark.convert
def test_the_same_integers_come_out_of_most_pictures(tflite_files, tmp_path):
    source = tflite_files["int8-qat", "logits"]
    content = tflite_to_onnx(source, tmp_path / "m.onnx").path.read_bytes()
    segmenter, tensor = Segmenter(source), read_model(source)[1].main
    zero = tensor.tensors[tensor.outputs[0]].zero_points[0]
    alike = [
        np.array_equal(
            np.rint(computed(content, street) / segmenter.logit_scale) + zero, segmenter.run(street)
        )
        for street in streets(segmenter.input_size, 5)
    ]
    assert sum(alike) >= 4


@pytest.mark.convert
def test_metadata_travel(tflite_files, tmp_path):
    source = tflite_files["int8-qat", "labels"]
    result = tflite_to_onnx(source, tmp_path / "m.onnx")
    (entry,) = onnx.load(result.path).metadata_props
    assert entry.key == "fastscnn"
    assert json.loads(entry.value) == result.metadata == read_metadata(source.read_bytes())


def test_files_are_for_runtimes_of_opset_17(trained, tmp_path):
    model = onnx.load(export_onnx(trained, tmp_path / "m.onnx").path)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    assert model.producer_name == "fastscnn_tf"
    names = {node.name for node in model.graph.node}
    assert {"learning_to_downsample.conv", "fusion.add", "classifier.logits"} <= names


@pytest.mark.convert
def test_int8_from_keras_is_that_of_the_tflite(trained, tflite_files, tmp_path):
    calibration = streets(trained.config.input_size, 4)
    options = ExportOptions("int8", "labels-8", input="float32")
    result = export_onnx(
        trained,
        tmp_path / "m.onnx",
        calibration=calibration,
        about={"author": "A"},
        options=options,
    )
    assert result.metadata["author"] == "A"
    assert "as the .tflite" in result.verified
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert session(result.path.read_bytes()).get_inputs()[0].type == "tensor(float)"


def test_what_it_cannot_be_is_said(trained, tmp_path):
    path = tmp_path / "m.onnx"
    with pytest.raises(ConfigError, match="recipe float32, float16, int8 or int8-qat: not dynamic"):
        export_onnx(trained, path, "dynamic")
    with pytest.raises(ConfigError, match="input uint8 or float32: not int8"):
        check_onnx(path, ExportOptions("int8", input="int8"))
    with pytest.raises(ConfigError, match=r"must end in \.onnx"):
        check_onnx(tmp_path / "m.tflite")
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="--force"):
        export_onnx(trained, path)
    assert path.read_bytes() == b"mine"
    export_onnx(trained, path, force=True)
    assert path.stat().st_size > 1000


def test_other_results_are_not_written(trained, tmp_path, monkeypatch):
    """The check is a real one: what another network computes is refused."""
    other = fast_scnn(trained.config)
    monkeypatch.setattr(module, "_of_keras", lambda model, outputs: KerasPredictor(other).run)
    with pytest.raises(ExportError, match=r"not those of the Keras model.* \(\d+ pixels\)"):
        export_onnx(trained, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_onnxruntime_it_is_said_that_nothing_was_verified(randomise, tmp_path, monkeypatch):
    found = importlib.import_module

    def missing(name):
        if name == "onnxruntime":
            raise ModuleNotFoundError(name=name)
        return found(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    result = export_onnx(randomise(fast_scnn(TINY)), tmp_path / "m.onnx")
    assert result.verified.startswith("not verified: onnxruntime is not installed: pip install")


@pytest.mark.convert
def test_files_of_others_are_refused(tflite_files, tmp_path):
    bad = tmp_path / "bad.tflite"
    for recipe in ("dynamic",):
        with pytest.raises(ModelFileError, match="got recipe dynamic"):
            tflite_to_onnx(tflite_files[recipe, "logits"], tmp_path / "m.onnx")
    content = tflite_files["int8-qat", "logits"].read_bytes()
    bad.write_bytes(content[: len(content) // 3])
    with pytest.raises(ModelFileError, match="damaged or truncated"):
        tflite_to_onnx(bad, tmp_path / "m.onnx")
    bad.write_bytes(changed(negative_scale))
    with pytest.raises(ModelFileError, match=r"damaged .* has the scale -1"):
        tflite_to_onnx(bad, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.convert
def test_a_made_graph_is_refused_in_one_line(tflite_files, tmp_path):
    """Our metadata on a graph that has been tampered with."""
    source = tflite_files["float32", "logits"]
    bad = tmp_path / "bad.tflite"
    for change in ("inputs", "axis", "activation"):
        model = unpack(source.read_bytes())
        graph = model.subgraphs[0]
        for op in graph.operators:
            options = op.builtinOptions
            if change == "inputs" and len(op.inputs) == 3:
                op.inputs = [op.inputs[0], op.inputs[0], op.inputs[0]]
                break
            if change == "axis" and hasattr(options, "axis"):
                op.inputs = op.inputs[:0]
                break
            if change == "activation" and hasattr(options, "dilationWFactor"):
                options.fusedActivationFunction = 4
                break
        bad.write_bytes(pack(model, 1 << 20))
        with pytest.raises((ModelFileError, ExportError)) as caught:
            tflite_to_onnx(bad, tmp_path / "m.onnx")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "m.onnx").exists()


@pytest.mark.convert
def test_the_command_takes_a_tflite_as_it_is(tflite_files, tmp_path, run):
    source, target = tflite_files["float32", "logits"], tmp_path / "m.onnx"
    command = ("export", source, "--format", "onnx", "--output", target)
    code, _, error = run(*command, "--recipe", "int8")
    assert (code, "--recipe would do nothing" in error) == (2, True)
    code, text, _ = run(*command)
    assert (code, "as the .tflite: 100.00 % of the classes" in text) == (0, True)
    code, _, error = run(*command)
    assert (code, "exists: choose another output" in error) == (2, True)


def test_a_device_is_not_chosen_for(tmp_path, run):
    more = ("--format", "onnx", "--output", tmp_path / "m.onnx")
    code, _, error = run("export", "camvid", "--for", "pi4", *more)
    assert (code, "leave it out with format onnx" in error) == (2, True)


@pytest.mark.parametrize("seed", range(4))
def test_sums_of_any_integers_round_as_xnnpack_rounds_them(seed):
    """By the formula of `quantize.integer.addition`, which the .tflite is compared with."""
    rng = np.random.default_rng(seed)
    first, second, result = (
        Tensor(i, "", (), "int8", (float(np.float32(scale)),), (int(zero),))
        for i, (scale, zero) in enumerate(
            zip(rng.uniform(0.02, 0.1, 3), rng.integers(-128, 100, 3), strict=True)
        )
    )
    scales = np.float32(adding_scales(first, second, result))
    for scale, tensor in zip(scales, (first, second), strict=True):
        assert scale == pytest.approx(tensor.scales[0], rel=5e-6)
    x, y = (np.arange(-128, 128) - t.zero_points[0] for t in (first, second))
    step = np.float32(result.scales[0])
    ratios = [np.float64(np.float32(t.scales[0]) / step) for t in (first, second)]
    unit = 2.0 ** (20 - np.floor(np.log2(max(ratios))))
    whole = x[:, None] * np.rint(ratios[0] * unit) + y * np.rint(ratios[1] * unit)
    wanted = np.floor(whole / unit + 0.5)
    got = np.rint((x[:, None].astype(np.float32) * scales[0] + y * scales[1]) / step)
    low = -128 - result.zero_points[0]
    assert np.array_equal(np.clip(got, low, low + 255), np.clip(wanted, low, low + 255))


def test_interpolation_of_bytes():
    assert interpolation((1, 1), (7, 9), HALF_PIXEL) == (None, 0.0)
    assert interpolation((4, 5), (8, 10), NEAREST) == (None, 0.0)
    assert interpolation((4, 5), (32, 40), HALF_PIXEL) == (None, 2.0**-12)
    (rows, columns), upwards = interpolation((3, 3), (7, 9), ALIGNED)
    assert upwards == 2.0**-16
    assert (rows.shape, columns.shape) == ((7, 3), (9, 3))
    assert np.array_equal(rows * 2048, np.rint(rows * 2048))


@pytest.mark.parametrize(
    ("size", "stride", "dilation", "pads"),
    [
        ((8, 9), (2, 2), (1, 1), ((0, 1), (1, 1))),
        ((8, 9), (1, 1), (2, 2), ((2, 2), (2, 2))),
    ],
)
def test_padding_as_tensorflow_has_it(size, stride, dilation, pads):
    assert same_pads(size, (3, 3), stride, dilation) == pads
