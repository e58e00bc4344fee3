"""The reason of each QUANTIZE and DEQUANTIZE."""

from pathlib import Path

import numpy as np
from tiny_models import TinyModel

from fastscnn_tf.inspection.scale_changes import End, scale_changes
from fastscnn_tf.tflite.parser import parse_tflite

TFLITE = Path(__file__).parents[3] / "tflite"


def reasons(content):
    return {change.op: change.reason for change in scale_changes(parse_tflite(content).main)}


def test_shipped_int8_file():
    found = reasons((TFLITE / "fastscnn_camvid_int8.tflite").read_bytes())
    assert found == {
        0: "uint8 to int8 at the graph's input: the same values 128 apart",
        106: "cuts off what is below 0, as a RELU behind RESIZE_BILINEAR 105 would",
        114: "int8 to uint8 at the graph's output: the same values 128 apart",
    }


def test_shipped_float16_file():
    found = reasons((TFLITE / "fastscnn_camvid_float16.tflite").read_bytes())
    assert len(found) == 91
    widened = "float16 weights are widened to float32 when the file is loaded"
    assert sum(reason == widened for reason in found.values()) == 90


def test_changes_of_scale_name_who_needs_them():
    m = TinyModel()
    x = m.tensor((1, 8, 8, 4), "float32")
    shape, scales = (1, 8, 8, 4), [((s,), (0,)) for s in (0.1, 0.2, 0.2, 0.3)]
    a, b, c, d = (m.tensor(shape, "int8", quantization=scale) for scale in scales)
    y, z = m.tensor((1, 8, 8, 8), "int8", quantization=scales[1]), m.tensor((1, 8, 8, 8))
    m.op("QUANTIZE", [x], [a], "QuantizeOptions")
    m.op("QUANTIZE", [a], [b], "QuantizeOptions")
    m.op("QUANTIZE", [b], [c], "QuantizeOptions")
    m.op("CONCATENATION", [b, c], [y], "ConcatenationOptions", axis=3)
    m.op("QUANTIZE", [a], [d], "QuantizeOptions")
    m.op("ADD", [d, d], [d], "AddOptions")
    m.op("DEQUANTIZE", [y], [z], "DequantizeOptions")
    changes = scale_changes(parse_tflite(m.pack([x], [z])).main)
    assert [change.reason for change in changes] == [
        "float32 to int8 at the graph's input: another representation",
        "brings QUANTIZE 0 to the one scale that CONCATENATION 3 works at",
        "changes nothing: same scale and zero point",
        "brings QUANTIZE 0 to the range that ADD 5 was quantized for",
        "int8 to float32 at the graph's output: another representation",
    ]
    assert changes[1].source == End(a, "int8", float(np.float32(0.1)), 0)
    assert changes[1].target == End(b, "int8", float(np.float32(0.2)), 0)
