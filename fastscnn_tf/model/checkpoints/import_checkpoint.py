"""`import_checkpoint`: weights of other implementations as our Keras model."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from ...core.aliases import StrPath
from ...core.arguments import check_name
from ...core.class_maps import VOID_NAMES
from ...core.config import FastSCNNConfig
from ...core.console import LOG
from ...core.errors import ConfigError, ModelFileError
from ...core.keras_api import KerasModel
from ...core.labels import CITYSCAPES, MAX_CLASSES
from ..complexity import LayerCost, complexity
from ..fast_scnn import fast_scnn, resize_model
from ..folded import is_depthwise
from ..layers import PACKAGE
from ..ranges import LOGITS
from .checkpoint_file import read_checkpoint
from .keras_archive import open_keras
from .keras_graph import differences, read_layers, told
from .onnx_order import named_by_order
from .peer_names import PEERS, Names, PeerFormat, Tensors, by_depth
from .weights_file import import_weights

AUTO, OWN = "auto", "fastscnn"
SOURCES = (AUTO, *PEERS, OWN)
SHOWN = 4  # tensors of one kind that an error message names
ANY_SIZE = (1024, 2048)  # names and shapes are those of every size
MOST_REPEATS = 16
MMCV_AVERAGE = "ema_"  # mmcv 1.x keeps averaged weights beside the others
WITH_VOID = "skywa7ch3r"  # whose last class is void, where it has Cityscapes' and one more
# Layers that tell the widths of a network, in the order of the field's numbers.
_LTD, _BLOCK = "learning_to_downsample", "global_features.bottleneck{}_1.{}"
WIDTHS = {
    "stem_widths": (f"{_LTD}.conv", f"{_LTD}.ds1_pointwise", f"{_LTD}.ds2_pointwise"),
    "bottleneck_widths": tuple(_BLOCK.format(group, "project") for group in (1, 2, 3)),
    "head_widths": ("pyramid.output", "fusion.high", "classifier.ds1_pointwise"),
}


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
    prefix: str = "",
    **changes: Any,
) -> KerasModel:
    """Reads a checkpoint of another implementation; nothing in the file is executed.

    Args:
        path: .pth (PyTorch's zip or legacy format), .pdparams, .safetensors, Keras' HDF5, a folder
            with a SavedModel, MindSpore's .ckpt or .onnx, or a .npz of `export_weights`.
        source: whose code wrote it: `mmseg`, `tramac`, `paddleseg`, `gluon`, `zh320`, `mindspore`,
            `rachthree`, `kshitizrimal` (the script), `kshitizrimal-notebook`, `skywa7ch3r`,
            `shrief`, `fastscnn` (a .npz), or `auto` to tell by names and shapes of its tensors.
        num_classes: its classes; read from the file by default.
        aux_heads: keep the auxiliary heads, to go on training; without them the model is one for
            inference.
        ema: take the averaged weights where a checkpoint has both.
        prefix: what the names of the network's tensors begin with, such as `student.`, where a
            file holds several.
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
        given = changes | ({"prefix": prefix} if prefix else {})
        return _own(path, num_classes, aux_heads, ema, given)
    _check_path(Path(path))
    tensors = named_by_order(read_checkpoint(path, ema=ema, prefix=prefix), path, source)
    asked, source = source, recognise(tensors, source, path)
    peer, preset = PEERS[source], FastSCNNConfig.preset(source)
    if aux_heads and not preset.aux_layout:
        raise ConfigError(f"{path}: {source} has no auxiliary heads: do not ask to keep them")
    tensors = _two_classes(peer.spelled(tensors), peer, preset, path)
    classes = _channels(tensors, peer, peer.names(preset), LOGITS)
    found = classes or num_classes or preset.num_classes
    if num_classes not in (None, found):
        raise ModelFileError(f"{path}: has {found} classes, not {num_classes}")
    if not 2 <= found <= MAX_CLASSES:
        raise ModelFileError(f"{path}: has {found} classes, expected 2..{MAX_CLASSES}")
    changes |= {**_named(changes, source, found, path), "num_classes": found}
    config = FastSCNNConfig.preset(source, **changes, aux_heads=aux_heads)
    layers = read_layers(Path(path)) if peer.is_keras else []
    otherwise = told(layers, peer, config, path)
    if otherwise := {name: otherwise[name] for name in otherwise.keys() - changes.keys()}:
        _tell(f"{path}: by its own description", otherwise)
        config = config.replace(**otherwise)
    tensors, config = _fitting(tensors, peer, config, changes, path)
    if faults := _faults(tensors, peer, config):
        raise ModelFileError(f"{path}: not a {source} checkpoint of this network: {faults}")
    values = _values(tensors, peer, config, path)
    model = fast_scnn(config)
    if others := differences(layers, peer, model):
        raise ModelFileError(
            f"{path}: by its own description another network than that of {source}, which would "
            f"compute something else: {_report(others, 'different', '; ')}"
        )
    for layer, weights in values.items():
        model.get_layer(layer).set_weights(weights)
    if asked == AUTO:
        LOG.info("%s: by names and shapes of its tensors, a network of %s", path, source)
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


def recognise(tensors: Tensors, source: str, path: Any) -> str:
    """The implementation that shares most names with the file.

    Names that Keras made are everybody's: of them, only those with our shape count, unless all are
    there or the implementation is known.

    Raises:
        ModelFileError: none shares more than a few, or the one asked for shares less than another.
    """
    shares, shapes = {}, {}
    for name, peer in PEERS.items():
        wanted, spelled = _usual(name), peer.spelled(tensors)
        there = wanted.keys() & spelled.keys()
        alike = {key for key in there if spelled[key].shape == wanted[key].shape}
        if not peer.layers and source == AUTO and len(there) < len(wanted):
            there = alike
        shares[name], shapes[name] = len(there) / len(wanted), len(alike)
    best = max(shares, key=lambda name: (shares[name], shapes[name]))
    if shares[best] < 0.5:
        seen = ", ".join(f"{name} {tensors[name].shape}" for name in list(tensors)[:SHOWN])
        raise ModelFileError(
            f"{path}: not a Fast-SCNN of {', '.join(PEERS)}: it has {len(tensors)} tensors: "
            f"{seen}, ..."
        )
    if source != AUTO and shares[source] < shares[best]:
        raise ModelFileError(f"{path}: not a {source} checkpoint, but one of {best}")
    return best if source == AUTO else source


def _two_classes(tensors: Tensors, peer: PeerFormat, config: FastSCNNConfig, path: Any) -> Tensors:
    """The tensors with two classes where there was one channel, for a sigmoid.

    Its logit x becomes -x / 2 and x / 2, whose softmax is the sigmoid of x and its complement.
    """
    if config.logits_norm:
        return tensors
    tensors, axis = dict(tensors), -1 if peer.is_keras else 0
    names = peer.names(config)
    for layer, (conv, _) in names.items():
        if not layer.endswith("logits") or _channels(tensors, peer, names, layer) != 1:
            continue
        if layer == LOGITS:
            LOG.warning(
                "%s: one channel, for a sigmoid: two classes here, of logits -x/2 and x/2; class 1 "
                "is where the sigmoid is above 0.5 (mmseg's threshold is 0.3 where none is set)",
                path,
            )
        for part in peer.parts[:2]:
            value = tensors.get(f"{conv}{part}")
            if value is not None and value.ndim in (1, 4):
                half = value.astype(np.float32) / 2
                along = axis if half.ndim == 4 else 0
                tensors[f"{conv}{part}"] = np.concatenate([-half, half], along)
    return tensors


def _channels(tensors: Tensors, peer: PeerFormat, names: Names, layer: str) -> int | None:
    """The channels that a layer has in the file, None where it is not there."""
    kernel = tensors.get(f"{names[layer][0]}{peer.parts[0]}") if layer in names else None
    if kernel is None or kernel.ndim != 4:
        return None
    return int(kernel.shape[-1 if peer.is_keras else 0])


def _fitting(
    tensors: Tensors, peer: PeerFormat, config: FastSCNNConfig, changes: dict[str, Any], path: Any
) -> tuple[Tensors, FastSCNNConfig]:
    """The tensors and the configuration that fit each other; as they are where none do."""
    orders = [tensors]
    if peer.is_keras and not peer.layers:
        orders.append(by_depth(tensors, peer.names(config)))
    for order in orders if _faults(tensors, peer, config) else []:
        found = config if "width" in changes else _resized(order, peer, config, changes, path)
        if not _faults(order, peer, found):
            return order, found
    return tensors, config


def _resized(
    tensors: Tensors, peer: PeerFormat, config: FastSCNNConfig, changes: dict[str, Any], path: Any
) -> FastSCNNConfig:
    """The configuration with the sizes that the shapes tell, if the whole file fits them."""
    try:
        sizes = {**_sizes(tensors, peer, config), **changes}
        resized = config.replace(**sizes)
    except ConfigError:  # sizes of no Fast-SCNN
        return config
    if resized == config or _faults(tensors, peer, resized):
        return config
    news = {name: value for name, value in sizes.items() if value != getattr(config, name)}
    _tell(f"{path}: by its shapes", news)
    return resized


def _tell(by: str, fields: dict[str, Any]) -> None:
    LOG.warning("%s, %s", by, ", ".join(f"{name} {value}" for name, value in fields.items()))


def _sizes(tensors: Tensors, peer: PeerFormat, config: FastSCNNConfig) -> dict[str, Any]:
    """Repeats, expansion and widths by the names and shapes; the preset's where they are silent."""
    repeats = config.repeats
    if peer.numbers_groups:
        names = peer.names(config.replace(repeats=(MOST_REPEATS,) * 3))
        there = [n for n in names if n.endswith(".expand") and _channels(tensors, peer, names, n)]
        repeats = tuple(sum(f"bottleneck{g}_" in name for name in there) for g in (1, 2, 3))
    names = peer.names(config.replace(repeats=repeats))

    def channels(layer: str, otherwise: int) -> int:
        return _channels(tensors, peer, names, layer) or otherwise

    told: dict[str, Any] = {
        field: tuple(map(channels, layers, getattr(config, field)))
        for field, layers in WIDTHS.items()
    }
    stem, deep = told["stem_widths"][2], told["bottleneck_widths"][2]
    told["repeats"] = repeats
    told["expansion"] = channels(_BLOCK.format(1, "expand"), stem * config.expansion) // stem
    branch = config.pyramid_branch_width or deep // 4
    if (found := channels(f"pyramid.bin{config.pyramid_bins[0]}", branch)) != branch:
        told["pyramid_branch_width"] = found
    told["aux_width"] = channels("aux_ltd.conv", config.aux_width)
    return told


def _named(changes: dict[str, Any], source: str, classes: int, path: Any) -> dict[str, Any]:
    """Class names and colours, with void's where the implementation trains it as a class.

    Raises:
        ModelFileError: there are more or fewer names than classes.
    """
    names, colors = (tuple(changes.get(n) or ()) for n in ("class_names", "class_colors"))
    if source == WITH_VOID and not names and classes == len(CITYSCAPES) + 1:
        names, colors = CITYSCAPES.names, CITYSCAPES.colors
    if source == WITH_VOID and names and len(names) == classes - 1:
        LOG.warning("%s: %d classes, taken for %s, ... and void", path, classes, names[0])
        names, colors = (*names, VOID_NAMES[0]), (*colors, (0, 0, 0)) if colors else ()
    if names and len(names) != classes:
        raise ModelFileError(f"{path}: has {classes} classes, not {len(names)}, as there are names")
    return {"class_names": names, "class_colors": colors} if names else {}


def _check_path(path: Path) -> None:
    """Names what is not a checkpoint of another implementation.

    Raises:
        ModelFileError: a file of this project.
    """
    if path.suffix == ".keras" and path.is_file():
        with open_keras(path) as file:
            if str(file.config.registered_name).startswith(f"{PACKAGE}>"):
                raise ModelFileError(f"{path}: a .keras file of this project needs no import")
    if path.suffix == ".npz" and path.is_file():
        raise ModelFileError(f"{path}: a .npz is read from source {OWN!r} (--from {OWN})")


def _wanted(peer: PeerFormat, config: FastSCNNConfig, aux: bool = False) -> dict[str, _Wanted]:
    """Their tensor names -> where each goes; with the auxiliary heads if there can be some."""
    heads = config.aux_heads or (aux and bool(config.aux_layout))
    config = config.replace(aux_heads=heads, input_size=ANY_SIZE, pad=False)
    names, found = peer.names(config), {}
    kernel, bias, *norms = peer.parts
    for cost in complexity(config).layers:
        if not cost.parameters:
            continue
        if cost.name not in names:
            raise ConfigError(f"this source knows no tensors for {cost.name!r}")
        conv, norm = names[cost.name]
        channels = (cost.output[2],)
        if cost.kernel:
            found[f"{conv}{kernel}"] = _Wanted(cost.name, 0, _stored_shape(cost, peer))
        if cost.bias_weights:
            found[f"{conv}{bias}"] = _Wanted(cost.name, 1, channels)
        if cost.norm_weights:
            for position, part in enumerate(norms):
                found[f"{norm}{part}"] = _Wanted(f"{cost.name}.bn", position, channels)
    return found


@functools.cache
def _usual(source: str) -> dict[str, _Wanted]:
    return _wanted(PEERS[source], FastSCNNConfig.preset(source))


def _stored_shape(cost: LayerCost, peer: PeerFormat) -> tuple[int, ...]:
    """A kernel's shape as they store it: ours, or (out, in, kh, kw), depthwise (out, 1, kh, kw)."""
    if peer.is_keras:
        return cost.kernel
    height, width, inputs, outputs = cost.kernel
    first, second = (inputs, 1) if is_depthwise(cost.name) else (outputs, inputs)
    return first, second, height, width


def _faults(tensors: Tensors, peer: PeerFormat, config: FastSCNNConfig) -> str:
    """What of a network is missing, unexpected or of another shape; empty where all is right."""
    wanted = _wanted(peer, config)
    known = _wanted(peer, config, aux=True)
    missing = [name for name in wanted if name not in tensors]
    beside = (*peer.aux_prefixes, MMCV_AVERAGE)
    foreign = [name for name in tensors if name not in known and not name.startswith(beside)]
    wrong = [
        f"{name} is {tensors[name].shape} instead of {place.shape}"
        for name, place in wanted.items()
        if name in tensors and tensors[name].shape != place.shape
    ]
    faults = (missing, "missing"), (foreign, "unexpected"), (wrong, "of another shape")
    return "; ".join(_report(names, kind) for names, kind in faults if names)


def _values(
    tensors: Tensors, peer: PeerFormat, config: FastSCNNConfig, path: Any
) -> dict[str, list[np.ndarray]]:
    """Our layers -> their weights in our layout.

    Raises:
        ModelFileError: a tensor holds what no network has.
    """
    values: dict[str, list[np.ndarray]] = {}
    for name, place in _wanted(peer, config).items():
        if tensors[name].dtype.kind not in "fiu":
            raise ModelFileError(f"{path}: {name} is {tensors[name].dtype}, expected numbers")
        value = tensors[name].astype(np.float32)
        if not np.isfinite(value).all():
            raise ModelFileError(f"{path}: {name} is NaN or infinite")
        if name.endswith(peer.parts[-1]) and (value < 0).any():
            raise ModelFileError(f"{path}: {name} is a variance below 0")
        if value.ndim == 4 and not peer.is_keras:
            value = value.transpose((2, 3, 0, 1) if is_depthwise(place.layer) else (2, 3, 1, 0))
        assert len(values.setdefault(place.layer, [])) == place.position
        values[place.layer].append(value)
    return values


def _report(names: list[str], kind: str, between: str = ", ") -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {kind} ({between.join(names[:SHOWN])}{more})"
