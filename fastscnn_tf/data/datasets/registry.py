"""Data sets by the name used on the command line."""

from pathlib import Path

from ...core.aliases import StrPath
from ...core.arguments import called
from ...core.errors import DataError
from ...core.files.reading import local_description
from ...core.sizes import Size
from ..records.packed_dataset import RecordsDataset, read_index
from .dataset import SegmentationDataset
from .description import OwnFolder, folder
from .layout import Layout, Missing
from .pairing import Pairing
from .published_sets import PUBLISHED_SETS
from .toy_streets import SPLITS as TOY_SPLITS
from .toy_streets import ToyStreets

_ALL: tuple[Layout | OwnFolder, ...] = (*PUBLISHED_SETS, folder)
_LAYOUTS = {layout.name: layout for layout in _ALL}
NAMES = (*_LAYOUTS, "records", "toy")

DataDir = StrPath | None


def open_dataset(
    name: str,
    data_dir: DataDir = None,
    split: str = "train",
    size: Size | None = None,
    missing: Missing = "refuse",
) -> SegmentationDataset:
    """Opens one split of a data set; imports no TensorFlow.

    Args:
        name: one of `NAMES`: a published data set; `folder` (own data, `data_dir` holds
            dataset.yaml or is a YAML file); `records` (what `fastscnn data pack` wrote); or `toy`
            (procedural street scenes, needs no `data_dir`).
        data_dir: where the data set lies: a path, or an address (see docs/remote.md).
        split: `train`, `val`, `test`, `train_extra` (coarse), or what the YAML file names.
        size: (height, width) of the drawn scenes; only `toy` uses it.
        missing: `refuse` images without a label map and label maps without an image, or `skip`
            them; also pairs behind the end of a packed shard that was cut short.

    Raises:
        DataError: unknown name or split, or files are missing.
    """
    data_dir = _check(name, data_dir)
    if name == "toy":
        return ToyStreets(split, size=size) if size else ToyStreets(split)
    if name == "records":
        return RecordsDataset(data_dir, split, whole=missing == "refuse")
    return _LAYOUTS[name](data_dir, split, missing)


def find_splits(name: str, data_dir: DataDir = None) -> tuple[str, ...]:
    """The splits of a data set that are on disk.

    Raises:
        DataError: unknown name, or there is no such folder.
    """
    data_dir = _check(name, data_dir)
    if name == "toy":
        return tuple(TOY_SPLITS)
    if name == "records":
        return tuple(read_index(data_dir).splits)
    return _LAYOUTS[name].find_splits(data_dir)


def find_pairs(name: str, data_dir: DataDir, split: str) -> Pairing:
    """The files of a split, and those that lack their partner; none for `toy` and `records`.

    Raises:
        DataError: unknown name or split, a folder is missing, or there is no image.
    """
    data_dir = _check(name, data_dir)
    if name in _LAYOUTS:
        return _LAYOUTS[name].find_pairs(data_dir, split)
    open_dataset(name, data_dir, split, missing="skip")  # knows its splits
    return Pairing(())


def open_images(
    name: str, data_dir: DataDir, split: str, size: Size | None = None
) -> SegmentationDataset | list[Path]:
    """What has the images of a split, whether there are label maps for them or not.

    Args:
        name: as for `open_dataset`; `folder` may be a folder of images without description.
        data_dir, split, size: as for `open_dataset`.

    Raises:
        DataError: as for `open_dataset`, but for label maps.
    """
    data_dir = _check(name, data_dir)
    if name == folder.name:
        return folder.find_images(data_dir, split)
    if name in _LAYOUTS:
        return _LAYOUTS[name].find_pairs(data_dir, split).images
    return open_dataset(name, data_dir, split, size)


def _check(name: str, data_dir: DataDir) -> Path:
    if name not in NAMES:
        raise DataError(f"unknown data set {name!r}: expected one of {', '.join(NAMES)}")
    if not data_dir and name != "toy":
        raise DataError(f"data set {name!r} needs its folder: pass {called('data_dir')}")
    return local_description(data_dir or "")
