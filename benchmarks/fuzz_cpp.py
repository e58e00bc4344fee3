"""Damaged and hostile models, by the thousand, through the C++ program `segment`.

    cmake -S tflite/cpp -B build -DLITERT_LIBRARY=.../libLiteRt.so && cmake --build build
    python benchmarks/fuzz_cpp.py build/segment --mutants 5000 --jobs 2 --output fuzzed

Mutants of the shipped files and of small ones of every recipe: numbers, offsets and lengths where
they lie, the tree of tables, single bytes. `refused`: one line, exit 2; `caught`: the line says
that LiteRT crashed in the process in which a file is tried first, so that a check is missing;
`ran`: a label map. Exit code 1: the program crashed or hung, or said something else. Linux only.
"""

from __future__ import annotations

import argparse
import collections
import functools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
SHIPPED = tuple(ROOT / "tflite" / f"fastscnn_camvid_{kind}.tflite" for kind in ("int8", "float16"))
SIZE = (64, 96)
SECONDS = 400  # longer than `segment` itself waits for a file that does not end
OUTCOMES = ("ran", "refused", "caught", "crashed", "hung", "other")
BAD = OUTCOMES[3:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("segment", type=Path, help="the program")
    parser.add_argument("--seed", type=int, default=0, help="the same gives the same mutants")
    parser.add_argument("--mutants", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument(
        "--output", type=Path, help="folder for those that were caught or end badly"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fastscnn-fuzz-") as top:
        sound = [*SHIPPED, *small_models(Path(top))]
        tally = campaign(
            options.segment, sound, options.mutants, options.seed, options.jobs, options.output
        )
    total = collections.Counter[str]()
    for name, counts in tally.items():
        total += counts
        print(f"{name:36}", *(f"{outcome} {counts[outcome]:5}" for outcome in OUTCOMES), sep="  ")
    print(f"{'all':36}", *(f"{outcome} {total[outcome]:5}" for outcome in OUTCOMES), sep="  ")
    return int(any(total[outcome] for outcome in BAD))


def small_models(folder: Path) -> list[Path]:
    """Small files of every recipe, of two presets."""
    import fastscnn_tf as fs

    made = []
    images = np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3), np.uint8)
    for preset in ("paper", "gluon"):
        config = fs.FastSCNNConfig.preset(
            preset, num_classes=3, input_size=SIZE, width=0.25, repeats=(1, 1, 1)
        )
        model = fs.fast_scnn(config)
        for recipe in ("float32", "float16", "dynamic", "int8"):
            made.append(folder / f"{preset}-{recipe}.tflite")
            calibration = list(images) if recipe == "int8" else None
            fs.export_tflite(model, made[-1], recipe=recipe, calibration=calibration)
    return made


def campaign(
    program: Path, sound: list[Path], mutants: int, seed: int, jobs: int, output: Path | None
) -> dict[str, collections.Counter[str]]:
    """Runs mutants, the same number of each sound file.

    Args:
        program: `segment`.
        sound: the files to change.
        mutants: of all together.
        seed: the same gives the same mutants.
        jobs: processes at a time.
        output: folder for those that were caught or end badly, or None.

    Returns:
        File -> outcome -> how often.
    """
    if output:
        output.mkdir(parents=True, exist_ok=True)
    turn = threading.Lock()  # a mutator notes what the schema's reader asks for
    tally = {path.name: collections.Counter[str]() for path in sound}
    with (
        tempfile.TemporaryDirectory(prefix="fastscnn-fuzz-") as top,
        ThreadPoolExecutor(jobs) as pool,
    ):
        street = Path(top) / "street.png"
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(street)

        def run(index: int) -> tuple[str, str]:
            path = sound[index % len(sound)]
            case = Path(top) / f"{path.stem}-{index}.tflite"
            with turn:
                content = mutant_of(path, seed, index)
            case.write_bytes(content)
            outcome, said = run_one(program, case, street, case.with_suffix(".pgm"))
            if output and outcome in ("caught", *BAD):
                (output / case.name).write_bytes(content)
                print(case.name, outcome, said, flush=True)
            case.unlink()
            case.with_suffix(".pgm").unlink(missing_ok=True)
            return path.name, outcome

        for name, outcome in pool.map(run, range(mutants)):
            tally[name][outcome] += 1
    return tally


def mutant_of(path: Path, seed: int, index: int) -> bytes:
    """A changed file; the same for the same seed and index."""
    from fuzzing.flat import mutate_tflite

    rng = random.Random(f"{seed}/{path.name}/{index}")
    sound = _content(path)
    content = sound
    while content == sound:
        content = mutate_tflite(rng, sound)
    return content


@functools.cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


def run_one(program: Path, model: Path, street: Path, labels: Path) -> tuple[str, str]:
    """The outcome of one file, and the last line that the program says."""
    command = [program, model, street, labels, "1"]
    environment = {k: v for k, v in os.environ.items() if k != "FASTSCNN_TRUSTED"}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=SECONDS, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return "hung", ""
    lines = done.stderr.decode("utf-8", "replace").splitlines() or [""]
    if done.returncode < 0:
        return "crashed", signal.Signals(-done.returncode).name
    if done.returncode == 0 and labels.exists():
        return "ran", lines[-1]
    if done.returncode != 2 or not lines[-1].startswith("segment: ") or labels.exists():
        return "other", f"exit {done.returncode}: {lines[-1]}"
    return ("caught" if "LiteRT crashes" in lines[-1] else "refused"), lines[-1]


if __name__ == "__main__":
    sys.exit(main())
