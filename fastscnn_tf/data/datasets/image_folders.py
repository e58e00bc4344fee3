"""Images sorted into one folder per class, as ImageNet comes: `<root>/<split>/<class>/x.jpg`.

The sorted folder names of the training split are the classes, so that an index means the same in
every split. No TensorFlow here.
"""

import os
from pathlib import Path

import numpy as np

from ...core.aliases import StrPath
from ...core.errors import DataError
from ...core.files.folders import unlistable
from ...core.files.reading import local
from ...core.images.image_file import read_image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
TRAIN = "train"  # its folders name the classes
LAYOUT = "expected <split>/<class>/ with images"


class ImageFolders:
    """One split of a folder tree of images with a class each.

    Folders inside a class folder are searched, too, but symbolic links to folders are not followed
    there. Hidden files and folders, and files that are no images by their suffix, are left out.

    Args:
        root: the folder that holds the splits; `train` is always needed, for the classes.
        split: `train`, `val`, or another folder with the same classes.

    Attributes:
        split: as given.
        class_names: the class folders of `train`, sorted; a class index points into them.

    Raises:
        DataError: a folder is missing, there are fewer than two classes, the split's classes are
            not those of `train`, a class has no images, or an image lies in no class.
    """

    def __init__(self, root: StrPath, split: str = TRAIN):
        self.split = split
        root = local(root)
        self._folder = root / split
        self.class_names = _classes(root / TRAIN)
        if split != TRAIN:
            _check_same_classes(self._folder, _classes(self._folder), self.class_names)
        files = [_images(self._folder / name) for name in self.class_names]
        self._paths = [path for of_class in files for path in of_class]
        self._classes = np.repeat(np.arange(len(files)), [len(of_class) for of_class in files])

    def __len__(self) -> int:
        return len(self._paths)

    def sample_name(self, index: int) -> str:
        """The image's path."""
        return self._paths[index]

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """One image and its class.

        Returns:
            (H, W, 3) uint8 RGB, upright, of the file's own size; class index.

        Raises:
            DataError: the file cannot be read as an image.
        """
        return read_image(self._paths[index]), int(self._classes[index])


def _classes(folder: Path) -> tuple[str, ...]:
    """The class folders of a split, sorted."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; {LAYOUT}")
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    loose = [path for path in entries if path.suffix.lower() in SUFFIXES and path.is_file()]
    if loose:
        raise DataError(f"{loose[0]}: lies in no class folder ({len(loose)} such); {LAYOUT}")
    names = tuple(path.name for path in entries if path.is_dir())
    if len(names) < 2:
        raise DataError(f"{folder}: expected at least 2 class folders, got {len(names)}; {LAYOUT}")
    return names


def _check_same_classes(folder: Path, names: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    missing, extra = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
    if missing:
        raise DataError(
            f"{folder / missing[0]}: no such class folder, but {TRAIN} has that class "
            f"({len(missing)} of {len(wanted)} are missing)"
        )
    if extra:
        raise DataError(
            f"{folder / extra[0]}: {TRAIN} has no such class ({len(extra)} of {len(names)} are "
            "unknown)"
        )


def _images(folder: Path) -> list[str]:
    """Paths of all images below a class folder, sorted; strings, as there may be millions."""
    found = []
    for place, folders, files in os.walk(folder, onerror=unlistable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        kept = (n for n in files if n.lower().endswith(SUFFIXES) and not n.startswith("."))
        found += [f"{place}{os.sep}{name}" for name in kept]
    if not found:
        raise DataError(f"{folder}: no images in this class ({', '.join(SUFFIXES)})")
    return sorted(found)
