"""A mutant: the sound files of its kind, what was changed in them, and what opens them."""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import random
import zlib
from pathlib import Path
from typing import Any

from .hostile import NAMES, Special
from .kinds import KINDS, Kind
from .plain_bytes import mutate_bytes

SPECIAL = 0.06  # share of mutants that are no regular file
Change = bytes | Special
BY_NAME = {kind.name: kind for kind in KINDS}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One of a kind.

    Attributes:
        kind: its name.
        index: among those of its kind.
        seed: folder of the sound files.
        command: what opens it.
        changes: path -> what lies there instead.
    """

    kind: str
    index: int
    seed: str
    command: str
    changes: dict[str, Change]

    def write(self, seeds: Path, case: Path) -> None:
        """Puts the files into an empty folder."""
        for name, content in {**sound_files(seeds, self.seed), **self.changes}.items():
            path = case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                with_depth(content, path, name)

    def to_json(self, note: str = "") -> str:
        """With everything that is needed to run it again beside the sound files, and a note."""
        changes = {
            path: content.name if isinstance(content, Special) else [_packed(content)]
            for path, content in self.changes.items()
        }
        values = {"note": note, **dataclasses.asdict(self), "changes": changes}
        return json.dumps(values, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Mutant:
        """What `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        changes: dict[str, Change] = {
            path: Special[content] if isinstance(content, str) else _unpacked(content[0])
            for path, content in values["changes"].items()
        }
        fields = {f.name for f in dataclasses.fields(cls)}
        return cls(**{k: v for k, v in values.items() if k in fields} | {"changes": changes})


def with_depth(special: Special, path: Path, name: str) -> None:
    """Makes a special file; links to outside count the folders above `name`."""
    if special is Special.OTHER:
        path.symlink_to("../" * name.count("/") + "../outside/precious.txt")
    else:
        special.put(path)


def _packed(content: bytes) -> str:
    return base64.b85encode(zlib.compress(content, 9)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b85decode(text))


@functools.cache
def sound_files(seeds: Path, seed: str) -> dict[str, bytes]:
    """The common files and those of one seed, by path."""
    found = {}
    for top in (seeds / "common", *([seeds / seed] if seed else [])):
        for path in sorted(top.rglob("*")):
            if path.is_file():
                found[path.relative_to(top).as_posix()] = path.read_bytes()
    return found


def make_mutant(kind: Kind, index: int, number: int, seeds: Path) -> Mutant:
    """The same for the same kind, index and `number`, the campaign's seed."""
    rng = random.Random(f"{number}/{kind.name}/{index}")
    seed = rng.choice([s for s in kind.seeds if (seeds / (s or "common")).is_dir()])
    files = dict(sound_files(seeds, seed))
    path = rng.choice([target for target in kind.targets if target in files])
    command = rng.choice(kind.commands).replace("{f}", path)
    if kind.renames:
        return Mutant(kind.name, index, seed, command, _renamed(rng, files, path))
    if rng.random() < SPECIAL:
        special = {path: rng.choice([*Special])}
        return Mutant(kind.name, index, seed, command, special)
    before = dict(files)
    for _ in range(10):  # some changes change nothing
        try:
            files[path] = kind.targets[path](rng, before[path])
        except (ValueError, RecursionError):  # a part that was changed twice
            files[path] = mutate_bytes(rng, before[path])
        if files[path] != before[path]:
            break
    if kind.repair:
        kind.repair(rng, files, path)
    changes = {name: files[name] for name in files if files[name] != before[name]}
    return Mutant(kind.name, index, seed, command, dict(changes))


def _renamed(rng: random.Random, files: dict[str, bytes], path: str) -> dict[str, Change]:
    """All files of that name get another, each with its own suffix."""
    old, changes = Path(path), {}
    stem = rng.choice(NAMES).replace("/", "_").replace("\0", "")
    for name in files:
        if Path(name).stem == old.stem and not name.startswith("data/"):
            suffix = Path(name).suffix if rng.random() < 0.95 else Path(name).suffix.upper()
            changes[name] = Special.ABSENT
            changes[f"{Path(name).parent}/{stem}{suffix}"] = files[name]
    return changes


def sound(kind: Kind) -> list[tuple[str, str]]:
    """(seed, command) of the sound files: what must be accepted."""
    return [
        (kind.seeds[0], command.replace("{f}", path))
        for path in kind.targets
        for command in kind.commands
        if not command.startswith(kind.refused or "\0")
    ]
