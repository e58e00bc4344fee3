"""Seconds of `data convert` from COCO against reading and writing the same images.

Generates images of 640x480 with polygons, then runs in turns, each on all cores:

- reading the images (decoding them) and writing them (encoding them as they were);
- the whole conversion, from opening the JSON to the data set in its place;
- copying the bytes of the images and writing ready label maps: what nothing can be faster than.

    .venv/bin/python benchmarks/convert.py --images 5000
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.data.records.encoded import encode_label

HEIGHT, WIDTH = 480, 640
OBJECTS = 7  # of an image, as COCO has them on average
QUALITY = 90


def generate(folder: Path, count: int) -> None:
    """A COCO data set of `count` images with blobs of 20 to 60 corners."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(count):
        name = f"{number:06d}.jpg"
        coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        noise = rng.integers(0, 24, (HEIGHT, WIDTH, 3), np.uint8)
        pixels = np.asarray(smooth) // 2 + noise
        Image.fromarray(pixels).save(folder / "images" / name, quality=QUALITY)
        images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH})
        for _ in range(OBJECTS):
            corners = int(rng.integers(20, 60))
            angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
            radius = rng.uniform(10, 120) * rng.uniform(0.6, 1, corners)
            x = rng.uniform(0, WIDTH) + radius * np.cos(angle)
            y = rng.uniform(0, HEIGHT) + radius * np.sin(angle)
            ring = np.stack([x.clip(0, WIDTH), y.clip(0, HEIGHT)], 1).round(2).ravel().tolist()
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": int(rng.integers(1, 21)),
                    "iscrowd": 0,
                    "segmentation": [ring],
                }
            )
    categories = [{"id": i, "name": f"class {i}"} for i in range(1, 21)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_json(folder / "annotations.json", content)


def on_all_cores(work: Callable[[Path], None], paths: list[Path]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(work, paths):
            pass


def measure(source: Path, labels: Path, output: Path) -> dict[str, tuple[float, float]]:
    """Seconds of each, once: wall and CPU."""
    paths = sorted((source / "images").iterdir())

    def read_and_write(path: Path) -> None:
        file = io.BytesIO()
        Image.fromarray(fs.read_image(path)).save(file, format="JPEG", quality=QUALITY)
        (output / path.name).write_bytes(file.getvalue())

    def copy(path: Path) -> None:
        (output / path.name).write_bytes(path.read_bytes())
        ready = np.load(labels / f"{path.stem}.npy")
        (output / f"{path.stem}.png").write_bytes(encode_label(ready))

    runs: dict[str, Callable[[], object]] = {
        "reading and writing": lambda: on_all_cores(read_and_write, paths),
        "data convert": lambda: fs.convert_dataset(source, output),
        "copying, ready label maps": lambda: on_all_cores(copy, paths),
    }
    seconds = {}
    for name, work in runs.items():
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        start = time.perf_counter(), time.process_time()
        work()
        seconds[name] = time.perf_counter() - start[0], time.process_time() - start[1]
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="A JSON file with the times.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, output, labels = (Path(folder) / name for name in ("coco", "out", "labels"))
        generate(source, arguments.images)
        fs.convert_dataset(source, output)
        labels.mkdir()
        for path in output.rglob("labels/*/*.png"):
            with Image.open(path) as label:
                np.save(labels / f"{path.stem}.npy", np.asarray(label))
        rounds = [measure(source, labels, output) for _ in range(arguments.rounds)]
    print(f"{arguments.images} images, {os.cpu_count()} cores, {platform.platform()}")
    ratios = []
    for kind, place in (("wall", 0), ("CPU", 1)):
        for name in rounds[0]:
            each = statistics.median(one[name][place] for one in rounds) / arguments.images
            print(f"{name}: {each * 1e3:.2f} ms {kind} per image")
        both = [(one["data convert"][place], one["reading and writing"][place]) for one in rounds]
        ratios.append(statistics.median(ours / theirs for ours, theirs in both))
    print(f"data convert / reading and writing: wall {ratios[0]:.2f}, CPU {ratios[1]:.2f}")
    if arguments.output:
        write_json(arguments.output, {"rounds": rounds, "ratios": ratios})


if __name__ == "__main__":
    main()
