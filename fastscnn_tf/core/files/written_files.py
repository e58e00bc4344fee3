"""Which files of a folder a command wrote itself, where they lie among the user's own.

A hidden file lists them, a line of JSON each, with size and digest: a file counts as written here
only while it is exactly what was written. So nothing that such a list says, whoever made it, puts
another file at risk.
"""

import contextlib
import hashlib
import os
import stat
from pathlib import Path

import msgspec

from ..errors import InputError, OutputError
from .json_text import decode_json
from .reading import read_bytes
from .writing import write_bytes

LIST = ".fastscnn-predict.jsonl"
WHAT = "list of written files"
LARGEST = 32 << 20  # bytes of a list that is read
SHORTEN = 4 << 20  # a list is written anew, without what is gone, from so many bytes on
FILE = 1 << 30  # bytes of a file that may be one of ours


class _WrittenFile(msgspec.Struct, frozen=True):
    name: str
    bytes: int
    blake2b: str


class WrittenFiles:
    """The list of a folder; several processes may add to it at once.

    Args:
        folder: need not exist yet.

    Raises:
        OutputError: the list is not a regular file, or too large.
    """

    def __init__(self, folder: Path):
        self.path = folder / LIST
        self._lines: dict[str, list[_WrittenFile]] = {}
        self._read = b""
        if self._reload() and len(self._read) > SHORTEN:
            self._shorten()

    def has(self, path: Path) -> bool:
        """Whether a file in the folder is one that was written here, and unchanged since."""
        lines = self._lines.get(path.name, ())
        with contextlib.suppress(OSError, InputError):
            status = path.lstat()
            plain = stat.S_ISREG(status.st_mode)  # a link was not written here
            if plain and any(line.bytes == status.st_size for line in lines):
                return _described(path.name, path) in lines
        return False

    def check(self, path: Path) -> None:
        """Makes sure that a file may be written, or replaced since it was written here.

        Raises:
            OutputError: it was not.
        """
        if os.path.lexists(path) and not (self.has(path) or (self._reload() and self.has(path))):
            raise OutputError(
                f"{path} is among the images and not listed in {LIST} as written by predict: it "
                "may be your own, so it is not replaced; move it away, or choose another output"
            )

    def add(self, name: str, content: Path) -> None:
        """Notes that a file is about to get a name in the folder.

        Args:
            name: that it will have.
            content: where it lies until then.

        Raises:
            OutputError: the list cannot be written.
        """
        line = _described(name, content)
        known = self._lines.setdefault(name, [])
        if line in known:
            return
        known.append(line)
        # With the line ends around it, a line that was cut short spoils no other.
        text = b"\n" + msgspec.json.encode(line) + b"\n"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        for name_of_flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
            flags |= getattr(os, name_of_flag, 0)
        try:
            descriptor = os.open(self.path, flags, 0o666)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError("not a regular file")
                os.write(descriptor, text)  # at once: others may write, too
            finally:
                os.close(descriptor)
        except OSError as error:
            why = error.strerror or error
            raise OutputError(f"cannot write {self.path}: {why}; remove it") from None

    def _reload(self) -> bool:
        """Reads what is there by now, perhaps by another process; whether that is something new."""
        if not os.path.lexists(self.path):
            return False
        if self.path.is_symlink():
            raise OutputError(f"{self.path}: a link, expected a {WHAT}: remove it")
        content = read_bytes(self.path, WHAT, largest=LARGEST, error=OutputError)
        if content == self._read:
            return False
        self._read, self._lines = content, {}
        for text in content.splitlines():
            with contextlib.suppress(InputError):  # cut short, or no line of ours: it says nothing
                if text:
                    line: _WrittenFile = decode_json(text, WHAT, _WrittenFile)
                    self._lines.setdefault(line.name, []).append(line)
        return True

    def _shorten(self) -> None:
        """Leaves out files that are gone, and all but the last two lines of each."""
        kept = [
            line
            for name, lines in self._lines.items()
            if Path(name).name == name and os.path.lexists(self.path.with_name(name))
            for line in lines[-2:]
        ]
        write_bytes(self.path, b"".join(msgspec.json.encode(line) + b"\n" for line in kept))


def _described(name: str, path: Path) -> _WrittenFile:
    content = read_bytes(path, "result", largest=FILE)
    return _WrittenFile(name, len(content), hashlib.blake2b(content, digest_size=16).hexdigest())
