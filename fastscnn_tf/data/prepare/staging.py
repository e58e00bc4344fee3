"""Building up a folder where nobody sees it, and moving what is whole into place."""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ...core.errors import OutputError
from ...core.files.folder_lock import hold
from ...core.files.leftovers import LOCK, PART
from ...core.files.writing import make_folder


@dataclasses.dataclass(frozen=True)
class PreparedData:
    """What lies in a folder now.

    Attributes:
        folder: where.
        pairs: split -> number of images with label maps.
        already: it was there before; nothing was changed.
    """

    folder: Path
    pairs: dict[str, int]
    already: bool


@contextlib.contextmanager
def staging(output: Path) -> Iterator[Path]:
    """Yields an empty hidden folder inside `output`, and removes it in any case.

    Inside, because only there a rename is sure to stay on one file system. `output` is made if need
    be; made for nothing, it goes again. It is held meanwhile, and what killed processes left in it
    goes.

    Raises:
        OutputError: another process holds the folder, or a file cannot be written (disk full, no
            permission).
    """
    folder = output / f"{PART}.{os.getpid()}"
    with hold(output, "another process"):
        try:
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier process of this number
            folder.mkdir()
            yield folder
        except OSError as error:
            where = error.filename or output
            reason = error.strerror or error
            raise OutputError(f"cannot write {where}: {reason}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def holds_something(output: Path) -> bool:
    """Whether there is more in a folder than what `staging` puts there."""
    own = (LOCK, f"{PART}.{os.getpid()}")
    return output.is_dir() and any(path.name not in own for path in output.iterdir())


def put(source: Path, target: Path, stage: Path) -> None:
    """Renames a file or folder to `target`; what stands there moves into `stage`, to go with it.

    A link there goes, not what it leads to.
    """
    make_folder(target.parent)
    if os.path.lexists(target):
        replaced = stage / "replaced"
        replaced.mkdir(exist_ok=True)
        target.rename(replaced / f"{len(list(replaced.iterdir()))}")
    source.rename(target)
