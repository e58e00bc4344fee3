"""What must not reach LiteRT is told from the file alone."""

import numpy as np
import pytest
from hostile_models import INT8, changed, operations
from tiny_models import binary, convolution, crash_in_kernels, crash_in_xnnpack, depthwise

from fastscnn_tf.tflite.checks import why_not
from fastscnn_tf.tflite.parser import parse_tflite


def reason(content):
    return why_not(parse_tflite(content).main)


def test_sound_files_pass():
    for path in INT8.parent.glob("*.tflite"):
        assert reason(path.read_bytes()) == ""
    for content in (convolution(), convolution("int8"), depthwise("int8"), binary("ADD", "int8")):
        assert reason(content) == ""


def test_a_dead_channel_may_have_the_scale_0():
    def change(model):
        kernel = model.subgraphs[0].tensors[operations(model, "CONV_2D")[1].inputs[1]]
        kernel.quantization.scale = np.r_[np.float32(0), kernel.quantization.scale[1:]]

    assert reason(changed(change)) == ""


@pytest.mark.parametrize("scale", [0.0, -1.0, 1e-39, float("nan"), float("inf")])
def test_scales_are_positive_and_finite(scale):
    def change(model):
        output = model.subgraphs[0].tensors[operations(model, "ADD")[0].outputs[0]]
        output.quantization.scale = np.float32([scale])

    assert "has the scale" in reason(changed(change))


def test_scales_belong_to_channels_and_zero_points_to_types():
    def kernel(model):
        return model.subgraphs[0].tensors[operations(model, "CONV_2D")[1].inputs[1]].quantization

    def fewer(model):
        kernel(model).scale, kernel(model).zeroPoint = kernel(model).scale[:2], np.zeros(2, int)

    def no_zeros(model):
        kernel(model).zeroPoint = kernel(model).zeroPoint[:0]

    def elsewhere(model):
        kernel(model).quantizedDimension = -7

    def outside(model):
        model.subgraphs[0].tensors[0].quantization.zeroPoint = np.array([-128])

    assert "has 2 scales for" in reason(changed(fewer))
    assert "but 0 zero points" in reason(changed(no_zeros))
    assert "for 0 channels" in reason(changed(elsewhere))
    assert "zero point outside" in reason(changed(outside))


def test_operations_have_what_they_read():
    def no_input(model):
        operations(model, "STRIDED_SLICE")[0].inputs = np.int32([-1, 0, 0, 0])

    def other_bias(model):
        first, second = operations(model, "CONV_2D")[0], operations(model, "CONV_2D")[3]
        second.inputs = np.r_[second.inputs[:2], first.inputs[2:]].astype(np.int32)

    def constant_output(model):
        add = operations(model, "ADD")[0]
        add.outputs = np.int32([operations(model, "CONV_2D")[0].inputs[2]])

    def written_twice(model):
        first, second = operations(model, "ADD")[:2]
        second.outputs = first.outputs

    assert "lacks an input" in reason(changed(no_input))
    assert "has a bias of" in reason(changed(other_bias))
    assert "writes where something is already" in reason(changed(constant_output))
    assert "writes where something is already" in reason(changed(written_twice))
    assert "lacks an input" in reason(crash_in_xnnpack())


def test_sums_stay_within_their_bits():
    assert "has no scale" in reason(crash_in_kernels())
    wide = [((1e7,), (0,)), ((1.0,), (0,))]  # of the output 0.05
    assert "brings scales of 1e+07" in reason(binary("ADD", "int8", scales=wide))
