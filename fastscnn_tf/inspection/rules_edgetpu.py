"""What Coral's Edge TPU takes, by Coral's published list: rules alone, nothing was compiled or run.

The compiler maps one partition: from the first operation that it cannot map, all are left to the
CPU. The list is of compiler 16 with runtime 14.
"""

from __future__ import annotations

from . import rules
from .rules import BYTES, Check, Node, RuleTable

SOURCE = "coral.ai/docs/edgetpu/models-intro, supported operations (runtime 14)"
REQUIREMENTS = "coral.ai/docs/edgetpu/models-intro, model requirements"
SOFTMAX_ELEMENTS = 16_000
INNERMOST = 3  # dimensions that may be larger than 1
RESIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")

_NO_ACTIVATION = rules.activation("none")
_BYTES = rules.data_types(*BYTES)


def _fixed_size(node: Node) -> str | None:
    dynamic = next((t.index for t in node.data if t.dynamic), None)
    return None if dynamic is None else f"tensor {dynamic} has a size that is not fixed"


def _three_dimensions(node: Node) -> str | None:
    for tensor in node.data:
        if any(size != 1 for size in tensor.shape[:-INNERMOST]):
            return f"tensor {tensor.index} is larger than 1 beyond its 3 innermost dimensions"
    return None


def _same_dilation(node: Node) -> str | None:
    alike = node.option("dilation_h") == node.option("dilation_w")
    return None if alike else "its dilations of height and width differ"


def _zero_constant(node: Node) -> str | None:
    for tensor in node.inputs:
        if tensor.constant and (len(node.inputs) != 2 or any(tensor.data)):
            return (
                f"tensor {tensor.index} is a constant, taken: one of zeros beside one other input"
            )
    return None


@rules.maker
def _not_batch(node: Node, place: int) -> str | None:
    """Axes among the inputs."""
    x, axes = node.input(0 if place else 1), node.input(place)
    if x is None or axes is None or not axes.constant:
        return None
    rank = len(x.shape)
    taken = [axis % rank for axis in axes.integers()] if rank else []
    if 0 in taken and rank > INNERMOST:
        return "it works on the batch dimension"
    if node.kind == "MEAN" and rank - 1 in taken and x.shape[-1] % 4:
        return "a mean over channels whose number is not a multiple of 4"
    return None


def _unpadded_batch(node: Node) -> str | None:
    x, pads = node.input(0), node.input(1)
    if x is None or pads is None or len(x.shape) <= INNERMOST:
        return None
    return "it pads the batch dimension" if any(pads.integers()[:2]) else None


def _one_row(node: Node) -> str | None:
    x = node.input(0)
    large = [size for size in x.shape if size != 1] if x else []
    if len(large) > 1 or max(large, default=1) > SOFTMAX_ELEMENTS:
        return f"its input has more than one dimension, or more than {SOFTMAX_ELEMENTS:,} elements"
    return None


def _one_dimension(node: Node) -> str | None:
    several = sum(size != 1 for size in node.outputs[0].shape) > 1
    return "its output has more than one dimension" if several else None


def _one_slope(node: Node) -> str | None:
    alpha = node.input(1)
    several = alpha is not None and any(size != 1 for size in alpha.shape[:-1])
    return "its slopes have more than one dimension" if several else None


_CONV: tuple[Check, ...] = (rules.constant(1, 2), _same_dilation)
_AXES: tuple[Check, ...] = (rules.constant(1), _not_batch(1))
_PLAIN = (
    *("ADD", "EXPAND_DIMS", "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL"),
    *("QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RSQRT", "SLICE", "SPACE_TO_DEPTH"),
    *("SQUEEZE", "SQUARED_DIFFERENCE", "SUB", "TANH", "TRANSPOSE"),
    *("UNIDIRECTIONAL_SEQUENCE_LSTM", *RESIZES),
)

EDGE_TPU = RuleTable(
    "Edge TPU (Coral)",
    SOURCE,
    {
        **dict.fromkeys(_PLAIN, ()),
        **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), (_NO_ACTIVATION,)),
        **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _CONV),
        **dict.fromkeys(("MEAN", "REDUCE_MAX", "REDUCE_MIN", "SUM"), _AXES),
        "CONCATENATION": (_NO_ACTIVATION, _zero_constant),
        "FULLY_CONNECTED": (
            rules.constant(1, 2),
            rules.no_option("weights_format"),
            _one_dimension,
        ),
        "PACK": (),
        "PAD": (rules.constant(1), _unpadded_batch),
        "PRELU": (rules.constant(1), _one_slope),
        "SOFTMAX": (_one_row,),
        "SPLIT": (_not_batch(0),),
        "STRIDED_SLICE": (rules.unit_strides, rules.no_option("ellipsis_mask", "new_axis_mask")),
        "TRANSPOSE_CONV": (rules.constant(0, 1),),
    },
    always=(_BYTES, _fixed_size, _three_dimensions),
    unlisted="not in Coral's list",
    sources=dict.fromkeys((_BYTES, _fixed_size, _three_dimensions), REQUIREMENTS),
)
