"""Images in Parquet files: a row has a path below its file's, which `read_image_file` reads.

`drive.parquet/00000012.png` is the image of row 12, whatever its format, and
`drive.parquet/00000012.label.png` its label map: the columns `image` and `label`, of bytes, or of
structures with `bytes` in them as Hugging Face's data sets have them. One row group of a column is
in memory at a time. `Parts` writes such files.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..extras import import_extra
from ..foreign_text import printable
from .journal import DONE, Journal
from .reading import open_regular
from .writing import check_output, remove_own, replacing

SUFFIX = ".parquet"
IMAGE, LABEL, BYTES = "image", "label", "bytes"
ENDINGS = {IMAGE: ".png", LABEL: ".label.png"}
MOST_ROWS = 5_000_000
LARGEST_GROUP = 1 << 30  # bytes of a column in a row group
PART, PART_ROWS, GROUP_ROWS = 128 << 20, 1000, 16  # what is written: bytes and rows of a file
_ROW = re.compile(r"(\d{8})(\.label)?\.png")
_BROKEN = (OSError, ValueError, KeyError, MemoryError, NotImplementedError, OverflowError)


def arrow() -> Any:
    """pyarrow, with what reads and writes such files.

    Raises:
        InputError: it is not installed.
    """
    import_extra("pyarrow.parquet", "parquet", ", which Parquet files need")
    return import_extra("pyarrow", "parquet")


def is_shard(path: Path) -> bool:
    """Whether a path is that of a Parquet file."""
    return path.suffix.lower() == SUFFIX and path.is_file()


def shard_of(path: Path) -> Path | None:
    """The Parquet file that a path leads into."""
    return path.parent if is_shard(path.parent) else None


def rows(path: Path, column: str = IMAGE) -> list[Path]:
    """The paths of all images, or label maps, of a Parquet file.

    Raises:
        DataError: it is missing, damaged, or has no such column.
        InputError: pyarrow is not installed.
    """
    shard = _opened(path)
    shard.place(column)
    return [path / f"{row:08}{ENDINGS[column]}" for row in range(shard.count)]


def read_row(path: Path, largest: int) -> bytes:
    """The bytes of such a path.

    Raises:
        DataError: there are none in this row, or more than `largest`, or the file is damaged.
    """
    found = _ROW.fullmatch(path.name)
    if found is None:
        raise DataError(f"{path}: no row of this file: expected a name such as 00000012.png")
    column = LABEL if found[2] else IMAGE
    value = _opened(path.parent).value(int(found[1]), column)
    if not isinstance(value, bytes):
        found_kind = "nothing" if value is None else type(value).__name__
        raise DataError(f"{path}: expected bytes in column {column!r}, found {found_kind}")
    if len(value) > largest:
        raise DataError(f"{path}: {len(value):,} bytes, but an image may have at most {largest:,}")
    return value


def _opened(path: Path) -> _OpenShard:
    try:
        found = path.stat()
    except OSError:
        return _OpenShard(path)  # says what is wrong
    return _kept(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=2)
def _kept(path: Path, *state: int) -> _OpenShard:
    return _OpenShard(path)


def _kind(column: Any) -> str:
    """What the values of a column are, as its schema says."""
    logical = column.logical_type.type
    kind = (column.physical_type if logical == "NONE" else logical).lower()
    return BYTES if kind in ("byte_array", "fixed_len_byte_array") else kind


class _OpenShard:
    """What a file holds, and the row group of each column that was read last."""

    def __init__(self, path: Path):
        self._parquet = arrow().parquet
        self._path, self._lock = path, threading.Lock()
        self._last: dict[str, tuple[int, Any]] = {}
        self._ask(self._learn)
        self.count = self._starts[-1]
        if self._starts != sorted(self._starts) or self.count > MOST_ROWS:
            raise DataError(f"{path}: {self.count:,} rows, at most {MOST_ROWS:,} are read")

    def _learn(self, file: Any) -> None:
        about = self._about = file.metadata
        groups = [about.row_group(i) for i in range(about.num_row_groups)]
        self._starts = [0, *itertools.accumulate(group.num_rows for group in groups)]
        columns = [about.schema.column(i) for i in range(about.num_columns)]
        self._kinds = {column.path: _kind(column) for column in columns}
        self._sizes = {
            column.path: [group.column(i).total_uncompressed_size for group in groups]
            for i, column in enumerate(columns)
        }

    def _ask(self, question: Callable[[Any], Any], **known: Any) -> Any:
        with open_regular(self._path, "Parquet file", error=DataError) as content:
            try:
                return question(self._parquet.ParquetFile(content, **known))
            except _BROKEN as error:
                said = " ".join(str(error).split())[:200]
                raise DataError(f"{self._path}: cannot be read as Parquet: {said}") from None

    def place(self, column: str) -> str:
        """A column of bytes, or where they are in a structure.

        Raises:
            DataError: there is none.
        """
        wanted = (column, f"{column}.bytes")
        found = next((each for each in wanted if self._kinds.get(each) == BYTES), None)
        if found is None:
            known = ", ".join(f"{printable(name)} ({kind})" for name, kind in self._kinds.items())
            raise DataError(
                f"{self._path}: expected a column {column!r} of bytes, found {known[:200]}"
            )
        return found

    def value(self, row: int, column: str) -> Any:
        """What a row has."""
        if not 0 <= row < self.count:
            raise DataError(f"{self._path}: no row {row}, it has {self.count}")
        group = bisect.bisect_right(self._starts, row) - 1
        with self._lock:
            if self._last.get(column, (None,))[0] != group:
                self._last[column] = group, self._read(group, self.place(column))
            found, at = self._last[column][1], row - self._starts[group]
        value = found[at].as_py() if at < len(found) else None  # a made file may have fewer
        return value["bytes"] if isinstance(value, dict) else value

    def _read(self, group: int, place: str) -> Any:
        if (size := self._sizes[place][group]) > LARGEST_GROUP:
            raise DataError(
                f"{self._path}: {size:,} bytes of {place} in a row group, at most "
                f"{LARGEST_GROUP:,} are read at once: write it with smaller row groups"
            )
        self._last.pop(place.partition(".")[0], None)  # one at a time
        return self._ask(
            lambda file: file.read_row_group(group, columns=[place]).column(0), metadata=self._about
        )


class Parts:
    """Rows that go into Parquet files of a folder, `NAME-00000.parquet` and so on, as they come.

    Each file is there whole or not at all. One line of a journal says what is in it, so that a call
    that goes on does no file's work twice.

    Args:
        folder: of the files.
        name: what their names begin with.
        journal: where they are noted; None: this call is not gone on with.
        anew: such files, by their numbers, go once there is the first of this call.

    Attributes:
        place: the file of each item that is done.

    Raises:
        InputError: pyarrow is not installed.
        OutputError: there is such a file that the journal does not know.
    """

    def __init__(self, folder: Path, name: str, journal: Journal | None, anew: bool = False):
        self._arrow = arrow()
        self._folder, self._name, self._journal = folder, name, journal
        self._rows: list[dict[str, bytes | str]] = []
        self._items: dict[str, Any] = {}
        self._size = 0
        self.place: dict[str, Path] = {}
        self._old = rf"{name}-\d{{5,}}\{SUFFIX}" if anew else ""
        for path in sorted(folder.glob(f"{name}-*{SUFFIX}")):
            own = re.fullmatch(self._old, path.name) or (journal and journal.has_begun(path))
            check_output(path, bool(own), folder / DONE)

    def done(self, kind: Any = Any) -> dict[str, Any]:
        """What is in files that are there, and what came of each, of a msgspec type."""
        known: dict[str, Any] = {}
        for path in sorted(self._folder.glob(f"{self._name}-*{SUFFIX}")):
            if self._journal and self._journal.is_done(path):
                items = self._journal.result(path, dict[str, kind])
                known |= items
                self.place |= dict.fromkeys(items, path)
        return known

    def add(self, item: str, row: dict[str, bytes | str], result: Any = None) -> None:
        """Adds a row; it counts as done once its file is written."""
        self._rows.append(row)
        self._items[item] = result
        self._size += sum(map(len, row.values()))
        if self._size >= PART or len(self._rows) >= PART_ROWS:
            self.flush()

    def flush(self) -> None:
        """Writes a file of what has come since the last one."""
        if not self._rows:
            return
        names = (f"{self._name}-{number:05}{SUFFIX}" for number in itertools.count())
        taken = {path.name for path in self.place.values()}
        path = self._folder / next(name for name in names if name not in taken)
        if self._journal:
            self._journal.begin([path])
        with replacing(path) as temporary:
            table = self._arrow.Table.from_pylist(self._rows)
            how = {"compression": "none", "use_dictionary": False}
            self._arrow.parquet.write_table(table, temporary, row_group_size=GROUP_ROWS, **how)
            if self._old:
                remove_own(self._folder, self._old)
                self._old = ""
        if self._journal:
            self._journal.note(path, self._items)
        self.place |= dict.fromkeys(self._items, path)
        self._rows, self._items, self._size = [], {}, 0
