"""SynPASS: 9,080 rendered panoramas of 1024x2048 in four kinds of weather, 22 classes.

Layout: `img/<weather>/<split>/<MAP_x_pointy>/<id>.jpg` and
`semantic/<weather>/<split>/<MAP_x_pointy>/<id>_trainID.png`, by themselves or in a folder
`SynPASS`; 5700/1690/1690 pictures. Value 0 is void, class `i` has the value `i + 1`. `synpass13`
merges them into the 13 that Cityscapes and DensePASS share.
Source: Zhang et al., "Behind Every Domain There is a Shift", 2022 (Trans4PASS).
"""

from __future__ import annotations

from pathlib import Path

from ..core.labels import PANORAMA13, SYNPASS, LabelSpace
from .layout import Layout, inner_folder
from .pairing import Pairing, files_under, pair_up, pictures_under

WEATHERS = ("cloud", "fog", "rain", "sun")
PICTURES, LABEL_MAPS = "img", "semantic"
ENDING = "_trainID.png"


class SynPass(Layout):
    """SynPASS in 22 or 13 classes; a split is that of all four kinds of weather.

    Args:
        name: as on the command line.
        labels: the classes that are scored.
    """

    splits = ("train", "val", "test")
    stored = SYNPASS

    def __init__(self, name: str, labels: LabelSpace):
        self.name, self.labels = name, labels
        self.protocol = f"whole panoramas of all four kinds of weather, {len(labels)} classes"

    def folders(self, data_dir: Path, split: str) -> tuple[Path, ...]:
        root = inner_folder(data_dir, "SynPASS")
        kinds = (PICTURES, LABEL_MAPS)
        return tuple(root / kind / weather / split for kind in kinds for weather in WEATHERS)

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        root = inner_folder(data_dir, "SynPASS")
        pictures, label_maps = root / PICTURES, root / LABEL_MAPS
        found = files_under(label_maps, f"*/{split}/*/*", (ENDING,))
        return pair_up(
            pictures_under(pictures, f"*/{split}/*/*", (".jpg",)),
            found,
            lambda path: _moved(path, pictures, label_maps, f"{path.stem}{ENDING}"),
            lambda path: _moved(
                path, label_maps, pictures, path.name.removesuffix(ENDING) + ".jpg"
            ),
        )


def _moved(path: Path, here: Path, there: Path, name: str) -> Path:
    return there / path.parent.relative_to(here) / name


synpass = SynPass("synpass", SYNPASS)
synpass13 = SynPass("synpass13", PANORAMA13)
