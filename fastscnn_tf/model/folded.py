"""`FoldedNetwork`: convolution weights with batch normalisation folded in, and tensor ranges.

Plain numpy: the common ground of quantization (which trains these weights), export (which writes
them into a graph) and the .npz checkpoint of quantization-aware training. Folding first gives
every depthwise channel its own weight scale and leaves nothing for the converter to fold.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.config import FastSCNNConfig
from ..core.errors import ModelFileError
from ..core.files.writing import write_bytes
from ..core.keras_api import KerasModel
from .byte_input import FIRST, byte_weights
from .checkpoints.weights_file import Description, described_bytes, read_described
from .complexity import complexity
from .fast_scnn import require_fast_scnn

FORMAT = "fastscnn_tf.folded/2"
FLAGS = ("fine_tuned", "frozen", "takes_bytes")  # of a network, in the file's description
HINT = "; if it is weights of export-weights, fastscnn import reads them"
SUMMANDS, SUM_NORM = ("fusion.low", "fusion.high"), "fusion.add.bn"

Weights = tuple[np.ndarray, np.ndarray]  # kernel, bias


@dataclasses.dataclass(frozen=True)
class FoldedNetwork:
    """A network ready to be written into a graph.

    Attributes:
        config: its configuration, without auxiliary heads.
        weights: layer -> (kernel, bias); kernels in Keras layout (kh, kw, in, out), depthwise
            ones (kh, kw, channels, 1).
        ranges: tensor -> (min, max) of its int8 quantization; empty for a float network.
        fine_tuned: whether quantization-aware training has adapted the weights.
        frozen: whether the ranges stay as they are if that training goes on.
        takes_bytes: whether the first layer is one for raw bytes (see `byte_input`); always so
            where there are ranges.
        extra: further arrays a checkpoint carries, such as the optimizer's.
    """

    config: FastSCNNConfig
    weights: dict[str, Weights]
    ranges: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    fine_tuned: bool = False
    frozen: bool = False
    takes_bytes: bool = False
    extra: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def replace(self, **changes: Any) -> FoldedNetwork:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def fold(model: KerasModel) -> FoldedNetwork:
    """Folds the batch normalisation of a trained Keras model into its convolutions.

    Args:
        model: a model built by `fast_scnn`, of either Keras.

    Raises:
        ModelFileError: a weight is NaN or infinite.
    """
    config = require_fast_scnn(model)
    values = {x.name: x.get_weights() for x in model.layers if not x.name.startswith("aux_")}
    for name, weights in values.items():
        check_finite(name.removesuffix(".bn"), *weights)
    folded = {}
    for name, weights in values.items():
        if not weights or name.endswith(".bn"):
            continue
        norms = [values[f"{name}.bn"]] if f"{name}.bn" in values else []
        if name in SUMMANDS and SUM_NORM in values:
            # A normalised sum scales both summands, and shifts once.
            gamma, beta, mean, variance = values[SUM_NORM]
            zero = np.zeros_like(beta)
            shift = (beta, mean) if name == SUMMANDS[0] else (zero, zero)
            norms.append([gamma, *shift, variance])
        folded[name] = _fold_layer(weights, norms, is_depthwise(name), config.bn_epsilon)
    return FoldedNetwork(config.replace(aux_heads=False), folded)


def _fold_layer(
    weights: list[np.ndarray], norms: list[list[np.ndarray]], depthwise: bool, epsilon: float
) -> Weights:
    kernel = weights[0].astype(np.float64)
    channels = kernel.shape[2] if depthwise else kernel.shape[3]
    bias = weights[1].astype(np.float64) if len(weights) > 1 else np.zeros(channels)
    for norm in norms:
        gamma, beta, mean, variance = (v.astype(np.float64) for v in norm)
        factor = gamma / np.sqrt(variance + epsilon)
        kernel = kernel * (factor[:, None] if depthwise else factor)
        bias = beta + (bias - mean) * factor
    return kernel.astype(np.float32), bias.astype(np.float32)


def on_bytes(network: FoldedNetwork) -> FoldedNetwork:
    """The network with a first layer for raw bytes (see `byte_input`)."""
    if network.takes_bytes:
        return network
    first = byte_weights(*network.weights[FIRST], network.config)
    return network.replace(weights={**network.weights, FIRST: first}, takes_bytes=True)


def check_finite(name: str, *weights: np.ndarray) -> None:
    """Makes sure that a layer's weights are finite.

    Raises:
        ModelFileError: they are not.
    """
    if not all(np.isfinite(array).all() for array in weights):
        raise ModelFileError(f"weights of {name!r} are NaN or infinite: train the model again")


def check_activations(name: str, *limits: np.ndarray) -> None:
    """Makes sure that what a tensor holds is finite.

    Raises:
        ModelFileError: it is not.
    """
    if not all(np.isfinite(limit).all() for limit in limits):
        raise ModelFileError(
            f"{name!r} becomes NaN or infinite: the model is broken, train it again"
        )


def is_depthwise(name: str) -> bool:
    """Whether the layer of that name holds a depthwise kernel."""
    return name.endswith("depthwise")


def save_folded(network: FoldedNetwork, path: StrPath) -> None:
    """Writes a .npz: `weights/<layer>/kernel|bias`, `ranges/<tensor>`, `extra/<name>`, `meta`."""
    arrays: dict[str, np.ndarray] = {}
    for name, (kernel, bias) in network.weights.items():
        arrays[f"weights/{name}/kernel"], arrays[f"weights/{name}/bias"] = kernel, bias
    arrays |= {f"ranges/{name}": np.asarray(r, np.float32) for name, r in network.ranges.items()}
    arrays |= {f"extra/{name}": array for name, array in network.extra.items()}
    flags = {name: getattr(network, name) for name in FLAGS}
    meta = {"format": FORMAT, "config": network.config.to_dict(), **flags}
    write_bytes(path, described_bytes("meta", meta, arrays))


class _FoldedMeta(Description):
    fine_tuned: bool
    takes_bytes: bool
    frozen: bool = False


def load_folded(path: StrPath) -> FoldedNetwork:
    """Reads what `save_folded` wrote.

    Raises:
        ModelFileError: missing, damaged, or another kind of file.
    """
    path = Path(path)
    meta, config, values = read_described(
        path, "meta", _FoldedMeta, FORMAT, "quantization-aware checkpoint", HINT
    )
    weights = {
        name: (
            _floats(values, f"weights/{name}/kernel", kernel, path),
            _floats(values, f"weights/{name}/bias", (channels,), path),
        )
        for name, kernel, channels in _expected(config)
    }
    ranges = {}
    for key in values:
        if key.startswith("ranges/"):
            low, high = _floats(values, key, (2,), path).tolist()
            ranges[key.removeprefix("ranges/")] = (low, high)
    return FoldedNetwork(
        config=config,
        weights=weights,
        ranges=ranges,
        **{name: getattr(meta, name) for name in FLAGS},
        extra={k.removeprefix("extra/"): v for k, v in values.items() if k.startswith("extra/")},
    )


def _floats(
    values: dict[str, np.ndarray], name: str, shape: tuple[int, ...], path: Path
) -> np.ndarray:
    array = values.get(name)
    if array is None or array.shape != shape or array.dtype.kind != "f":
        found = "is missing" if array is None else f"is {array.dtype} of shape {array.shape}"
        raise ModelFileError(f"{path}: damaged, {name} {found}, expected floats of {shape}")
    return array


def _expected(config: FastSCNNConfig) -> list[tuple[str, tuple[int, ...], int]]:
    """(layer, shape of its kernel, channels) of all convolutions."""
    layers = complexity(config.replace(input_size=(32, 32), pad=False)).layers
    return [(cost.name, cost.kernel, cost.output[2]) for cost in layers if cost.kernel]
