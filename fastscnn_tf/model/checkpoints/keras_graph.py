"""What a whole Keras model says of its layers and its weights do not.

Strides, dilations, paddings, poolings and resizes leave no trace in shapes: a network that differs
in them would compute something else here without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ...core.config import FastSCNNConfig
from ...core.errors import ModelFileError
from ...core.files.json_text import decode_json
from ...core.files.protobuf import Wire, text
from ...core.files.reading import read_bytes
from ...core.files.zip_archive import open_zip
from ...core.foreign_text import one_line
from ...core.images.interpolation import HALF_PIXEL
from ...core.keras_api import KerasModel
from ..windows import even_windows, pooling_windows
from .checkpoint_file import MAX_BYTES
from .keras_archive import CONFIG, read_hdf5
from .peer_names import PeerFormat
from .variables_index import prefix_of

LARGEST = 16 << 20  # bytes of a model's description; a Fast-SCNN takes 0.1 MB
HDF5_MODEL = "model_config"  # the attribute
# Classes of layers -> their kernels, which tell the class of a layer among weights.
_KERNELS = {
    "Conv2D": ("kernel",),
    "DepthwiseConv2D": ("depthwise_kernel",),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel"),
}
_FUSED = "fusion.low_depthwise"


class LayerConfig(msgspec.Struct):
    """What is read of a layer, or of a model inside a model."""

    name: Any = ""
    strides: Any = 1
    dilation_rate: Any = 1
    padding: Any = "valid"
    pool_size: Any = 1
    interpolation: Any = ""
    epsilon: Any = None
    max_value: Any = None
    batch_input_shape: Any = None  # Keras 2
    batch_shape: Any = None  # Keras 3
    layers: list[Layer] = []


class Layer(msgspec.Struct):
    """A layer of a model, or the model."""

    class_name: str = ""
    config: LayerConfig = msgspec.field(default_factory=LayerConfig)

    @property
    def kind(self) -> str:
        """Its class, without TensorFlow's versions."""
        return re.sub(r"V\d$", "", self.class_name)


def read_layers(path: Path) -> list[Layer]:
    """The layers of the model in a file, in their order; none where it has weights alone.

    Raises:
        ModelFileError: damaged.
    """
    content = _description(path)
    if not content:
        return []
    where = f"{path}: its model"
    root: Layer = decode_json(content, where, Layer, largest=LARGEST, error=ModelFileError)
    return list(_flat(root))


def _flat(layer: Layer) -> Iterator[Layer]:
    for inner in layer.config.layers:
        yield from _flat(inner) if inner.config.layers else [inner]


def _description(path: Path) -> bytes:
    """JSON of the model, from a `.keras`, HDF5 or beside a SavedModel."""
    if prefix := prefix_of(path):
        metadata = prefix.parent.parent / "keras_metadata.pb"
        return _of_metadata(metadata) if metadata.is_file() else b""
    data = read_bytes(path, "checkpoint", largest=MAX_BYTES, error=ModelFileError)
    if data.startswith(b"PK"):
        with open_zip(data, str(path), "model file", error=ModelFileError) as archive:
            return archive.read(CONFIG, LARGEST) if CONFIG in archive.sizes else b""
    if not data.startswith(b"\x89HDF"):
        return b""
    return bytes(read_hdf5(data, str(path), LARGEST, attribute=HDF5_MODEL)[HDF5_MODEL])


def _of_metadata(path: Path) -> bytes:
    """The JSON of the first node, which is the model (TensorFlow, saved_metadata.proto)."""
    wire = Wire()
    try:
        data = read_bytes(path, "metadata", largest=LARGEST, error=ModelFileError)
        node = wire.message(next(v for number, v in wire.fields(memoryview(data)) if number == 1))
        return text(node[5][0]).encode()
    except (ValueError, LookupError, StopIteration) as error:
        raise ModelFileError(f"{path}: damaged ({one_line(error)[:80]})") from None


def told(
    layers: list[Layer], peer: PeerFormat, config: FastSCNNConfig, path: Any
) -> dict[str, Any]:
    """Fields of the configuration that the layers tell otherwise.

    Raises:
        ModelFileError: normalisations of several epsilons.
    """
    found: dict[str, Any] = {}
    epsilons = {_shown(la.config.epsilon) for la in layers if la.kind == "BatchNormalization"}
    if len(epsilons) > 1:
        some = ", ".join(sorted(epsilons)[:4])
        raise ModelFileError(f"{path}: its batch normalisations have epsilons {some}: expected one")
    for layer in layers:
        if layer.kind == "BatchNormalization" and isinstance(layer.config.epsilon, float):
            found["bn_epsilon"] = layer.config.epsilon
    fused = _by_layer(layers, peer, config).get(_FUSED)
    rate = _pair(fused.config.dilation_rate) if fused else None
    if rate and rate[0] == rate[1] and type(rate[0]) is int and rate[0] != config.fusion_dilation:
        found |= {"fusion_dilation": rate[0], "fusion_order": "resize_first"}
    return {name: value for name, value in found.items() if value != getattr(config, name)}


