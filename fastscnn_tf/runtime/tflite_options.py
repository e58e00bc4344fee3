"""The options of operations that say how an operation counts or which delegate takes it."""

from __future__ import annotations

from collections.abc import Mapping

from .flatbuffer_reader import Table

ACTIVATIONS = ("none", "relu", "relu_n1_to_1", "relu6", "tanh", "sign_bit")
SAME, VALID = 0, 1

Fields = dict[str, tuple[int, str, float]]  # name -> (field number, struct format, default)

_ACTIVATION: Fields = {"activation": (0, "b", 0)}
_POOL: Fields = {
    "padding": (0, "b", 0),
    "stride_w": (1, "i", 0),
    "stride_h": (2, "i", 0),
    "filter_w": (3, "i", 0),
    "filter_h": (4, "i", 0),
    "activation": (5, "b", 0),
}
_FIELDS: dict[str, Fields] = {
    "CONV_2D": {
        "padding": (0, "b", 0),
        "stride_w": (1, "i", 0),
        "stride_h": (2, "i", 0),
        "activation": (3, "b", 0),
        "dilation_w": (4, "i", 1),
        "dilation_h": (5, "i", 1),
    },
    "DEPTHWISE_CONV_2D": {
        "padding": (0, "b", 0),
        "stride_w": (1, "i", 0),
        "stride_h": (2, "i", 0),
        "multiplier": (3, "i", 0),
        "activation": (4, "b", 0),
        "dilation_w": (5, "i", 1),
        "dilation_h": (6, "i", 1),
    },
    "TRANSPOSE_CONV": {
        "padding": (0, "b", 0),
        "stride_w": (1, "i", 0),
        "stride_h": (2, "i", 0),
        "activation": (3, "b", 0),
    },
    "FULLY_CONNECTED": {
        "activation": (0, "b", 0),
        "weights_format": (1, "b", 0),
        "keep_num_dims": (2, "?", 0),
    },
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "L2_POOL_2D": _POOL,
    "ADD": _ACTIVATION,
    "SUB": _ACTIVATION,
    "MUL": _ACTIVATION,
    "DIV": _ACTIVATION,
    "CONCATENATION": {"axis": (0, "i", 0), "activation": (1, "b", 0)},
    # Fields 0 and 1 were the output's size once.
    "RESIZE_BILINEAR": {"align_corners": (2, "?", 0), "half_pixel_centers": (3, "?", 0)},
    "RESIZE_NEAREST_NEIGHBOR": {"align_corners": (0, "?", 0), "half_pixel_centers": (1, "?", 0)},
    "STRIDED_SLICE": {
        "begin_mask": (0, "i", 0),
        "end_mask": (1, "i", 0),
        "ellipsis_mask": (2, "i", 0),
        "new_axis_mask": (3, "i", 0),
        "shrink_axis_mask": (4, "i", 0),
    },
    "BATCH_MATMUL": {"adjoint_x": (0, "?", 0), "adjoint_y": (1, "?", 0)},
    "SPACE_TO_DEPTH": {"block_size": (0, "i", 0)},
    "DEPTH_TO_SPACE": {"block_size": (0, "i", 0)},
    "SOFTMAX": {"beta": (0, "f", 0.0)},
    "MEAN": {"keep_dims": (0, "?", 0)},
    "SUM": {"keep_dims": (0, "?", 0)},
    "ARG_MAX": {"output_type": (0, "b", 0)},
    "ARG_MIN": {"output_type": (0, "b", 0)},
    "LEAKY_RELU": {"alpha": (0, "f", 0.0)},
    "GELU": {"approximate": (0, "?", 0)},
    "MIRROR_PAD": {"mode": (0, "b", 0)},
}


def read_options(kind: str, table: Table | None) -> Mapping[str, int | float | bool]:
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
