"""Checkpoints of every kind, mutated: arrays, or one line, quickly and in little memory.

`python tests/model/test_mutated_checkpoints.py 20000` tries more of them and prints the counts.
"""

import collections
import dataclasses
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from fuzzing import checkpoints, foreign  # noqa: E402
from fuzzing.plain_bytes import mutate_bytes  # noqa: E402

from fastscnn_tf.core.errors import FastSCNNError  # noqa: E402
from fastscnn_tf.model.checkpoints.checkpoint_file import read_checkpoint  # noqa: E402
from fastscnn_tf.model.checkpoints.onnx_order import named_by_order  # noqa: E402

SLOWEST = 10.0  # seconds of computing; most take milliseconds, HDF5's process a third of a second
MEMORY = 512 << 20  # bytes beyond what was there at the start


@dataclasses.dataclass(frozen=True)
class Kind:
    """Files of a checkpoint, the first of which is mutated, and how often of a thousand times."""

    files: dict[str, bytes]
    mutate: Callable[[random.Random, bytes], bytes]
    opened: str = ""
    share: int = 86


def kinds() -> dict[str, Kind]:
    index, data = foreign.variables()
    at, of = "s/variables/variables.index", "s/variables/variables.data-00000-of-00001"
    whole, weights, three = foreign.keras2(True), foreign.keras2(False), foreign.keras3()
    return {
        ".pth": Kind({"x.pth": checkpoints.torch_zip()}, checkpoints.mutate_torch),
        ".pth, old": Kind({"x.pth": checkpoints.torch_legacy()}, checkpoints.mutate_pickle),
        ".pdparams": Kind({"x.pdparams": checkpoints.paddle()}, checkpoints.mutate_pickle),
        ".safetensors": Kind({"x.st": checkpoints.safetensors()}, checkpoints.mutate_safetensors),
        ".ckpt": Kind({"x.ckpt": foreign.mindspore()}, foreign.mutate_message, share=172),
        ".onnx, folded": Kind({"x.onnx": foreign.onnx(True)}, foreign.mutate_message),
        ".onnx, named": Kind({"x.onnx": foreign.onnx(False)}, foreign.mutate_message),
        "SavedModel, index": Kind({at: index, of: data}, foreign.mutate_index, "s", 172),
        "SavedModel, data": Kind({of: data, at: index}, mutate_bytes, "s"),
        ".h5, whole": Kind({"x.h5": whole}, mutate_bytes, share=20),
        ".h5, weights": Kind({"x.h5": weights}, mutate_bytes, share=20),
        ".weights.h5": Kind({"x.h5": three}, mutate_bytes, share=20),
    }


def outcome(kind: Kind, changed: bytes, folder: Path) -> str:
    """`read`, or `refused`; whatever else is raised is a fault."""
    for number, (name, content) in enumerate(kind.files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if number else changed)
    path = folder / (kind.opened or next(iter(kind.files)))
    found = "refused"
    try:
        tensors = read_checkpoint(path)
        found = "read"
        named_by_order(tensors, path)
    except FastSCNNError as error:
        assert "\n" not in str(error)
        assert str(error).isprintable()
        assert len(str(error)) < 800
    return found


def campaign(
    kind: Kind, count: int, seed: str, folder: Path
) -> tuple[collections.Counter[str], float]:
    """Outcomes of mutants, and the longest time that one took, seconds of computing."""
    found: collections.Counter[str] = collections.Counter()
    slowest = 0.0
    content = next(iter(kind.files.values()))
    for number in range(count):
        changed = kind.mutate(random.Random(f"{seed}/{number}"), content)
        start = time.process_time()
        try:
            found[outcome(kind, changed, folder)] += 1
        except Exception as error:  # counted: one campaign is to find all
            found["other"] += 1
            print(f"mutant {seed}/{number}: {type(error).__name__}: {str(error)[:200]}")
        slowest = max(slowest, time.process_time() - start)
    return found, slowest


@pytest.mark.parametrize("name", kinds())
def test_sound_ones_are_read(name, tmp_path):
    kind = kinds()[name]
    content = next(iter(kind.files.values()))
    assert outcome(kind, content, tmp_path) == "read"


@pytest.mark.parametrize("name", kinds())
def test_mutants(name, tmp_path):
    kind = kinds()[name]
    found, slowest = campaign(kind, kind.share // 3, f"test/{name}", tmp_path)
    assert found["refused"]
    assert not found["other"]
    assert slowest < SLOWEST


def main() -> None:
    total, start, every = int(sys.argv[1]), time.monotonic(), kinds()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    shares = sum(kind.share for kind in every.values())
    heads = ("mutants", "read", "refused", "other", "slowest")
    print("kind".ljust(20), *(head.rjust(8) for head in heads))
    others = 0
    for name, kind in every.items():
        with tempfile.TemporaryDirectory() as folder:
            count = round(total * kind.share / shares)
            found, slowest = campaign(kind, count, f"0/{name}", Path(folder))
        counts = (count, *(found[head] for head in heads[1:4]))
        print(f"{name:20}", *(f"{n:8}" for n in counts), f"{slowest:6.2f} s", flush=True)
        others += found["other"]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - before
    print(f"memory grew by {grown >> 20} MiB; {time.monotonic() - start:.0f} s")
    sys.exit(int(others > 0 or grown > MEMORY))


if __name__ == "__main__":
    main()
