"""Multiply-accumulates worked by hand, and those of the project's own count."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_models import TinyModel, convolution, depthwise, unary

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.model.complexity import complexity
from fastscnn_tf.tflite.lifetimes import arena_lower_bound, micro_arena
from fastscnn_tf.tflite.macs import Macs, count_macs
from fastscnn_tf.tflite.parser import parse_tflite

TFLITE = Path(__file__).parents[3] / "tflite"


def count(content):
    graph = parse_tflite(content).main
    return count_macs(graph, graph.ops[0])


def test_convolutions():
    # 8x8 outputs of 8 channels, 3x3x4 taps; along an axis 22 of 24 taps lie inside.
    assert count(convolution()) == Macs(8 * 8 * 8 * 36, 8 * 4 * (24 * 24 - 22 * 22))
    assert count(convolution(padding=1, output=(1, 6, 6, 8))) == Macs(6 * 6 * 8 * 36)
    # Stride 2 on 8 pads at the end only: 11 of 12 taps.
    assert count(convolution(stride=2)) == Macs(4 * 4 * 8 * 36, 8 * 4 * (12 * 12 - 11 * 11))
    assert count(depthwise()) == Macs(8 * 8 * 4 * 9, 4 * (24 * 24 - 22 * 22))
    # Dilation 2 pads 2 on both sides: 20 of 24 taps.
    assert count(depthwise(dilation=2)) == Macs(8 * 8 * 4 * 9, 4 * (24 * 24 - 20 * 20))


def test_zeros_that_fill_a_kernel():
    for dtype in ("int8", "float32"):
        m = TinyModel()
        x, y = m.tensor((1, 4, 4, 2), dtype), m.tensor((1, 4, 4, 5), dtype)
        kernel = np.ones((5, 1, 3, 2))
        kernel[:, 0, 2, 1] = 0  # a tap of all filters
        kernel[3] = 0  # a filter
        m.op("CONV_2D", [x, m.tensor(kernel.shape, dtype, kernel)], [y], "Conv2DOptions")
        m.graph.operators[0].builtinOptions.strideH = 1
        m.graph.operators[0].builtinOptions.strideW = 1
        found = count(m.pack([x], [y]))
        assert (found.total, found.on_filling) == (16 * 5 * 6, 16 * 5)


def test_a_dead_channel_is_no_filling():
    kernel = np.ones((8, 3, 3, 4))
    kernel[..., 2] = 0
    m = TinyModel()
    x, y = m.tensor((1, 8, 8, 4)), m.tensor((1, 8, 8, 8))
    m.op("CONV_2D", [x, m.tensor(kernel.shape, "float32", kernel)], [y], "Conv2DOptions")
    assert count(m.pack([x], [y])).on_filling == 0


def test_a_constant_kernel_of_no_fixed_size_is_counted_by_what_is_fixed():
    m = TinyModel()
    x, y = m.tensor((1, 8, 8, 4)), m.tensor((1, 8, 8, 8))
    w = m.tensor((8, 3, 3, 4), "float32", np.ones((8, 3, 3, 4)), signature=(-1, 3, -1, 4))
    m.op("CONV_2D", [x, w], [y], "Conv2DOptions")
    assert count(m.pack([x], [y])).total == 8 * 8 * 8 * 3 * 1 * 4


def test_padding_agrees_with_counting_every_tap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        height, width, stride = (int(v) for v in rng.integers((1, 1, 1), (12, 12, 4)))
        kernel = int(rng.integers(1, 6))
        content = convolution(stride=stride, input=(1, height, width, 1), filters=1, kernel=kernel)
        inside = 1
        for size in (height, width):
            side = -(-size // stride)
            before = max((side - 1) * stride + kernel - size, 0) // 2
            places = [o * stride - before + k for o in range(side) for k in range(kernel)]
            inside *= sum(0 <= place < size for place in places)
        found = count(content)
        assert found.total - found.on_padding == inside


def test_other_operations():
    m = TinyModel()
    x, y = m.tensor((2, 64)), m.tensor((2, 8))
    m.op("FULLY_CONNECTED", [x, m.tensor((8, 64))], [y], "FullyConnectedOptions")
    assert count(m.pack([x], [y])) == Macs(2 * 8 * 64)
    m = TinyModel()
    x, w, y = m.tensor((1, 3, 5)), m.tensor((1, 5, 7)), m.tensor((1, 3, 7))
    m.op("BATCH_MATMUL", [x, w], [y], "BatchMatMulOptions")
    assert count(m.pack([x, w], [y])) == Macs(3 * 5 * 7)
    m = TinyModel()
    x, y = m.tensor((1, 8, 8, 4)), m.tensor((1, 16, 16, 6))
    shape = m.tensor((4,), "int32", np.array([1, 16, 16, 6]))
    m.op("TRANSPOSE_CONV", [shape, m.tensor((6, 2, 2, 4)), x], [y], "TransposeConvOptions")
    assert count(m.pack([x], [y])) == Macs(8 * 8 * 4 * 6 * 2 * 2)
    assert count(unary("RELU")) == Macs()


# int8 means of 2 k values are convolutions: windows of 6 at 1x19, of 10 at 2x1 twice, of 4 at 6x1.
MEANS = 128 * (19 * 6 + 2 * 2 * 10 + 6 * 6 * 4)


@pytest.mark.parametrize(("name", "means"), [("int8", MEANS), ("float16", 0)])
def test_shipped_files_count_as_the_network_does(name, means):
    path = TFLITE / f"fastscnn_camvid_{name}.tflite"
    config = json.loads(path.with_name(f"{path.name}.json").read_text())["config"]
    graph = parse_tflite(path.read_bytes()).main
    found = [count_macs(graph, op) for op in graph.ops]
    total = sum(macs.total - macs.on_filling for macs in found)
    assert complexity(FastSCNNConfig.from_dict(config)).macs == 862_691_712
    assert total == 862_691_712 + means


def test_arena_lower_bound_by_hand():
    # a (256 floats) -> b (256) -> c (64); d = b + c is the output of 256: b, c, d live together.
    m = TinyModel()
    a, b, c, d = (m.tensor((size,)) for size in (256, 256, 64, 256))
    w = m.tensor((100,), "float32", np.zeros(100))
    m.op("RELU", [a], [b])
    m.op("SLICE", [b, w], [c])
    m.op("ADD", [b, c], [d])
    assert arena_lower_bound(parse_tflite(m.pack([a], [d])).main) == 4 * (256 + 64 + 256)


def test_micro_arena_places_the_largest_first():
    # a (1600 bytes), b (800) and c (800) live together, then b, c and d (1600): d takes a's place.
    m = TinyModel()
    a, b, c, d = (m.tensor((size,)) for size in (400, 200, 200, 400))
    w = m.tensor((100,), "float32", np.zeros(100))
    m.op("SLICE", [a, w], [b])
    m.op("SLICE", [a, w], [c])
    m.op("ADD", [b, c], [d])
    kept = 24 * 5 + 160 * 3 + 400
    assert micro_arena(parse_tflite(m.pack([a], [d])).main) == 1600 + 800 + 800 + kept


def test_micro_arena_is_none_where_there_are_no_kernels():
    m = TinyModel()
    a, b = m.tensor((1, 8)), m.tensor((1, 8))
    w = m.tensor((8, 8), "int8", np.zeros((8, 8), np.int8))
    m.op("FULLY_CONNECTED", [a, w], [b])
    assert micro_arena(parse_tflite(m.pack([a], [b])).main) == 0
    float16 = TFLITE / "fastscnn_camvid_float16.tflite"
    assert micro_arena(parse_tflite(float16.read_bytes()).main) == 0
