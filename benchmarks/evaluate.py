"""Time of a whole `fastscnn evaluate` against each of its parts alone, on the same images.

The parts, each with the threads it has in the whole: reading pairs and resizing (one per core, up
to four), the network (`--threads`), label maps at the labels' size and counting (one). Nothing can
be faster than the slowest of them, nor than all their CPU time shared by all cores: the whole is
compared with both.
All are measured in turns within each round; a ratio is the median of the ratios within rounds.

    .venv/bin/python benchmarks/evaluate.py tflite/fastscnn_camvid_int8.tflite \\
        --dataset camvid --data-dir CamVid
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.core.overlap import overlapped, readers
from fastscnn_tf.core.scores.confusion import confusion_matrix
from fastscnn_tf.data.datasets.registry import NAMES, open_dataset
from fastscnn_tf.evaluation.evaluate import open_inference
from fastscnn_tf.scoring.protocol import evaluate_predictor

PARTS = ("read", "network", "score")


def jobs(options: argparse.Namespace) -> tuple[dict[str, Callable[[], object]], int]:
    """Each part and the whole as a call, and the number of images."""
    inference, predictor = open_inference(options.model, options.threads)
    data = open_dataset(options.dataset, options.data_dir, options.split, predictor.input_size)
    if data.labels.names != predictor.labels.names:
        raise SystemExit("the model's classes are not the data set's")
    indices, count = range(len(data)), len(data.labels)
    pairs = [data.read(i) for i in indices]  # memory: all images of the split
    seen = [inference.prepare(image, label.shape) for image, label in pairs]
    done = [inference.run(each) for each in seen]
    labels = [label for _, label in pairs]

    def read_one(i: int) -> None:
        image, label = data.read(i)
        inference.prepare(image, label.shape)

    def read() -> None:
        for _ in overlapped(read_one, indices, 2 * readers(), readers()):
            pass

    def network() -> None:
        for each in seen:
            inference.run(each)

    def score() -> None:
        for each, label in zip(done, labels, strict=True):
            confusion_matrix(label, inference.finish(each), count, extra=1)

    def whole() -> None:
        evaluate_predictor(predictor, data, inference=inference)

    return {"read": read, "network": network, "score": score, "whole": whole}, len(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--dataset", required=True, choices=NAMES)
    parser.add_argument("--data-dir")
    parser.add_argument("--split", default="val")
    parser.add_argument("--threads", type=int, default=1, help="Of the network.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="Write the result here, too.")
    options = parser.parse_args()
    calls, pictures = jobs(options)
    calls["whole"]()  # chooses the decoder of PNGs, which the part that reads is to have, too
    names, cores = list(calls), len(os.sched_getaffinity(0))
    wall, busy = np.zeros((options.rounds, len(names))), np.zeros((options.rounds, len(names)))
    for i in range(options.rounds):
        for j in np.roll(np.arange(len(names)), i):
            start, used = time.perf_counter(), time.process_time()
            calls[names[j]]()
            wall[i, j] = time.perf_counter() - start
            busy[i, j] = time.process_time() - used
    parts = len(PARTS)
    slowest = np.median(wall[:, -1] / wall[:, :parts].max(1))
    shared = np.median(wall[:, -1] / np.maximum(wall[:, :parts].max(1), busy.T[:-1].sum(0) / cores))
    one_by_one = np.median(wall[:, -1] / wall[:, :parts].sum(1))
    ms, cpu = (np.median(values, axis=0) / pictures * 1000 for values in (wall, busy))
    print(f"{pictures} images, {options.threads} thread(s), {cores} cores; ms per image")
    print(f"{'':10}{'wall':>8}{'CPU':>8}")
    for name, took, used in zip(names, ms, cpu, strict=True):
        print(f"{name:10}{took:8.2f}{used:8.2f}")
    print(f"whole / slowest part {slowest:.2f}, / what {cores} cores allow {shared:.2f}, ", end="")
    print(f"/ parts one after the other {one_by_one:.2f}")
    if options.json:
        figures = {"slowest": slowest, "cores": shared, "one_by_one": one_by_one}
        rows = {n: {"wall_ms": w, "cpu_ms": c} for n, w, c in zip(names, ms, cpu, strict=True)}
        ratios = {name: float(value) for name, value in figures.items()}
        write_json(options.json, {"model": options.model, "rows": rows, "whole_over": ratios})


if __name__ == "__main__":
    main()
