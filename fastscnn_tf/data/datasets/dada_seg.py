"""DADA-seg: traffic accidents seen through windscreens, for zero-shot scoring in 19 classes.

Layout: `leftImg8bit/val/.../<id>.jpg` and `gtFine/val/.../<id>*labelTrainIds.png` with the class
indices of Cityscapes, by themselves or in a folder `DADA_seg`. The protocol cuts off a black border
and resizes to 512x1024; so does reading a pair here.
Source: Zhang et al., ISSAFE, IROS 2021; crop of their dataloaders/dada.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import numpy as np

from ...core.errors import DataError
from ...core.images.image_file import read_image, read_label, resize_image, resize_label
from ...core.labels import CITYSCAPES_TRAIN_IDS
from .dataset import FileDataset
from .layout import Layout
from .pairing import Files

LEFT, TOP, RIGHT, BOTTOM = 162, 0, 1422, 600
SIZE = (512, 1024)


@dataclasses.dataclass(frozen=True)
class CroppedDataset(FileDataset):
    """Pairs without their border, at the size of the protocol."""

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        picture, label_map = self.pairs[index]
        image = read_image(picture)
        label = self._label_of(label_map, image)
        return resize_image(_crop(picture, image), SIZE), label

    def read_image(self, index: int) -> np.ndarray:
        path = self.pairs[index][0]
        return resize_image(_crop(path, read_image(path)), SIZE)

    def read_label(self, index: int) -> np.ndarray:
        picture, label_map = self.pairs[index]
        image = None
        with contextlib.suppress(DataError):  # reading the picture itself will say so
            image = read_image(picture)
        return self._label_of(label_map, image)

    def _label_of(self, path: Path, image: np.ndarray | None) -> np.ndarray:
        """Compares the sizes before both become that of the protocol."""
        label = read_label(path, self.table)
        if image is not None and image.shape[:2] != label.shape:
            raise DataError(
                f"{path}: label map is {label.shape[0]}x{label.shape[1]} "
                f"but its image is {image.shape[0]}x{image.shape[1]}"
            )
        return resize_label(_crop(path, label), SIZE)


def _crop(path: Path, pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[0] < BOTTOM or pixels.shape[1] < RIGHT:
        raise DataError(
            f"{path}: expected at least {BOTTOM}x{RIGHT} pixels, of which the protocol cuts off a "
            f"border, got {pixels.shape[0]}x{pixels.shape[1]}"
        )
    return np.ascontiguousarray(pixels[TOP:BOTTOM, LEFT:RIGHT])


# Its train pictures have no label maps.
dada_seg = Layout(
    "dada-seg",
    ("val",),
    CITYSCAPES_TRAIN_IDS,
    Files(
        Path("leftImg8bit/{split}"),
        (".jpg", ".jpeg", "_leftImg8bit.jpg", "_leftImg8bit.jpeg"),
        "**/*",
    ),
    Files(
        Path("gtFine/{split}"),
        ("_labelTrainIds.png", "_gtFine_labelTrainIds.png", "labelTrainIds.png"),
        "**/*",
    ),
    protocol=f"border cut off (left {LEFT}, top {TOP}, right {RIGHT}, bottom {BOTTOM}), resized to "
    "512x1024 (bilinear, label maps nearest), zero-shot from Cityscapes",
    dataset_type=CroppedDataset,
    inner="DADA_seg",
)
