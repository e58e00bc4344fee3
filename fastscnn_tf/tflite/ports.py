"""How a .tflite is fed and read: by our metadata, or as what others write tells it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import ConfigError, ModelFileError
from ..core.foreign_text import printable
from ..core.labels import IGNORE, MAX_CLASSES
from ..core.sizes import Size
from .custom_ops import check_custom
from .foreign_input import Fed, fed, one_scale, quantized_bytes
from .foreign_options import Told, checked_options, three
from .foreign_output import meaning, no_segmentation, segmenting
from .graph import Graph, ModelGraphs

BINARY = ("background", "foreground")


@dataclasses.dataclass(frozen=True)
class Ports:
    """How a file is fed and read.

    Attributes:
        own: it is of this package.
        size: (height, width) of the image.
        fed: how its bytes become the input.
        planes: the input is (1, 3, H, W).
        place: of the output among the graph's.
        axis: of the classes in the output; None for a map without one.
        classes: how many; None for a label map, which does not say it.
        outputs: `logits`, `logits-full`, `prob`, `labels` or `labels-8`.
        binary: one channel of scores, read as background and foreground.
        offset: what the background is ahead by, for a threshold other than 0.5.
        scale: (scale, zero point) by which the output is brought to real values, where that is
            more than one factor of all scores: of probabilities, and of one channel.
        names: of the classes, as far as the file says them.
        told: in one line, what was told by what.
    """

    own: bool
    size: Size
    fed: Fed
    outputs: str
    axis: int | None
    classes: int | None
    planes: bool = False
    place: int = 0
    binary: bool = False
    offset: float = 0.0
    scale: tuple[float, int] | None = None
    names: tuple[str, ...] = ()
    told: str = ""

    def put(self, image: np.ndarray, target: np.ndarray) -> None:
        """Writes an image into an integer input.

        Args:
            image: (H, W, 3) uint8 RGB.
            target: (1, H, W, 3) or (1, 3, H, W), uint8, int8 or int16.
        """
        target = np.moveaxis(target[0], 0, -1) if self.planes else target[0]
        table = self.fed.table
        if table is not None:
            for channel in range(3):
                target[..., channel] = table[:, channel][image[..., channel]]
        elif target.dtype == np.int8:  # one pass, no copy
            np.bitwise_xor(image, np.uint8(0x80), out=target.view(np.uint8))
        else:
            target[...] = image

    def normalised(self, image: np.ndarray) -> np.ndarray:
        """(1, H, W, 3) or (1, 3, H, W) float32 for a float input."""
        mean, std = (np.asarray(part, np.float32) for part in (self.fed.mean, self.fed.std))
        values = (image - mean) / std
        return (np.moveaxis(values, -1, 0) if self.planes else values)[None]

    def read(self, output: np.ndarray) -> np.ndarray:
        """(h, w, classes) scores or (h, w) labels from what the graph gives.

        Raises:
            ModelFileError: a label that is not a class index.
        """
        values = output[0]
        if self.own:
            return values
        values = np.moveaxis(values, 0, -1) if self.axis == 1 else values
        if self.outputs == "labels":
            return _labels(values[..., 0] if self.axis else values)
        if self.scale:
            step, zero = self.scale
            values = (values.astype(np.float32) - np.float32(zero)) * np.float32(step)
        return _two_classes(self, values) if self.binary else values


def _labels(values: np.ndarray) -> np.ndarray:
    if values.dtype != np.uint8 and (values.min() < 0 or values.max() > IGNORE):
        raise ModelFileError(
            f"its label map holds {values.min()}..{values.max()}, expected class indices 0..255"
        )
    return values.astype(np.uint8, copy=False)


def _two_classes(ports: Ports, values: np.ndarray) -> np.ndarray:
    """Scores of background and foreground: the second wins where it is above the threshold."""
    score = (values if ports.axis else values[..., None]).astype(np.float32, copy=False)
    if ports.outputs == "prob":
        return np.concatenate([np.float32(1 + ports.offset) - score, score], -1)
    return np.concatenate([np.full_like(score, ports.offset), score], -1)


def ports_of(
    path: Path,
    content: bytes,
    graphs: ModelGraphs,
    metadata: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
) -> Ports:
    """How a file is fed and read.

    Args:
        path: for messages.
        content: of the file.
        graphs: in it.
        metadata: ours in it; empty for files from elsewhere.
        options: `ForeignOptions`, beside those that hold meanwhile.

    Raises:
        ModelFileError: no segmentation model, or one that cannot run here.
        ConfigError: something is not said, or options are not valid or contradict the file.
    """
    given, graph = checked_options(options or {}), graphs.main
    check_custom(path, graph)
    size, planes = _image(path, graph)
    if not metadata:
        return _foreign(path, graph, size, planes, Told(path, content, graphs), given)
    ports = _own(path, graph, metadata, size)
    left = f"{', '.join(given)} left out: its own metadata say it" if given else ""
    return dataclasses.replace(ports, told=left)


def _image(path: Path, graph: Graph) -> tuple[Size, bool]:
    """(height, width) of the input, and whether its colours are planes."""
    if len(graph.inputs) != 1 or not graph.outputs:
        raise ModelFileError(
            f"{path}: expected one input and one output, got {len(graph.inputs)} and "
            f"{len(graph.outputs)}"
        )
    shape = graph.tensors[graph.inputs[0]].shape
    for planes, channel in ((False, 3), (True, 1)):
        sides = shape[2:4] if planes else shape[1:3]
        if len(shape) == 4 and shape[0] in (1, -1) and shape[channel] == 3 and min(sides) >= 1:
            return (sides[0], sides[1]), planes
    raise no_segmentation(path, graph)


def _own(path: Path, graph: Graph, metadata: Mapping[str, Any], size: Size) -> Ports:
    """Bytes go in as they are, whatever mean and std; other inputs are normalised by these."""
    result = graph.tensors[graph.outputs[0]].shape
    if len(graph.outputs) != 1 or len(result) not in (3, 4):
        raise no_segmentation(path, graph)
    tensor = graph.tensors[graph.inputs[0]]
    mean, std = (three(name, metadata.get(name, 128.0)) for name in ("mean", "std"))
    wide = one_scale(tensor) and tensor.dtype == "int16"
    table = quantized_bytes(tensor, mean, std, np.float32) if wide else None
    kind = "labels" if len(result) == 3 else "logits-full" if result[1:3] == size else "logits"
    axis = 3 if len(result) == 4 else None
    outputs = str(metadata.get("outputs", kind))
    classes = _count(path, result[3]) if axis else None
    return Ports(True, size, Fed(mean, std, table), outputs, axis, classes)


def _count(path: Path, channels: int) -> int:
    if channels > MAX_CLASSES:
        raise ModelFileError(
            f"{path}: {channels} output channels, but a label map has room for at most "
            f"{MAX_CLASSES} classes"
        )
    return channels


def _foreign(
    path: Path, graph: Graph, size: Size, planes: bool, told: Told, given: Mapping[str, Any]
) -> Ports:
    place, axis = segmenting(path, graph, size, planes, told, given.get("output_tensor"))
    tensor = graph.tensors[graph.outputs[place]]
    count = 1 if axis is None else _count(path, tensor.shape[axis])
    kind, said = meaning(path, graph, tensor, count, told)
    binary = count == 1 and kind != "labels"
    if "threshold" in given and not binary:
        raise ConfigError(f"{path}: a threshold is for one channel of scores, but it gives {said}")
    threshold = given.get("threshold", 0.5)
    odds = 2 * threshold - 1 if kind == "prob" else math.log(threshold / (1 - threshold))
    names = told.names(place, None if kind == "labels" else count)
    source = fed(path, graph.tensors[graph.inputs[0]], told, given)
    scale = (tensor.scales[0], tensor.zero_points[0]) if one_scale(tensor) else None
    of = f" {printable(tensor.name)}" if len(graph.outputs) > 1 else ""
    above = f", foreground above {threshold:g}" if binary else ""
    sides = tensor.shape[2:4] if axis == 1 else tensor.shape[1:3]
    return Ports(
        own=False,
        size=size,
        fed=source,
        outputs="logits-full" if kind == "logits" and sides == size else kind,
        axis=axis,
        classes=2 if binary else None if kind == "labels" else count,
        planes=planes,
        place=place,
        binary=binary,
        offset=odds if binary else 0.0,
        scale=scale if binary or kind == "prob" else None,
        names=BINARY if binary else names,
        told=f"from elsewhere: {source.told}; output{of} read as {said}{above}",
    )
