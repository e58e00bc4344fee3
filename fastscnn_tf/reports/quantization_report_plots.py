"""Plots of a quantization report as PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.plots import COLORS, axis_name, figure_png, new_figure
from ..quantize.layer_report import LayerReport

WORST = 20  # layers with bars
WIDEST = 2.0  # calibrated ranges to either side that the axis shows
EMPTY = float("nan")
LONGEST = 48  # letters of a layer's name


def harm_bars(layers: Sequence[LayerReport]) -> bytes:
    """How much of int8's harm goes when one of the worst layers stays in float.

    Args:
        layers: at least one, the worst first.

    Raises:
        InputError: matplotlib is missing.
    """
    shown = layers[:WORST]
    figure = new_figure(9, 1.2 + 0.25 * len(shown))
    axes = figure.subplots()
    axes.barh(range(len(shown)), [100 * layer.harm for layer in shown], color=COLORS[0])
    _name_rows(axes, shown)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("divergence from float that goes when this layer alone stays in float, %")
    axes.grid(axis="x", alpha=0.3)
    return figure_png(figure)


def layer_panels(layers: Sequence[LayerReport]) -> bytes:
    """SQNR, activation ranges and kernel scales, one row per layer in the network's order.

    Args:
        layers: at least one, in any order.

    Raises:
        InputError: matplotlib is missing.
    """
    ordered = sorted(layers, key=lambda layer: layer.place)
    figure = new_figure(13, 1.5 + 0.2 * len(ordered))
    first, second, third = figure.subplots(1, 3, sharey=True)
    _sqnr(first, ordered)
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper left", frameon=False)
    _ranges(second, ordered)
    _scales(third, ordered)
    _name_rows(first, ordered)
    for axes in (first, second, third):
        axes.grid(alpha=0.3)
    return figure_png(figure)


def _sqnr(axes: Any, layers: Sequence[LayerReport]) -> None:
    places = range(len(layers))
    own = [EMPTY if x.own_sqnr_db is None else x.own_sqnr_db for x in layers]
    so_far = [EMPTY if x.sqnr_db is None else x.sqnr_db for x in layers]
    axes.plot(own, places, "o", color=COLORS[0], markersize=4, label="SQNR of this layer alone")
    axes.plot(so_far, places, "s-", color=COLORS[1], markersize=3, linewidth=1, label="SQNR so far")
    axes.set_xlabel("SQNR, dB")


def _ranges(axes: Any, layers: Sequence[LayerReport]) -> None:
    """Values in parts of the width of the range; -1..1 holds whatever fits."""
    for place, layer in enumerate(layers):
        values = layer.activation
        width = values.range[1] - values.range[0]
        seen, percentiles, grid = (
            [max(-WIDEST, min(WIDEST, end / width)) for end in ends]
            for ends in (values.seen, values.percentiles, values.range)
        )
        axes.plot(seen, (place, place), color=COLORS[0], linewidth=1)
        axes.plot(percentiles, (place, place), color=COLORS[0], linewidth=4, solid_capstyle="butt")
        axes.plot(grid, (place, place), "|", color=COLORS[1], markersize=9)
    axes.set_xlabel("activations, in widths of the range (|)")


def _scales(axes: Any, layers: Sequence[LayerReport]) -> None:
    for place, layer in enumerate(layers):
        if layer.weights and layer.weights.scale_max > 0:
            low = max(layer.weights.scale_min, 1e-12)
            axes.plot((low, layer.weights.scale_max), (place, place), color=COLORS[0], linewidth=2)
            axes.plot(layer.weights.scale_median, place, "o", color=COLORS[1], markersize=4)
    axes.set_xscale("log")
    axes.set_xlabel("channel scales of the kernel, median (o)")


def _name_rows(axes: Any, layers: Sequence[LayerReport]) -> None:
    names = [axis_name(layer.name, LONGEST) for layer in layers]
    axes.set_yticks(range(len(layers)), names, fontsize=8, parse_math=False)
    axes.set_ylim(len(layers) - 0.5, -0.5)
