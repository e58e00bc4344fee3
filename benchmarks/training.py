"""Images per second of a training step against PyTorch and plain Keras 3, and peak memory.

The same architecture everywhere (imgclsmob's network, as pytorchcv has it), the same loss
(cross-entropy over logits interpolated to full resolution, 255 ignored), the same SGD, one batch of
noise. Every program runs in a process of its own, alone, in turns within each round; a ratio is the
median of the ratios within rounds. Plain Keras 3 runs twice: with TensorFlow as it comes, and with
oneDNN on, which TensorFlow leaves off on x86 without AVX-512. The rival needs an environment of its
own:

    python3.11 -m venv /tmp/rival
    /tmp/rival/bin/pip install -r benchmarks/requirements-training-rival.txt
    .venv/bin/python benchmarks/training.py --rival-python /tmp/rival/bin/python
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from turns import Program

from fastscnn_tf.core.files.writing import write_json

HERE = Path(__file__).parent
CASES = ((8, (256, 512), 19), (12, (352, 480), 11))  # batch, size, classes


def programs(case: tuple[int, tuple[int, int], int], python: str, threads: int) -> list[Program]:
    """All programs, built and warm."""
    batch, size, classes = case
    order = {"batch": batch, "size": list(size), "classes": classes, "threads": threads}
    ours = [sys.executable, str(HERE / "training_ours.py")]
    rival = [python, str(HERE / "training_rival.py")]
    as_it_comes = _onednn_as_it_comes()
    return [
        Program("fastscnn_tf", ours, {"kind": "ours", **order}, {}),
        Program("Keras 3, plain", ours, {"kind": "plain", **order}, as_it_comes),
        Program("Keras 3, plain, oneDNN", ours, {"kind": "plain", **order}, {}),
        Program("PyTorch, channels last", rival, {"channels_last": True, **order}, {}),
        Program("PyTorch", rival, {"channels_last": False, **order}, {}),
    ]


def _onednn_as_it_comes() -> dict[str, str]:
    """What TensorFlow decides by itself on this CPU: on with AVX-512, off without."""
    flags = Path("/proc/cpuinfo")
    has = flags.is_file() and "avx512" in flags.read_text()
    return {"TF_ENABLE_ONEDNN_OPTS": "1" if has else "0"}


def measure(case: Any, python: str, threads: int, rounds: int, steps: int) -> dict[str, Any]:
    """Images per second, ratios to ours within rounds, and peak memory of each program."""
    running = programs(case, python, threads)
    seconds = np.zeros((rounds, len(running)))
    peaks = np.zeros(len(running))
    for i in range(rounds):
        for j in np.roll(np.arange(len(running)), i):
            answer = running[j].ask({"count": steps})
            seconds[i, j], peaks[j] = answer["seconds"] / steps, answer["peak"]
    for program in running:
        program.close()
    batch, size, classes = case
    speed = np.median(batch / seconds, axis=0)
    ratios = np.median(seconds / seconds[:, :1], axis=0)
    rows = {
        program.name: {
            "images_per_second": round(float(speed[j]), 2),
            "ours_is_faster_by": round(float(ratios[j]), 3),
            "peak_mb": round(peaks[j] / 1e6),
            **program.about,
        }
        for j, program in enumerate(running)
    }
    return {"batch": batch, "size": list(size), "classes": classes, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    height, width = result["size"]
    lines = [f"{result['batch']}x{height}x{width}, {result['classes']} classes"]
    lines.append(f"  {'':26}{'images/s':>9}{'ratio':>8}{'peak MB':>9}")
    for name, row in result["rows"].items():
        speed, ratio, peak = row["images_per_second"], row["ours_is_faster_by"], row["peak_mb"]
        lines.append(f"  {name:26}{speed:9.2f}{ratio:8.2f}{peak:9d}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rival-python", required=True, help="Python with torch and pytorchcv.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="Per turn.")
    parser.add_argument("--json", type=Path, help="Write the result here, too.")
    options = parser.parse_args()
    results = []
    for case in CASES:
        run = options.threads, options.rounds, options.steps
        results.append(measure(case, options.rival_python, *run))
        print(table(results[-1]), flush=True)
    if options.json:
        write_json(options.json, {"cpu": platform.processor(), "results": results})


if __name__ == "__main__":
    main()
