"""Opening a data set by the name used on the command line."""

from __future__ import annotations

import os
from pathlib import Path

from ..core.errors import DataError
from ..core.sizes import Size
from .camvid import camvid
from .cityscapes import cityscapes, cityscapes_coarse
from .dataset import SegmentationDataset
from .folder import folder
from .toy_streets import ToyStreets

_OPENERS = {
    "camvid": camvid,
    "cityscapes": cityscapes,
    "cityscapes-coarse": cityscapes_coarse,
    "folder": folder,
}
NAMES = (*_OPENERS, "toy")


def open_dataset(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    split: str = "train",
    size: Size | None = None,
) -> SegmentationDataset:
    """Opens one split of a data set; imports no TensorFlow.

    Args:
        name: `camvid`, `cityscapes` (fine labels), `cityscapes-coarse`, `folder` (own data,
            `data_dir` holds dataset.yaml or is a YAML file), or `toy` (procedural street scenes,
            needs no `data_dir`).
        data_dir: where the data set lies.
        split: `train`, `val`, `test`, `train_extra` (coarse), or what the YAML file names.
        size: (height, width) of the drawn scenes; only `toy` uses it.

    Raises:
        DataError: unknown name or split, or files are missing.
    """
    if name not in NAMES:
        raise DataError(f"unknown data set {name!r}: expected one of {', '.join(NAMES)}")
    if name == "toy":
        return ToyStreets(split, size=size) if size else ToyStreets(split)
    if data_dir is None:
        raise DataError(f"data set {name!r} needs its folder: pass --data-dir")
    return _OPENERS[name](Path(data_dir), split)
