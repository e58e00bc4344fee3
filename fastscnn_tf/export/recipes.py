"""The one table that rules what each kind of .tflite may contain."""

from __future__ import annotations

import dataclasses

from ..core.errors import ConfigError, ExportError
from ..runtime.tflite_file import GraphSummary

COMMON = frozenset(
    {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "ADD",
        "CONCATENATION",
        "MEAN",
        "STRIDED_SLICE",
        "PAD",
        "RESIZE_BILINEAR",
    }
)
# Raw bytes: DEQUANTIZE, and where the mean is no single byte and the first convolution pads, one
# SUB. The scale is folded into the first convolution.
FLOAT_ONLY = frozenset({"DEQUANTIZE", "SUB", "RELU"})

OUTPUTS: dict[str, frozenset[str]] = {  # name -> operations it adds
    "logits": frozenset(),
    "logits-full": frozenset(),
    "prob": frozenset({"SOFTMAX"}),
    "labels": frozenset({"ARG_MAX", "CAST"}),
}

INPUTS = {
    "uint8": "raw RGB bytes (uint8), normalisation inside",
    "int8": "RGB bytes ^ 0x80 as int8, normalisation inside",
    "float32": "RGB as float32, (x - mean) / std with the mean and std given here",
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a .tflite of this recipe is.

    Attributes:
        name: as on the command line.
        quantized: int8 inside; no float tensor may remain.
        half_weights: float16 weights.
        needs_calibration: sets its ranges from images.
        ops: operations its graph may contain, besides those of the output.
    """

    name: str
    quantized: bool
    half_weights: bool
    needs_calibration: bool
    ops: frozenset[str]


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("float32", False, False, False, COMMON | FLOAT_ONLY),
        Recipe("float16", False, True, False, COMMON | FLOAT_ONLY),
        Recipe("int8", True, False, True, COMMON | {"QUANTIZE"}),
        Recipe("int8-qat", True, False, False, COMMON | {"QUANTIZE"}),
    )
}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: no such recipe.
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}: expected one of {', '.join(RECIPES)}")
    return RECIPES[name]


def check_outputs(name: str) -> str:
    """Returns the name of a known output.

    Raises:
        ConfigError: no such output.
    """
    if name not in OUTPUTS:
        raise ConfigError(f"unknown output {name!r}: expected one of {', '.join(OUTPUTS)}")
    return name


def check_input(name: str, rules: Recipe) -> str:
    """Returns the name of an input that a recipe can have.

    Raises:
        ConfigError: no such input, or not with this recipe.
    """
    if name not in INPUTS:
        raise ConfigError(f"unknown input {name!r}: expected one of {', '.join(INPUTS)}")
    if name == "float32" and rules.quantized:
        raise ConfigError(f"recipe {rules.name} takes raw bytes: use input uint8 or int8")
    if name == "int8" and not rules.quantized:
        raise ConfigError(f"recipe {rules.name} takes uint8 or float32: use input uint8")
    return name


def check_graph(summary: GraphSummary, rules: Recipe, outputs: str) -> None:
    """Asserts that a converted graph is what its recipe promises.

    Raises:
        ExportError: naming the foreign operations or the float tensors.
    """
    allowed = rules.ops | OUTPUTS[outputs]
    foreign = sorted(set(summary.ops) - allowed)
    if foreign:
        raise ExportError(f"recipe {rules.name} may not contain {', '.join(foreign)}")
    if rules.quantized and summary.float_tensors:
        raise ExportError(f"{summary.float_tensors} float tensors remain in the {rules.name} graph")
