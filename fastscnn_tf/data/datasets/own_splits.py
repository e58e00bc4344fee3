"""Where the images and label maps of own splits lie, and which belong together."""

import dataclasses
import functools
import itertools
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from ...core.arguments import called
from ...core.errors import DataError, retold
from ...core.files.parquet import LABEL, SUFFIX, rows
from ...core.files.reading import read_text
from ...core.images.image_file import IMAGE_SUFFIXES, Coding, is_image_name, lossy
from ...core.labels import LabelSpace
from .pairing import Files, Pairing, pair_found, pair_up
from .splitting import assign

LABEL_ENDINGS = (".png", ".bmp", ".tif", ".tiff")
LOSSY_ENDINGS = (".jpg", ".jpeg", ".jfif", ".webp", ".avif")
LIST_BYTES = 64 << 20  # of a list of files: some million names
COLUMNS = 16  # of a line, at which its label map may begin


Paths = Sequence[Path]


class Pairs(Protocol):
    """What knows the files of a split."""

    def pairs(self, labels_needed: bool = True) -> Pairing:
        """The files of the split, and those that lack their partner."""


@dataclasses.dataclass(frozen=True)
class Described:
    """A data set as its owner describes it.

    Args:
        path: the YAML file.
        labels: the label space of its class indices.
        coding: how the pixels of its label maps say the class.
        splits: where the files of each split lie.
    """

    path: Path
    labels: LabelSpace
    coding: Coding
    splits: Mapping[str, Pairs]

    def pairs(self, split: str, labels_needed: bool = True) -> Pairing:
        """The files of a split, and those that lack their partner.

        Args:
            split: a key of `splits`.
            labels_needed: the folder of label maps must be there.

        Raises:
            DataError: there is no such split, folder or list, or there is no image.
        """
        if split not in self.splits:
            known = ", ".join(self.splits) or "none"
            choose = f"; {called('split')} chooses one of them"
            hint = choose if split == "val" and self.splits else ""
            raise DataError(f"{self.path}: no split {split!r}; it describes: {known}{hint}")
        return self.splits[split].pairs(labels_needed)

    def idle_patterns(self) -> list[str]:
        """Those of `exclude` that leave nothing out in any split."""
        sources = [source for source in self.splits.values() if isinstance(source, SplitSource)]
        idle = dict.fromkeys(pattern for source in sources for pattern in source.exclude)
        for source in sources:
            for folder in filter(None, {source.images, source.labels}):
                files = Files(folder, ("",), "**/*")
                for below in map(files.below, files.found() if idle else ()):
                    idle = {each: None for each in idle if not _fits(below, each)}
        return list(idle)


@dataclasses.dataclass(frozen=True)
class Share:
    """A split that is a share of the images, see `splitting.assign`."""

    split: str
    fractions: Mapping[str, float]
    seed: int
    group: str | None


