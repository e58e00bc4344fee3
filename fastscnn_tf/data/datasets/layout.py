"""`Layout`: how a data set lies on disk, and opening one of its splits."""

import dataclasses
from pathlib import Path
from typing import Literal

from ...core.errors import DataError
from ...core.images.image_file import INDEX, Coding
from ...core.labels import LabelSpace
from .dataset import WHOLE_IMAGES, FileDataset, SegmentationDataset
from .pairing import Files, Pairing, pair_by_name

Missing = Literal["refuse", "skip"]


@dataclasses.dataclass(frozen=True)
class Layout:
    """A published data set of image files.

    Args:
        name: as on the command line.
        splits: those that have label maps.
        labels: the label space of its class indices.
        image_files: where they lie.
        label_maps: where they lie.
        stored: the label space of its files, where that is another one.
        protocol: how the literature scores it.
        dataset_type: what reads its pairs.
        coding: how the pixels of its label maps say the class.
        inner: the folder that its archive unpacks to; the data set may lie in it.
    """

    name: str
    splits: tuple[str, ...]
    labels: LabelSpace
    image_files: Files
    label_maps: Files
    stored: LabelSpace | None = None
    protocol: str = WHOLE_IMAGES
    dataset_type: type[FileDataset] = FileDataset
    coding: Coding = INDEX
    inner: str = ""

    def files(self, data_dir: Path, split: str) -> tuple[Files, Files]:
        """The images and the label maps of a split."""
        inner = data_dir / self.inner
        root = inner if inner.is_dir() else data_dir
        return self.image_files.at(root, split), self.label_maps.at(root, split)

    def folders(self, data_dir: Path, split: str) -> tuple[Path, ...]:
        """The folders that a split needs."""
        return tuple(files.folder for files in self.files(data_dir, split))

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        """The files of a split whose folders are there.

        Raises:
            DataError: there is no image.
        """
        return pair_by_name(*self.files(data_dir, split))

    def find_splits(self, data_dir: Path) -> tuple[str, ...]:
        """The splits whose folders are there.

        Raises:
            DataError: there is no such folder at all.
        """
        self._check_data_dir(data_dir)
        there = [s for s in self.splits if all(f.is_dir() for f in self.folders(data_dir, s))]
        return tuple(there)

    def find_pairs(self, data_dir: Path, split: str) -> Pairing:
        """The files of a split, and those that lack their partner.

        Raises:
            DataError: unknown split, a folder is missing, or there is no image.
        """
        self._check_data_dir(data_dir, split)
        for folder in self.folders(data_dir, split):
            if not folder.is_dir():
                first, needs = _outermost_missing(folder), self._needs(data_dir, split)
                raise DataError(f"{first}: no such folder; {needs}")
        return self.list_pairs(data_dir, split)

    def __call__(
        self, data_dir: Path, split: str, missing: Missing = "refuse"
    ) -> SegmentationDataset:
        """Opens a split.

        Args:
            data_dir: where the data set lies.
            split: one of `splits`.
            missing: `refuse` files that lack their partner, or `skip` them.

        Raises:
            DataError: as for `find_pairs`, or a file is missing.
        """
        pairing = self.find_pairs(data_dir, split)
        if missing == "refuse":
            pairing.check_complete()
        pairing.check_any()
        return self.open_pairs(split, pairing)

    def open_pairs(self, split: str, pairing: Pairing) -> SegmentationDataset:
        """The pairs as a data set."""
        return self.dataset_type(
            *(self.name, split, self.labels, pairing.pairs),
            *(self.stored, self.protocol, self.coding),
        )

    def _check_data_dir(self, data_dir: Path, split: str | None = None) -> None:
        if split is not None and split not in self.splits:
            known = ", ".join(self.splits)
            raise DataError(f"{self.name} has the splits {known}; got {split!r}")
        if not data_dir.is_dir():
            needs = self._needs(data_dir, split or self.splits[0])
            raise DataError(f"{data_dir}: no such folder; {needs}")

    def _needs(self, data_dir: Path, split: str) -> str:
        folders = [f"{f.relative_to(data_dir).as_posix()}/" for f in self.folders(data_dir, split)]
        listed = " and ".join(filter(None, (", ".join(folders[:-1]), folders[-1])))
        return f"{self.name} needs {listed} under {data_dir}"


def _outermost_missing(folder: Path) -> Path:
    while not folder.parent.is_dir():
        folder = folder.parent
    return folder
