"""ai-edge-quantizer as the engine of recipe int8; what needs it is skipped without it."""

import importlib.util
import sys

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, DataError, ExportError
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.data.pipeline import load_dataset
from fastscnn_tf.evaluation.agreement import argmax_agreement
from fastscnn_tf.export import edits
from fastscnn_tf.export.ai_edge import check_floats
from fastscnn_tf.export.converter_engine import AI_EDGE, check_engine, kept_layers
from fastscnn_tf.export.export_tflite import export_tflite
from fastscnn_tf.export.pack import pack
from fastscnn_tf.export.quantization_recipes import recipe
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.file import graph_summary, read_metadata, unpack
from fastscnn_tf.tflite.parser import parse_tflite

engine = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_quantizer") is None,
    reason="ai-edge-quantizer is not installed: its files are not tested",
)
SIZE = (96, 160)


@pytest.fixture(scope="module")
def images(trained):
    return load_dataset("toy", split="train", config=trained.config, batch_size=4).take(8)


@pytest.fixture(scope="module")
def files(trained, images, made_once):
    """(outputs, input, layers left in float) -> .tflite of the engine."""

    def get(outputs="logits", input="uint8", *layers):
        def write(path):
            options = {"input": input, "engine": AI_EDGE, "keep_float": layers}
            export_tflite(trained, path, "int8", outputs, None, images, True, **options)

        name = "_".join((outputs, input, *layers)).replace("*", "all").replace("\\", "")
        return made_once(f"shared_engine_{name}.tflite", write)

    return get


# --- without the engine -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("other", recipe("int8")), "unknown engine 'other': expected one of own, ai-edge-quant"),
        (
            ("own", recipe("int8"), ["fusion.add"]),
            "can stay in float with engine ai-edge-quant",
        ),
        ((AI_EDGE, recipe("float32")), "makes recipe int8 .*: not float32"),
        ((AI_EDGE, recipe("int8-qat")), "makes recipe int8 .*: not int8-qat"),
        ((AI_EDGE, recipe("int8"), (), "mse"), "calibration method mse needs engine own"),
    ],
)
def test_options_that_no_engine_has(options, message):
    with pytest.raises(ConfigError, match=message):
        check_engine(*options)


def test_without_the_package_one_line_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    target = tmp_path / "m.tflite"
    options = ("--recipe", "int8", "--engine", AI_EDGE, "--dataset", "toy", "--output", target)
    code, _, error = run("export", "no such model", *options)
    assert code == 2
    assert error.strip() == (
        "fastscnn: ai-edge-quantizer is not installed, which engine ai-edge-quantizer needs: "
        'pip install "fastscnn-tf[quantizer]"'
    )
    assert not target.exists()


def test_layers_by_name_and_by_expression():
    config = FastSCNNConfig(aux_heads=True)
    assert kept_layers(config, []) == ()
    assert kept_layers(config, ["fusion.add", r"pyramid\.bin[16]"]) == (
        "pyramid.bin1",
        "pyramid.bin6",
        "fusion.add",
    )


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("classifier.logit", "no layer is named 'classifier.logit': such as classifier.logits"),
        ("classifier", "no layer is named"),  # the whole name counts
        ("aux_ltd.conv", "no layer is named"),  # not in a .tflite
        ("(", r"'\(' is not a regular expression"),
        (".*", "every layer stays in float: use recipe float32"),
    ],
)
def test_layers_that_cannot_stay_in_float(pattern, message):
    with pytest.raises(ConfigError, match=message):
        kept_layers(FastSCNNConfig(aux_heads=True), [pattern])


def test_an_int8_input_becomes_bytes(trained, images, tflite_files, tmp_path):
    path = tmp_path / "int8.tflite"
    export_tflite(trained, path, "int8", calibration=images, input="int8")
    edit = edits.Editor(unpack(path.read_bytes()))
    with pytest.raises(ExportError, match="not those of bytes"):
        edits.input_of_type(edit, "uint8", 1 / 64, 128)
    edits.input_of_type(edit, "uint8", 1 / 128, 128)
    other = tmp_path / "uint8.tflite"
    other.write_bytes(pack(edit.model, 0))
    image = ToyStreets("val", SIZE).read_image(0)
    expected = Segmenter(tflite_files["int8", "logits"]).run(image)
    np.testing.assert_array_equal(Segmenter(other).run(image), expected)


