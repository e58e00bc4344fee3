"""Mutants of `.keras` and `.npz` files, aware of zip, JSON and .npy; read in a process with limits.

Run as a script: `python model_file_mutants.py FOLDER SEED COUNT`. FOLDER holds `m.keras`,
`last.keras`, `q.npz` and `w.npz`. Prints how many were read and how many refused; anything but that
ends it.
"""

from __future__ import annotations

import io
import json
import random
import resource
import signal
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastscnn_tf.core.errors import FastSCNNError
from fastscnn_tf.model.checkpoints.keras_archive import read_about
from fastscnn_tf.model.checkpoints.weights_file import Description, read_described
from fastscnn_tf.model.folded import load_folded
from fastscnn_tf.model.io import read_config
from fastscnn_tf.train.training_state import read_checkpoint

MEMORY, SECONDS = 1 << 30, 120  # beyond what the process has when it begins; for each mutant
READERS: dict[str, tuple[Callable[[Path], Any], ...]] = {
    "m.keras": (read_config, read_about),
    "last.keras": (read_config, read_checkpoint),
    "q.npz": (load_folded,),
    "w.npz": (
        lambda path: read_described(path, "config", Description, "fastscnn_tf.weights/1", "x"),
    ),
}
NUMBERS = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
VALUES = (None, -1, 0, 1e308, 10**18, "", "\x1b[2J", "\ud7ff", "x" * 5000, [], {}, [[]] * 300, True)


def of_json(text: bytes, draw: random.Random) -> bytes:
    """JSON in which one value is another one, or the nesting is deep."""
    value = json.loads(text)
    place: Any = value
    while isinstance(place, dict | list) and place:
        key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], dict | list) or not place[key] or draw.random() < 0.2:
            place[key] = draw.choice(VALUES)
            break
        place = place[key]
    changed = json.dumps(value).encode()
    return changed if draw.random() < 0.9 else changed.replace(b"[", b"[" * 5000, 1)


def of_bytes(content: bytes, draw: random.Random, last: int | None = None) -> bytes:
    """Bytes and whole little-endian numbers replaced, within the `last` bytes if given."""
    mutant = bytearray(content)
    first = max(0, len(mutant) - last) if last else 0
    for _ in range(draw.choice((1, 1, 2, 5))):
        place = draw.randrange(first, max(len(mutant) - 8, first + 1))
        if draw.random() < 0.5:
            mutant[place] = draw.randrange(256)
        else:
            size = draw.choice((1, 2, 4, 8))
            number = draw.choice(NUMBERS) & (256**size - 1)
            mutant[place : place + size] = number.to_bytes(size, "little")
    return bytes(mutant)


def of_zip(content: bytes, draw: random.Random) -> bytes:
    """Members changed, renamed, doubled, left out or packed."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        members = [(name, source.read(name)) for name in source.namelist()]
    index = draw.randrange(len(members))
    name, data = members[index]
    kind = draw.choice(("json", "bytes", "npy", "name", "double", "drop", "bomb", "nested"))
    if kind == "json":
        texts = [i for i, (each, _) in enumerate(members) if each.endswith(".json")]
        index = draw.choice(texts or [index])
        name, data = members[index]
        if texts:
            members[index] = (name, of_json(data, draw))
        elif (text := data[data.find(b'{"') :]).startswith(b'{"format'):
            members[index] = (name, data[: -len(text)] + of_json(text, draw)[: len(text)])
    elif kind == "bytes":
        members[index] = (name, of_bytes(data, draw))
    elif kind == "npy":
        members[index] = (name, of_bytes(data[:128], draw) + data[128:])
    elif kind == "name":
        members[index] = (draw.choice(("../x", "/etc/x", "", "a" * 60_000, name + "\0x")), data)
    elif kind == "double":
        members.append((name, b"other"))
    elif kind == "drop":
        del members[index]
    elif kind == "bomb":
        members[index] = (name, bytes(draw.choice((1 << 16, 1 << 25))))
    elif kind == "nested" and name.endswith(".npz"):
        members[index] = (name, of_zip(data, draw))
    packing = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(result, "w", packing) as target:
        for each, value in members:
            target.writestr(zipfile.ZipInfo(each), value, packing)
    return result.getvalue()


def main() -> None:
    """Reads the mutants."""
    folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    draw = random.Random(seed)
    originals = {name: (folder / name).read_bytes() for name in READERS}
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    warnings.filterwarnings("ignore", "Duplicate name")  # of the writer of mutants
    read = refused = 0
    for number in range(count):
        name = draw.choice(list(originals))
        content = originals[name]
        kind = draw.random()
        if kind < 0.6:
            content = of_zip(content, draw)
        if kind > 0.5:
            content = of_bytes(content, draw, draw.choice((None, 22, 4000)))
        path = folder / f"mutant{Path(name).suffix}"
        path.write_bytes(content)
        for reader in READERS[name]:
            signal.alarm(SECONDS)  # whose signal ends the process
            try:
                reader(path)
                read += 1
            except FastSCNNError as error:
                assert "\n" not in str(error), (number, error)
                assert len(str(error)) < 1500, (number, error)
                refused += 1
            except BaseException:
                print(f"mutant {number} of seed {seed}: {path}", file=sys.stderr)
                raise
    signal.alarm(0)
    print(json.dumps({"read": read, "refused": refused}))


if __name__ == "__main__":
    main()
