"""From the two last runs to the files that ship, and every figure of their model card.

    python tflite/camvid/ship.py CAMVID OUTPUT --size 448x608

OUTPUT holds the runs `train_settle` and `trainval_settle`; it gets the weights at the size of their
use, the .tflite files, and `figures.json`. See `train.sh`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import fastscnn_tf as fs
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.core.sizes import Size, format_size, parse_size
from fastscnn_tf.runs.about import about_model

NAMES = {"train_settle": "on_train", "trainval_settle": "fastscnn_camvid"}
SIZES = ((352, 480), (448, 608), (544, 736), (704, 960))  # what the use's was chosen from
LICENCE = "CC BY-NC 4.0 (trained on CamVid): research use"


def ship(run: Path, output: Path, name: str, camvid: str, size: Size) -> dict[str, Path]:
    """Writes `name`.keras, its float16 and its int8 file."""
    model = fs.resize_model(fs.load_model(run), size)
    paths = {"keras": output / f"{name}.keras"}
    about = about_model(run, name="Fast-SCNN, CamVid", license=LICENCE)
    fs.save_model(model, paths["keras"], force=True, about=about)
    for recipe in ("float16", "int8"):
        images = fs.load_dataset("camvid", camvid, split="train", config=model.config, batch_size=1)
        paths[recipe] = output / f"{name}_{recipe}.tflite"
        fs.export_tflite(
            model, paths[recipe], recipe, calibration=images.take(100), about=about, force=True
        )
    return paths


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
            "float16_int8": _agreement(shipped, camvid),
            "on_train_float16_int8": _agreement(ours, camvid),
        },
        "bytes": {path.name: path.stat().st_size for path in shipped.values()},
    }


def _agreement(paths: dict[str, Path], camvid: str) -> float:
    size = fs.Segmenter(paths["int8"]).input_size
    data = fs.open_dataset("camvid", camvid, "val", size)
    return fs.argmax_agreement(paths["float16"], paths["int8"], data)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("camvid")
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", type=parse_size, required=True)
    given = parser.parse_args()
    ours, shipped = (
        ship(given.output / run, given.output, name, given.camvid, given.size)
        for run, name in NAMES.items()
    )
    write_json(given.output / "figures.json", figures(ours, shipped, given.camvid))


if __name__ == "__main__":
    main()
