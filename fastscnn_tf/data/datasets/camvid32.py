"""The original CamVid: 701 street pictures of 720x960, colour-coded in 32 classes with void.

Layout: `701_StillsRaw_full/<id>.png` and `LabeledApproved_full/<id>_L.png`, both without splits.
The splits here are SegNet's, 367/101/233, told by the names: the first half of 0001TP, 0006R0 and
most of 0016E5 train; the part of 0016E5 that is labelled at 15 Hz is val; the rest is test.
Source: Brostow et al., ECCV 2008; split of Badrinarayanan et al. (SegNet).
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from ...core.errors import DataError
from ...core.images.label_coding import Coding
from ...core.labels import CAMVID, CAMVID32
from .layout import Layout
from .pairing import Files, Pairing, pair_by_name

VOID = (0, 0, 0)
LAST_TRAIN_0001TP = 8520
VAL_0016E5 = range(7959, 8160)  # every other frame


class CamVid32(Layout):
    """The original CamVid: the names of its files tell the split."""

    def find_splits(self, data_dir: Path) -> tuple[str, ...]:
        found = super().find_splits(data_dir)
        there = {split_of(path) for path in self.files(data_dir, "")[0].found()}
        return tuple(split for split in found if split in there)

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        return pair_by_name(*self.files(data_dir, split), lambda path: split_of(path) == split)


def split_of(path: Path) -> str:
    """The split that a picture or its label map belongs to.

    Raises:
        DataError: the name is none of CamVid's.
    """
    match = re.fullmatch(r"(0001TP|0006R0|0016E5|Seq05VD)_f?(\d+)", path.stem.removesuffix("_L"))
    if not match:
        raise DataError(
            f"{path}: expected a frame of 0001TP, 0006R0, 0016E5 or Seq05VD, such as 0001TP_006690"
        )
    sequence, frame = match[1], int(match[2])
    if sequence == "Seq05VD" or (sequence == "0001TP" and frame > LAST_TRAIN_0001TP):
        return "test"
    return "val" if sequence == "0016E5" and frame in VAL_0016E5 else "train"


camvid32 = CamVid32(
    "camvid32",
    ("train", "val", "test"),
    CAMVID32,
    Files(Path("701_StillsRaw_full"), (".png",)),
    Files(Path("LabeledApproved_full"), ("_L.png",)),
    stored=CAMVID32,
    coding=Coding("color", CAMVID32.colors, tuple(range(len(CAMVID32))), (VOID,)),
)
# Its 31 classes without void, merged into 11.
camvid32_11 = dataclasses.replace(camvid32, name="camvid32-11", labels=CAMVID)
