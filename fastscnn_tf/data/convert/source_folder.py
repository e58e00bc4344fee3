"""The folder that is converted: its files, and finding those that annotations name."""

import contextlib
import functools
import itertools
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Set
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from ...core.aliases import StrPath
from ...core.errors import DataError
from ...core.files.folders import unlistable, walk
from ...core.files.json_text import decode_json
from ...core.files.reading import open_regular, read_bytes
from ...core.images.formats import HEAD, IMAGE_SUFFIXES

_SPLIT = re.compile(r"(?<![a-z])(train|val|test)(?:ing|id|idation)?(?![a-z])")
_PACKED = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}
SAMPLED = 8  # JSON files that are looked into to tell formats apart
CONVERTED = {"dataset.yaml", "report.json"}  # what a converted data set is known by
MOST_FILES = 5_000_000
LARGEST = 2 << 30  # bytes of an annotation file: COCO's largest has half a billion


class SourceFolder:
    """A folder as it is given, or the folder of a file that is given.

    Attributes:
        root: the folder; no path leads out of it, but files in it may be links to others.
        given: posix path of the file below it, if one was given.
        files: posix paths of all files below it, sorted; hidden ones are left out, and what was
            converted into a folder below.
        left_out: links to folders outside it, which are not followed.
        guessed: images that were found by their file name, not where annotations say.
        table: a file that says what the pixels of masks mean, where one was given beside it.
        table_used: whether the format looked at it.
        skip_bad: the annotations of an image that cannot be read are left out.
    """

    table: Path | None = None
    table_used = False
    skip_bad = False

    def __init__(self, path: StrPath):
        path = Path(path)
        if not path.is_dir():
            if path.suffix.lower() in _PACKED:
                raise DataError(f"{path}: packed: unpack it first, and give the folder")
            open_regular(path, "folder or annotation file", error=DataError).close()
        folder = path if path.is_dir() else path.absolute().parent
        self.files = self._listed(folder)
        if not path.is_dir() and not any(map(_is_image, self.files)):
            folder = folder.parent  # as of annotations/instances.json
            self.files = self._listed(folder)
        self.root = folder
        self.guessed: list[str] = []
        self.given = None if path.is_dir() else path.absolute().relative_to(folder).as_posix()

    def _listed(self, root: Path) -> tuple[str, ...]:
        found: list[str] = []
        self.left_out: list[Path] = []
        left: list[tuple[str, ...]] = []  # folders that an earlier conversion wrote
        for folder, names in walk(root, self.left_out.append, unlistable):
            parts = folder.relative_to(root).parts
            if parts and set(names) >= CONVERTED:
                left.append(parts)
            hidden = any(part.startswith(".") for part in parts)
            if not hidden and not any(parts[: len(each)] == each for each in left):
                found += ["/".join((*parts, name)) for name in names if name[0] != "."]
            if len(found) > MOST_FILES:
                raise DataError(f"{root}: more than {MOST_FILES:,} files")
        return tuple(sorted(found))

    def ending(self, *suffixes: str) -> list[str]:
        """The files with one of these endings, whatever their case; if a file was given, it."""
        wanted = [self.given] if self.given else self.files
        return [name for name in wanted if name.lower().endswith(suffixes)]

    @functools.cached_property
    def images(self) -> list[str]:
        """Files that are images by their suffix."""
        return list(filter(_is_image, self.files))

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self._listing

    def path(self, name: str) -> Path:
        """A listed file as a path."""
        return self.root / name

    def head(self, name: str, count: int = HEAD) -> bytes:
        """The first bytes of a file.

        Raises:
            DataError: it cannot be read.
        """
        with open_regular(self.path(name), error=DataError) as file:
            return file.read(count)

    def read(self, name: str, largest: int = LARGEST) -> bytes:
        """A whole file.

        Raises:
            DataError: it cannot be read, or is too large.
        """
        return read_bytes(self.path(name), "annotation file", largest=largest, error=DataError)

    def json(self, name: str, schema: Any) -> Any:
        """A JSON file of a schema (see `json_text`).

        Raises:
            DataError: it cannot be read, or does not fit the schema.
        """
        where = str(self.path(name))
        return decode_json(self.read(name), where, schema, largest=LARGEST, error=DataError)

    def inside(self, text: str, beside: str = "") -> str:
        """A path that an annotation names, as a posix path below the root; it need not be there.

        Args:
            text: relative, with slashes of either kind.
            beside: the file that names it: the path is relative to its folder; empty: to the root.

        Raises:
            DataError: it is absolute or leads out of the folder.
        """
        plain = text.replace("\\", "/")
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(beside), plain))
        absolute = plain.startswith("/") or plain[1:3] == ":/"
        if absolute or "\0" in plain or joined.split("/")[0] == "..":
            where = f"{self.path(beside)}: " if beside else ""
            raise DataError(
                f"{where}names {text!r}, which is outside {self.root}: "
                "give the folder that holds both, and relative paths"
            )
        return joined

    @functools.cached_property
    def json_keys(self) -> dict[str, frozenset[str]]:
        """The names at the top of the first JSON files, by file, to tell formats apart.

        Those of a list's first element are `[]name`. A file that is no such JSON is left out.
        """
        found = {}
        for name in self.ending(".json")[:SAMPLED]:
            with contextlib.suppress(DataError):
                value = self.json(name, dict[str, msgspec.Raw] | list[msgspec.Raw])
                if isinstance(value, list) and value:
                    first: dict[str, object] = decode_json(
                        value[0], name, dict[str, msgspec.Raw], largest=LARGEST, error=DataError
                    )
                    value = [f"[]{key}" for key in first]
                found[name] = frozenset(value)
        return found

    def json_with(self, fits: Callable[[Set[str]], bool], about: str) -> str | None:
        """What is seen of a format: the first JSON file whose names at the top are its own."""
        first = next((name for name, keys in self.json_keys.items() if fits(keys)), None)
        return first and f"{first} {about}"

    def find_image(self, text: str, beside: str = "", split: str | None = None) -> str | None:
        """The image that an annotation means: at this path, or the only one of that file name.

        Args:
            text: as the annotation says; it may lack the suffix, and be the path of another
                machine.
            beside: the file that names it.
            split: where several have that name, those in its folder are meant.

        Returns:
            A posix path below the root; None where there is none.

        Raises:
            DataError: there are several of that name.
        """
        told = [text, f"images/{split}/{text}"] if split else [text]  # the second as CVAT exports
        for each, base in itertools.product(told, (beside, "")):
            try:
                found = self._by_path.get(self.inside(each, base))
            except DataError:
                continue
            if found:
                return found
        name = PurePosixPath(text.replace("\\", "/")).name
        found_all = self._by_name.get(name) or self._by_name.get(stem(name), [])
        if len(found_all) > 1 and split:
            here = [each for each in found_all if split in each.split("/")[:-1]]
            named = split_named(split) or split
            found_all = here or [e for e in found_all if split_named(e) == named] or found_all
        if len(found_all) > 1:
            raise DataError(
                f"{self.path(beside)}: names {text!r}, which is not there, and {len(found_all)} "
                f"images could be meant ({found_all[0]}, {found_all[1]}): keep the folders as "
                "they were annotated"
            )
        self.guessed += found_all
        return found_all[0] if found_all else None

    def find_label(self, text: str, beside: str) -> Path:
        """The label map that an annotation names: beside it, or in the folder of its own name.

        Raises:
            DataError: it is not there, or outside the folder.
        """
        names = [self.inside(text, beside), self.inside(f"{stem(beside)}/{text}"), text]
        for name in names:
            if self.has(name):
                return self.path(name)
        raise DataError(f"{self.path(names[1])}: no such label map; {beside} names it")

    @functools.cached_property
    def _listing(self) -> frozenset[str]:
        return frozenset(self.files)

    @functools.cached_property
    def _by_path(self) -> dict[str, str]:
        """Images by their path, and by their path without suffix where that is unique."""
        stems = Counter(map(stem, self.images))
        unique = {stem(name): name for name in self.images if stems[stem(name)] == 1}
        return unique | {name: name for name in self.images}

    @functools.cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.images:
            last = name.rpartition("/")[2]
            found.setdefault(last, []).append(name)
            found.setdefault(stem(last), []).append(name)
        return found


def split_named(path: str) -> str | None:
    """`train`, `val` or `test` where a folder or a file of a path is named so; the last one counts.

    Example:
        >>> split_named("annotations/instances_train2017.json"), split_named("valid/x.jpg")
        ('train', 'val')
    """
    for part in reversed(posixpath.splitext(path)[0].split("/")):
        if found := _SPLIT.findall(part.lower()):
            return found[-1]
    return None


def stem(name: str) -> str:
    """A posix path without the suffix."""
    return posixpath.splitext(name)[0]


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)
