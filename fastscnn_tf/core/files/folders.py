"""Walking through folders whose links may lead in circles, or out of them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from ..aliases import StrPath
from ..errors import DataError


def walk(
    top: StrPath,
    left_out: Callable[[Path], None] = lambda folder: None,
    onerror: Callable[[OSError], object] | None = None,
) -> Iterator[tuple[Path, list[str]]]:
    """A folder and those below it, each once, also where links lead to it several times.

    Links to folders are followed within the folder; those that lead out of it, to the rest of a
    disk perhaps, are left out.

    Args:
        top: where to begin.
        left_out: gets each path that leads out of it, or to a folder that was given already.
        onerror: gets what keeps a folder from being listed.

    Yields:
        (folder, names of the files in it), sorted.
    """
    seen: set[tuple[int, int]] = set()
    inside = os.path.join(os.path.realpath(top), "")  # noqa: PTH118 - ends with a separator
    for name, folders, files in os.walk(top, followlinks=True, onerror=onerror):
        folder = Path(name)
        status = folder.stat()
        key = (status.st_dev, status.st_ino)
        if key in seen or not os.path.join(os.path.realpath(folder), "").startswith(inside):  # noqa: PTH118
            folders.clear()
            left_out(folder)
            continue
        seen.add(key)
        folders.sort()
        yield folder, sorted(files)


def unlistable(error: OSError) -> NoReturn:
    """What `os.walk` and `walk` may call where a folder cannot be listed.

    Raises:
        DataError: always.
    """
    raise DataError(f"{error.filename}: cannot be listed ({error.strerror or error})")
