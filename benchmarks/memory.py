"""Resident memory of the runtime over many frames: it must not grow.

Frames are noise at the model's size and label maps are made at the same size, one after the other
(`--stream`: by `Segmenter.stream`). Memory is read from /proc, so this needs Linux.

    .venv/bin/python benchmarks/memory.py m.tflite --frames 10000
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.runtime.segmenter import Segmenter


def resident() -> float:
    """This process's resident memory in MB (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def label_maps(segmenter: Segmenter, stream: bool) -> Iterator[np.ndarray]:
    """Label maps of endless noise: a few images over and over, each decoded anew."""
    rng = np.random.default_rng(0)
    kept = [rng.integers(0, 256, (*segmenter.input_size, 3), dtype=np.uint8) for _ in range(4)]
    frames = (image.copy() for image in itertools.cycle(kept))
    return segmenter.stream(frames) if stream else map(segmenter.predict, frames)


def measure(model: str, frames: int, every: int, threads: int, stream: bool) -> dict[int, float]:
    """Frames seen -> MB."""
    segmenter = Segmenter(model, threads)
    found = {0: resident()}
    for i, _ in enumerate(itertools.islice(label_maps(segmenter, stream), frames), 1):
        if i % every == 0 or i == 1:
            found[i] = resident()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--frames", type=int, default=10000)
    parser.add_argument("--every", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--json", type=Path, help="Write the result here, too.")
    options = parser.parse_args()
    start = time.perf_counter()
    found = measure(options.model, options.frames, options.every, options.threads, options.stream)
    seconds = time.perf_counter() - start
    print("   frames      MB")
    for count, size in found.items():
        print(f"{count:9}{size:8.1f}")
    after = {count: size for count, size in found.items() if count >= options.every}
    grown = max(after.values()) - next(iter(after.values()))
    print(f"grown after the first {options.every}: {grown:.1f} MB; {seconds:.0f} s")
    if options.json:
        write_json(options.json, {"model": options.model, "mb": found, "grown_mb": grown})


if __name__ == "__main__":
    main()
