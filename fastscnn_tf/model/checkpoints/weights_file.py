"""Weights as a plain .npz that any framework can read, and back.

    <layer>/kernel      (kh, kw, in, out) float32; depthwise (kh, kw, channels, 1)
    <layer>/bias        (out,), where the layer has one
    <layer>/gamma, <layer>/beta, <layer>/mean, <layer>/variance
                        of the batch normalisation behind the layer; epsilon is in the config
    config              UTF-8 JSON: {"format": ..., "config": {...}}, as bytes

Layers are named as in the Keras model, such as `global_features.bottleneck1_1.expand`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.aliases import StrPath
from ...core.errors import ConfigError, ModelFileError
from ...core.files.writing import check_output, write_bytes
from ...core.keras_api import KerasModel
from ..fast_scnn import fast_scnn, require_fast_scnn
from .described_npz import Description, described_bytes, read_described

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
    if Path(path).suffix != ".npz":
        raise ConfigError(f"{path}: the output must end in .npz")
    meta = {"format": FORMAT, "config": require_fast_scnn(model).to_dict()}
    arrays = {}
    for layer in model.layers:
        weights = layer.get_weights()
        names = NORM if layer.name.endswith(".bn") else LAYER
        for kind, value in zip(names, weights, strict=False):
            arrays[f"{layer.name.removesuffix('.bn')}/{kind}"] = np.asarray(value, np.float32)
    write_bytes(check_output(path, force), described_bytes("config", meta, arrays))
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