@dataclasses.dataclass(frozen=True)
class SplitSource:
    """A split of own data.

    Args:
        root: the folder of the YAML file.
        images: where the images lie; None: only a list says it.
        labels: where the label maps lie; it may be the same folder.
        suffix: of the label map's name, before its extension: `_mask`.
        endings: extensions of label maps; None: those that are there, PNG first.
        recursive: folders in these are looked through, too.
        exclude: patterns of paths below `images` or `labels`, or of names, that are left out.
        list: a file that names the images of the split, and maybe their label maps.
        share: the split is a share of the images.
    """

    root: Path
    images: Path | None
    labels: Path | None
    suffix: str = ""
    endings: tuple[str, ...] | None = None
    recursive: bool = False
    exclude: tuple[str, ...] = ()
    list: Path | None = None
    share: Share | None = None

    def pairs(self, labels_needed: bool = True) -> Pairing:
        """The files of the split, and those that lack their partner.

        Of Parquet files they are the rows. A file that is a label map by its name and place is not
        an image. Label maps without an image are those of the first share, and none where a list
        names the images.

        Args:
            labels_needed: the folder of label maps must be there.

        Raises:
            DataError: a folder or list is missing or wrong, or there is no image.
        """
        if self.images and self.images.suffix.lower() == SUFFIX:
            shards = sorted(self.images.parent.glob(self.images.name)) or [self.images]
            pairs = [zip(rows(shard), rows(shard, LABEL), strict=True) for shard in shards]
            return Pairing(tuple(itertools.chain.from_iterable(pairs)))
        for place in (self.images, self.labels if labels_needed else None):
            if place is not None and not os.path.isdir(place):  # noqa: PTH112 - raises no OSError
                raise DataError(f"{place}: no such folder, but the data set's description names it")
        pattern = "**/*" if self.recursive or self.list is not None else "*"
        image_files = Files(self.images or self.root, IMAGE_SUFFIXES, pattern)
        found = image_files.found()
        label_maps, labels = (None, []) if self.labels is None else self._label_maps(image_files)
        if label_maps and _overlap(image_files.folder, label_maps.folder):
            own = {_real(path) for path in labels}
            found = [path for path in found if _real(path) not in own]
        images = [path for path in found if not self._excludes(image_files.below(path))]
        if self.list is not None:
            return self._listed(self.list, image_files, label_maps, images, labels)
        assert label_maps is not None  # as the description was checked
        if self.exclude:
            gone = {*map(image_files.key, found)} - {*map(image_files.key, images)}
            labels = [path for path in labels if label_maps.key(path) not in gone]
            labels = [path for path in labels if not self._excludes(label_maps.below(path))]
        if not images:
            _refuse_empty(image_files, label_maps, len(labels))
        if not labels:
            _refuse_lossy(image_files, label_maps, self.suffix)
        if self.share is None:
            return pair_found(image_files, label_maps, images, labels)
        return _shared(self.share, image_files, label_maps, images, labels)

    def _label_maps(self, image_files: Files) -> tuple[Files, Sequence[Path]]:
        """Where label maps are looked for, and those that are there.

        Where no extensions are asked for, PNG goes before the others: with images in the same
        folder they alone, elsewhere each by its name.
        """
        assert self.labels is not None
        endings = tuple(f"{self.suffix}{each}" for each in self.endings or LABEL_ENDINGS)
        files = Files(self.labels, endings, image_files.pattern)
        found = files.found()
        if self.endings is not None:
            return files, found
        there = {files.ending(path) for path in found}
        usual = next((ending for ending in endings if ending in there), endings[0])
        if _overlap(image_files.folder, self.labels):
            files = dataclasses.replace(files, endings=(usual,))
            return files, [path for path in found if path.name.lower().endswith(usual.lower())]
        if len(there) < 2:
            return files, found
        found.sort(key=lambda path: endings.index(files.ending(path)), reverse=True)
        return files, sorted({files.key(path): path for path in found}.values())

    def _excludes(self, below: str) -> bool:
        return any(_fits(below, pattern) for pattern in self.exclude)

    def _listed(
        self,
        place: Path,
        image_files: Files,
        label_maps: Files | None,
        images: Paths,
        labels: Paths,
    ) -> Pairing:
        """The pairs that a list names, in its order."""
        by_key: dict[str, list[Path]] = {}
        for path in images:
            by_key.setdefault(image_files.key(path), []).append(path)
        told: dict[Path, Path | None] = {}
        for where, line in list_lines(place):
            image, label = self._columns(where, line, by_key)
            inside = image.is_relative_to(image_files.folder)
            if inside and self._excludes(image_files.below(image)):
                continue
            told[image] = label
        if not told:
            raise DataError(f"{place}: names no images")
        alone = [image for image, label in told.items() if label is None]
        lost = [p for p in alone if label_maps is None or not p.is_relative_to(image_files.folder)]
        if lost:
            why = f"it is not below {image_files.folder}" if label_maps else "`labels` is missing"
            raise DataError(f"{place}: names no label map for {lost[0]}, and {why}")
        expected = {image: label for image, label in told.items() if label is not None}
        if label_maps is not None and alone:
            found = pair_found(image_files, label_maps, alone, labels)
            expected |= dict([*found.pairs, *zip(found.without_label, found.missing, strict=False)])
        if own := next((path for path in told if _real(path) == _real(expected[path])), None):
            raise DataError(f"{place}: {own} is its own label map: name the image")
        there = [label for label in expected.values() if label.is_file()]
        return pair_up(list(told), there, expected.__getitem__, lambda label: label)

    def _columns(
        self, where: str, line: str, by_key: Mapping[str, Sequence[Path]]
    ) -> tuple[Path, Path | None]:
        """The image of a line, and its label map where the line names one; names may have spaces.

        Raises:
            DataError: there is no such image or label map.
        """
        if (image := self._find(where, line, self.images, by_key)) and is_image_name(image):
            return image, None
        for separator in itertools.islice(re.finditer(r"[\s,;]\s*", line), COLUMNS):
            left, right = line[: separator.start()], line[separator.end() :]
            if image := self._find(where, left, self.images, by_key):
                if label := self._find(where, right, self.labels, {}):
                    return image, label
                raise DataError(f"{where}: no such label map: {right!r}")
        raise DataError(
            f"{where}: no such image: {line!r}, looked for in {self.images or self.root}"
        )

    def _find(
        self, where: str, name: str, folder: Path | None, by_key: Mapping[str, Sequence[Path]]
    ) -> Path | None:
        """A file that a list names: from the folder, the description or the list, or its key."""
        assert self.list is not None
        for base in filter(None, (folder, self.root, self.list.parent)):
            if os.path.isfile(base / name):  # noqa: PTH113 - raises nothing for odd names
                return _as_below(base / name, folder or self.root)
        found = by_key.get(unicodedata.normalize("NFC", name), ())
        if len(found) > 1:
            raise DataError(f"{where}: {name!r} may be {found[0].name} or {found[1].name}")
        return found[0] if found else None


