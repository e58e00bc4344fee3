"""Walking through folders whose links may lead in circles."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def walk(
    top: str | os.PathLike[str],
    repeated: Callable[[Path], None] = lambda folder: None,
    onerror: Callable[[OSError], object] | None = None,
) -> Iterator[tuple[Path, list[str]]]:
    """A folder and those below it, each once, also where links lead to it several times.

    Links to folders are followed.

    Args:
        top: where to begin.
        repeated: gets each path that leads to a folder that was given already, under another path.
        onerror: gets what keeps a folder from being listed.

    Yields:
        (folder, names of the files in it), sorted.
    """
    seen: set[tuple[int, int]] = set()
    for name, folders, files in os.walk(top, followlinks=True, onerror=onerror):
        folder = Path(name)
        status = folder.stat()
        key = (status.st_dev, status.st_ino)
        if key in seen:
            folders.clear()
            repeated(folder)
            continue
        seen.add(key)
        folders.sort()
        yield folder, sorted(files)
