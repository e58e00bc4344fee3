"""`import_checkpoint`: weights of PyTorch and PaddlePaddle implementations as our Keras model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from ...core.aliases import StrPath
from ...core.arguments import check_name
from ...core.config import FastSCNNConfig
from ...core.errors import ConfigError, ModelFileError
from ...core.keras_api import KerasModel
from ...core.labels import MAX_CLASSES
from ..complexity import LayerCost, complexity
from ..fast_scnn import fast_scnn, resize_model
from ..folded import is_depthwise
from ..ranges import LOGITS
from .checkpoint_file import read_checkpoint
from .peer_names import PEERS, PeerFormat
from .weights_file import import_weights

AUTO, OWN = "auto", "fastscnn"
SOURCES = (AUTO, *PEERS, OWN)
SHOWN = 4  # tensors of one kind that an error message names
MMCV_AVERAGE = "ema_"  # mmcv 1.x keeps averaged weights beside the others

Tensors = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """One tensor of ours: its place in a layer, and its shape as they store it."""

    layer: str
    position: int
    shape: tuple[int, ...]


def import_checkpoint(
    path: StrPath,
    source: str = AUTO,
    num_classes: int | None = None,
    *,
    aux_heads: bool = False,
    ema: bool = False,
    **changes: Any,
) -> KerasModel:
    """Reads a checkpoint of another implementation; nothing in the file is executed.

    Args:
        path: .pth (PyTorch's zip or legacy format), .pdparams or .safetensors, or a .npz of
            `export_weights`.
        source: whose code wrote it: `mmseg`, `tramac`, `paddleseg`, `gluon`, `zh320`, `fastscnn`
            (a .npz), or `auto` to tell by its tensors' names.
        num_classes: its classes; read from the file by default.
        aux_heads: keep the auxiliary heads, to go on training; without them the model is one for
            inference.
        ema: take the averaged weights where a checkpoint has both.
        changes: fields of `FastSCNNConfig` that differ from the preset, such as `input_size`,
            `class_names`, `mean` or `std`.

    Returns:
        A Keras 3 model as `fast_scnn` builds it, from images normalised by its `config`.

    Raises:
        ModelFileError: no such file, damaged, or tensors are missing, unexpected or of another
            shape; all of them are reported at once.
        ConfigError: unknown source, a change that does not fit, or no such auxiliary heads.

    Example:
        model = import_checkpoint("fast_scnn_cityscapes.pth", "mmseg", num_classes=19)
    """
    check_name("source", source, SOURCES)
    if source == OWN or (source == AUTO and str(path).endswith(".npz")):
        return _own(path, num_classes, aux_heads, ema, changes)
    _check_path(Path(path))
    tensors = read_checkpoint(path, ema=ema)
    looks_like = _recognise(tensors, path)
    if source not in (AUTO, looks_like):
        raise ModelFileError(f"{path}: not a {source} checkpoint, but one of {looks_like}")
    source, peer = looks_like, PEERS[looks_like]
    preset = FastSCNNConfig.preset(source)
    if aux_heads and not preset.aux_layout:
        raise ConfigError(f"{path}: {source} has no auxiliary heads: do not ask to keep them")
    found = _classes(tensors, peer, preset) or num_classes or preset.num_classes
    if num_classes not in (None, found):
        raise ModelFileError(f"{path}: has {found} classes, not {num_classes}")
    if not 2 <= found <= MAX_CLASSES:
        raise ModelFileError(f"{path}: has {found} classes, expected 2..{MAX_CLASSES}")
    config = FastSCNNConfig.preset(
        source, **{**changes, "num_classes": found, "aux_heads": aux_heads}
    )
    values = _check(tensors, peer, config, f"{path}: not a {source} checkpoint of this network")
    model = fast_scnn(config)
    for layer, weights in values.items():
        model.get_layer(layer).set_weights(weights)
    return model


def _own(
    path: StrPath, num_classes: int | None, aux_heads: bool, ema: bool, changes: dict[str, Any]
) -> KerasModel:
    """A .npz of `export_weights`; it says itself what it is.

    Raises:
        ModelFileError: not such a file, or of another number of classes.
        ConfigError: an option that it has no use for.
    """
    model = import_weights(path)
    if num_classes not in (None, model.config.num_classes):
        raise ModelFileError(f"{path}: has {model.config.num_classes} classes, not {num_classes}")
    size = changes.pop("input_size", model.config.input_size)
    if changes or ema:
        what = ", ".join([*changes, *["ema"] * ema])
        raise ConfigError(f"{path}: a .npz carries its own configuration: leave out {what}")
    if aux_heads and not model.config.aux_heads:
        raise ConfigError(f"{path}: has no auxiliary heads")
    keep = aux_heads and size == model.config.input_size
    return model if keep else resize_model(model, size)


def _recognise(tensors: Tensors, path: Any) -> str:
    """The implementation that shares most names with the file.

    Raises:
        ModelFileError: none shares more than a few.
    """
    shares = {}
    for source, peer in PEERS.items():
        wanted = _wanted(peer, FastSCNNConfig.preset(source))
        shares[source] = len(wanted.keys() & tensors.keys()) / len(wanted)
    best = max(shares, key=lambda source: shares[source])
    if shares[best] < 0.5:
        example = ", ".join(list(tensors)[:3])
        raise ModelFileError(
            f"{path}: not a Fast-SCNN of {', '.join(PEERS)}: its tensors are called {example}, ..."
        )
    return best


def _classes(tensors: Tensors, peer: PeerFormat, config: FastSCNNConfig) -> int | None:
    """The number of classes in the file, or None where the last kernel is missing."""
    kernel = tensors.get(f"{peer.names(config)[LOGITS][0]}.weight")
    return int(kernel.shape[0]) if kernel is not None and kernel.ndim else None


def _check_path(path: Path) -> None:
    """Names what is not a checkpoint of another implementation.

    Raises:
        ModelFileError: a folder, or a file of this project.
    """
    if path.is_dir():
        raise ModelFileError(f"{path}: a folder, expected a checkpoint file")
    if path.suffix == ".keras" and path.is_file():
        raise ModelFileError(f"{path}: a .keras file needs no import")
    if path.suffix == ".npz" and path.is_file():
        raise ModelFileError(f"{path}: a .npz is read from source {OWN!r} (--from {OWN})")


def _wanted(peer: PeerFormat, config: FastSCNNConfig) -> dict[str, _Wanted]:
    """Their tensor names -> where each goes."""
    names, found = peer.names(config), {}
    for cost in complexity(config.replace(input_size=(32, 32), pad=False)).layers:
        if not cost.parameters:
            continue
        if cost.name not in names:
            raise ConfigError(f"this source knows no tensors for {cost.name!r}")
        conv, norm = names[cost.name]
        channels = (cost.output[2],)
        if cost.kernel:
            found[f"{conv}.weight"] = _Wanted(cost.name, 0, _stored_shape(cost))
        if cost.bias_weights:
            found[f"{conv}.bias"] = _Wanted(cost.name, 1, channels)
        if cost.norm_weights:
            for position, part in enumerate(("weight", "bias", peer.mean, peer.variance)):
                found[f"{norm}.{part}"] = _Wanted(f"{cost.name}.bn", position, channels)
    return found


def _stored_shape(cost: LayerCost) -> tuple[int, ...]:
    """A kernel's shape as others store it: (out, in, kh, kw), depthwise (channels, 1, kh, kw)."""
    height, width, inputs, outputs = cost.kernel
    first, second = (inputs, 1) if is_depthwise(cost.name) else (outputs, inputs)
    return first, second, height, width


def _check(
    tensors: Tensors, peer: PeerFormat, config: FastSCNNConfig, what: str
) -> dict[str, list[np.ndarray]]:
    """Our layers -> their weights in our layout.

    Raises:
        ModelFileError: tensors are missing, unexpected or of another shape.
    """
    wanted = _wanted(peer, config)
    missing = [name for name in wanted if name not in tensors]
    foreign = [
        name
        for name in tensors
        if name not in wanted and not name.startswith((*peer.aux_prefixes, MMCV_AVERAGE))
    ]
    wrong = [
        f"{name} is {tensors[name].shape} instead of {place.shape}"
        for name, place in wanted.items()
        if name in tensors and tensors[name].shape != place.shape
    ]
    reports = [
        _report(missing, "missing"),
        _report(foreign, "unexpected"),
        _report(wrong, "of another shape"),
    ]
    if any(reports):
        raise ModelFileError(f"{what}: {'; '.join(filter(None, reports))}")
    values: dict[str, list[np.ndarray]] = {}
    for name, place in wanted.items():
        if tensors[name].dtype.kind not in "fiu":
            raise ModelFileError(f"{what}: {name} is {tensors[name].dtype}, expected numbers")
        value = tensors[name].astype(np.float32)
        if not np.isfinite(value).all():
            raise ModelFileError(f"{what}: {name} is NaN or infinite")
        if name.endswith(f".{peer.variance}") and (value < 0).any():
            raise ModelFileError(f"{what}: {name} is a variance below 0")
        if value.ndim == 4:
            value = value.transpose((2, 3, 0, 1) if is_depthwise(place.layer) else (2, 3, 1, 0))
        assert len(values.setdefault(place.layer, [])) == place.position
        values[place.layer].append(value)
    return values


def _report(names: list[str], kind: str) -> str:
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {kind} ({', '.join(names[:SHOWN])}{more})"
