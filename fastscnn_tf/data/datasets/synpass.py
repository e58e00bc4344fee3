"""SynPASS: 9,080 rendered panoramas of 1024x2048 in four kinds of weather, 22 classes.

Layout: `img/<weather>/<split>/<MAP_x_pointy>/<id>.jpg` and
`semantic/<weather>/<split>/<MAP_x_pointy>/<id>_trainID.png`, by themselves or in a folder
`SynPASS`; 5700/1690/1690 pictures. Value 0 is void, class `i` has the value `i + 1`. `synpass13`
merges them into the 13 that Cityscapes and DensePASS share.
Source: Zhang et al., "Behind Every Domain There is a Shift", 2022 (Trans4PASS).
"""

from __future__ import annotations

from pathlib import Path

from ...core.labels import PANORAMA13, SYNPASS, LabelSpace
from .layout import Layout
from .pairing import Files

WEATHERS = ("cloud", "fog", "rain", "sun")


class SynPass(Layout):
    """SynPASS; a split is that of all four kinds of weather."""

    def folders(self, data_dir: Path, split: str) -> tuple[Path, ...]:
        kinds = super().folders(data_dir, split)
        return tuple(kind / weather / split for kind in kinds for weather in WEATHERS)


def _in_classes(name: str, labels: LabelSpace) -> SynPass:
    """In 22 or 13 classes."""
    return SynPass(
        name,
        ("train", "val", "test"),
        labels,
        Files(Path("img"), (".jpg",), "*/{split}/*/*"),
        Files(Path("semantic"), ("_trainID.png",), "*/{split}/*/*"),
        stored=SYNPASS,
        protocol=f"whole panoramas of all four kinds of weather, {len(labels)} classes",
        inner="SynPASS",
    )


synpass = _in_classes("synpass", SYNPASS)
synpass13 = _in_classes("synpass13", PANORAMA13)
