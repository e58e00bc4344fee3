"""Files from anywhere: what the parser reads is what the schema says, and nothing makes it fall."""

import random
import struct
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hostile_models import changed
from tiny_models import TinyModel, convolution, unary

from fastscnn_tf.core.errors import ModelFileError
from fastscnn_tf.inspection.inspect_tflite import inspect
from fastscnn_tf.inspection.rules_gpu import GPU_DELEGATE
from fastscnn_tf.inspection.rules_nnapi import nnapi
from fastscnn_tf.inspection.rules_xnnpack import XNNPACK
from fastscnn_tf.inspection.side_by_side import markdown_side_by_side
from fastscnn_tf.tflite import parser as tflite_parser
from fastscnn_tf.tflite.file import graph_summary, read_metadata, unpack
from fastscnn_tf.tflite.flatbuffer_reader import DamagedFile
from fastscnn_tf.tflite.parser import parse_tflite

TFLITE = Path(__file__).parents[3] / "tflite"
SHIPPED = sorted(TFLITE.glob("*.tflite"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_reads_what_the_generated_accessors_read(path):
    content = path.read_bytes()
    found, model = parse_tflite(content), unpack(content)
    graph, expected = found.main, model.subgraphs[0]
    assert len(found.graphs) == len(model.subgraphs) == 1
    assert list(graph.inputs) == list(expected.inputs)
    assert list(graph.outputs) == list(expected.outputs)
    assert list(found.metadata) == [entry.name.decode() for entry in model.metadata]
    types = {v: k.lower() for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
    for tensor, wanted in zip(graph.tensors, expected.tensors, strict=True):
        assert tensor.name == wanted.name.decode()
        assert list(tensor.shape) == list(wanted.shape if wanted.shape is not None else [])
        assert tensor.dtype == types[wanted.type]
        scale = None if wanted.quantization is None else wanted.quantization.scale
        assert list(tensor.scales) == ([] if scale is None else list(scale))
        data = model.buffers[wanted.buffer].data
        assert bytes(tensor.data) == (b"" if data is None else bytes(data))
    for op, wanted in zip(graph.ops, expected.operators, strict=True):
        assert list(op.inputs) == list(wanted.inputs)
        assert list(op.outputs) == list(wanted.outputs)
        options = wanted.builtinOptions
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            assert op.options["padding"] == options.padding
            assert op.options["stride_h"] == options.strideH
            assert op.options["dilation_w"] == options.dilationWFactor
            assert op.options["activation"] == options.fusedActivationFunction
        if op.kind == "RESIZE_BILINEAR":
            assert op.options["align_corners"] == options.alignCorners
            assert op.options["half_pixel_centers"] == options.halfPixelCenters
        if op.kind == "STRIDED_SLICE":
            assert op.options["shrink_axis_mask"] == options.shrinkAxisMask


def test_counts_and_metadata_of_the_shipped_int8_file():
    content = (TFLITE / "fastscnn_camvid_int8.tflite").read_bytes()
    summary = graph_summary(content)
    assert (summary.tensors, summary.float_tensors, sum(summary.ops.values())) == (242, 0, 115)
    assert summary.ops["CONV_2D"] == 31
    assert read_metadata(content)["recipe"] == "int8-qat"


def test_operations_without_inputs_or_outputs_are_counted(tmp_path):
    def cut(model):
        for op in model.subgraphs[0].operators:
            op.inputs, op.outputs = op.inputs[:1], []

    (tmp_path / "m.tflite").write_bytes(changed(cut))
    assert graph_summary((tmp_path / "m.tflite").read_bytes()).ops["CONV_2D"] == 31
    assert "CONV_2D" in inspect(tmp_path / "m.tflite").markdown()


def mutants(content, count):
    """Seeded damage: bytes, lengths and offsets, most of them where the structure lies."""
    for seed in range(count):
        rng = random.Random(seed)
        damaged = bytearray(content)
        for _ in range(rng.choice((1, 3, 10, 50))):
            near_end = len(content) - 1 - rng.randrange(min(len(content), 40_000))
            place = rng.choice((rng.randrange(len(content)), near_end))
            if rng.random() < 0.5:
                damaged[place] = rng.randrange(256)
            else:
                word = rng.choice((0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, rng.randrange(len(content))))
                damaged[place : place + 4] = struct.pack("<I", word)
        damaged[4:8] = b"TFL3"
        yield bytes(damaged[: rng.randrange(8, len(content))] if seed % 10 == 0 else damaged)


@pytest.mark.parametrize(
    ("content", "count"),
    [((TFLITE / "fastscnn_camvid_int8.tflite").read_bytes(), 80), (convolution("int8"), 400)],
    ids=["shipped", "tiny"],
)
def test_mutated_files_are_read_or_refused_in_one_line(content, count, tmp_path):
    path = tmp_path / "m.tflite"
    read = refused = 0
    for damaged in mutants(content, count):
        path.write_bytes(damaged)
        try:
            found = inspect(path, load=False)
        except ModelFileError as error:
            assert str(error).startswith(f"{path}: damaged or truncated")
            assert "\n" not in str(error)
            refused += 1
        else:
            assert found.text() and found.markdown() and found.to_dict()
            read += 1
    assert read > count / 20
    assert refused > count / 20


KNOWN = sorted({*XNNPACK.ops, *GPU_DELEGATE.ops, *nnapi(30).ops})
OTHERS = sorted(k for k in vars(schema.BuiltinOperator) if k.isupper() and not k.startswith("_"))
TYPES = ("float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool")


def odd_graph(rng):
    """Operations of any kind with too few or too many tensors of any type, shape and scale."""
    model = TinyModel()
    for _ in range(8):
        shape = [rng.choice((0, 1, 2, 3, 8)) for _ in range(rng.randrange(6))]
        signature = [rng.choice((-1, size)) for size in shape]
        dtype = rng.choice((*TYPES, "float32", "int8"))
        scales = [rng.choice((0.0, 0.1, float("nan"))) for _ in range(rng.randrange(4))]
        quantization = rng.choice((None, (scales, [0] * rng.randrange(4))))
        data = np.zeros(shape) if rng.random() < 0.3 else None
        signature = signature if rng.random() < 0.3 else None
        model.tensor(shape, dtype, data, quantization, rng.randrange(-3, 9), signature)
    for _ in range(40):
        inputs = [rng.randrange(-1, 8) for _ in range(rng.randrange(6))]
        outputs = [rng.randrange(8) for _ in range(rng.randrange(3))]
        options = rng.choice((None, "Conv2DOptions", "Pool2DOptions", "SoftmaxOptions"))
        kind = rng.choice(KNOWN if rng.random() < 0.9 else OTHERS)
        model.op(kind, inputs, outputs, options, rng.randrange(9))
    ends = [[rng.randrange(8) for _ in range(rng.randrange(4))] for _ in range(2)]
    return model.pack(*ends)


def test_odd_graphs_get_a_report(tmp_path):
    path = tmp_path / "m.tflite"
    for seed in range(60):
        path.write_bytes(odd_graph(random.Random(seed)))
        found = inspect(path, load=False)
        assert len(found.costs) == 40
        assert found.text() and found.markdown() and found.to_dict()


@pytest.mark.parametrize("kept", [0, 3, 7, 8, 12, 40, 1000, 100_000, 1_400_000, 1_481_039])
def test_truncated_files_are_refused(kept, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes((TFLITE / "fastscnn_camvid_int8.tflite").read_bytes()[:kept])
    wanted = "no TFL3 mark" if kept < 8 else "damaged or truncated"
    with pytest.raises(ModelFileError, match=wanted):
        inspect(path, load=False)


def test_files_that_are_no_models_are_refused(tmp_path):
    (tmp_path / "text.tflite").write_text("once upon a time there was a model")
    with pytest.raises(ModelFileError, match="no TFL3 mark"):
        inspect(tmp_path / "text.tflite")
    with pytest.raises(ModelFileError, match="no such model file"):
        inspect(tmp_path / "absent.tflite")
    with pytest.raises(ModelFileError, match="a folder, expected a model file"):
        inspect(tmp_path)


def broken(change):
    model = TinyModel()
    x, y = model.tensor((1, 8, 8, 4)), model.tensor((1, 8, 8, 4))
    model.op("RELU", [x], [y])
    change(model)
    return model.pack([x], [y])


def op_reads_missing(model):
    model.graph.operators[0].inputs = [9]


def op_writes_missing(model):
    model.graph.operators[0].outputs = [-1]


def unknown_code(model):
    model.graph.operators[0].opcodeIndex = 5


def missing_buffer(model):
    model.graph.tensors[0].buffer = 77


def negative_size(model):
    model.graph.tensors[1].shape = [1, -8, 8, 4]


def unknown_type(model):
    model.graph.tensors[1].type = 120


def short_constant(model):
    model.tensor((3, 3), "float32", np.zeros(9))
    model.graph.tensors[-1].shape = [3, 4]


def no_graph(model):
    model.model.subgraphs = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (op_reads_missing, r"operation 0 \(RELU\) names tensor 9 of 2"),
        (op_writes_missing, r"operation 0 \(RELU\) names tensor -1 of 2"),
        (unknown_code, "operation 0 names operator code 5 of 1"),
        (missing_buffer, "tensor 0 names buffer 77 of 1"),
        (negative_size, r"tensor 1 has an impossible shape \(1x-8x8x4\)"),
        (unknown_type, "tensor 1 has the unknown type 120"),
        (short_constant, "tensor 2 holds 36 bytes where its shape needs 48"),
        (no_graph, "no graph inside"),
    ],
)
def test_what_cannot_be_is_named(change, message):
    with pytest.raises(DamagedFile, match=message):
        parse_tflite(broken(change))


def test_vectors_that_lie_on_top_of_each_other_end_early():
    """3000 graphs that are one graph, of 3000 tensors that are one tensor: 9 million in 24 KB."""
    count = 3000
    builder = flatbuffers.Builder(64)

    def vector(offset):
        builder.StartVector(4, count, 4)
        for _ in range(count):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    builder.StartObject(10)
    tensor = builder.EndObject()
    tensors = vector(tensor)
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(0, tensors, 0)
    graph = builder.EndObject()
    graphs = vector(graph)
    builder.StartObject(8)
    builder.PrependUOffsetTRelativeSlot(2, graphs, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    content = bytes(builder.Output())
    assert len(content) < 25_000
    with pytest.raises(DamagedFile, match="more elements than its size has room for"):
        parse_tflite(content)


def test_too_many_operations_are_refused(monkeypatch):
    monkeypatch.setattr(tflite_parser, "MAX_OPS", 3)
    model = TinyModel()
    x, y = model.tensor((1,)), model.tensor((1,))
    model.op("RELU", [x], [y])
    model.graph.operators *= 4
    with pytest.raises(DamagedFile, match="4 operations, more than any real model has"):
        parse_tflite(model.pack([x], [y]))


def test_huge_sizes_are_only_numbers(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(unary("RELU", input=(2**31 - 1,) * 4, output=(2**31 - 1,) * 4))
    found = inspect(path, load=False)
    assert found.arena_lower_bound == 2 * 4 * (2**31 - 1) ** 4
    assert found.macs == 0


def test_sizes_that_are_not_fixed_are_shown_as_such(tmp_path):
    model = TinyModel()
    x = model.tensor((1, 8, 8, 3), signature=(-1, 8, 8, 3))
    y = model.tensor((1, 8, 8, 3), signature=(-1, 8, 8, 3))
    model.op("RELU", [x], [y])
    path = tmp_path / "m.tflite"
    path.write_bytes(model.pack([x], [y]))
    found = inspect(path)
    assert found.inputs[0].shape == (-1, 8, 8, 3)
    assert "?x8x8x3" in found.text()
    reasons = [finding.reason for finding in found.verdict("LiteRT.js (WASM)").findings]
    assert reasons == [
        "input 0 has a size that is not fixed",
        "output 1 has a size that is not fixed",
    ]


def test_several_graphs_and_custom_operations(tmp_path):
    model = TinyModel(subgraphs=3)
    x, y = model.tensor((1, 8, 8, 3)), model.tensor((1, 8, 8, 3))
    model.op("CUSTOM", [x], [y], custom="Mine\x1b[31m")
    path = tmp_path / "m.tflite"
    path.write_bytes(model.pack([x], [y]))
    found = inspect(path)
    assert found.graphs == 3
    assert found.ops == {"CUSTOM(Mine?[31m)": 1}
    text = found.text()
    assert "3 graphs: what follows is about the first" in text
    assert "\x1b" not in text + found.markdown() + markdown_side_by_side([found, found])
    assert "unresolved custom op" in text
    assert found.verdict("XNNPACK float").answer == "none"


def test_own_metadata_that_is_no_json_is_damage(tmp_path):
    model = TinyModel()
    model.tensor((1,))
    model.metadata("fastscnn_tf", b"[1, 2")
    path = tmp_path / "m.tflite"
    path.write_bytes(model.pack())
    with pytest.raises(ModelFileError, match="fastscnn_tf metadata: expected object, got array"):
        inspect(path, load=False)
