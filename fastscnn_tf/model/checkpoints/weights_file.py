"""Weights as a plain .npz that any framework can read, and back; and every .npz of ours.

Arrays lie beside JSON that says which network they belong to. It is read first, so that the arrays
can be no larger than the network needs.

    <layer>/kernel      (kh, kw, in, out) float32; depthwise (kh, kw, channels, 1)
    <layer>/bias        (out,), where the layer has one
    <layer>/gamma, <layer>/beta, <layer>/mean, <layer>/variance
                        of the batch normalisation behind the layer; epsilon is in the config
    config              UTF-8 JSON: {"format": ..., "config": {...}}, as bytes

Layers are named as in the Keras model, such as `global_features.bottleneck1_1.expand`.
"""

import io
import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from ...core.aliases import StrPath
from ...core.config import FastSCNNConfig
from ...core.errors import ConfigError, ModelFileError
from ...core.files.json_text import decode_json
from ...core.files.writing import check_output, write_bytes
from ...core.files.zip_archive import open_zip
from ...core.keras_api import KerasModel
from ..complexity import weights_room
from ..fast_scnn import check_patterns, fast_scnn, require_fast_scnn

LARGEST = 1 << 20  # bytes of the JSON; 254 classes take 20 thousand


class Description(msgspec.Struct):
    """What the JSON of each kind of file holds."""

    format: str
    config: dict[str, Any]


D = TypeVar("D", bound=Description)


def read_described(
    path: Path, name: str, schema: type[D], format: str, what: str, hint: str = ""
) -> tuple[D, FastSCNNConfig, dict[str, np.ndarray]]:
    """The description, its configuration, and the other arrays by name.

    Args:
        path: the file.
        name: of the array of bytes that holds the JSON.
        schema: of the JSON.
        format: that it has to name.
        what: messages call the file so.
        hint: what to do where there is no array `name`.

    Raises:
        ModelFileError: missing, damaged, of another format, or more arrays than the network needs.
    """
    where = str(path)
    with open_zip(path, where, what, error=ModelFileError) as archive:
        if f"{name}.npy" not in archive.sizes:
            raise ModelFileError(f"{path}: not a {what}{hint}")
        text = archive.array(f"{name}.npy", LARGEST)
        where = f"{where}: {name}"
        found: Description = decode_json(text.tobytes(), where, Description, error=ModelFileError)
        if found.format != format:
            raise ModelFileError(f"{path}: format {found.format[:80]!r}, expected {format!r}")
        meta: D = decode_json(text.tobytes(), where, schema, error=ModelFileError)
        config = described_config(meta.config, where)
        total, room = sum(archive.sizes.values()), weights_room(config)
        if total > room:
            raise ModelFileError(
                f"{path}: {total:,} bytes of arrays, but this network has room for {room:,}"
            )
        arrays = archive.arrays()
    del arrays[name]
    return meta, config, arrays


def described_bytes(name: str, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """The content of such a file: arrays, and JSON in an array of bytes of that name."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez(buffer, **{name: text, **arrays})  # type: ignore[arg-type]
    return buffer.getvalue()


def described_config(values: dict[str, Any], where: str) -> FastSCNNConfig:
    """The configuration that a model file holds.

    Raises:
        ModelFileError: it is none; the message names the field.
    """
    try:
        config = FastSCNNConfig.from_dict(values)
        check_patterns(config)
    except ConfigError as error:
        raise ModelFileError(f"{where}: {str(error)[:300]}") from None
    return config


FORMAT = "fastscnn_tf.weights/1"
NORM = ("gamma", "beta", "mean", "variance")
LAYER = ("kernel", "bias")


def export_weights(model: KerasModel, path: StrPath, force: bool = False) -> int:
    """Writes all weights of a Keras model as a .npz.

    Args:
        model: what `fast_scnn`, `import_checkpoint` or `load_model` returned (not a
            quantization-aware model: its own .npz holds folded weights and ranges).
        path: the .npz to write.
        force: replace an existing file.

    Returns:
        The number of arrays.

    Raises:
        ConfigError: another kind of model, or another suffix.
        OutputError: the file exists or cannot be written.
    """
    if hasattr(model, "blocks"):
        raise ConfigError("a quantization-aware model is a .npz already: use save_model")
    target = check_output(path, force, suffix=".npz")
    meta = {"format": FORMAT, "config": require_fast_scnn(model).to_dict()}
    arrays = {}
    for layer in model.layers:
        weights = layer.get_weights()
        names = NORM if layer.name.endswith(".bn") else LAYER
        for kind, value in zip(names, weights, strict=False):
            arrays[f"{layer.name.removesuffix('.bn')}/{kind}"] = np.asarray(value, np.float32)
    write_bytes(target, described_bytes("config", meta, arrays))
    return len(arrays)


def import_weights(path: StrPath) -> KerasModel:
    """The Keras 3 model of a .npz that `export_weights` wrote.

    Raises:
        ModelFileError: missing, damaged, or arrays are missing or of another shape.
    """
    path, what = Path(path), "weights file of export-weights"
    _, config, arrays = read_described(path, "config", Description, FORMAT, what)
    model = fast_scnn(config)
    for layer in model.layers:
        shapes = [np.shape(w) for w in layer.get_weights()]
        names = NORM if layer.name.endswith(".bn") else LAYER
        stem = layer.name.removesuffix(".bn")
        values = [arrays.pop(f"{stem}/{kind}", None) for kind in names[: len(shapes)]]
        got = [None if value is None else value.shape for value in values]
        if got != shapes or any(v is not None and v.dtype.kind not in "fiu" for v in values):
            raise ModelFileError(f"{path}: {stem!r} has arrays {got}, expected {shapes}")
        layer.set_weights(values)
    if arrays:
        raise ModelFileError(f"{path}: unexpected arrays {', '.join(list(arrays)[:4])}")
    return model
