"""Draws the README's image and the network's diagram: `python docs/draw.py M.TFLITE`.

M.TFLITE is a model of toy streets, such as `make demo` leaves in `demo-output/int8_qat.tflite`; the
scenes are of the split that it has not seen. Boxes and figures of the diagram are counted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import fastscnn_tf as fs
from fastscnn_tf.model.summary import StageCost

IMAGES = Path(__file__).parent / "images"
INK, SKIP = "#37474f", "#b0653a"
# Stages of `fs.summary` in a box, its title, and the colour of its part of the network.
BOXES = (
    ("learning_to_downsample", "learning to\ndownsample", "#b2dfdb"),
    ("global_features", "bottlenecks", "#c5cae9"),
    ("pyramid", "pyramid\npooling", "#c5cae9"),
    ("fusion", "feature\nfusion", "#ffe0b2"),
    ("classifier", "classifier", "#f8bbd0"),
)
SCENES = (3, 7)  # of the split `test`


def diagram(axes: Any) -> None:
    """Draws the paper's network at 1024x2048: output of each part and its multiply-accumulates."""
    stages = fs.summary(fs.FastSCNNConfig(19)).stages
    axes.set_xlim(-0.75, 5.8)
    axes.set_ylim(-0.15, 1.55)
    axes.axis("off")
    axes.text(-0.42, 0.5, "image\n1024x2048\nx3", ha="center", va="center", color=INK, fontsize=9)
    for x, (name, title, colour) in enumerate(BOXES):
        _box(axes, x, title, colour, [s for s in stages if s.name.startswith(name)])
    axes.text(5.42, 0.5, "label map\n1024x2048", ha="center", va="center", color=INK, fontsize=9)
    for x in (-0.13, 0.87, 1.87, 2.87, 3.87, 4.87):
        _arrow(axes, (x - 0.02, 0.5), (x + 0.25 - 0.1, 0.5), INK)
    _arrow(axes, (0.45, 0.95), (3.35, 0.95), SKIP, bow=-0.22)
    axes.text(1.9, 1.4, "details skip to the fusion at 1/8", ha="center", color=SKIP, fontsize=9)


def _box(axes: Any, x: float, title: str, colour: str, stages: list[StageCost]) -> None:
    height, width, channels = stages[-1].output
    macs = sum(stage.macs for stage in stages) / 1e9
    style = "round,pad=0,rounding_size=0.05"
    shape = FancyBboxPatch((x + 0.03, 0.05), 0.78, 0.9, style, facecolor=colour, edgecolor=INK)
    axes.add_patch(shape)
    axes.text(
        x + 0.42, 0.68, title, ha="center", va="center", fontsize=10, weight="bold", color=INK
    )
    says = f"{height}x{width}x{channels}\n{macs:.2f} GMAC"
    axes.text(x + 0.42, 0.29, says, ha="center", va="center", fontsize=9, color=INK)


def _arrow(
    axes: Any, start: tuple[float, float], end: tuple[float, float], color: str, bow: float = 0
) -> None:
    curve = f"arc3,rad={bow}"
    style = {"arrowstyle": "-|>", "mutation_scale": 10, "color": color, "linewidth": 1.2}
    axes.add_patch(
        FancyArrowPatch(start, end, connectionstyle=curve, shrinkA=0, shrinkB=0, **style)
    )


def streets(model: str) -> Any:
    """Scenes, the model's label maps laid over them, and the diagram below."""
    figure = plt.figure(figsize=(10, 4.1), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.6, 2.4))
    segmenter, data = fs.Segmenter(model), fs.open_dataset("toy", split="test")
    for axes, scene in zip(above.subplots(1, 4).reshape(2, 2), SCENES, strict=True):
        image = data.read_image(scene)
        labels = segmenter.predict(image)
        for each, shown in zip(
            axes, (image, fs.overlay(image, labels, segmenter.labels, 0.8)), strict=True
        ):
            each.imshow(shown)
            each.axis("off")
    diagram(below.subplots())
    return figure


def main() -> None:
    """Writes `images/streets.webp` and `images/network.svg`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="M.TFLITE")
    model = parser.parse_args(sys.argv[1:]).model
    plt.rcParams |= {
        "svg.hashsalt": "fastscnn",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
    }
    IMAGES.mkdir(exist_ok=True)
    picture = streets(model)
    picture.savefig(IMAGES / "streets.webp", dpi=160, pil_kwargs={"quality": 82})
    figure = plt.figure(figsize=(10, 2.5), layout="constrained")
    diagram(figure.subplots())
    figure.savefig(IMAGES / "network.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