def differences(layers: list[Layer], peer: PeerFormat, model: KerasModel) -> list[str]:
    """Where the layers compute something else than those of our model, one text for each."""
    config: FastSCNNConfig = model.config
    faults = []

    def compare(layer: Layer, field: str, theirs: Any, ours: Any) -> None:
        if theirs != ours:
            name = one_line(layer.config.name)[:40]
            faults.append(f"{name}: {field} {_shown(theirs)} instead of {_shown(ours)}")

    for ours, layer in _by_layer(layers, peer, config).items():
        own, theirs = model.get_layer(ours), layer.config
        rate = config.fusion_dilation if ours == _FUSED else 1
        compare(layer, "strides", _pair(theirs.strides), _pair(own.strides))
        compare(layer, "dilation_rate", _pair(theirs.dilation_rate), (rate, rate))
        if _pair(own.kernel_size) != (1, 1):  # where every padding is the same
            compare(layer, "padding", theirs.padding, own.padding)
    for layer, part in _resizes(layers):
        sampling = config.sampling(part)
        ours = "bilinear" if sampling == HALF_PIXEL else sampling
        compare(layer, "interpolation", layer.config.interpolation, ours)
    for layer in layers:
        if layer.kind == "ReLU":
            compare(layer, "max_value", layer.config.max_value, None)
    for layer, fields in _poolings(layers, config):
        for field, theirs, expected in fields:
            compare(layer, field, theirs, expected)
    return faults


def _by_layer(layers: list[Layer], peer: PeerFormat, config: FastSCNNConfig) -> dict[str, Layer]:
    """Our convolutions -> theirs, by the names that their weights have."""
    found = ((layer, kernel) for layer in layers for kernel in _KERNELS.get(layer.kind, ()))
    spelled = peer.spelled({f"{one_line(la.config.name)}/{kernel}": la for la, kernel in found})
    names = {ours: conv for ours, (conv, _) in peer.names(config).items()}
    kernels = {o: f"{c}/kernel" for o, c in names.items() if not c.endswith(".pointwise")}
    return {ours: spelled[kernel] for ours, kernel in kernels.items() if kernel in spelled}


def _resizes(layers: list[Layer]) -> Iterator[tuple[Layer, str]]:
    """Resizes and where they are: in the pyramid up to its concatenation, the fusion's, the last.

    Of resizes by functions nothing is known.
    """
    ends = [i for i, layer in enumerate(layers) if layer.kind == "Concatenate"]
    behind = 0
    for i, layer in enumerate(layers if ends else []):
        if layer.kind in ("UpSampling2D", "Resizing"):
            behind += i > ends[0]
            yield layer, ("pyramid", "fusion", "logits")[min(behind, 2)]


def _poolings(
    layers: list[Layer], config: FastSCNNConfig
) -> Iterator[tuple[Layer, list[tuple[str, Any, Any]]]]:
    """The pyramid's poolings, at the size that their model takes: fields, theirs and ours."""
    pools = [layer for layer in layers if layer.kind == "AveragePooling2D"]
    shapes = (_plain(x.config.batch_input_shape or x.config.batch_shape) for x in layers)
    size = next((shape[1:3] for shape in shapes if isinstance(shape, list)), [])
    sides = all(type(side) is int and 32 <= side < 1 << 16 for side in size)
    if len(size) != 2 or not sides or len(pools) != len(config.pyramid_bins):
        return
    high, wide = (-(-side // 32) for side in size)
    for layer, ours in zip(pools, pooling_windows((high, wide), config), strict=True):
        side, whole = _pair(layer.config.pool_size), layer.config.padding == "same"
        fields = [("strides", _pair(layer.config.strides or side), side)]
        if all(type(cells) is int for cells in side):
            theirs = even_windows(high, side[0], whole), even_windows(wide, side[1], whole)
            if theirs != ours:
                expected = tuple(max(b - a for a, b in spans) for spans in ours)
                fields.append(("pool_size", (*side, layer.config.padding), expected))
        yield layer, fields


def _pair(value: Any) -> tuple[Any, ...]:
    """A number for both axes, or one for each."""
    value = _plain(value)
    return tuple(value) if isinstance(value, list | tuple) and len(value) == 2 else (value, value)


def _plain(value: Any) -> Any:
    """The list in what a SavedModel calls a tuple."""
    return value.get("items") if isinstance(value, dict) else value


def _shown(value: Any) -> str:
    return one_line(value)[:40]
