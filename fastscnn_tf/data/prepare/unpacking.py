"""Taking chosen files out of a ZIP archive that may be damaged, or made to do harm."""

import lzma
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ...core.aliases import Progress
from ...core.errors import DataError, OutputError, retold
from ...core.files.reading import open_regular

Choose = Callable[[PurePosixPath], PurePosixPath | None]
MAX_FILES = 200_000
MAX_RATIO = 100  # of a member's size to what it takes in the archive; photographs are near 1
SMALL = 1 << 20  # bytes: below this no ratio is suspicious
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, UnicodeDecodeError, OverflowError),
)


def extract(
    archive: Path, folder: Path, choose: Choose, max_bytes: int, progress: Progress = iter
) -> int:
    """Extracts what `choose` names and nothing else.

    Args:
        archive: a ZIP file.
        folder: where to put the files; it should be empty.
        choose: path in the archive -> path below `folder`, or None to leave it out.
        max_bytes: most bytes that all chosen files may have together.
        progress: wraps the file numbers.

    Returns:
        The number of files.

    Raises:
        DataError: it is not a ZIP archive, damaged, or refused: a path that leads out of it, a
            chosen symbolic link or encrypted file, the same path twice, or more bytes than it
            should hold.
        OutputError: the disk has no room for it.
    """
    with (
        retold(DataError, f"{archive}: not a readable ZIP archive (", ")", of=_DAMAGE),
        open_regular(archive, "ZIP archive", error=DataError) as source,
        zipfile.ZipFile(source) as file,
    ):
        chosen = _chosen(archive, file, choose)
        _check_sizes(archive, [info for info, _ in chosen], folder, max_bytes)
        for number in progress(range(len(chosen))):
            _write(file, chosen[number][0], folder / chosen[number][1])
    return len(chosen)


def _chosen(
    archive: Path, file: zipfile.ZipFile, choose: Choose
) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    members = file.infolist()
    if len(members) > MAX_FILES:
        raise DataError(f"{archive}: refused, it lists {len(members):,} files")
    found: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in members:
        target = choose(_safe_path(archive, info))
        if target is None or info.is_dir():
            continue
        _check_plain(archive, info)
        if target in found:
            raise DataError(f"{archive}: refused, it holds {target} twice")
        found[target] = info
    return [(info, target) for target, info in found.items()]


def _safe_path(archive: Path, info: zipfile.ZipInfo) -> PurePosixPath:
    # `orig_filename` is what the archive says, before zipfile mends it.
    for name in (info.filename, info.orig_filename):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or re.search(r"[\\\0]|^[A-Za-z]:", name):
            raise DataError(f"{archive}: refused, the path {name!r} leads out of the archive")
    return PurePosixPath(info.filename)


def _check_plain(archive: Path, info: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise DataError(f"{archive}: refused, {info.filename} is a link or another special file")
    if info.flag_bits & 1:
        raise DataError(f"{archive}: refused, {info.filename} is encrypted")


def _check_sizes(archive: Path, infos: list[zipfile.ZipInfo], folder: Path, max_bytes: int) -> None:
    """By the sizes the archive declares: zipfile never yields more of a member than that."""
    total = sum(info.file_size for info in infos)
    swollen = [info for info in infos if info.file_size > SMALL + MAX_RATIO * info.compress_size]
    if total > max_bytes or swollen:
        which = swollen[0].filename if swollen else "all together"
        raise DataError(
            f"{archive}: refused, it unpacks to {total:,} bytes ({which} are more than they should "
            "be)"
        )
    free = shutil.disk_usage(folder).free
    if total > free:
        raise OutputError(f"{folder.parent}: {total:,} bytes to unpack but only {free:,} are free")


def _write(file: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with file.open(info) as source, target.open("xb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
