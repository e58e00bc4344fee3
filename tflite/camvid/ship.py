"""From the two last runs to the files that ship, and every figure of their model card.

    python tflite/camvid/ship.py CAMVID OUTPUT --size 448x608 [--stage last] [--name FILES]

OUTPUT holds the runs (or .keras files) `train_STAGE` and `trainval_STAGE` and their fine-tuning
`train_qat` and `trainval_qat`; it gets the weights at the size of their use, the .tflite files, and
`figures.json`. See `train.sh`.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import fastscnn_tf as fs
from fastscnn_tf.core.errors import InputError
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.core.keras_api import KerasModel
from fastscnn_tf.core.sizes import Size, format_size, parse_size
from fastscnn_tf.runs.about import about_model

SIZES = ((352, 480), (448, 608), (544, 736), (704, 960))  # what the use's was chosen from
BITS = 9  # of a weight's significand in .keras files: 0.02 mIoU for half of the bytes
LICENCE = "CC BY-NC 4.0 (trained on CamVid): research use"


def ship(run: Path, tuned: Path, name: str, camvid: str, size: Size) -> dict[str, Path]:
    """Writes `name`.keras, its float16 and its int8 file, and int8 without fine-tuning.

    Args:
        run: the last one, or a file: weights in float.
        tuned: those fine-tuned from them with int8 in the loop.
        name: of the files, which lie in the folder of both runs.
        camvid: its folder.
        size: height and width of their use.
    """
    output = run.parent
    model = fs.resize_model(fs.load_model(run), size)
    kinds = ("float16", "int8", "post_training")
    paths = {kind: output / f"{name}_{kind}.tflite" for kind in kinds}
    width = "" if model.config.width == 1 else f" of width {model.config.width:g}"
    about = about_model(run, name=f"Fast-SCNN{width}, CamVid", license=LICENCE)
    options: dict[str, Any] = {"about": about, "force": True}
    fs.export_tflite(model, paths["float16"], "float16", **options)
    fs.export_tflite(fs.load_model(tuned), paths["int8"], "int8-qat", **options)
    images = fs.load_dataset("camvid", camvid, split="train", config=model.config, batch_size=1)
    fs.export_tflite(model, paths["post_training"], "int8", calibration=images.take(100), **options)
    paths["keras"] = output / f"{name}.keras"
    round_weights(model)
    fs.save_model(model, paths["keras"], force=True, about=about)
    compress(paths["keras"])
    return paths


def round_weights(model: KerasModel) -> None:
    """Keeps `BITS` of each weight's 24: its file takes half the bytes once it is compressed."""
    for layer in model.layers:
        rounded = []
        for values in layer.get_weights():
            significand, exponent = np.frexp(values)
            rounded.append(np.ldexp(np.round(significand * 2**BITS) / 2**BITS, exponent))
        layer.set_weights(rounded)


def compress(path: Path) -> None:
    """Writes a .keras file, which Keras only stores, once more with its parts deflated."""
    with zipfile.ZipFile(path) as stored:
        parts = {name: stored.read(name) for name in stored.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as smaller:
        for name, part in parts.items():
            smaller.writestr(name, part)


def figures(ours: dict[str, Path], shipped: dict[str, Path], camvid: str) -> dict[str, Any]:
    """Scores on val of what was trained on train, and how near int8 is to float."""
    scores = {kind: fs.evaluate(path, "camvid", camvid) for kind, path in ours.items()}
    flipped = fs.evaluate(ours["keras"], "camvid", camvid, flip=True)
    by_size = {
        format_size(size): fs.evaluate(ours["keras"], "camvid", camvid, size=size).miou
        for size in SIZES
    }
    return {
        "val_miou": {k: s.miou for k, s in scores.items()} | {"keras_flip": flipped.miou},
        "val_miou_by_size": by_size,
        "val_class_iou": {k: scores[k].to_dict()["class_iou"] for k in ("keras", "int8")},
        "agreement": {
            f"{weights}float16_{kind}": _agreement(paths, kind, camvid)
            for weights, paths in (("", shipped), ("on_train_", ours))
            for kind in ("int8", "post_training")
        },
        "bytes": {shipped[k].name: shipped[k].stat().st_size for k in ("keras", "float16", "int8")},
    }


def _agreement(paths: dict[str, Path], kind: str, camvid: str) -> float:
    size = fs.Segmenter(paths[kind]).input_size
    data = fs.open_dataset("camvid", camvid, "val", size)
    return fs.argmax_agreement(paths["float16"], paths[kind], data)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("camvid")
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", type=parse_size, required=True)
    parser.add_argument(
        "--stage",
        default="last",
        help="of the training that ships; `averaged.keras` where that is a file",
    )
    parser.add_argument("--name", default="fastscnn_camvid", help="of the files that ship")
    given = parser.parse_args()
    ours, shipped = (
        ship(
            given.output / f"{runs}_{given.stage}",
            given.output / f"{runs}_qat" / "last.npz",
            name,
            given.camvid,
            given.size,
        )
        for runs, name in (("train", "on_train"), ("trainval", given.name))
    )
    write_json(given.output / "figures.json", figures(ours, shipped, given.camvid))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
