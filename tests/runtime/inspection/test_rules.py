"""Rule tables: known operations, with the reason and the source that a person reads."""

import numpy as np
import pytest
from tiny_models import TinyModel, binary, convolution, depthwise, unary

from fastscnn_tf.inspection.probe import Probe
from fastscnn_tf.inspection.rules import Node
from fastscnn_tf.inspection.rules_edgetpu import EDGE_TPU
from fastscnn_tf.inspection.rules_gpu import GPU_ACCELERATOR, GPU_DELEGATE
from fastscnn_tf.inspection.rules_nnapi import nnapi
from fastscnn_tf.inspection.rules_xnnpack import XNNPACK
from fastscnn_tf.inspection.verdict import verdicts
from fastscnn_tf.tflite.parser import parse_tflite

SIZE = [([16, 16], "int32")]


def resize(dtype="float32", output=(1, 16, 16, 4), **options):
    return unary("RESIZE_BILINEAR", dtype, output, "ResizeBilinearOptions", 3, SIZE, **options)


def arg_max(result="int32"):
    number = {"int32": 2, "int64": 4}[result]
    return unary(
        *("ARG_MAX", "float32", (1, 8, 8), "ArgMaxOptions", 2, [(3, "int32")], result),
        outputType=number,
    )


def cast(source, target):
    return unary("CAST", source, options="CastOptions", output_type=target)


def pool(side):
    sizes = {"filterHeight": side, "filterWidth": side, "strideH": 1, "strideW": 1}
    return unary("AVERAGE_POOL_2D", "int8", (1, 8, 8, 4), "Pool2DOptions", 2, **sizes)


def mean(scale=None):
    return unary(
        *("MEAN", "int8", (1, 1, 1, 4), "ReducerOptions", 2, [([1, 2], "int32")]),
        scales=(None, scale),
    )


def softmax(beta):
    return unary("SOFTMAX", options="SoftmaxOptions", version=2, beta=beta)


def concat(count, dtype="int8", **options):
    shape = (1, 8, 8, 4 * count)
    return binary("CONCATENATION", dtype, count, shape, "ConcatenationOptions", 2, **options)


def gather():
    return unary("GATHER_ND", "float32", (1, 4), "GatherNdOptions", 1, [([[0, 1, 2]], "int32")])


def reason(table, content):
    graph = parse_tflite(content).main
    found = table.objection(Node(graph, graph.ops[0]))
    return found and found[0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (convolution(), None),
        (concat(5), None),
        (concat(6), "6 inputs, 2 to 5 are taken"),
        (pool(2), "tensor 0 is int8, taken: float32"),
        (unary("RELU", "int8"), "tensor 0 is int8, taken: float32"),
        (arg_max(), "XNNPACK has no such operation"),
        (convolution("float32", bias=False), "2 inputs, 3 are taken"),
    ],
)
def test_xnnpack(content, expected):
    assert reason(XNNPACK, content) == expected


@pytest.mark.parametrize(
    ("content", "classic", "accelerator"),
    [
        (convolution("int8"), None, None),
        (depthwise(), None, None),
        (
            depthwise(multiplier=2),
            "a depth multiplier on more than one channel is not supported",
            None,
        ),
        (resize(alignCorners=True), None, None),
        (
            resize(alignCorners=True, halfPixelCenters=True),
            *["align_corners and half_pixel_centers are both set"] * 2,
        ),
        (arg_max(), "the delegate has no such operation", None),
        (
            arg_max("int64"),
            "the delegate has no such operation",
            "tensor 1 is int64, taken: float32, float16, int8, uint8, int32, uint32, bool",
        ),
        (cast("int32", "float32"), None, None),
        (cast("int32", "uint8"), "int32 to uint8 is not supported", None),
        (softmax(1.0), None, None),
        (softmax(2.0), *["beta is 2, only 1 is taken"] * 2),
        (concat(7, "float32"), None, None),
        (
            concat(2, "float32", fusedActivationFunction=1),
            None,
            "fused activation relu is not supported",
        ),
        (
            gather(),
            "the delegate has no such operation",
            "the accelerator has no such operation",
        ),
    ],
)
def test_gpu(content, classic, accelerator):
    assert reason(GPU_DELEGATE, content) == classic
    assert reason(GPU_ACCELERATOR, content) == accelerator


