"""Mutations that know nothing of what the bytes mean, and of numbers at known places."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .hostile import INTEGERS, TEXTS

Field = tuple[int, int, str]  # offset, bytes, "little" or "big"


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flips, overwrites, removes, doubles, cuts off or splices."""
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        data = rng.choice(_WAYS)(rng, data)
    return data


def _flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 8))):
        if changed:
            changed[_place(rng, len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _place(rng: random.Random, size: int) -> int:
    """Heads of files say more than what follows."""
    return rng.randrange(min(size, 256)) if rng.random() < 0.5 else rng.randrange(size)


def _overwrite(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, len(data)) if data else 0
    new = rng.choice((b"\0", b"\xff", b"\x80")) * rng.choice((1, 2, 4, 8))
    return data[:at] + new + data[at + len(new) :]


def _remove(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, len(data)) if data else 0
    return data[:at] + data[at + rng.choice((1, 2, 4, 64, 1024)) :]


def _double(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, len(data)) if data else 0
    part = data[at : at + rng.choice((1, 4, 64, 1024))]
    return data[:at] + part * rng.choice((2, 3, 100)) + data[at:]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.7 else data[:8]


def _splice(rng: random.Random, data: bytes) -> bytes:
    a, b = (_place(rng, len(data)) if data else 0 for _ in range(2))
    size = rng.choice((4, 32, 512))
    return data[:a] + data[b : b + size] + data[a + size :]


def _text(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, len(data)) if data else 0
    return data[:at] + rng.choice(TEXTS).encode("utf-8", "surrogatepass") + data[at:]


def _number(rng: random.Random, data: bytes) -> bytes:
    if len(data) <= 16:
        return _flip(rng, data)
    size = rng.choice((1, 2, 4, 8))
    fields = [(_place(rng, len(data) - size), size, rng.choice(("little", "big")))]
    return set_field(rng, data, fields)


_WAYS = (_flip, _flip, _overwrite, _remove, _double, _cut, _splice, _text, _number)


def set_field(rng: random.Random, data: bytes, fields: Sequence[Field]) -> bytes:
    """Writes a telling number over one of these fields, or one near to what is there."""
    at, size, order = rng.choice(fields)
    old = int.from_bytes(data[at : at + size], order)  # type: ignore[arg-type]
    near = (old + 1, old - 1, old * 2, old ^ 0x80, old + 256, -old, old + len(data))
    new = rng.choice((*near, *INTEGERS)) % (1 << 8 * size)
    return data[:at] + new.to_bytes(size, order) + data[at + size :]  # type: ignore[arg-type]
