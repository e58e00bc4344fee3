"""A wider network that computes what a trained one does, to train on from there.

    python tflite/camvid/widen.py WEIGHTS OUTPUT --width 1.5 [--seed 0]

Every layer's channels are repeated in turn until there are enough of them, and what reads them
divides its weights among the copies (Net2WiderNet: Chen, Goodfellow and Shlens, ICLR 2016), by
other shares for each output, so that the copies learn apart.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, InputError, OutputError
from fastscnn_tf.core.keras_api import KerasModel
from fastscnn_tf.model.complexity import complexity
from fastscnn_tf.model.importance import ChannelImportance
from fastscnn_tf.model.prune import spelt_out
from fastscnn_tf.runs.about import about_model

LEAST = 0.2  # of a weight that is divided, for each copy before they are scaled to sum to one


def widen(model: KerasModel, width: float, seed: int) -> KerasModel:
    """The wider network, to the last bits of float32 the same function.

    Args:
        model: a trained Keras 3 model of a smaller width; it stays as it is.
        width: factor of all channel counts, as in `FastSCNNConfig`.
        seed: of the shares.

    Raises:
        ConfigError: a layer would have fewer channels than it has.
    """
    wider = fs.fast_scnn(model.config.replace(width=width))
    old = ChannelImportance(model, spelt_out(model.config))
    counts = {layer.name: layer.output[2] for layer in complexity(wider.config).layers}
    for name, scores in old.scores.items():
        if counts.get(name, len(scores)) < len(scores):
            few = f"{name} has {len(scores)} channels and would have {counts[name]}"
            raise ConfigError(f"--width {width:g} is not wider: {few}; `fastscnn prune` narrows")
    rng = np.random.default_rng(seed)

    def copied(parts: tuple[str, ...]) -> np.ndarray:
        """Which of a concatenation's channels each of the wider one's repeats."""
        starts = np.cumsum([0, *(len(old.scores[part]) for part in parts)])[:-1]
        pairs = zip(starts, parts, strict=True)
        return np.concatenate(
            [
                start + np.arange(counts.get(part, 3)) % len(old.scores[part])
                for start, part in pairs
            ]
        )

    for layer in wider.layers:
        if not layer.weights:
            continue
        name, values = layer.name.removesuffix(".bn"), old.values[layer.name]
        writes = copied((name,) if name in old.scores else old.reads[name])
        if name == layer.name and name in old.scores:  # a convolution, no depthwise one
            kernel, *bias = values
            reads = copied(old.reads[name])
            shares = rng.uniform(LEAST, 1, (len(reads), len(writes)))
            sums = np.zeros((kernel.shape[2], len(writes)))
            np.add.at(sums, reads, shares)
            kernel = kernel[:, :, reads][..., writes] * (shares / sums[reads])
            values = [kernel, *(b[writes] for b in bias)]
        else:
            values = [np.take(v, writes, 2 if v.ndim > 1 else 0) for v in values]
        layer.set_weights(values)
    return wider


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path, help="a .keras file")
    parser.add_argument("--width", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.output.exists():
        raise OutputError(f"{given.output} exists already: remove it, or choose another output")
    wider = widen(fs.load_model(given.weights), given.width, given.seed)
    fs.save_model(wider, given.output, about=about_model(given.weights))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
