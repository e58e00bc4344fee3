"""What XNNPACK takes, float32 and 8-bit.

Transcribed from the delegate's Visit...Node functions and measured: each operation alone in a
file, loaded by ai-edge-litert 2.3.0 on x86-64 (tests/runtime/inspection/test_rules_measured.py
repeats it).
"""

from __future__ import annotations

from ..tflite.graph import Tensor
from . import rules
from .rules import BYTES, FLOAT, Check, Node, RuleTable

SOURCE = "tensorflow/lite/delegates/xnnpack/xnnpack_delegate.cc"
MEASURED = "measured with ai-edge-litert 2.3.0"
CLAIMED = "XNNPACK claims it and fails, so that the file cannot be loaded"
_8BIT = (*FLOAT, *BYTES)


def _one_type(node: Node) -> str | None:
    kinds = {tensor.dtype for tensor in node.data}
    return f"mixes {' and '.join(sorted(kinds))}" if len(kinds) > 1 else None


def _quantized(node: Node) -> str | None:
    odd = (t for t in node.data if t.dtype in BYTES and len(t.scales) != 1)
    return next((f"tensor {t.index} has {len(t.scales)} scales, 1 is taken" for t in odd), None)


@rules.maker
def _filter(node: Node, hybrid: bool, axis: int) -> str | None:
    x, weights = node.input(0), node.input(1)
    if x is None or weights is None:
        return "it lacks its input or its filter"
    mixed = hybrid and x.dtype == "float32" and weights.dtype == "int8"
    if weights.dtype != x.dtype and not mixed:
        return f"a filter of {weights.dtype} on an input of {x.dtype}"
    if len(weights.scales) > 1 and weights.axis != axis:
        return f"the filter's scales go along dimension {weights.axis}, not {axis}"
    return None


@rules.maker
def _ratio(node: Node, lowest: float, highest: float) -> str | None:
    """Bounds of input scale / output scale."""
    for tensor in node.runtime_inputs:
        ratio = _scale(tensor) / _scale(node.outputs[0])
        if tensor.dtype == node.outputs[0].dtype and not lowest <= ratio < highest:
            return f"tensor {tensor.index} has {ratio:.3g} times the output's scale"
    return None


def _scale(tensor: Tensor) -> float:
    return tensor.scales[0] if tensor.quantized and tensor.scales[0] > 0 else 1.0


def _same_scale(node: Node) -> str | None:
    reason = rules.same_quantization(node)
    return f"{reason}: {CLAIMED}" if reason else None


def _pool(node: Node) -> str | None:
    single = node.option("filter_h") == node.option("filter_w") == 1
    strided = max(node.option("stride_h"), node.option("stride_w")) > 1
    return "a window of 1x1 with a stride" if single and strided else None


def _quantize(node: Node) -> str | None:
    source, target = node.input(0), node.outputs[0]
    if source is None:
        return "it has no input"
    if target.dtype in BYTES and source.dtype in ("float32", target.dtype):
        return None
    return f"{source.dtype} to {target.dtype} is not supported"


def _dequantize(node: Node) -> str | None:
    source = node.input(0)
    if source is not None and source.dtype == "float16" and source.constant:
        return None
    return rules.wrong_type([source] if source else [], BYTES)


def _not_approximate(node: Node) -> str | None:
    return "the tanh approximation is not supported" if node.option("approximate") else None


_ACTIVATION = rules.activation("none", "relu", "relu_n1_to_1", "relu6")
_EITHER: tuple[Check, ...] = (rules.data_types(*_8BIT), _one_type, _quantized)
_FLOAT: tuple[Check, ...] = (rules.data_types(*FLOAT),)
_SIGNED: tuple[Check, ...] = (rules.data_types("float32", "int8"), _one_type, _quantized)
_CONV: tuple[Check, ...] = (*_EITHER, rules.inputs(3), rules.constant(1, 2), _ACTIVATION)
_PAIR: tuple[Check, ...] = (*_EITHER, rules.inputs(2), _ACTIVATION)
_REDUCE: tuple[Check, ...] = (*_EITHER, rules.constant(1))
_MOVES: tuple[Check, ...] = (*_EITHER, _same_scale)

XNNPACK = RuleTable(
    "XNNPACK",
    f"{SOURCE}; {MEASURED}",
    {
        "CONV_2D": (*_CONV, rules.rank(0, 4), _filter(True, 0)),
        "DEPTHWISE_CONV_2D": (*_CONV, rules.rank(0, 4), _filter(False, 3)),
        "TRANSPOSE_CONV": (*_EITHER, rules.constant(0, 1, 3), _ACTIVATION),
        "FULLY_CONNECTED": (*_EITHER, rules.constant(1, 2), _ACTIVATION, _filter(True, 0)),
        "BATCH_MATMUL": _SIGNED,
        **dict.fromkeys(("ADD", "SUB"), (*_PAIR, _ratio(2**-10, 2**8))),
        "MUL": _PAIR,
        "CONCATENATION": (*_EITHER, rules.inputs(2, 5), rules.same_quantization),
        "MAX_POOL_2D": (*_MOVES, _pool, _ACTIVATION),
        "AVERAGE_POOL_2D": (*_FLOAT, _pool, _ACTIVATION),
        **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _REDUCE),
        "PAD": (*_MOVES, rules.constant(1)),
        "RESHAPE": (*_EITHER, rules.constant(1), rules.same_quantization),
        "TRANSPOSE": (*_MOVES, rules.constant(1)),
        "SLICE": (*_MOVES, rules.constant(1, 2)),
        "STRIDED_SLICE": (*_MOVES, rules.constant(1, 2, 3), rules.plain_axes, rules.unit_strides),
        "SPLIT": (*_MOVES, rules.constant(0)),
        "RESIZE_BILINEAR": (*_MOVES, rules.rank(0, 4), rules.constant(1)),
        "SOFTMAX": (*_FLOAT, rules.beta_one),
        "GELU": (*_FLOAT, _not_approximate),
        "PRELU": (*_FLOAT, rules.constant(1)),
        "QUANTIZE": (_quantize, _ratio(2**-8, 2**7)),
        "DEQUANTIZE": (_dequantize, rules.output_type("float32")),
        "ELU": _SIGNED,
        **dict.fromkeys(
            ("LEAKY_RELU", "LOGISTIC", "TANH", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE"), _EITHER
        ),
        **dict.fromkeys(
            (
                *("ABS", "CEIL", "COS", "DIV", "EXP", "FLOOR", "HARD_SWISH", "LOG", "MAXIMUM"),
                *("MINIMUM", "NEG", "RELU", "RELU6", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIN"),
                *("SQRT", "SQUARE", "SQUARED_DIFFERENCE"),
            ),
            _FLOAT,
        ),
    },
    unlisted="XNNPACK has no such operation",
)
