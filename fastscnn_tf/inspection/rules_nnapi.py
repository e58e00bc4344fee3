"""What TensorFlow Lite's NNAPI delegate takes, by Android API level.

Transcribed from `NNAPIDelegateKernel::Validate`, without an accelerator's name given. What a
phone's driver then runs is another matter.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import rules
from .rules import BYTES, FLOAT_OR_BYTE, FLOATS, Check, Node, RuleTable

SOURCE_FILE = "tensorflow/lite/delegates/nnapi/nnapi_delegate.cc"
SOURCE = f"{SOURCE_FILE}, NNAPIDelegateKernel::Validate"
DEPRECATED = "developer.android.com/ndk/guides/neuralnetworks/migration-guide"
LEVELS = range(27, 36)
FIRST_DEPRECATED = 35
_NNAPI_1_1, _NNAPI_1_2, _NNAPI_1_3 = 28, 29, 30  # API levels of its versions

_NO_ACTIVATION = rules.activation("none")
_BIAS = rules.inputs(3)
_OPERANDS = rules.data_types(*FLOAT_OR_BYTE, "int32", "bool")


def nnapi(level: int) -> RuleTable:
    """The rules of one API level, 27 to 35."""
    return RuleTable(
        f"NNAPI {level}",
        SOURCE,
        _operations(level),
        always=(_OPERANDS,),
        unlisted="not in NNAPI",
        sources={_OPERANDS: f"{SOURCE_FILE}, NNAPIOpBuilder::AddTensor"},
    )


def _since(first: int, level: int, *checks: Check) -> tuple[Check, ...]:
    """Checks of an operation that NNAPI has from an API level on."""
    if level >= first:
        return checks
    return (lambda node: f"NNAPI has {node.kind} from API level {first} on",)


def _before(level: int, *checks: Check) -> tuple[Check, ...]:
    """Checks of what NNAPI takes without conditions from 1.2 on."""
    return () if level >= _NNAPI_1_2 else checks


def _operations(level: int) -> Mapping[str, tuple[Check, ...]]:
    either = rules.input_type(0, *FLOAT_OR_BYTE)
    any_number = rules.input_type(0, *FLOAT_OR_BYTE, "int32")
    numbers = any_number if level >= _NNAPI_1_3 else either
    from_1_2 = lambda *checks: _since(_NNAPI_1_2, level, *checks)  # noqa: E731
    from_1_1 = lambda *checks: _since(_NNAPI_1_1, level, *checks)  # noqa: E731
    floats, narrow = rules.input_type(0, *FLOATS), rules.input_type(0, *FLOATS, "uint8")
    exact = rules.input_type(0, "float32", "uint8", "int8")
    exact_or_whole = rules.input_type(0, "float32", "uint8", "int8", "int32")
    eight_bit = BYTES if level >= _NNAPI_1_2 else ()
    int8, int32 = (("int8",), ("int32",)) if level >= _NNAPI_1_3 else ((), ())
    cast = ("float32", "int32", "uint8", *int8)
    one_scale = _before(level, rules.same_quantization)
    convolution = _before(level, narrow, _one_scale, _undilated, _hybrid)
    return {
        "ADD": (numbers,),
        "MUL": (numbers,),
        "SUB": from_1_1(rules.input_type(0, *FLOATS, *eight_bit, *int32)),
        "DIV": from_1_1(rules.input_type(0, "float32")),
        "ARG_MAX": from_1_2(any_number, rules.output_type("int32")),
        "AVERAGE_POOL_2D": (either, _window),
        "MAX_POOL_2D": (either,),
        "CONV_2D": (_BIAS, *convolution),
        "DEPTHWISE_CONV_2D": convolution,
        "TRANSPOSE_CONV": from_1_2(rules.constant(0, 1)),
        "FULLY_CONNECTED": (rules.output_type(*FLOAT_OR_BYTE), *_before(level, narrow, _hybrid)),
        "CONCATENATION": (_NO_ACTIVATION, rules.rank(0, 1, 2, 3, 4), either, *one_scale),
        "MEAN": from_1_1(rules.input_type(0, "float32", *eight_bit), rules.same_quantization),
        "PAD": from_1_1(either if level >= _NNAPI_1_2 else rules.input_type(0, "float32")),
        "PADV2": from_1_2(either),
        "RESIZE_BILINEAR": (rules.rank(0, 4), either, rules.constant(1), *_resize(level)),
        "RESIZE_NEAREST_NEIGHBOR": from_1_2(either, rules.constant(1), _alignment(level)),
        "SOFTMAX": (either, rules.rank(0, *((1, 2, 3, 4) if level >= _NNAPI_1_2 else (2, 4)))),
        "RESHAPE": (either, rules.constant(1)),
        "STRIDED_SLICE": from_1_1(),
        "SLICE": from_1_2(rules.input_type(0, "float32", "int32", "uint8", "int8")),
        "TRANSPOSE": from_1_1(rules.constant(1)),
        **dict.fromkeys(("SPACE_TO_DEPTH", "DEPTH_TO_SPACE"), (exact,)),
        "CAST": from_1_2(rules.input_type(0, *cast), rules.output_type(*cast)),
        "QUANTIZE": from_1_2(
            rules.input_type(0, "float32", *BYTES), rules.output_type("uint8", *int8)
        ),
        "DEQUANTIZE": (_dequantize(level),),
        "SPLIT": from_1_2(rules.constant(0)),
        **dict.fromkeys(("MAXIMUM", "MINIMUM", "TILE"), from_1_2(exact_or_whole)),
        "GATHER": from_1_2(rules.input_type(1, "int32")),
        "EXPAND_DIMS": from_1_2(rules.constant(1)),
        "SQUEEZE": from_1_1(),
        "TOPK_V2": from_1_2(rules.constant(1)),
        "TANH": (either if level >= _NNAPI_1_2 else floats,),
        "FLOOR": (floats,),
        **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "HARD_SWISH"), (either,)),
        **dict.fromkeys(("LEAKY_RELU", "PRELU"), from_1_2(either)),
        **dict.fromkeys(("ABS", "EXP", "LOG", "RSQRT", "POW", "SIN", "SQRT"), from_1_2(floats)),
    }


def _window(node: Node) -> str | None:
    x, pixels = node.input(0), node.option("filter_h") * node.option("filter_w")
    if x is not None and x.quantized and pixels > 256:
        return f"a window of {pixels} pixels, at most 256 in 8 bits"
    return None


def _hybrid(node: Node) -> str | None:
    x, weights = node.input(0), node.input(1)
    if x is not None and weights is not None and x.is_float and weights.dtype in BYTES:
        return "8-bit weights on a float input from API level 29 on"
    return None


def _one_scale(node: Node) -> str | None:
    weights = node.input(1)
    if weights is not None and len(weights.scales) > 1:
        return "a scale per channel from API level 29 on"
    return None


def _undilated(node: Node) -> str | None:
    dilated = max(node.option("dilation_h"), node.option("dilation_w")) > 1
    return "dilation from API level 29 on" if dilated else None


def _resize(level: int) -> tuple[Check, ...]:
    return *_before(level, rules.input_type(0, "float32"), _square), _alignment(level)


@rules.maker
def _alignment(node: Node, level: int) -> str | None:
    for name in ("align_corners", "half_pixel_centers") if level <= _NNAPI_1_2 else ():
        if node.option(name):
            return f"{name} from API level 30 on"
    return None


def _square(node: Node) -> str | None:
    shape = node.outputs[0].shape
    square = len(shape) == 4 and shape[1] == shape[2]
    return None if square else "an output that is not square from API level 29 on"


@rules.maker
def _dequantize(node: Node, level: int) -> str | None:
    source = node.input(0)
    if source is None:
        return "it lacks its input"
    if source.dtype == "float16" and source.constant:
        return None  # read as float32 constants when the model is built
    if level == _NNAPI_1_2 and source.dtype == "int8" and any(source.zero_points):
        return "int8 with a zero point from API level 30 on"
    return rules.wrong_type([source], ("uint8",) if level < _NNAPI_1_2 else ("uint8", "int8"))
