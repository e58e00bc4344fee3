"""Few images: mIoU from scratch and from the CamVid weights that come with the package.

Each run takes the same number of steps on the first images of one drawn set, written as own data
are (images, label maps, dataset.yaml), and is scored on 100 others that no run has seen. From
scratch it is recipe `strong`, from the weights recipe `finetune`.

    .venv/bin/python benchmarks/few_images.py --steps 200 --json few.json
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.core.sizes import format_size, parse_size
from fastscnn_tf.core.text_table import percent

WAYS = {"from scratch": ("strong", None), "from camvid": ("finetune", "camvid")}
HELD_OUT = 100


def write_pictures(folder: Path, count: int, size: tuple[int, int]) -> None:
    """An own data set of drawn streets."""
    data = fs.open_dataset("toy", split="train", size=size)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for index, (image, label) in enumerate(data[:count]):
        Image.fromarray(image).save(folder / "images" / f"{index:04}.png")
        Image.fromarray(label).save(folder / "labels" / f"{index:04}.png")
    names = ", ".join(data.labels.names)
    (folder / "dataset.yaml").write_text(
        f"classes: [{names}]\nsplits:\n  train: {{images: images, labels: labels}}\n"
    )


def train_and_score(
    folder: Path, run: Path, way: str, count: int, steps: int, batch: int, size: tuple[int, int]
) -> float:
    """mIoU on images that were not trained on."""
    recipe, weights = WAYS[way]
    epochs = -(-steps // (count // batch))
    settings = fs.train_settings(
        recipe,
        dataset="folder",
        data_dir=str(folder),
        size=size,
        init_from=weights,
        epochs=epochs,
        batch_size=batch,
        warmup_epochs=epochs / 20,
        ema=0.99,
        validate_every=0,
    )
    best = fs.run_training(settings, run, verbose=0).best
    held_out = fs.open_dataset("toy", split="train", size=size)[-HELD_OUT:]
    return fs.evaluate(best, held_out).miou


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, nargs="+", default=[10, 30, 100])
    parser.add_argument("--steps", type=int, default=200, help="At least; whole epochs.")
    parser.add_argument("--batch-size", type=int, default=5)
    parser.add_argument("--size", type=parse_size, default=(96, 160))
    parser.add_argument("--json", type=Path, help="Write the result here, too.")
    options = parser.parse_args()
    if max(options.pictures) > 300:
        parser.error("of the 400 images the last 100 are to be scored: at most 300")
    steps, batch, size = options.steps, options.batch_size, options.size
    print(f"{format_size(size)}, {steps} steps of {batch}, mIoU on {HELD_OUT} others, in %")
    print(f"images  {'  '.join(WAYS)}  seconds", flush=True)
    found: dict[str, dict[str, float]] = {}
    for count in options.pictures:
        with tempfile.TemporaryDirectory() as place:
            start, folder = time.perf_counter(), Path(place) / "data"
            write_pictures(folder, count, size)
            scores = {
                way: train_and_score(folder, Path(place) / way, way, count, steps, batch, size)
                for way in WAYS
            }
            seconds = time.perf_counter() - start
        cells = "  ".join(f"{percent(score, 1):>{len(way)}}" for way, score in scores.items())
        print(f"{count:8}  {cells}  {seconds:7.0f}", flush=True)
        found[str(count)] = {way: float(np.float32(score)) for way, score in scores.items()}
    if options.json:
        write_json(options.json, {"size": size, "steps": steps, "batch": batch, "miou": found})


if __name__ == "__main__":
    main()
