"""Mutations of JSON and YAML: of the tree, and of how it is written."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import yaml

from .hostile import FLOATS, INTEGERS, PRECIOUS, TEXTS
from .plain_bytes import mutate_bytes

DEEP = 100_000


class Raw(str):
    """Text that stands in the file as it is."""


class Twice(list):
    """A mapping as pairs, in which a key may come twice."""


RAW = (
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 400, "1" * 5000, "-" + "9" * 20),
    *(
        "1E+400",
        "0.1e-400",
        '"\\ud800"',
        '"\\u0000"',
        "tru",
        "'a'",
        "{",
        "[" * 2000,
        "[1,]",
        "",
        "01",
    ),
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    "[" + "0," * 200_000 + "0]",
    "{" + ",".join(f'"{i}":{i}' for i in range(20_000)) + "}",
    '"' + "x" * 2_000_000 + '"',
)


def mutate_json(rng: random.Random, data: bytes) -> bytes:
    """Changes values, keys or the text of a JSON file."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(rng, data)
    if rng.random() < 0.12:
        return mutate_bytes(rng, data)
    if rng.random() < 0.03:
        return rng.choice((b"\xff\xfe", b"\xef\xbb\xbf", b"\0" * 8, b"\xed\xa0\x80")) + data
    return write_json(mutate_tree(rng, tree)).encode("utf-8", "surrogatepass")


def mutate_lines(rng: random.Random, data: bytes) -> bytes:
    """The same for a file with one JSON value on each line."""
    lines = data.splitlines() or [b"{}"]
    number = rng.randrange(len(lines))
    lines[number] = mutate_json(rng, lines[number])
    return b"\n".join(lines) + b"\n"


def mutate_yaml(rng: random.Random, data: bytes) -> bytes:
    """Changes values and keys of a YAML file, or puts in what only YAML has."""
    how = rng.random()
    if how < 0.12:
        return mutate_bytes(rng, data)
    if how < 0.45:
        return _yaml_trick(rng, data.decode("utf-8", "replace")).encode("utf-8", "surrogatepass")
    try:
        tree = mutate_tree(rng, yaml.safe_load(data))
    except (yaml.YAMLError, ValueError, RecursionError):  # a mutant already
        return mutate_bytes(rng, data)
    return write_json(tree).encode("utf-8", "surrogatepass")  # which YAML reads, too


def _yaml_trick(rng: random.Random, text: str) -> str:
    lines = text.splitlines() or [""]
    number = rng.randrange(len(lines))
    head = lines[number].split(":")[0]
    trick = rng.choice(_TRICKS)
    if rng.random() < 0.3:
        return f"{trick}\n{text}"
    lines[number] = f"{head}: {trick}" if ":" in lines[number] else f"  - {trick}"
    return "\n".join(lines) + "\n"


