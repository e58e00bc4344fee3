"""The one table that rules what each kind of .tflite may contain."""

from __future__ import annotations

import dataclasses

from ..core.arguments import check_name
from ..core.errors import ConfigError, ExportError
from ..tflite.file import GraphSummary

COMMON = frozenset(
    (
        *("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "CONCATENATION", "MEAN", "STRIDED_SLICE"),
        *("PAD", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"),
    )
)
# Raw bytes: DEQUANTIZE, and where the mean is no single byte and the first convolution pads, one
# SUB. The scale is folded into the first convolution.
FLOAT_ONLY = frozenset({"DEQUANTIZE", "SUB", "RELU"})
# Scale changes, the first convolution's pixels by pairs (`export_blocks`), and for NPUs what takes
# the place of resizes (`npu_resizes`).
INTEGER_ONLY = frozenset({"QUANTIZE", "RESHAPE", "TRANSPOSE"})
MIXED_ONLY = frozenset({"DEQUANTIZE", "RELU"})  # at and in layers that stay in float

OUTPUTS: dict[str, frozenset[str]] = {  # name -> operations it adds
    "logits": frozenset(),
    "logits-full": frozenset(),
    "prob": frozenset({"SOFTMAX"}),
    "labels": frozenset({"ARG_MAX", "CAST"}),
    "labels-8": frozenset({"ARG_MAX", "CAST"}),
}

NORMALISED = "(x - mean) / std with the mean and std given here"
INPUTS = {
    "uint8": "raw RGB bytes (uint8), normalisation inside",
    "int8": "RGB bytes ^ 0x80 as int8, normalisation inside",
    "float32": f"RGB as float32, {NORMALISED}",
    "int16": f"RGB as int16, {NORMALISED}, then divided by the input's scale and rounded",
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a .tflite of this recipe is.

    Attributes:
        name: as on the command line.
        weights: of the kernels: `float32`, `float16` or `int8`.
        activations: `float32`, `int8` or `int16`; of the latter two no float tensor may remain but
            the input and output themselves.
        needs_calibration: sets its ranges from images.
        inputs: names of `INPUTS` it can have.
        outputs: names of `OUTPUTS` it can have.
        ops: operations its graph may contain, besides those of the output.
    """

    name: str
    weights: str
    activations: str
    needs_calibration: bool
    inputs: tuple[str, ...]
    ops: frozenset[str]
    outputs: tuple[str, ...] = tuple(OUTPUTS)

    @property
    def quantized(self) -> bool:
        """Whether activations are integers."""
        return self.activations != "float32"


_FLOAT_INPUTS, _INT8_INPUTS = ("uint8", "float32"), ("uint8", "int8", "float32")
_FLOAT, _INT8 = COMMON | FLOAT_ONLY, COMMON | INTEGER_ONLY
# The converter has neither ARG_MAX nor CAST for int16. The interpreter has a RELU for it, and the
# output leaves through a DEQUANTIZE where the input is float32.
_INT16 = COMMON | {"QUANTIZE", "DEQUANTIZE", "RELU"}
_NO_LABELS = ("logits", "logits-full", "prob")

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("float32", "float32", "float32", False, _FLOAT_INPUTS, _FLOAT),
        Recipe("float16", "float16", "float32", False, _FLOAT_INPUTS, _FLOAT),
        Recipe("dynamic", "int8", "float32", False, _FLOAT_INPUTS, _FLOAT),
        Recipe("int8", "int8", "int8", True, _INT8_INPUTS, _INT8),
        Recipe("int8-qat", "int8", "int8", False, _INT8_INPUTS, _INT8),
        Recipe("int16x8", "int8", "int16", True, ("float32", "int16"), _INT16, _NO_LABELS),
    )
}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: no such recipe.
    """
    return RECIPES[check_name("recipe", name, RECIPES)]


def check_outputs(name: str, rules: Recipe) -> str:
    """Returns the name of an output that a recipe can have.

    Raises:
        ConfigError: no such output, or not with this recipe.
    """
    if check_name("output", name, OUTPUTS) not in rules.outputs:
        raise ConfigError(
            f"recipe {rules.name} cannot have output {name}: TensorFlow's converter has no int16 "
            f"ARG_MAX; use output {' or '.join(rules.outputs)}"
        )
    return name


def check_input(name: str | None, rules: Recipe) -> str:
    """Returns the name of an input that a recipe can have; its first one for None.

    Raises:
        ConfigError: no such input, or not with this recipe.
    """
    if name is None:
        return rules.inputs[0]
    if check_name("input", name, INPUTS) not in rules.inputs:
        raise ConfigError(
            f"recipe {rules.name} takes input {' or '.join(rules.inputs)}: not {name}"
        )
    return name


def check_graph(
    summary: GraphSummary, rules: Recipe, outputs: str, input: str = "uint8", mixed: bool = False
) -> None:
    """Asserts that a converted graph is what its recipe promises.

    Args:
        summary: of the file.
        rules: the recipe.
        outputs, input: names of its ends.
        mixed: some layers stay in float (`ai_edge.check_floats` asserts which).

    Raises:
        ExportError: naming the foreign operations, or counting the float tensors or kernels.
    """
    allowed = rules.ops | OUTPUTS[outputs] | (MIXED_ONLY if mixed else frozenset())
    foreign = sorted(set(summary.ops) - allowed)
    if foreign:
        raise ExportError(f"recipe {rules.name} may not contain {', '.join(foreign)}")
    if mixed:
        return
    # A float input, and of int16x8 then the output, too; QUANTIZE and DEQUANTIZE stand at them.
    edges = 0 if input != "float32" else 2 if rules.activations == "int16" else 1
    if rules.quantized and summary.float_tensors > edges:
        raise ExportError(
            f"{summary.float_tensors - edges} float tensors remain in the {rules.name} graph"
        )
    if rules.weights == "int8" and summary.float_kernels:
        raise ExportError(f"{summary.float_kernels} float kernels remain in the {rules.name} graph")
