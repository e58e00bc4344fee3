"""The folder that is converted: its files, and finding those that annotations name."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ...core.aliases import StrPath
from ...core.errors import DataError
from ...core.files.folders import walk
from ...core.files.json_text import decode_json
from ...core.files.reading import open_regular, read_bytes
from ...core.images.formats import HEAD, IMAGE_SUFFIXES

MOST_FILES = 5_000_000
LARGEST = 2 << 30  # bytes of an annotation file: COCO's largest has half a billion
PICTURES = (*IMAGE_SUFFIXES, ".jfif", ".gif", ".avif", ".jpe")


class SourceFolder:
    """A folder as it is given, or the folder of a file that is given.

    Attributes:
        root: the folder; nothing outside it is read.
        given: posix path of the file below it, if one was given.
        files: posix paths of all files below it, sorted; hidden ones are left out.
    """

    def __init__(self, path: StrPath):
        path = Path(path)
        if not path.is_dir():
            open_regular(path, "folder or annotation file", error=DataError).close()
        self.given = None if path.is_dir() else path.name
        self.root = path if path.is_dir() else path.parent
        self.files = tuple(sorted(self._listed()))

    def _listed(self) -> Iterator[str]:
        count = 0
        for folder, names in walk(self.root, onerror=_unlistable):
            below = folder.relative_to(self.root).as_posix()
            if any(part.startswith(".") and part != "." for part in below.split("/")):
                continue
            for name in names:
                if not name.startswith("."):
                    count += 1
                    if count > MOST_FILES:
                        raise DataError(f"{self.root}: more than {MOST_FILES:,} files")
                    yield name if below == "." else f"{below}/{name}"

    def ending(self, *suffixes: str) -> list[str]:
        """The files with one of these endings, whatever their case; if a file was given, it."""
        wanted = [self.given] if self.given else self.files
        return [name for name in wanted if name.lower().endswith(suffixes)]

    @functools.cached_property
    def images(self) -> list[str]:
        """Files that are pictures by their suffix."""
        return [name for name in self.files if name.lower().endswith(PICTURES)]

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

    def find_image(self, text: str, beside: str = "") -> str | None:
        """The image that an annotation means: at this path, or the only one of that file name.

        Args:
            text: as the annotation says; it may lack the suffix, and be the path of another
                machine.
            beside: the file that names it.

        Returns:
            A posix path below the root; None where there is none.

        Raises:
            DataError: there are several of that name.
        """
        for base in (beside, ""):
            try:
                found = self._by_path.get(self.inside(text, base))
            except DataError:
                continue
            if found:
                return found
        name = PurePosixPath(text.replace("\\", "/")).name
        found_all = self._by_name.get(name) or self._by_name.get(stem(name), [])
        if len(found_all) > 1:
            raise DataError(
                f"{self.path(beside)}: names {text!r}, which is not there, and {len(found_all)} "
                f"images could be meant ({found_all[0]}, {found_all[1]}): keep the folders as "
                "they were annotated"
            )
        return found_all[0] if found_all else None

    @functools.cached_property
    def _by_path(self) -> dict[str, str]:
        """Images by their path, and by their path without suffix where that is unique."""
        return {stem(name): name for name in self.images} | {name: name for name in self.images}

    @functools.cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.images:
            last = name.rpartition("/")[2]
            found.setdefault(last, []).append(name)
            found.setdefault(stem(last), []).append(name)
        return found


def stem(name: str) -> str:
    """A posix path without the suffix."""
    return posixpath.splitext(name)[0]


def _unlistable(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be listed ({error.strerror or error})")