@pytest.mark.parametrize(
    ("content", "first", "before"),
    [
        (convolution(), 27, None),
        (convolution("int8"), 29, "tensor 0 is int8, taken: float32, float16, uint8"),
        (
            convolution(filter_type="int8"),
            *(29, "8-bit weights on a float input from API level 29 on"),
        ),
        (depthwise(dilation=2), 29, "dilation from API level 29 on"),
        (resize(), 27, None),
        (
            resize(output=(1, 16, 8, 4)),
            29,
            "an output that is not square from API level 29 on",
        ),
        (resize(halfPixelCenters=True), 30, "half_pixel_centers from API level 30 on"),
        (resize(alignCorners=True), 30, "align_corners from API level 30 on"),
        (arg_max(), 29, "NNAPI has ARG_MAX from API level 29 on"),
        (mean(), 29, "tensor 0 is int8, taken: float32"),
        (cast("int32", "uint8"), 29, "NNAPI has CAST from API level 29 on"),
        (cast("float32", "int8"), 30, "tensor 1 is int8, taken: float32, int32, uint8"),
        (pool(16), 27, None),
    ],
)
def test_nnapi_takes_it_from_an_api_level_on(content, first, before):
    for level in range(first, 36):
        assert reason(nnapi(level), content) is None
    if before:
        assert reason(nnapi(first - 1), content) == before


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (pool(17), "a window of 289 pixels, at most 256 in 8 bits"),
        (arg_max("int64"), "tensor 1 is int64, taken: int32"),
        (mean(((0.1,), (0,))), "tensor 0 and the output differ in scale or zero point"),
        (gather(), "not in NNAPI"),
    ],
)
def test_what_no_level_of_nnapi_takes(content, expected):
    for level in range(29, 36):
        assert reason(nnapi(level), content) == expected


def verdict(content, target):
    found = {v.target: v for v in verdicts(parse_tflite(content), Probe())}
    return found[target]


def moved(kind, constants, options="ReducerOptions", output=(1, 8, 8, 4), **values):
    extra = [(value, "int32") for value in constants]
    return unary(kind, "int8", output, options, 2, extra, **values)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (convolution("int8"), None),
        (convolution(), "tensor 0 is float32, taken: int8, uint8"),
        (convolution("int8", input=(2, 8, 8, 4)), "tensor 0 is larger than 1 beyond its 3 inner"),
        (depthwise("int8", dilation=2), None),
        (arg_max(), "not in Coral's list"),
        (unary("LOGISTIC", "int8"), None),
        (unary("LOGISTIC", "int8", input=(1, 2, 8, 8, 4)), "tensor 0 is larger than 1 beyond its"),
        (pool(2), None),
        (concat(2), None),
        (concat(2, fusedActivationFunction=1), "fused activation relu is not supported"),
        (mean(), None),
        (moved("MEAN", [[3]]), None),
        (moved("MEAN", [[0]]), "it works on the batch dimension"),
        (moved("REDUCE_MAX", [[-4]]), "it works on the batch dimension"),
        (
            unary(
                "MEAN",
                "int8",
                (1, 8, 8, 1),
                "ReducerOptions",
                2,
                [([3], "int32")],
                input=(1, 8, 8, 3),
            ),
            "a mean over channels whose number is not a multiple of 4",
        ),
        (moved("PAD", [[[0, 0], [1, 1], [1, 1], [0, 0]]], "PadOptions", (1, 10, 10, 4)), None),
        (moved("PAD", [[[0, 1], [0, 0]]], "PadOptions"), "it pads the batch dimension"),
        (
            unary("SOFTMAX", "int8", options="SoftmaxOptions", beta=1.0),
            "its input has more than one",
        ),
        (
            unary("SOFTMAX", "int8", (1, 9), "SoftmaxOptions", input=(1, 9), beta=1.0),
            None,
        ),
        (
            unary("SOFTMAX", "int8", (1, 16001), "SoftmaxOptions", input=(1, 16001), beta=1.0),
            "its input has more than one dimension, or more than 16,000 elements",
        ),
        (
            moved("STRIDED_SLICE", [[0] * 4, [1, 8, 8, 4], [1, 2, 2, 1]], "StridedSliceOptions"),
            "its steps are not 1",
        ),
        (resize("int8"), None),
    ],
)
def test_the_edge_tpu_by_corals_list(content, expected):
    found = reason(EDGE_TPU, content)
    assert found == expected if expected is None else found.startswith(expected)


