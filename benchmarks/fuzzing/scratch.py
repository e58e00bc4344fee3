"""The folders of one mutant: its own, a home, and what lies outside and must stay as it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .hostile import PRECIOUS

Touched = dict[str, tuple[int, int, int, int]]
LIBRARIES = (  # as LiteRT names its plugins; whoever opens one of these would run it
    *("CompilerPlugin_Qualcomm", "CompilerPlugin_MediaTek", "CompilerPlugin"),
    *("Dispatch_Qualcomm", "Dispatch_MediaTek", "Dispatch"),
)


class Scratch:
    """The folders of one mutant; `case` is the working folder of the command."""

    def __init__(self, top: Path):
        self.top = top
        self.case, self.outside, self.home = (top / n for n in ("case", "outside", "home"))
        self.temporary, self.streams = top / "tmp", top / "streams"
        for folder in (self.case, self.outside, self.home, self.temporary, self.streams):
            folder.mkdir()
        (self.home / "precious.txt").write_text("a letter")
        (self.case / PRECIOUS).write_text("a letter")
        (self.outside / "0.tfrecord").write_text("shard of another")
        plugins = self.outside / "plugins"
        plugins.mkdir()
        self._libraries = [plugins / f"libLiteRt{name}.so" for name in LIBRARIES]
        for library in self._libraries:
            library.write_text("no library")
            os.utime(library, (0, library.stat().st_mtime))  # or reading would not be noted

    def loaded(self) -> tuple[str, ...]:
        """Libraries outside that were opened, by their time of access."""
        return tuple(f"loads {p.name}" for p in self._libraries if p.exists() and p.stat().st_atime)

    def state(self) -> Touched:
        """Every file but those that a command may write: identity, size, time of change, mode."""
        found: Touched = {}
        for top in (self.case, self.outside, self.home):
            for folder, names, files in os.walk(top):
                if Path(folder) == self.home and ".cache" in names:
                    names.remove(".cache")
                for name in (*names, *files):
                    path = Path(folder, name)
                    status = os.lstat(path)
                    directory = name in names and not path.is_symlink()
                    size, when = (0, 0) if directory else (status.st_size, status.st_mtime_ns)
                    found[os.path.relpath(path, self.top)] = (
                        *(status.st_ino, size, when, status.st_mode),
                    )
        return found


def fresh(top: Path) -> Scratch:
    """Empty folders at a path, whatever was there."""
    if top.exists():
        shutil.rmtree(top, ignore_errors=True)
    top.mkdir(parents=True)
    return Scratch(top)