def _laugh(levels: int, width: int, key: str = "x") -> str:
    rows = [f"{key}0: &l0 [a, a, a]"]
    rows += [f"{key}{i}: &l{i} [{', '.join([f'*l{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join([*rows, f"name: *l{levels - 1}"])


def _merges(levels: int) -> str:
    rows = ["m0: &m0 {a: 1}"]
    rows += [f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}" for i in range(1, levels)]
    return "\n".join(rows)


_TRICKS = (
    *(_laugh(9, 9), _laugh(4, 9), _laugh(6, 9, "class"), _merges(8), _merges(25)),
    f"!!python/object/apply:os.system ['touch {PRECIOUS}']",
    *(
        "!!python/name:os.system",
        "!!float 1",
        "!!float x",
        "!!int 9:9:9",
        "!!binary aGk=",
        "!!timestamp x",
    ),
    *(
        "2001-12-14t21:59:43.10-05:00",
        "2001-99-99",
        "9999-12-31T23:59:59.999999-99:99",
        "!!set {a, b}",
    ),
    *(
        "&a [*a]",
        "&a {b: *a}",
        "*missing",
        "1:30:30",
        "010",
        "0b11",
        "0o17",
        "1_000",
        ".inf",
        ".nan",
    ),
    *(
        "1" * 5000,
        "-" + "9" * 30,
        "0x" + "f" * 5000,
        "1e999",
        "!!int " + "1" * 20000,
        "? [a, b]\n: c",
    ),
    *(
        "[" * 3000,
        "[" * 50_000 + "]" * 50_000,
        "{a: " * 3000,
        "- " * 3000 + "a",
        "'" + "x" * 500_000,
    ),
    *(
        '"\\ud800"',
        '"\\x1b[2J"',
        '"\\0"',
        "---\n---",
        "...\nx",
        "%YAML 9.9\n---",
        "|\n  a",
        "<<: {a: 1}",
    ),
    *("[" + "a," * 100_000 + "]", "{" + ",".join(f"k{i}: 1" for i in range(20_000)) + "}"),
    *(f"{{images: {p}, labels: {p}}}" for p in ("..", "/", "/proc/self/fd", "../outside", "/dev")),
)


def mutate_tree(rng: random.Random, tree: Any) -> Any:
    """A copy in which one to four places are changed."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = _places(tree) if isinstance(tree, dict | list) else []
        if not places:
            return _value(rng, tree)
        holder, key = rng.choice(places)
        rng.choice(_CHANGES)(rng, holder, key)
    return _wrap(rng, tree) if rng.random() < 0.03 else tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(mapping or list, key) of every value."""
    found, waiting = [], [tree]
    while waiting:
        item = waiting.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        for key in keys:
            found.append((item, key))
            if isinstance(item[key], dict | list) and not isinstance(item[key], Twice):
                waiting.append(item[key])
    return found


def _value(rng: random.Random, old: Any) -> Any:
    """Another value: of the same type, of another, or one that no file should hold."""
    kind = rng.random()
    if kind < 0.25:
        return rng.choice(INTEGERS)
    if kind < 0.35:
        return rng.choice(FLOATS)
    if kind < 0.65:
        return rng.choice(TEXTS)
    if kind < 0.75:
        return Raw(rng.choice(RAW))
    same: tuple[Any, ...] = (None, True, False, [], {}, [old], {"a": old}, [old] * 3, str(old))
    if isinstance(old, list):
        same += ([*old, *old], old[:1], old[1:], old * 50, dict(enumerate(old)), old[::-1])
    if isinstance(old, str):
        same += (
            old + "\x1b[2J",
            old * 40,
            old.encode("utf-8", "replace").hex(),
            old[:1],
            old.upper(),
            [*old],
        )
    if isinstance(old, int | float):
        same += (old + 1, -old, old * 1000, float(old), old + 0.5)
    return rng.choice(same)


def _replace(rng: random.Random, holder: Any, key: Any) -> None:
    holder[key] = _value(rng, holder[key])


def _delete(rng: random.Random, holder: Any, key: Any) -> None:
    del holder[key]


def _rename(rng: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder[rng.choice((*TEXTS, str(key) * 2))] = holder.pop(key)
    else:
        holder.insert(key, holder[key])


def _swap(rng: random.Random, holder: Any, key: Any) -> None:
    other = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    holder[key], holder[other] = holder[other], holder[key]


def _double(rng: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder[key], dict) and holder[key]:
        name = rng.choice(list(holder[key]))
        pairs = [*holder[key].items(), (name, _value(rng, holder[key][name]))]
        holder[key] = Twice(pairs)
    else:
        holder[key] = _value(rng, holder[key])


_CHANGES: tuple[Callable[[random.Random, Any, Any], None], ...] = (
    *(_replace, _replace, _replace, _replace, _delete, _rename, _swap, _double),
)


def _wrap(rng: random.Random, tree: Any) -> Any:
    return rng.choice(([tree], {"a": tree}, None, [], 0, "x", Raw("[" * DEEP)))


def write_json(value: Any) -> str:
    """JSON, with raw text and pairs as they are."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Twice):
        return "{" + ", ".join(f"{json.dumps(str(k))}: {write_json(v)}" for k, v in value) + "}"
    if isinstance(value, dict):
        return write_json(Twice(value.items()))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(write_json, value)) + "]"
    return json.dumps(value)
