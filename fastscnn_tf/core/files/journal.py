"""What of a long work is done, line by line: a call that was cut off can be gone on with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..arguments import called
from ..errors import ConfigError, OutputError
from ..foreign_text import printable
from .json_text import convert, decode_json, dump_json, plain
from .reading import read_bytes
from .writing import make_folder, write_bytes

DONE = ".fastscnn-done.jsonl"  # the journal of a folder of results
LARGEST = 256 << 20  # bytes of a journal: a million images, a hundred thousand that are scored
Line = TypeVar("Line")


def read_lines(path: Path, kind: type[Line]) -> list[Line]:
    """The lines of a journal, if there is one; a last one that a crash cut short goes.

    Args:
        path: of the journal.
        kind: the msgspec type of a line.

    Raises:
        OutputError: it is not a journal of ours, or damaged elsewhere.
    """
    if not os.path.lexists(path):
        return []
    if path.is_symlink():
        raise OutputError(f"{path} is a link: a journal of our own is none")
    content = read_bytes(path, "journal", largest=LARGEST, error=OutputError)
    texts, lines = content.splitlines(), []
    for number, text in enumerate(texts, 1):
        where = f"{path}: damaged at line {number}"
        try:
            line: Line = decode_json(text, where, kind, error=OutputError, mend=True)
        except OutputError as error:
            if number < len(texts) or content.endswith(b"\n"):
                raise OutputError(f"{error}; remove it to begin anew") from None
        else:
            lines.append(line)
    if len(lines) < len(texts) or not content.endswith(b"\n"):
        write_bytes(path, b"".join(text + b"\n" for text in texts[: len(lines)]))
    return lines


def add_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Appends lines, all by one write."""
    with path.open("a", encoding="utf-8") as journal:
        journal.write("".join(dump_json(line) + "\n" for line in lines))


def check_same(where: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Makes sure that what decides the results is what it was.

    Raises:
        ConfigError: naming the first difference.
    """
    for name in {**now, **before}:
        value, old = now.get(name), plain(before.get(name))
        if old != value:
            said = f"with {printable(old)[:200]}; give that"
            began = "without; leave it out" if old in (None, "") else said
            raise ConfigError(
                f"cannot resume {where} with {called(name)} {value}: it began {began}, or another "
                "output"
            )


class _JournalLine(msgspec.Struct):
    settings: dict[str, Any] | None = None
    begun: str | None = None
    done: str | None = None
    result: Any = None


class Journal:
    """The journal of a work: settings, files that are about to be written, and what is done.

    Files beside it or below are noted relative to it, so that a folder that was moved is gone on
    with, too.

    Args:
        path: where it lies; nothing is written before `begin`.
        settings: what decides the results; as JSON has it. None: whatever it was begun with.

    Attributes:
        path: where it lies.

    Raises:
        ConfigError: the work was begun with other settings.
        OutputError: it is not a journal of ours, or damaged.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any] | None = None):
        self.path, self._settings = path, plain(dict(settings or {}))
        lines = read_lines(path, _JournalLine)
        self._new = not lines
        if lines and settings is not None:
            where = path.parent if path.name == DONE else path
            check_same(where, lines[0].settings or {}, self._settings)
        self._here = os.path.join(name_of(path.parent), "")  # noqa: PTH118
        self._begun = {self._name(line.begun) for line in lines if line.begun}
        self._done = {self._name(line.done): line.result for line in lines if line.done}

    def _name(self, item: Path | str) -> str:
        return name_of(item).removeprefix(self._here)

    def begin(self, paths: Iterable[Path]) -> None:
        """Notes files that are written from now on, by this call or one that goes on with it."""
        names = [name for name in map(self._name, paths) if name not in self._begun]
        self._begun.update(names)
        make_folder(self.path.parent)
        first = [{"settings": self._settings}] if self._new else []
        add_lines(self.path, [*first, *({"begun": name} for name in names)])
        self._new = False

    def has_begun(self, path: Path) -> bool:
        """Whether a file, if there is one, is a result."""
        return self._name(path) in self._begun

    def note(self, item: Path | str, result: Any = None) -> None:
        """Notes that all is done for a file, or what has a name, and what came of it, as JSON."""
        self._done[self._name(item)] = result
        add_lines(self.path, [{"done": self._name(item), "result": result}])

    def others(self, items: Iterable[Path | str]) -> list[Path]:
        """What else is noted as done."""
        return sorted(Path(n) for n in self._done.keys() - set(map(self._name, items)))

    def is_done(self, item: Path | str) -> bool:
        """Whether it was noted."""
        return self._name(item) in self._done

    def result(self, item: Path | str, kind: Any = Any) -> Any:
        """What came of what is done, of a msgspec type.

        Raises:
            OutputError: it is of another type.
        """
        where = f"{self.path}: {item}"
        return convert(self._done[self._name(item)], where, kind, error=OutputError)


def name_of(item: Path | str) -> str:
    """What a journal calls a file, or what has a name."""
    return plain(item if isinstance(item, str) else os.path.abspath(item))  # noqa: PTH100
