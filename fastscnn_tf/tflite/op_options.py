"""The options of operations that say how an operation counts or which delegate takes it."""

from __future__ import annotations

from collections.abc import Mapping

from .flatbuffer_reader import FlatTable

ACTIVATIONS = ("none", "relu", "relu_n1_to_1", "relu6", "tanh", "sign_bit")
SAME, VALID = 0, 1

Fields = dict[str, tuple[int, str, float]]  # name -> (field number, struct format, default)


def _fields(text: str, first: int = 0) -> Fields:
    """`name:format` or `name:format=default`, in the order of the schema's fields."""
    entries = (entry.partition(":") for entry in text.split())
    found = {}
    for number, (name, _, kind) in enumerate(entries, first):
        form, _, default = kind.partition("=")
        found[name] = (number, form, float(default or 0))
    return found


_ACTIVATION = _fields("activation:b")
_WINDOW = "padding:b stride_w:i stride_h:i"
_DILATION = "activation:b dilation_w:i=1 dilation_h:i=1"
_POOL = _fields(f"{_WINDOW} filter_w:i filter_h:i activation:b")
_FIELDS: dict[str, Fields] = {
    "CONV_2D": _fields(f"{_WINDOW} {_DILATION}"),
    "DEPTHWISE_CONV_2D": _fields(f"{_WINDOW} multiplier:i {_DILATION}"),
    "TRANSPOSE_CONV": _fields(f"{_WINDOW} activation:b"),
    "FULLY_CONNECTED": _fields("activation:b weights_format:b keep_num_dims:?"),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), _POOL),
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV"), _ACTIVATION),
    "CONCATENATION": _fields("axis:i activation:b"),
    # Fields 0 and 1 were the output's size once.
    "RESIZE_BILINEAR": _fields("align_corners:? half_pixel_centers:?", first=2),
    "RESIZE_NEAREST_NEIGHBOR": _fields("align_corners:? half_pixel_centers:?"),
    "STRIDED_SLICE": _fields(
        "begin_mask:i end_mask:i ellipsis_mask:i new_axis_mask:i shrink_axis_mask:i"
    ),
    "BATCH_MATMUL": _fields("adjoint_x:? adjoint_y:?"),
    **dict.fromkeys(("SPACE_TO_DEPTH", "DEPTH_TO_SPACE"), _fields("block_size:i")),
    "SOFTMAX": _fields("beta:f"),
    **dict.fromkeys(("MEAN", "SUM"), _fields("keep_dims:?")),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), _fields("output_type:b")),
    "LEAKY_RELU": _fields("alpha:f"),
    "GELU": _fields("approximate:?"),
    "MIRROR_PAD": _fields("mode:b"),
}


def read_options(kind: str, table: FlatTable | None) -> Mapping[str, int | float | bool]:
    """The known options of an operation; the schema's defaults where the file leaves them out."""
    fields = _FIELDS.get(kind, {})
    return {
        name: table.number(slot, form, default) if table else default
        for name, (slot, form, default) in fields.items()
    }


def activation_name(value: float) -> str:
    """Name of a fused activation."""
    number = int(value)
    return ACTIVATIONS[number] if 0 <= number < len(ACTIVATIONS) else f"activation {number}"
