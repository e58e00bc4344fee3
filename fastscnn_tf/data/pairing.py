"""Which picture belongs to which label map, and what has no partner."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..core.errors import DataError


@dataclasses.dataclass(frozen=True)
class Pairing:
    """The files of one split.

    Attributes:
        pairs: (picture, label map), in the order in which they are read.
        without_label: pictures that have no label map.
        without_image: label maps that have no picture.
        missing: the files that should be there: a label map for each of `without_label`, then a
            picture for each of `without_image`.
    """

    pairs: tuple[tuple[Path, Path], ...]
    without_label: tuple[Path, ...] = ()
    without_image: tuple[Path, ...] = ()
    missing: tuple[Path, ...] = ()

    def check_complete(self) -> None:
        """Makes sure that nothing lacks its partner.

        Raises:
            DataError: naming the first missing file and how many there are.
        """
        for what, alone in (("label map", self.without_label), ("picture", self.without_image)):
            if alone:
                total = len(self.pairs) + len(alone)
                raise DataError(
                    f"{self.missing[0]}: no such {what} ({len(alone)} of {total} are missing)"
                )

    def check_any(self) -> None:
        """Makes sure that there is a pair.

        Raises:
            DataError: naming the first missing file.
        """
        if not self.pairs:
            raise DataError(f"{self.missing[0]}: no such file, and no other pair is complete")


def pair_up(
    pictures: Sequence[Path],
    label_maps: Sequence[Path],
    label_of: Callable[[Path], Path],
    picture_of: Callable[[Path], Path],
) -> Pairing:
    """Pairs files by their names.

    Args:
        pictures: at least one, in order.
        label_maps: those that are there, in order.
        label_of: a picture's label map.
        picture_of: the picture that a label map without one should have.
    """
    there = set(label_maps)
    wanted = [(picture, label_of(picture)) for picture in pictures]
    pairs = tuple(pair for pair in wanted if pair[1] in there)
    lacking = [pair for pair in wanted if pair[1] not in there]
    used = {label for _, label in pairs}
    orphans = tuple(label for label in label_maps if label not in used)
    return Pairing(
        pairs,
        tuple(picture for picture, _ in lacking),
        orphans,
        (*(label for _, label in lacking), *map(picture_of, orphans)),
    )


def files_under(folder: Path, pattern: str, suffixes: Sequence[str]) -> list[Path]:
    """The files that match, sorted by path.

    Hidden files and folders, which copies from macOS contain, are left out.

    Args:
        folder: where to look.
        pattern: a glob pattern such as `*` or `*/*`.
        suffixes: endings of the names; `.png` fits `.PNG`, too.

    Raises:
        DataError: a folder cannot be listed, which `glob` takes for an empty one.
    """
    endings = tuple(suffixes)
    _check_listable(folder)
    return sorted(
        path
        for path in folder.glob(pattern)
        if (path.name.endswith(endings) or path.suffix.lower() in endings)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _check_listable(folder: Path) -> None:
    def refuse(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            return  # there is nothing to list
        raise DataError(f"{error.filename}: cannot be listed ({error.strerror or error})")

    for _ in os.walk(folder, onerror=refuse):
        pass


def pictures_under(folder: Path, pattern: str, suffixes: Sequence[str]) -> list[Path]:
    """`files_under` that are there.

    Raises:
        DataError: there are none.
    """
    found = files_under(folder, pattern, suffixes)
    if not found:
        place = pattern.rpartition("*")[0].replace("**", "...").replace("*", "<folder>")
        kinds = ", ".join(f"{place}*{suffix}" for suffix in suffixes)
        raise DataError(f"{folder}: no pictures in this split ({kinds})")
    return found