def test_the_edge_tpu_maps_one_partition():
    m = TinyModel()
    tensors = [m.tensor((1, 8, 8, 4), "int8") for _ in range(4)]
    for kind, i in (("RELU", 0), ("HARD_SWISH", 1), ("RELU", 2)):
        m.op(kind, tensors[i : i + 1], tensors[i + 1 : i + 2])
    found = verdict(m.pack(tensors[:1], tensors[-1:]), "Edge TPU (Coral)")
    assert (found.answer, found.taken, found.total) == ("part", 1, 3)
    assert [finding.reason for finding in found.findings] == [
        "not in Coral's list",
        "behind operation 1: one partition is mapped",
    ]
    assert found.note == "by Coral's list alone: nothing was compiled or run"
    enlarged = verdict(resize("int8"), "Edge TPU (Coral)")
    assert enlarged.note.endswith("resizes may stay on the CPU, depending on their sizes: 1")


def test_litertjs_wants_known_types():
    assert verdict(convolution(), "LiteRT.js (WASM)").answer == "all"
    found = verdict(convolution("int8"), "LiteRT.js (WASM)")
    assert found.answer == "no"
    assert [finding.reason for finding in found.findings] == [
        "input 0 is int8, taken: float32, int32, uint8",
        "output 1 is int8, taken: float32, int32, uint8",
    ]
    assert verdict(gather(), "LiteRT.js (WASM)").answer == "all"
    assert verdict(gather(), "LiteRT.js (WebGPU)").answer == "none"


def described(normalized, outputs=1, dtype="float32", shape=(1, 8, 8, 5), std=(1.0,)):
    """A model with the TFLite metadata that MediaPipe reads, written field by field."""
    import flatbuffers

    builder = flatbuffers.Builder(64)

    def table(size, offsets=(), bytes=()):
        builder.StartObject(size)
        for slot, offset in offsets:
            builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, value in bytes:
            builder.PrependUint8Slot(slot, value, 0)
        return builder.EndObject()

    def vector(tables):
        builder.StartVector(4, len(tables), 4)
        for offset in reversed(tables):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    std = builder.CreateNumpyVector(np.asarray(std, np.float32))
    units = [table(2, [(1, table(2, [(1, std)]))], [(0, 1)])] if normalized else []
    source = table(7, [(4, vector(units))])
    name = builder.CreateString("labels.txt")
    labels = table(4, [(0, name)], [(2, 2)])
    results = [table(7, [(6, vector([labels]))]) for _ in range(outputs)]
    graph = table(7, [(2, vector([source])), (3, vector(results))])
    builder.Finish(table(8, [(3, vector([graph]))]), b"M001")
    model = TinyModel()
    x = model.tensor((1, 8, 8, 3), dtype)
    ys = [model.tensor(shape) for _ in range(outputs)]
    w = model.tensor((5, 1, 1, 3), "float32", np.ones((5, 1, 1, 3)))
    model.op("CONV_2D", [x, w], ys, "Conv2DOptions", strideH=1, strideW=1)
    model.metadata("TFLITE_METADATA", bytes(builder.Output()))
    return model.pack([x], ys)


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        (described(True), []),
        (described(False), ["a float32 input needs NormalizationOptions"]),
        (described(False, dtype="uint8"), []),
        (described(False, dtype="int8"), ["the input is int8, taken: uint8, float32"]),
        (described(True, 2), []),
        (described(True, std=(2.0, 2.0, 2.0)), []),
        (
            described(True, std=(2.0, 2.0, 2.5)),
            ["a float32 input takes one mean and std, the metadata have them by channel"],
        ),
        (described(True, dtype="uint8", std=(2.0, 2.0, 2.5)), []),
        (
            described(True, shape=(1, 8, 8)),
            ["an output of 1x8x8 is read as HxWxC: a label map is misread"],
        ),
        (convolution("int8"), ["the input is int8, taken: uint8, float32"]),
        (convolution("uint8"), []),
    ],
)
def test_mediapipe(content, reasons):
    found = verdict(content, "MediaPipe ImageSegmenter")
    assert [finding.reason for finding in found.findings] == reasons
    assert found.answer == ("no" if reasons else "all")


def test_mediapipe_notes():
    def note(content):
        return verdict(content, "MediaPipe ImageSegmenter").note

    assert note(described(True)) == ""
    assert note(described(True, 2)) == "of 2 outputs the last is the mask"
    assert note(described(True, shape=(1, 4, 4, 5))) == (
        "enlarges the output with aligned corners: borders move by up to half a cell"
    )
    assert note(convolution("uint8")) == "no label file in TFLITE_METADATA: classes have no names"


def test_every_rule_has_a_source():
    for table in (XNNPACK, GPU_DELEGATE, GPU_ACCELERATOR, *map(nnapi, range(27, 36))):
        graph = parse_tflite(gather()).main
        assert "/" in table.objection(Node(graph, graph.ops[0]))[1]
