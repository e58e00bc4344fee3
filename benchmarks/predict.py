"""Pictures per second of `fastscnn predict` with 1, 2, ... processes, one thread each.

Decoding, the network, the label map at the picture's own size, drawing and writing are all in it.
Processes are timed once all of them have written a picture (so start-up is left out, and shown
beside it), in turns within each round; a ratio is the median of the ratios within rounds.

    .venv/bin/python benchmarks/predict.py tflite/fastscnn_camvid_int8.tflite CamVid/test
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from pathlib import Path

import numpy as np

from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.evaluation.prediction import find_pictures, picture_writer
from fastscnn_tf.runtime.workers import in_processes


def measure(model: str, pictures: list[Path], processes: int) -> tuple[float, float]:
    """Seconds until every process has answered, and pictures per second from then on."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = [(p, Path(folder) / f"{i:06}_labels.png") for i, p in enumerate(pictures)]
        start = time.perf_counter()
        done = in_processes(functools.partial(picture_writer, model, threads=1), jobs, processes)
        for _ in range(2 * processes):
            next(done)
        warm = time.perf_counter()
        rest = sum(1 for _ in done)
        return warm - start, rest / (time.perf_counter() - warm)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("pictures", type=Path, help="A folder.")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--count", type=int, default=200, help="Pictures per turn.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="Write the result here, too.")
    options = parser.parse_args()
    found = find_pictures(options.pictures, recursive=True)
    pictures = [found[i % len(found)] for i in range(options.count)]
    counts = options.processes
    speed, start = np.zeros((options.rounds, len(counts))), np.zeros((options.rounds, len(counts)))
    for i in range(options.rounds):
        for j in np.roll(np.arange(len(counts)), i):
            start[i, j], speed[i, j] = measure(options.model, pictures, counts[j])
    ratios = np.median(speed / speed[:, :1], axis=0)
    rows = [
        {
            "processes": count,
            "images_per_second": round(float(np.median(speed[:, j])), 2),
            "ratio": round(float(ratios[j]), 3),
            "ratios": np.round(speed[:, j] / speed[:, 0], 3).tolist(),
            "start_seconds": round(float(np.median(start[:, j])), 2),
        }
        for j, count in enumerate(counts)
    ]
    print(f"{'processes':>9}{'images/s':>10}{'ratio':>8}{'start, s':>10}")
    for row in rows:
        print(
            f"{row['processes']:9}{row['images_per_second']:10.2f}{row['ratio']:8.2f}"
            f"{row['start_seconds']:10.2f}"
        )
    if options.json:
        write_json(options.json, {"model": options.model, "rows": rows})


if __name__ == "__main__":
    main()
