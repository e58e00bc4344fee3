"""Building up a folder where nobody sees it, and moving what is whole into place."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..core.errors import OutputError
from ..core.files import make_folder


@contextlib.contextmanager
def staging(output: Path) -> Iterator[Path]:
    """Yields an empty hidden folder inside `output`, and removes it in any case.

    Inside, because only there a rename is sure to stay on one file system. `output` is made if need
    be; made for nothing, it goes again.

    Raises:
        OutputError: a file cannot be written (disk full, no permission).
    """
    new = not output.exists()
    folder = make_folder(output) / f".part.{os.getpid()}"
    try:
        folder.mkdir()
        yield folder
    except OSError as error:
        where = error.filename or output
        raise OutputError(f"cannot write {where}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if new and not any(output.iterdir()):
            output.rmdir()


def put(source: Path, target: Path, stage: Path) -> None:
    """Renames a file or folder to `target`; what stands there moves into `stage`, to go with it."""
    make_folder(target.parent)
    if target.exists():
        replaced = stage / "replaced"
        replaced.mkdir(exist_ok=True)
        target.rename(replaced / f"{len(list(replaced.iterdir()))}")
    source.rename(target)
