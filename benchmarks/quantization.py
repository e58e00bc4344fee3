"""What quantization-aware fine-tuning gains over post-training int8, a badly scaled layer included.

    .venv/bin/python benchmarks/quantization.py CAMVID OUTPUT MODEL.keras ... [--factor 64]
    .venv/bin/python benchmarks/quantization.py drives/0016E5/dataset.yaml OUTPUT \\
        drives/0016E5/last-0/best.keras --factor 1

Each model is taken as it is, and with the largest channel behind a ReLU `--factor` times as large
and the weights that read it as much smaller: the same function in float, but int8, which has one
scale for all channels of an activation, has that many times fewer steps for the others. Of both:
mIoU on CamVid's `val`, or that of a dataset.yaml, at 448x608 of float16, post-training int8 (100
images of `train`), and int8 after `--epochs` of fine-tuning on `train`, taught by the float
weights; and to how many pixels int8 gives float16's class. The models must not have been trained on
`val`. `--factor 1` takes them as they are alone. Goes on where it was cut off;
OUTPUT/quantization.json has every figure, of one data set and number of epochs.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np

import fastscnn_tf as fs
from fastscnn_tf.core.files.json_text import read_json
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.core.text_table import markdown_table

SIZE = (448, 608)
COLUMNS = ("weights", "float16", "int8", "int8-qat", "agreement, int8", "agreement, int8-qat")


def badly_scaled(model: Any, layer: str, reader: str, factor: float) -> None:
    """Makes the largest channel of `layer` larger, and the weights of `reader` for it smaller.

    The largest is told by its batch normalisation: three standard deviations above its mean.
    Exact in float where a ReLU lies between the two, and nothing else reads the layer.
    """
    norm = model.get_layer(f"{layer}.bn")
    gamma, beta, *moments = norm.get_weights()
    channel = np.argmax(beta + 3 * np.abs(gamma))
    gamma[channel] *= factor
    beta[channel] *= factor
    norm.set_weights([gamma, beta, *moments])
    kernel, *bias = model.get_layer(reader).get_weights()
    kernel[:, :, channel] /= factor
    model.get_layer(reader).set_weights([kernel, *bias])


def measured(place: str, weights: Path, folder: Path, epochs: int) -> dict[str, float]:
    """mIoU (0..1) on val of each kind of file, and its agreement (0..1) with float16."""
    data = ("folder" if place.endswith(".yaml") else "camvid", place)
    settings = fs.QuantizeSettings(
        str(weights), *data, SIZE, epochs, validate_every=epochs, distill_weight=10.0
    )
    fs.run_quantization(settings, folder / "qat", resume=True)
    model = fs.resize_model(fs.load_model(weights), SIZE)
    images = fs.load_dataset(*data, split="train", config=model.config, batch_size=1)
    tuned = fs.load_model(folder / "qat" / "last.npz")
    files = {recipe: folder / f"{recipe}.tflite" for recipe in ("float16", "int8", "int8-qat")}
    fs.export_tflite(model, files["float16"], "float16", force=True)
    fs.export_tflite(model, files["int8"], "int8", calibration=images.take(100), force=True)
    fs.export_tflite(tuned, files["int8-qat"], "int8-qat", force=True)
    found = {recipe: fs.evaluate(path, *data).miou for recipe, path in files.items()}
    val = fs.open_dataset(*data, "val", SIZE)
    return found | {
        f"agreement, {recipe}": fs.argmax_agreement(files["float16"], files[recipe], val)
        for recipe in ("int8", "int8-qat")
    }


def main() -> None:
    """Reads the command line, measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camvid", help="its folder, or a dataset.yaml")
    parser.add_argument("output", type=Path)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL.keras")
    parser.add_argument("--factor", type=float, default=64.0)
    parser.add_argument("--layer", default="classifier.ds2_pointwise", help="has a ReLU behind it")
    parser.add_argument("--reader", default="classifier.logits", help="the layer that reads it")
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    path = given.output / "quantization.json"
    told = {key: getattr(given, key) for key in ("epochs", "layer", "reader")}
    settings = told | {"data": str(Path(given.camvid).resolve())}
    report: dict[str, Any] = read_json(path) if path.exists() else settings | {"rows": {}}
    if any(report.get(key) != value for key, value in settings.items()):
        raise SystemExit(f"{path}: of other data or settings: name another OUTPUT")
    results = report["rows"]
    for weights in given.models:
        for scaled in (False,) if given.factor == 1 else (False, True):
            name = str(weights) + f", x{given.factor:g}" * scaled
            folder = given.output / re.sub(r"[^\w.]+", "-", name)
            if name not in results:
                model = fs.load_model(weights)
                if scaled:
                    badly_scaled(model, given.layer, given.reader, given.factor)
                folder.mkdir(parents=True, exist_ok=True)
                fs.save_model(model, folder / "weights.keras", force=True)
                results[name] = measured(
                    given.camvid, folder / "weights.keras", folder, given.epochs
                )
                write_json(path, report)
    rows = [
        (name, *(f"{100 * found[column]:.2f}" for column in COLUMNS[1:]))
        for name, found in results.items()
    ]
    print(markdown_table(COLUMNS, rows))


if __name__ == "__main__":
    main()
