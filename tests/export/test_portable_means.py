"""int8 means become convolutions that round half-way the same on every CPU."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from tiny_models import TinyModel

from fastscnn_tf.export.edits import Editor
from fastscnn_tf.export.pack import pack
from fastscnn_tf.export.portable_means import means_to_convolutions
from fastscnn_tf.tflite.file import unpack

ZERO = -5
GRID = ((0.07,), (ZERO,))


def means(windows, result=GRID):
    """A file of one mean for each (height, width), of the same 12x20 image."""
    m = TinyModel()
    x = m.tensor((1, 12, 20, 8), "int8", quantization=GRID)
    outputs = []
    for high, wide in windows:
        axes = [axis for axis, size in ((1, high), (2, wide)) if size > 1]
        where = m.tensor((len(axes),), "int32", np.array(axes))
        y = m.tensor((1, 12 // high, 20 // wide, 8), "int8", quantization=result)
        m.op("MEAN", [x, where], [y], "ReducerOptions", 2, keepDims=True)
        outputs.append(y)
    return m.pack([x], outputs)


def edited(content):
    model = unpack(content)
    edit = Editor(model)
    means_to_convolutions(edit)
    return edit, pack(model, len(content))


def run(content, x):
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()]


@pytest.mark.parametrize("window", [(12, 1), (1, 20), (12, 20)])
def test_a_mean_keeps_its_numbers_and_rounds_half_way_to_an_even_level(window):
    content = means([window])
    edit, changed = edited(content)
    assert [edit.kind(op) for op in edit.graph.operators] == ["DEPTHWISE_CONV_2D"]
    assert len(edit.graph.tensors) == 4  # in, out, ones, zeros: the axes are gone
    x = np.random.default_rng(0).integers(-128, 128, (1, 12, 20, 8)).astype(np.int8)
    axes = tuple(axis for axis, size in zip((1, 2), window, strict=True) if size > 1)
    x[0, :, :, 0] = ZERO
    x[0, 0, :, 0] += 6 if window[1] == 1 else 10  # 6 / 12, 10 / 20: half a step
    exact = (x.astype(int) - ZERO).mean(axes, keepdims=True)
    (found,) = run(changed, x)
    assert np.array_equal(found, np.rint(exact) + ZERO)
    (before,) = run(content, x)
    half = np.abs(exact - np.floor(exact) - 0.5) < 1e-9
    assert np.array_equal(found[~half], before[~half])
    if window != (12, 20):
        assert half.any()


def test_equal_windows_share_their_constants():
    edit, _ = edited(means([(12, 1), (12, 1), (1, 20)]))
    inputs = [tuple(map(int, op.inputs)) for op in edit.graph.operators]
    assert inputs[0] == inputs[1] != inputs[2]


def test_means_that_cannot_part_stay():
    model = TinyModel()
    x, axes = model.tensor((1, 5, 4, 8), "int8"), model.tensor((1,), "int32", np.array([1]))
    y = model.tensor((1, 1, 4, 8), "int8")
    model.op("MEAN", [x, axes], [y], "ReducerOptions", 2, keepDims=True)
    for content in (model.pack([x], [y]), means([(12, 1)], ((0.01,), (3,)))):
        edit, changed = edited(content)
        assert [edit.kind(op) for op in edit.graph.operators] == ["MEAN"]
        ones = np.ones(edit.graph.tensors[edit.graph.inputs[0]].shape, np.int8)
        assert np.array_equal(run(changed, ones), run(content, ones))
