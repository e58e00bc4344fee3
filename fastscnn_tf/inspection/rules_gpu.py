"""What GPUs take: the classic TFLite delegate, and the LiteRT accelerator (ML Drift)."""

from __future__ import annotations

from . import rules
from .rules import FLOAT_OR_BYTE, FLOATS, Check, Node, RuleTable

CLASSIC_SOURCE = "tensorflow/lite/tools/versioning/gpu_compatibility.cc"
TYPES_SOURCE = "tensorflow/lite/delegates/gpu/common/model_builder.cc"
DRIFT_SOURCE = "google-ai-edge/LiteRT, ML Drift's ir_model_builder.cc"
DRIFT_MEASURED = "measured with ai-edge-litert 2.3.0 on WebGPU (SwiftShader), GPU alone"

_TYPES = rules.data_types(*FLOAT_OR_BYTE)
_ACTIVATION = rules.activation("none", "relu", "relu_n1_to_1", "relu6", "tanh")
_ONE: tuple[Check, ...] = (rules.runtime_inputs(1), _TYPES)
_PAIR: tuple[Check, ...] = (rules.runtime_inputs(1, 2), _TYPES)


def _cast(node: Node) -> str | None:
    """CAST between float32 and int32, and between floats and bool."""
    if not node.inputs:
        return "it has no input"
    pair = (node.inputs[0].dtype, node.outputs[0].dtype)
    if set(pair) <= {"float32", "int32"} or ("bool" in pair and set(pair) & {*FLOATS}):
        return None
    return f"{pair[0]} to {pair[1]} is not supported"


def _multiplier(node: Node) -> str | None:
    x = node.input(0)
    if node.option("multiplier") > 1 and x is not None and x.shape[-1:] != (1,):
        return "a depth multiplier on more than one channel is not supported"
    return None


def _padding(node: Node) -> str | None:
    pads = node.input(1)
    if pads is not None and tuple(pads.shape) not in ((3, 2), (4, 2)):
        return "its paddings are not 3x2 or 4x2"
    return None


def _block(node: Node) -> str | None:
    return None if node.option("block_size") > 1 else "its block size is not above 1"


_SLICED = rules.rank(0, 3, 4)
_CONV: tuple[Check, ...] = (rules.runtime_inputs(1, 2), _TYPES, _ACTIVATION)
_REDUCE: tuple[Check, ...] = (*_ONE, rules.constant(1), rules.input_type(1, "int32"))

GPU_DELEGATE = RuleTable(
    "GPU (TFLite delegate)",
    CLASSIC_SOURCE,
    {
        "CONV_2D": _CONV,
        "DEPTHWISE_CONV_2D": (*_CONV, rules.rank(0, 4), _multiplier),
        "TRANSPOSE_CONV": (rules.runtime_inputs(1, 2), _TYPES),
        "FULLY_CONNECTED": (*_PAIR, rules.no_option("weights_format")),
        **dict.fromkeys(("BATCH_MATMUL", "ADD"), (rules.inputs(2), _TYPES)),
        "MUL": (rules.inputs(2), _TYPES, _ACTIVATION),
        "CONCATENATION": (_TYPES,),
        **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), (*_ONE, _ACTIVATION)),
        **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), _REDUCE),
        **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), (*_ONE, _padding)),
        "RESIZE_BILINEAR": (*_ONE, rules.not_both_alignments),
        "RESIZE_NEAREST_NEIGHBOR": _ONE,
        "SOFTMAX": (*_ONE, rules.beta_one),
        "STRIDED_SLICE": (*_ONE, rules.plain_axes, _SLICED),
        "SLICE": (*_ONE, _SLICED),
        **dict.fromkeys(("SPACE_TO_DEPTH", "DEPTH_TO_SPACE"), (*_ONE, _block)),
        "CAST": (rules.runtime_inputs(1), _cast),
        "QUANTIZE": _ONE,
        "DEQUANTIZE": (rules.inputs(1), rules.input_type(0, *FLOAT_OR_BYTE)),
        **dict.fromkeys(("RESHAPE", "TRANSPOSE", "TILE", "HARD_SWISH"), _ONE),
        **dict.fromkeys(
            (
                *("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "ABS", "CEIL", "COS"),
                *("ELU", "EXP", "FLOOR", "GELU", "LOG", "LOGISTIC", "NEG", "RSQRT", "SIGN", "SIN"),
                *("SQRT", "SQUARE", "TANH", "SPLIT", "SPLIT_V", "PACK", "CUMSUM"),
            ),
            (_TYPES,),
        ),
        **dict.fromkeys(("ATAN2", "DIV", "FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM"), _PAIR),
        **dict.fromkeys(("POW", "SQUARED_DIFFERENCE", "SUB"), _PAIR),
    },
    unlisted="the delegate has no such operation",
    sources={_TYPES: TYPES_SOURCE},
)

# Types that ML Drift has no kernels for.
_DRIFT_TYPES = rules.data_types("float32", "float16", "int8", "uint8", "int32", "uint32", "bool")
_PLAIN_CONCAT = rules.activation("none")


def _signed_matrix(node: Node) -> str | None:
    return "uint8 is not supported" if any(t.dtype == "uint8" for t in node.data) else None


_DRIFT_CHECKS: dict[str, tuple[Check, ...]] = {
    "RESIZE_BILINEAR": (rules.not_both_alignments,),
    "STRIDED_SLICE": (rules.plain_axes,),
    "SOFTMAX": (rules.beta_one,),
    "CONCATENATION": (_PLAIN_CONCAT,),
    "CONV_2D": (rules.runtime_inputs(1, 2),),
    "FULLY_CONNECTED": (_signed_matrix,),
    "EXPAND_DIMS": (rules.rank(0, 1, 2, 3),),
    "PACK": (rules.rank(0, 1, 2, 3),),
}
_DRIFT_OPS = (
    *("ABS", "ADD", "ARG_MAX", "ATAN2", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BITCAST", "CAST"),
    *("CEIL", "CONCATENATION", "CONV_2D", "COS", "CUMSUM", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE"),
    *("DEQUANTIZE", "DIV", "DYNAMIC_UPDATE_SLICE", "ELU", "EMBEDDING_LOOKUP", "EQUAL", "EXP"),
    *("EXPAND_DIMS", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "FULLY_CONNECTED", "GATHER", "GELU"),
    *("GREATER", "GREATER_EQUAL", "HARD_SWISH", "LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG"),
    *("LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN"),
    *("MINIMUM", "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "ONE_HOT", "PACK", "PAD", "PADV2"),
    *("POW", "PRELU", "QUANTIZE", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN"),
    *("REDUCE_PROD", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR"),
    *("RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "RIGHT_SHIFT", "ROUND", "RSQRT", "SELECT"),
    *("SELECT_V2", "SIGN", "SIN", "SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V"),
    *("SQRT", "SQUARE", "SQUARED_DIFFERENCE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TILE"),
    *("TOPK_V2", "TRANSPOSE", "TRANSPOSE_CONV", "UNPACK"),
)

GPU_ACCELERATOR = RuleTable(
    "GPU (LiteRT accelerator)",
    f"{DRIFT_SOURCE}; {DRIFT_MEASURED}",
    {op: _DRIFT_CHECKS.get(op, ()) for op in _DRIFT_OPS},
    always=(_DRIFT_TYPES,),
    unlisted="the accelerator has no such operation",
)
