"""Images per second of `fastscnn predict` with 1, 2, ... processes or actors, one thread each.

Decoding, the network, the label map at the image's own size, drawing and writing are all in it.
Processes are timed once all of them have written an image (so start-up is left out, and shown
beside it), in turns within each round; a ratio is the median of the ratios within rounds. Memory is
the largest of a worker's after a tenth of the images and after all.

    .venv/bin/python benchmarks/predict.py tflite/fastscnn_camvid_int8.tflite CamVid/test
    .venv-ray/bin/python benchmarks/predict.py M.TFLITE PICTURES --ray local
    .venv-ray/bin/python benchmarks/predict.py M.TFLITE PICTURES --ray local --processes 2 \
        --count 20000 --rounds 1
"""

from __future__ import annotations

import argparse
import functools
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.evaluation.given_images import find_images
from fastscnn_tf.evaluation.prediction import image_writer
from fastscnn_tf.runtime.fleet import Fleet


class Watched:
    """Writes an image's results and says how much memory this worker has by then, in MB."""

    def __init__(self, model: str):
        self.write = image_writer(model, threads=1)

    def __call__(self, job: tuple[Path, Path]) -> float:
        self.write(job)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6


def measure(model: str, pictures: list[Path], fleet: Fleet) -> tuple[float, float, float, float]:
    """Seconds until every worker has answered, images per second from then on, and memory."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = [(p, Path(folder) / f"{i % 1000:06}_labels.png") for i, p in enumerate(pictures)]
        start = time.perf_counter()
        done = fleet.map(functools.partial(Watched, model), jobs)
        memory = [next(done) for _ in range(2 * fleet.processes)]
        warm = time.perf_counter()
        rest = list(done)
        speed = len(rest) / (time.perf_counter() - warm)
        memory += rest
        tenth = len(memory) // 10
        return warm - start, speed, max(memory[: tenth + 1]), max(memory[-tenth - 1 :])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("pictures", type=Path, help="A folder.")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--ray", help="local, or the address of a cluster: actors.")
    parser.add_argument("--count", type=int, default=200, help="Images per turn.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="Write the result here, too.")
    options = parser.parse_args()
    there = find_images(options.pictures, recursive=True)
    pictures = [there[i % len(there)] for i in range(options.count)]
    counts = options.processes
    found = np.zeros((4, options.rounds, len(counts)))
    for i in range(options.rounds):
        for j in np.roll(np.arange(len(counts)), i):
            found[:, i, j] = measure(options.model, pictures, Fleet(counts[j], options.ray))
    start, speed, early, late = found
    ratios = np.median(speed / speed[:, :1], axis=0)
    rows = [
        {
            "processes": count,
            "images_per_second": round(float(np.median(speed[:, j])), 2),
            "ratio": round(float(ratios[j]), 3),
            "ratios": np.round(speed[:, j] / speed[:, 0], 3).tolist(),
            "start_seconds": round(float(np.median(start[:, j])), 2),
            "memory_mb": [round(float(part[:, j].max()), 1) for part in (early, late)],
        }
        for j, count in enumerate(counts)
    ]
    print(f"{'processes':>9}{'images/s':>10}{'ratio':>8}{'start, s':>10}{'MB, early and late':>22}")
    for row in rows:
        print(
            f"{row['processes']:9}{row['images_per_second']:10.2f}{row['ratio']:8.2f}"
            f"{row['start_seconds']:10.2f}{row['memory_mb'][0]:13.1f}{row['memory_mb'][1]:9.1f}"
        )
    if options.json:
        write_json(options.json, {"model": options.model, "ray": options.ray, "rows": rows})


if __name__ == "__main__":
    main()
