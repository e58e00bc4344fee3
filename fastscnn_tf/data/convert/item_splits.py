"""Which image goes into which split, so that frames of one sequence stay together."""

import re
from collections.abc import Sequence

import numpy as np

from ...core.errors import ConfigError
from ..datasets.splitting import ROBOFLOW, groups_of, sequences_of
from .source import Item, Notes

SPLITS = ("train", "val", "test")
FRACTIONS = (0.8, 0.1, 0.1)
Shares = Sequence[float] | None  # of train, val and test


def split_items(
    items: Sequence[Item], fractions: Shares, seed: int, group: str | None, notes: Notes
) -> dict[str, list[Item]]:
    """The items of each split.

    Where the source names splits, they stay, unless it is one only and `fractions` are given; else
    they are made by `fractions`, group by group.

    Args:
        items: at least one.
        fractions: of train, val and test (which may be left out); None: 0.8, 0.1, 0.1.
        seed: of the order of the groups.
        group: a regular expression that is searched in the names: what its first group (or all of
            it) matches names the sequence.
        notes: gets what was chosen, and why.

    Raises:
        ConfigError: the fractions do not add up to 1, or the expression is none.
        DataError: the expression does not match a name.
    """
    shares = _shares(fractions)
    named = {item.split for item in items} - {None}
    if len(named) == 1 and fractions is not None:
        notes.add(f"the source names no split but {max(map(str, named))}: divided by --split")
    elif named:
        if fractions is not None or group is not None:
            notes.add("the source names its splits: --split and --group were not used")
        if alone := [item for item in items if item.split is None]:
            notes.add("no split named for it: put into train", alone[0].name, len(alone))
        found: dict[str, list[Item]] = {}
        for item in items:
            found.setdefault(item.split or SPLITS[0], []).append(item)
        order = [*SPLITS, *sorted(set(found) - set(SPLITS))]
        return {split: found[split] for split in order if split in found}
    groups, blocks = _groups(items, group, notes)
    places = _blocks(groups, shares) if blocks else _assigned(groups, shares, seed)
    splits = {
        split: [items[i] for i in sorted(place)]
        for split, place in zip(SPLITS, places, strict=False)
    }
    for split, share in zip(SPLITS, shares, strict=False):
        if share and not splits[split]:
            notes.add(f"too few groups of images for the split {split}: it was left out")
    said = ", ".join(f"{name} {len(found)}" for name, found in splits.items())
    how = f"split by --split {','.join(f'{share:g}' for share in shares)} --seed {seed}: {said}"
    notes.add(how, count=len(items))
    return {split: found for split, found in splits.items() if found}


def _shares(fractions: Shares) -> tuple[float, ...]:
    given = FRACTIONS if fractions is None else fractions
    if isinstance(given, str) or not all(isinstance(share, int | float) for share in given):
        raise ConfigError(f"split: expected shares such as (0.8, 0.1, 0.1), got {fractions!r}")
    shares = tuple(given)
    fits = 1 <= len(shares) <= 3 and all(0 <= share <= 1 for share in shares) and shares[0] > 0
    if not fits or abs(sum(shares) - 1) > 1e-6:
        raise ConfigError(
            "--split: expected the shares of train, val and test that add up to 1, as "
            f"0.8,0.1,0.1, got {','.join(f'{share:g}' for share in shares)}"
        )
    return shares


def _groups(items: Sequence[Item], regex: str | None, notes: Notes) -> tuple[list[list[int]], bool]:
    """Indices of items that stay together; and whether they are one sequence, to be cut."""
    if regex is not None:
        keys = [f"={key}" for key in groups_of([item.name for item in items], regex)]
        how = f"grouped by --group {regex}"
    elif any(item.group is not None for item in items):
        keys = [f"/{i}" if item.group is None else f"={item.group}" for i, item in enumerate(items)]
        how = "grouped as the source does"
    else:
        keys = [f"={key}" for key in sequences_of([item.name for item in items])]
        how = "grouped by names as SEQUENCE_NUMBER (--group REGEX groups otherwise)"
    members: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        members.setdefault(key, []).append(index)
    groups = list(members.values())
    if len(groups) == len(items):
        why = f"{how}: no two have one group" if regex else "no sequences in the names"
        notes.add(f"{why}: each image may go into any split", count=len(items))
    elif len(groups) > 1 or regex:  # one of the user's is not cut
        notes.add(
            f"{how}: {len(groups)} groups stay whole",
            max(members, key=lambda key: len(members[key]))[1:],
        )
    else:
        notes.add(
            "all names count up in one sequence: cut into blocks, not shuffled, so that neighbours "
            "meet only at the cuts (--group REGEX groups otherwise)"
        )
        order = sorted(range(len(items)), key=lambda i: _number(items[i].name))
        return [[index] for index in order], True
    return groups, False


def _number(name: str) -> tuple[int, str]:
    digits = re.findall(r"\d+", ROBOFLOW.sub("", name))
    return (int(digits[-1][:18]) if digits else 0, name)


def _blocks(groups: Sequence[list[int]], shares: Sequence[float]) -> list[list[int]]:
    cuts = _counts(len(groups), shares)
    ends = np.cumsum(cuts)
    order = [index for group in groups for index in group]
    return [order[end - count : end] for count, end in zip(cuts, ends, strict=True)]


def _counts(total: int, shares: Sequence[float]) -> list[int]:
    """How many of `total` go into each split: by its share, and at least one where there are."""
    counts = [round(total * share) for share in shares[1:]]
    counts = [max(n, 1) if share else 0 for n, share in zip(counts, shares[1:], strict=True)]
    for i in range(len(counts)):
        counts[i] = max(0, min(counts[i], total - 1 - sum(counts[:i])))
    return [total - sum(counts), *counts]


def _assigned(groups: Sequence[list[int]], shares: Sequence[float], seed: int) -> list[list[int]]:
    """Groups dealt out: the large ones first, each to the split that lacks most."""
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    order.sort(key=lambda i: -len(groups[i]))
    wanted = _counts(sum(map(len, groups)), shares)
    # Few sequences go to training and validation first.
    open_splits = [i for i, count in enumerate(wanted) if count][: max(2, len(groups) - 1)]
    dealt: list[list[int]] = [[] for _ in shares]
    for position, place in enumerate(order):
        empty = [i for i in open_splits if not dealt[i]]
        left = len(order) - position
        choices = empty if left <= len(empty) else open_splits
        best = max(choices, key=lambda i: (wanted[i] - len(dealt[i]), -i))
        dealt[best] += groups[place]
    return dealt
