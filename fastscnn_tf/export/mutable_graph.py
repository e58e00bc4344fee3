"""The TensorFlow function that becomes a .tflite: static shape, batch 1, normalisation inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.keras_api import Tensor, tensorflow
from ..model.byte_input import FIRST, centre
from ..model.fast_scnn import full_resolution
from ..model.folded import FoldedNetwork
from ..model.ranges import INPUT
from ..model.topology import fast_scnn_outputs
from .export_blocks import ExportBlocks


def graph_function(
    network: FoldedNetwork,
    outputs: str,
    input: str = "uint8",
    blocks_type: type[ExportBlocks] | None = None,
) -> Any:
    """A concrete function of one image.

    Args:
        network: with ranges for an int8 graph, without for a float one.
        outputs: `logits` and `labels-8` (1/8), `logits-full`, `prob` or `labels`.
        input: `uint8` raw bytes, or `float32` normalised images for a float graph.
        blocks_type: what writes the operations; `ExportBlocks` by default.

    Returns:
        Concrete function (1, H, W, 3) -> (1, h, w, classes) or, for labels, (1, h, w) uint8. A
        float graph takes raw bytes (uint8), cast to float32 as byte - `centre` once the CAST has
        become a DEQUANTIZE (`edits`); an int8 graph takes bytes as float32 on their grid
        (see `model.byte_input`), whose quantization the converter turns into raw bytes.
    """
    tf = tensorflow()
    config, quantized = network.config, bool(network.ranges)
    raw = input != "float32"
    shift = None
    source = network
    if raw and not quantized:
        source, shift = on_raw_bytes(network)

    def run(image: Tensor) -> Tensor:
        blocks = (blocks_type or ExportBlocks)(source)
        if quantized:
            x = blocks.quantize(image, INPUT)
        else:
            x = tf.cast(image, tf.float32) if raw else image
            x = x if shift is None else x - shift
        x = fast_scnn_outputs(blocks, x, config)["logits"]
        if outputs == "logits":
            return x
        if outputs != "labels-8":
            x = full_resolution(blocks, x, config)
        if outputs == "logits-full":
            return x
        if outputs == "prob":
            return tf.nn.softmax(x)
        # int32: TFLite has no uint8 ARG_MAX, and NNAPI none of int64.
        return tf.cast(tf.argmax(x, -1, output_type=tf.int32), tf.uint8)

    dtype = tf.uint8 if raw and not quantized else tf.float32
    spec = tf.TensorSpec((1, *config.input_size, 3), dtype, name="image")
    return tf.function(run, input_signature=[spec], autograph=False).get_concrete_function()


def on_raw_bytes(network: FoldedNetwork) -> tuple[FoldedNetwork, np.ndarray | None]:
    """The network for byte - centre, and what is still to be subtracted from that.

    1 / std goes into the first kernel; so does the mean (into its bias) where nothing is padded.
    Else the mean is subtracted first, so that the zero padding stays the normalised zero.
    """
    config = network.config
    shift = np.asarray(config.mean, np.float32) - np.float32(centre(config))
    kernel, bias = network.weights[FIRST]
    scaled = kernel / np.asarray(config.std, np.float32)[:, None]
    padded = config.stem_padding != "valid" or config.padded_size != config.input_size
    rest = shift if padded and shift.any() else None
    if rest is None:
        bias = bias - (scaled.astype(np.float64) * shift[:, None]).sum((0, 1, 2))
    weights = {**network.weights, FIRST: (scaled, bias.astype(np.float32))}
    return network.replace(weights=weights), rest
