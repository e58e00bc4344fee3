"""The mean of what several runs learned, in one network of the same cost.

    python tflite/camvid/average.py OUTPUT RUN RUN...

Runs that went on from the same weights with other seeds differ by chance, which the mean of their
weights mostly leaves out (model soups: Wortsman et al., ICML 2022).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import fastscnn_tf as fs
from fastscnn_tf.core.errors import InputError, ModelFileError, OutputError
from fastscnn_tf.core.keras_api import KerasModel
from fastscnn_tf.runs.about import about_model


def average(models: list[KerasModel]) -> KerasModel:
    """The first of `models`, with the mean of the weights of all of them.

    The statistics of batch normalisation are averaged, too.

    Raises:
        ModelFileError: they have not the same shape.
    """
    shapes = [[values.shape for values in model.get_weights()] for model in models]
    for number, shape in enumerate(shapes[1:], 2):
        if shape != shapes[0]:
            raise ModelFileError(f"network {number} has weights of other shapes than the first")
    parts = zip(*(model.get_weights() for model in models), strict=True)
    models[0].set_weights([np.mean(part, 0) for part in parts])
    return models[0]


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="a .keras file")
    parser.add_argument("runs", type=Path, nargs="+", help="run folders; the file names the first")
    given = parser.parse_args()
    if len(given.runs) < 2:
        parser.error("a mean needs two runs or more")
    if given.output.exists():
        raise OutputError(f"{given.output} exists already: remove it, or choose another output")
    names = " and ".join(run.name for run in given.runs)
    about = about_model(given.runs[0], description=f"mean of the weights of {names}")
    fs.save_model(average([fs.load_model(run) for run in given.runs]), given.output, about=about)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
