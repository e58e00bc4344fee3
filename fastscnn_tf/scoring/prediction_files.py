"""What `predict` writes of an image: a label map, colours, an overlay, RLEs, or a submission."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from ..core.arguments import check_name
from ..core.class_maps import common_classes
from ..core.errors import ConfigError, DataError
from ..core.files.writing import replacing
from ..core.files.written_files import WrittenFiles
from ..core.images.image_file import save_label
from ..core.images.visualize import overlay
from ..core.labels import CITYSCAPES, LabelSpace

ENDINGS = ("_labels", "_overlay", "_color", "_pred_labelIds")  # of the names
COCO = "coco.json"
# What cityscapesScripts looks for: <city>_<sequence>_<frame>*.png.
CITYSCAPES_NAME = re.compile(r"[^_]+_\d+_\d+(?=_leftImg8bit$|$)")
WHAT = {  # format -> what of each image is written
    "pictures": "label map and overlay",
    "index": "label map (grey)",
    "palette": "label map",
    "color": "colours",
    "overlay": "overlay",
    "cityscapes": "label ids",
    "coco": "RLEs",
    "parquet": "label map (in Parquet files)",
}
_FILES = {  # format -> endings of the names of its files, and what each holds
    "pictures": {"_labels": "palette", "_overlay": "overlay"},
    "index": {"_labels": "index"},
    "palette": {"_labels": "palette"},
    "color": {"_color": "color"},
    "overlay": {"_overlay": "overlay"},
    "cityscapes": {"_pred_labelIds": "ids"},
    "coco": {},
    "parquet": {},
}


@dataclasses.dataclass(frozen=True)
class Results:
    """Writes what a format has of each image.

    Args:
        format: a key of `WHAT`.
        space: names and colours of the classes.
        opacity: of the overlay's colours.
        listed: the results lie among images: a list says which they are, and only what is new or
            was written by `predict` is written.

    Raises:
        ConfigError: there is no such format, or it needs classes of Cityscapes.
    """

    format: str
    space: LabelSpace
    opacity: float = 0.5
    listed: bool = False

    def __post_init__(self) -> None:
        check_name("format", self.format, WHAT)
        if self.format == "cityscapes":
            _ = self._label_ids
        if self.format == "parquet" and self.listed:
            raise ConfigError("--format parquet: its files would lie among images: name a folder")

    def stem(self, image: Path) -> str:
        """What the names of an image's files begin with.

        Raises:
            DataError: a submission's image has no Cityscapes name.
        """
        if self.format != "cityscapes":
            return image.stem
        match = CITYSCAPES_NAME.match(image.stem)
        if not match:
            raise DataError(
                f"{image}: expected <city>_<sequence>_<frame>_leftImg8bit.png for --format "
                "cityscapes"
            )
        return match[0]

    def files(self, target: Path) -> list[Path]:
        """All that is written beside each other, for a path without ending."""
        return [target.with_name(f"{target.name}{ending}.png") for ending in _FILES[self.format]]

    def check(self, path: Path) -> None:
        """Makes sure that a result may be replaced, see `WrittenFiles`."""
        if self.listed:
            self._list_of(path.parent).check(path)

    def __call__(self, image: np.ndarray, labels: np.ndarray, target: Path) -> Any:
        """Writes the files of an image; of one that goes into a file with others what is in that.

        Args:
            image: (H, W, 3) uint8 RGB.
            labels: (H, W) uint8 class indices.
            target: path of the files, without ending.
        """
        for path, kind in zip(self.files(target), _FILES[self.format].values(), strict=True):
            with self._writing(path) as temporary:
                self._savers[kind](temporary, image, labels)
        if self.format == "parquet":
            self._savers["palette"](png := io.BytesIO(), image, labels)
            return png.getvalue()
        return coco_annotations(labels, len(self.space)) if self.format == "coco" else None

    def _list_of(self, folder: Path) -> WrittenFiles:
        if folder not in self._lists:
            self._lists[folder] = WrittenFiles(folder)
        return self._lists[folder]

    @functools.cached_property
    def _lists(self) -> dict[Path, WrittenFiles]:
        return {}

    @property
    def _savers(self) -> dict[str, Callable[[Any, np.ndarray, np.ndarray], None]]:
        palette = self.space.palette()
        return {
            "palette": lambda path, _, labels: save_label(path, labels, palette),
            "index": lambda path, _, labels: _save(path, labels),
            "color": lambda path, _, labels: _save(path, palette[labels]),
            "ids": lambda path, _, labels: _save(path, self._label_ids[labels]),
            # A quarter of the time of the usual level, for a tenth more bytes.
            "overlay": lambda path, image, labels: _save(
                path, overlay(image, labels, self.space, self.opacity), level=1
            ),
        }

    @functools.cached_property
    def _label_ids(self) -> np.ndarray:
        """(256,) uint8 from the model's class indices to the label ids of the classes' names."""
        found = common_classes(self.space.names, CITYSCAPES.names)
        known = [index for index in found if index is not None]
        if len(known) < len(self.space):
            other = self.space.names[found.index(None)]
            raise ConfigError(
                "--format cityscapes needs a model with the classes of Cityscapes, got "
                f"{len(self.space)} ({self.space.names[0]}, ...), {other} among them; import names "
                "them with --labels cityscapes"
            )
        table = np.zeros(256, np.uint8)  # 0: unlabelled
        table[: len(known)] = np.array(CITYSCAPES.raw_values, np.uint8)[known]
        return table

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[Path]:
        """`replacing`; among images, only what is new or was written by `predict`, and it is noted.

        It is noted before it gets its name: a call that is cut off leaves nothing unlisted.
        """
        with replacing(path) as temporary:
            yield temporary
            self.check(path)
            if self.listed:
                self._list_of(path.parent).add(path.name, temporary)


def _save(path: Path, pixels: np.ndarray, level: int = 6) -> None:
    Image.fromarray(pixels).save(path, compress_level=level)


def coco_annotations(labels: np.ndarray, count: int) -> dict[str, Any]:
    """The classes of a label map as COCO's annotations, one for each class that it has.

    Args:
        labels: (H, W) uint8 class indices; 255 is in no annotation.
        count: classes.

    Returns:
        `height`, `width`, and `annotations` with `category_id` (class index + 1), `segmentation`
        (uncompressed RLE: pixels column by column, runs of 0 and 1 in turns), `area` and `bbox`
        (x, y, width, height).
    """
    height, width = labels.shape
    column_wise = labels.ravel(order="F")
    annotations = []
    for index in np.flatnonzero(np.bincount(column_wise, minlength=256)[:count]):
        mask = column_wise == index
        edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
        runs = np.diff([0, *edges, mask.size])
        counts = runs if mask.size > edges[-1] else runs[:-1]
        rows, columns = (np.flatnonzero((labels == index).any(axis)) for axis in (1, 0))
        box = columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1
        annotations.append(
            {
                "category_id": int(index) + 1,
                "segmentation": {"size": [height, width], "counts": counts.tolist()},
                "area": int(mask.sum()),
                "bbox": [int(value) for value in box],
                "iscrowd": 1,
            }
        )
    return {"height": height, "width": width, "annotations": annotations}


def coco_file(names: Sequence[PurePath], annotated: Sequence[Any], space: LabelSpace) -> Any:
    """COCO's JSON of several images: `images`, `categories`, and `annotations` with RLEs.

    Args:
        names: of the images.
        annotated: what `coco_annotations` said of each.
        space: names of the classes.
    """
    images: list[Any] = []
    annotations: list[Any] = []
    for number, (name, found) in enumerate(zip(names, annotated, strict=True), 1):
        size = {"height": found["height"], "width": found["width"]}
        images.append({"id": number, "file_name": name.as_posix(), **size})
        for annotation in found["annotations"]:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **annotation})
    categories = [{"id": i, "name": name} for i, name in enumerate(space.names, 1)]
    return {"images": images, "categories": categories, "annotations": annotations}
