"""Splits by fraction: each name's hash says where it goes, so that added files move no others."""

import hashlib
import itertools
import math
import posixpath
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from ...core.errors import ConfigError, DataError, retold

ROBOFLOW = re.compile(r"[._](?:jpe?g|png|bmp|webp|tiff?)\.rf\.\w+$", re.IGNORECASE)
_ENDING = re.compile(r"(?:[_.-][^\W\d_][^_.-]*)*\D*$")  # such as _leftImg8bit
_FRAME = re.compile(r"(.*?)(\d+)(?:[_.-]\D*)?$", re.DOTALL)  # also seq_0001_left

LONGEST = 60.0  # seconds for the groups of all names; a pattern can take hours for one


def assign(
    names: Sequence[str], fractions: Mapping[str, float], seed: int = 0, group: str | None = None
) -> list[str]:
    """The split of each name.

    A group goes to a split as a whole, by a hash of its name and the seed alone: whatever files are
    added or taken away, the others stay where they are. The shares are therefore those of
    `fractions` only about, and exactly where there are many groups. A split that would stay empty
    takes the group whose hash is nearest from a split that has several; only then may a file that
    is added later move that group back.

    Args:
        names: of the images: paths below the data set's folder, with `/`, in any order.
        fractions: split -> its share of the groups, above 0; together 1.
        seed: another one gives another split.
        group: a regular expression, searched in each name: what its first bracket matches, or all
            that it matches where it has none, is the name of the group; by default each name is a
            group of its own.

    Raises:
        ConfigError: the shares are not above 0 or not 1 together, or `group` is not a regular
            expression.
        DataError: `group` does not match a name, or there are fewer groups than splits.
    """
    check_fractions(fractions)
    groups = [unicodedata.normalize("NFC", each) for each in groups_of(names, group)]
    stops = list(itertools.accumulate(fractions.values()))
    stops[-1] = 1.0
    splits, places = list(fractions), {each: _place(each, seed) for each in groups}
    if len(places) < len(splits):
        what = "groups" if group else "images"
        raise DataError(
            f"{len(places)} {what} cannot be split into {len(splits)} ({', '.join(splits)}), of "
            "which none is empty"
        )
    found = {
        each: next(i for i, stop in enumerate(stops) if place < stop)
        for each, place in places.items()
    }
    for empty in set(range(len(splits))) - set(found.values()):
        counts, start = Counter(found.values()), stops[empty - 1] if empty else 0.0
        spare = (each for each, split in found.items() if counts[split] > 1)
        nearest = min(
            spare, key=lambda each: (max(start - places[each], places[each] - stops[empty]), each)
        )
        found[nearest] = empty
    return [splits[found[each]] for each in groups]


def sequences_of(names: Sequence[str]) -> list[str]:
    """The sequence of each name: what stands before its number, but for endings that all share.

    A name without a number is a sequence of its own.

    Example:
        >>> sequences_of(["berlin_01_leftImg8bit", "berlin_02_leftImg8bit", "bonn_01_leftImg8bit"])
        ['berlin_', 'berlin_', 'bonn_']
    """
    plain = [ROBOFLOW.sub("", name) for name in names]
    shared = posixpath.commonprefix([name[::-1] for name in plain])[::-1]
    ending = _ENDING.search(shared)
    cut = len(ending[0]) if ending and len(set(plain)) > 1 else 0
    plain = [name[: len(name) - cut] for name in plain]
    found = [_FRAME.fullmatch(name) for name in plain]
    return [match[1] if match else name for match, name in zip(found, plain, strict=True)]


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Makes sure that the shares are above 0 and 1 together.

    Raises:
        ConfigError: they are not.
    """
    total = sum(fractions.values())
    if not all(s > 0 for s in fractions.values()) or not math.isclose(total, 1, abs_tol=1e-6):
        given = ", ".join(f"{split}: {share:g}" for split, share in fractions.items())
        raise ConfigError(f"expected shares above 0 that are 1 together, got {given or 'none'}")


def _place(group: str, seed: int) -> float:
    """Where a group lies in 0..1."""
    text = f"{seed}\n{group}".encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(text, digest_size=6).digest()
    return int.from_bytes(digest, "big") / (1 << 48)


def groups_of(names: Sequence[str], pattern: str | None) -> list[str]:
    """The group of each name, as `assign` takes it.

    Raises:
        ConfigError: the pattern is not a regular expression.
        DataError: it does not match a name, or takes too long.
    """
    if pattern is None:
        return list(names)
    with retold(ConfigError, f"group {pattern!r} is not a regular expression: ", of=re.error):
        compiled = re.compile(pattern)
    matches, end = [], time.monotonic() + LONGEST
    for name in names:
        if len(name) > 500 or time.monotonic() > end:
            raise DataError(
                f"group {pattern!r} takes too long on {name[:80]!r}: write a plainer one"
            )
        matches.append(compiled.search(name))
    if lacking := [name for name, match in zip(names, matches, strict=True) if not match]:
        raise DataError(
            f"group {pattern!r} does not match {lacking[0]!r} ({len(lacking)} of {len(names)} "
            "names are not matched)"
        )
    return [(match[1] or "") if compiled.groups else match[0] for match in matches if match]