# --- with it ------------------------------------------------------------------------------------


@pytest.mark.convert
@engine
@pytest.mark.parametrize("outputs", ["logits", "prob", "labels"])
def test_the_graph_is_as_strict_as_our_own(files, tflite_files, outputs):
    ours = graph_summary(tflite_files["int8", outputs].read_bytes()).ops
    content = files(outputs).read_bytes()
    found = graph_summary(content)
    assert found.float_tensors == 0
    # It changes scales in front of the pyramid's concatenation, where we share one.
    scales = found.ops["QUANTIZE"] - ours["QUANTIZE"]
    assert 0 < scales <= 10
    # Its means change scale, so that none becomes a convolution.
    means = [ops["MEAN"] + ops["DEPTHWISE_CONV_2D"] for ops in (found.ops, ours)]
    assert means[0] == means[1]
    apart = dict.fromkeys(("QUANTIZE", "MEAN", "DEPTHWISE_CONV_2D"), 0)
    assert {**found.ops, **apart} == {**ours, **apart}
    metadata = read_metadata(content)
    assert metadata["engine"].startswith("ai-edge-quantizer 0.10")
    assert metadata["float_layers"] == []
    details = Segmenter(files(outputs))._input
    assert details["dtype"] == np.uint8
    assert details["quantization"] == (1 / 128, 128)


@engine
def test_its_labels_are_close_to_the_float_network(trained, files):
    assert argmax_agreement(trained, files(), open_dataset("toy", split="val")) >= 0.97


@engine
@pytest.mark.parametrize("input", ["int8", "float32"])
def test_every_input_gives_the_same_numbers(files, input):
    image = ToyStreets("val", SIZE).read_image(0)
    other = Segmenter(files("logits", input))
    np.testing.assert_array_equal(other.run(image), Segmenter(files()).run(image))


@engine
def test_labels_are_the_argmax_of_the_logits(files):
    image = ToyStreets("val", SIZE).read_image(0)
    expected = Segmenter(files()).run(image).argmax(-1)
    np.testing.assert_array_equal(Segmenter(files("labels-8")).run(image), expected)


@pytest.mark.convert
@engine
@pytest.mark.parametrize(
    ("pattern", "kinds", "dequantize", "output"),
    [
        ("classifier.logits", {"CONV_2D": 1}, 1, np.float32),
        ("learning_to_downsample.conv", {"RESHAPE": 1, "CONV_2D": 1}, 1, np.uint8),
        (r"fusion\.(low|high|add)", {"CONV_2D": 2, "ADD": 1}, 2, np.uint8),
    ],
)
def test_layers_left_in_float_and_nothing_else(
    trained, files, input_of, pattern, kinds, dequantize, output
):
    path = files("logits", "uint8", pattern)
    content = path.read_bytes()
    graph = parse_tflite(content).main
    inside = [
        op
        for op in graph.ops
        if op.kind not in ("QUANTIZE", "DEQUANTIZE")
        and any(graph.tensors[i].is_float for i in op.outputs)
    ]
    found = [op.kind for op in inside]
    assert {kind: found.count(kind) for kind in found} == kinds
    assert graph_summary(content).ops["DEQUANTIZE"] == dequantize
    layers = list(kept_layers(trained.config, [pattern]))
    assert read_metadata(content)["float_layers"] == layers
    segmenter = Segmenter(path)
    assert input_of(path)["dtype"] == np.uint8
    assert segmenter.run(np.zeros((*SIZE, 3), np.uint8)).dtype == output
    assert argmax_agreement(trained, path, open_dataset("toy", split="val")) >= 0.97
    with pytest.raises(ExportError, match="works in float, but was to be int8: "):
        check_floats(content, frozenset())


@engine
@pytest.mark.parametrize(
    ("given", "message"),
    [([], "at least one image"), ([np.full((1, 32, 32, 3), -0.5, np.float32)], "are 32x32")],
)
def test_images_that_cannot_calibrate(trained, tmp_path, given, message):
    target = tmp_path / "m.tflite"
    with pytest.raises(DataError, match=message):
        export_tflite(trained, target, "int8", calibration=given, engine=AI_EDGE)
    assert not target.exists()
