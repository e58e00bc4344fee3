"""Which image belongs to which label map, and what has no partner."""

from __future__ import annotations

import dataclasses
import os
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from ...core.errors import DataError
from ...core.files.folders import unlistable


@dataclasses.dataclass(frozen=True)
class Pairing:
    """The files of one split.

    Attributes:
        pairs: (image, label map), in the order in which they are read.
        without_label: images that have no label map.
        without_image: label maps that have no image.
        missing: the files that should be there: a label map for each of `without_label`, then an
            image for each of `without_image`.
    """

    pairs: tuple[tuple[Path, Path], ...]
    without_label: tuple[Path, ...] = ()
    without_image: tuple[Path, ...] = ()
    missing: tuple[Path, ...] = ()

    @property
    def images(self) -> list[Path]:
        """All images, sorted."""
        return sorted([*(image for image, _ in self.pairs), *self.without_label])

    def check_complete(self) -> None:
        """Makes sure that nothing lacks its partner.

        Raises:
            DataError: naming the first missing file and how many there are.
        """
        for what, alone in (("label map", self.without_label), ("image", self.without_image)):
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
    images: Sequence[Path],
    label_maps: Sequence[Path],
    label_of: Callable[[Path], Path],
    image_of: Callable[[Path], Path],
) -> Pairing:
    """Pairs files by their names.

    Args:
        images: at least one, in order.
        label_maps: those that are there, in order.
        label_of: an image's label map.
        image_of: the image that a label map without one should have.
    """
    there = set(label_maps)
    wanted = [(image, label_of(image)) for image in images]
    pairs = tuple(pair for pair in wanted if pair[1] in there)
    lacking = [pair for pair in wanted if pair[1] not in there]
    used = {label for _, label in pairs}
    orphans = tuple(label for label in label_maps if label not in used)
    alone = tuple(image for image, _ in lacking)
    missing = (*(label for _, label in lacking), *map(image_of, orphans))
    return Pairing(pairs, alone, orphans, missing)


@dataclasses.dataclass(frozen=True)
class Files:
    """The images or the label maps of a split: where they lie, and how their names end.

    Args:
        folder: where to look; in a layout below the data set's folder, with `{split}` in it.
        endings: of the names, the usual one first; `_mask.png` fits `_Mask.PNG`, too. What stands
            in front of it is the same in an image and its label map.
        pattern: a glob pattern such as `*` or `*/*`, with `{split}` as above.
    """

    folder: Path
    endings: tuple[str, ...]
    pattern: str = "*"

    def at(self, root: Path, split: str) -> Files:
        """These files of one data set and split."""
        folder = root / str(self.folder).format(split=split)
        return Files(folder, self.endings, self.pattern.format(split=split))

    def found(self) -> list[Path]:
        """Those that are there, sorted by path.

        Hidden files and folders, which copies from macOS contain, are left out.

        Raises:
            DataError: a folder cannot be listed, which `glob` takes for an empty one.
        """
        _check_listable(self.folder)
        endings = tuple(ending.lower() for ending in self.endings)
        found = (p for p in self.folder.glob(self.pattern) if p.name.lower().endswith(endings))
        return sorted(path for path in found if "/." not in f"/{self.below(path)}")

    def found_any(self, wanted: Callable[[Path], bool] = lambda path: True) -> list[Path]:
        """Those that are there and wanted.

        Raises:
            DataError: there are none, or a folder cannot be listed.
        """
        if found := list(filter(wanted, self.found())):
            return found
        place = self.pattern.rpartition("*")[0].replace("**", "...").replace("*", "<folder>")
        kinds = ", ".join(f"{place}*{ending}" for ending in self.endings)
        raise DataError(f"{self.folder}: no images in this split ({kinds})")

    def ending(self, path: Path) -> str:
        """How the name of one of them ends: the longest of `endings` that fits."""
        name = path.name.lower()
        return max([e for e in self.endings if name.endswith(e.lower())], key=len)

    def below(self, path: Path) -> str:
        """The path of one of them below the folder, with `/`."""
        folder = str(self.folder)
        below = str(path) if folder == "." else str(path)[len(folder) :]  # of many: no relative_to
        return below.replace(os.sep, "/").removeprefix("/")

    def key(self, path: Path) -> str:
        """The path of one of them below the folder, without its ending, as Unicode composes it."""
        return unicodedata.normalize("NFC", self.below(path)[: -len(self.ending(path))])


def pair_by_name(
    image_files: Files, label_maps: Files, wanted: Callable[[Path], bool] = lambda path: True
) -> Pairing:
    """Pairs images and label maps whose names differ in their endings alone.

    Args:
        image_files: where they lie.
        label_maps: where they lie.
        wanted: whether a file belongs to the split, where its folder does not say so.

    Raises:
        DataError: there is no image, or a folder cannot be listed.
    """
    found = image_files.found_any(wanted), list(filter(wanted, label_maps.found()))
    return pair_found(image_files, label_maps, *found)


def pair_found(
    image_files: Files, label_maps: Files, images: Sequence[Path], labels: Sequence[Path]
) -> Pairing:
    """`pair_by_name` of files that were found.

    Args:
        image_files: where `images` lie.
        label_maps: where `labels` lie.
        images: at least one.
        labels: any number.

    Raises:
        DataError: two label maps have the name of one image.
    """
    by_key: dict[str, Path] = {}
    for path in labels:
        if (other := by_key.setdefault(label_maps.key(path), path)) != path:
            raise DataError(f"{path}: {other.name} has the same name: which is the label map?")
    usual = label_maps.ending(labels[0]) if labels else label_maps.endings[0]

    def label_of(path: Path) -> Path:
        key = image_files.key(path)
        return by_key.get(key) or label_maps.folder / f"{key}{usual}"

    def image_of(path: Path) -> Path:
        return image_files.folder / f"{label_maps.key(path)}{image_files.endings[0]}"

    return pair_up(images, labels, label_of, image_of)


def _check_listable(folder: Path) -> None:
    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # then there is nothing to list
            unlistable(error)

    for _ in os.walk(folder, onerror=refuse):
        pass
