"""Laying out Cityscapes from the archives a registered user has downloaded."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from ...core.aliases import Progress, StrPath
from ...core.errors import DataError, OutputError
from ...core.files.reading import open_regular
from ...core.files.writing import FORCE
from ...core.images.image_file import read_image, read_label
from ...core.labels import CITYSCAPES
from ..datasets.pairing import Files
from .staging import PreparedData, put, staging
from .unpacking import extract

# Cordts et al., CVPR 2016; images and label maps of each kind and split.
COUNTS = {
    "leftImg8bit": {"train": 2975, "val": 500, "test": 1525, "train_extra": 19998},
    "gtFine": {"train": 2975, "val": 500, "test": 1525},
    "gtCoarse": {"train": 2975, "val": 500, "train_extra": 19998},
}
MAX_BYTES = 100 << 30
# What the loader reads; outlines (.json) and coloured maps stay in the archive.
_IDS = "_(labelIds|labelTrainIds|instanceIds).png"
_FILES = {"leftImg8bit": "_leftImg8bit.png", "gtFine": _IDS, "gtCoarse": _IDS}


def prepare_cityscapes(
    output: StrPath,
    archives: Sequence[StrPath],
    force: bool = False,
    counts: dict[str, dict[str, int]] = COUNTS,
    steps: Progress = iter,
) -> PreparedData:
    """Unpacks what the loader reads: images, label ids, train ids, instance ids.

    May be called once for all archives or for one after the other; folders like `gtFine/val` join
    those there. Every byte is compared with the archive's checksums while unpacking, the files of
    each split are counted, and one pair of each city is decoded.

    Args:
        output: where `leftImg8bit/`, `gtFine/` and `gtCoarse/` go.
        archives: the ZIP files as downloaded.
        force: replace folders that are there.
        counts: what the splits should hold.
        steps: wraps file numbers while unpacking.

    Raises:
        DataError: an archive is missing, damaged or incomplete, or holds no such folder.
        OutputError: a folder is there already, or the disk is full.
    """
    output = Path(output)
    for archive in map(Path, archives):
        open_regular(archive, "archive", error=DataError).close()
    with staging(output) as stage:
        for archive in map(Path, archives):
            if not extract(archive, stage, _path, MAX_BYTES, steps):
                raise DataError(f"{archive}: holds none of {', '.join(COUNTS)}")
        new = sorted(folder.relative_to(stage) for folder in stage.glob("*/*"))
        for folder in new:
            _check_new(stage, output, folder, counts, force)
        for folder in new:
            put(stage / folder, output / folder, stage)
    return PreparedData(output, _check_pairs(output), already=False)


def _path(path: PurePosixPath) -> PurePosixPath | None:
    """`gtFine/val/lindau/x_gtFine_labelIds.png`, at any depth, if the loader reads it."""
    parts = path.parts[-4:]
    if len(parts) < 4 or parts[0] not in COUNTS or parts[1] not in COUNTS[parts[0]]:
        return None
    if path.name.startswith(".") or not re.search(_FILES[parts[0]] + "$", path.name):
        return None
    return PurePosixPath(*parts)


def _check_new(
    stage: Path, output: Path, folder: Path, counts: dict[str, dict[str, int]], force: bool
) -> None:
    kind, split = folder.parts
    if (output / kind).is_symlink():
        raise OutputError(f"{output / kind} is a link: name the folder it leads to as the output")
    if (output / folder).exists() and not force:
        raise OutputError(f"{output / folder} is there already: replace it with {FORCE}")
    suffix = f"_{kind}.png" if kind == "leftImg8bit" else f"_{kind}_labelIds.png"
    found, expected = len(_ids(stage / folder, suffix)), counts[kind][split]
    if found != expected:
        raise DataError(f"{folder}: expected {expected} *{suffix}, the archive has {found}")


def _check_pairs(output: Path) -> dict[str, int]:
    """`<kind>/<split>` -> pairs, of those whose images are there."""
    pairs = {}
    for kind in ("gtFine", "gtCoarse"):
        for split in COUNTS[kind]:
            labels, images = output / kind / split, output / "leftImg8bit" / split
            if labels.is_dir() and images.is_dir():
                pairs[f"{kind}/{split}"] = _check_split(images, labels, kind)
    return pairs


def _check_split(images: Path, labels: Path, kind: str) -> int:
    image, label = "_leftImg8bit.png", f"_{kind}_labelIds.png"
    ids = _ids(images, image)
    if alone := sorted(set(ids) ^ set(_ids(labels, label))):
        raise DataError(f"{images} and {labels} do not both hold {alone[0]} ({len(alone)} such)")
    table, cities = CITYSCAPES.lookup_table(), {name.split("/")[0]: name for name in ids}
    for name in cities.values():
        size = read_image(images / f"{name}{image}").shape[:2]
        if np.shape(read_label(labels / f"{name}{label}", table)) != size:
            raise DataError(f"{labels / name}{label}: its size is not that of its image")
    return len(ids)


def _ids(folder: Path, suffix: str) -> list[str]:
    """`<city>/<id>` of the files with that suffix."""
    files = Files(folder, (suffix,), "*/*")
    return [files.key(path) for path in files.found()]
