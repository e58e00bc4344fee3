"""`summary`: the paper's table 1 for any configuration and size, with what each stage costs."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..core.config import FastSCNNConfig, config_of
from ..core.keras_api import KerasModel
from ..core.sizes import Size, format_size
from ..core.text_table import text_table
from .complexity import LayerCost, Shape, complexity

FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class StageCost:
    """One row of the table.

    Attributes:
        name: the stage.
        output: (H, W, C).
        parameters: weights, running statistics included.
        macs: multiply-accumulates for one image.
        receptive_field: (height, width) in input pixels that one of its outputs depends on.
        activations: values of all outputs of its operations for one image.
    """

    name: str
    output: Shape
    parameters: int
    macs: int
    receptive_field: Size
    activations: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """A network by stage.

    Attributes:
        config: what was counted.
        stages: in order; the last is the upsampling to the input's size.
        parameters: in all, and how many of them training moves.
        trainable: without the running statistics.
        kernel_weights: weights of convolution kernels only.
        macs: in all.
        activations: in all.
    """

    config: FastSCNNConfig
    stages: tuple[StageCost, ...]
    parameters: int
    trainable: int
    kernel_weights: int
    macs: int
    activations: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**dataclasses.asdict(self), "config": self.config.to_dict()}

    def table(self) -> str:
        """For people; memory is that of float32, int8 takes a quarter."""
        head = ("stage", "output", "parameters", "MACs", "receptive field", "activations")
        costs = f"{self.parameters:,}", _millions(self.macs), "", _megabytes(self.activations)
        rows = [head, *map(_row, self.stages), ("total", "", *costs)]
        table = text_table(rows, right=None)
        return (
            f"{table}\n{format_size(self.config.input_size)}, {self.config.num_classes} classes: "
            f"{self.kernel_weights:,} kernel weights, {self.trainable:,} trainable parameters; "
            "activations as float32"
        )

    __str__ = table


def summary(config: FastSCNNConfig | KerasModel) -> Summary:
    """Counts a configuration, or that of a model, by stage at its input size.

    Raises:
        ConfigError: it is neither.

    Example:
        >>> summary(FastSCNNConfig()).stages[0].output
        (512, 1024, 32)
    """
    config = config_of(config)
    cost = complexity(config)
    groups: dict[str, list[LayerCost]] = {}
    for layer in cost.layers:
        groups.setdefault(_stage(layer.name), []).append(layer)
    stages = [_stage_cost(name, layers) for name, layers in groups.items()]
    shape = (*config.input_size, config.num_classes)
    field = next(x.receptive_field for x in stages if x.name == "classifier.logits")
    whole = min(field[0] + 8, config.padded_size[0]), min(field[1] + 8, config.padded_size[1])
    pixels = shape[0] * shape[1] * shape[2]
    stages.append(StageCost("upsampling", shape, 0, 0, whole, pixels))
    frozen = sum(layer.norm_weights // 2 for layer in cost.layers)
    return Summary(
        config,
        tuple(stages),
        cost.parameters,
        cost.parameters - frozen,
        cost.kernel_weights,
        cost.macs,
        cost.activations + pixels,
    )


def _stage(layer: str) -> str:
    """The row that a layer belongs to."""
    stage, part, *_ = layer.split(".")
    if stage in ("pyramid", "fusion", "image") or stage.startswith("aux"):
        return stage
    return f"{stage}.{part.split('_')[0]}"


def _stage_cost(name: str, layers: list[LayerCost]) -> StageCost:
    fields = [layer.receptive_field for layer in layers]
    return StageCost(
        name,
        layers[-1].output,
        sum(layer.parameters for layer in layers),
        sum(layer.macs for layer in layers),
        (max(f[0] for f in fields), max(f[1] for f in fields)),
        sum(layer.activations for layer in layers),
    )


def _row(stage: StageCost) -> tuple[str, ...]:
    return (
        stage.name,
        "x".join(map(str, stage.output)),
        f"{stage.parameters:,}",
        _millions(stage.macs),
        format_size(stage.receptive_field),
        _megabytes(stage.activations),
    )


def _millions(value: int) -> str:
    return f"{value / 1e6:,.1f} M"


def _megabytes(values: int) -> str:
    return f"{values * FLOAT_BYTES / 1e6:,.1f} MB"