def _fits(below: str, pattern: str) -> bool:
    return fnmatchcase(below, pattern) or fnmatchcase(below.rpartition("/")[2], pattern)


def _shared(
    share: Share, image_files: Files, label_maps: Files, images: Paths, labels: Paths
) -> Pairing:
    names = [image_files.below(path) for path in images]
    with retold(DataError, f"{image_files.folder}: ", of=DataError):
        splits = assign(names, share.fractions, share.seed, share.group)
    chosen = [path for path, split in zip(images, splits, strict=True) if split == share.split]
    keys = {*map(image_files.key, chosen)}
    if share.split == next(iter(share.fractions)):  # it also has those without an image
        keys |= {*map(label_maps.key, labels)} - {*map(image_files.key, images)}
    return pair_found(
        image_files, label_maps, chosen, [path for path in labels if label_maps.key(path) in keys]
    )


def list_lines(path: Path) -> Iterator[tuple[str, str]]:
    """(where, text) of the lines of a list that are not blank."""
    text = read_text(path, "list of images", largest=LIST_BYTES, error=DataError)
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield f"{path}: line {number}", line.strip()


def _as_below(path: Path, folder: Path) -> Path:
    """A file by its path below a folder, where it lies there."""
    below = os.path.relpath(_real(path), _real_folder(folder))
    return path if below.startswith("..") else folder / below


def _real(path: Path) -> str:
    """A file's place, by whatever name its folder is called."""
    return f"{_real_folder(path.parent)}/{path.name}"


@functools.lru_cache(1024)
def _real_folder(folder: Path) -> str:
    return os.path.realpath(folder)


def _overlap(one: Path, other: Path) -> bool:
    """Whether a folder may hold files of another."""
    places = [f"{_real_folder(folder)}{os.sep}" for folder in (one, other)]
    return places[0].startswith(places[1]) or places[1].startswith(places[0])


def _refuse_empty(image_files: Files, label_maps: Files, count: int) -> None:
    kinds = ", ".join(image_files.endings)
    if not count:
        below = dataclasses.replace(image_files, pattern="**/*").found()
        hint = "; those in folders below are read with `recursive: true`" if below else ""
        raise DataError(f"{image_files.folder}: no images in this split ({kinds}){hint}")
    raise DataError(
        f"{image_files.folder}: no images in this split ({kinds}): by their names "
        f"(*{label_maps.endings[0]}) all {count} files are label maps; `label_suffix` or "
        "`label_extensions` says what tells label maps from images"
    )


def _refuse_lossy(image_files: Files, label_maps: Files, suffix: str) -> None:
    """Says why label maps that are there do not count."""
    endings = tuple(f"{suffix}{ending}" for ending in LOSSY_ENDINGS)
    found = dataclasses.replace(label_maps, endings=endings).found()
    apart = suffix or _real_folder(image_files.folder) != _real_folder(label_maps.folder)
    if found and apart:
        raise DataError(f"{found[0]}: {lossy(found[0].suffix[1:].upper())}")
