"""What `predict` writes of an image: a label map and an overlay, or a submission to Cityscapes."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.arguments import check_name
from ..core.errors import ConfigError, DataError
from ..core.files.writing import replacing
from ..core.files.written_files import WrittenFiles
from ..core.images.image_file import save_label
from ..core.images.visualize import overlay
from ..core.labels import CITYSCAPES, LabelSpace

FORMATS = ("pictures", "cityscapes")
ENDINGS = ("_labels", "_overlay", "_pred_labelIds")  # of the names
# What cityscapesScripts looks for: <city>_<sequence>_<frame>*.png.
CITYSCAPES_NAME = re.compile(r"[^_]+_\d+_\d+(?=_leftImg8bit$|$)")


def results_of(format: str) -> type[Pictures] | type[Submission]:
    """What writes a format.

    Raises:
        ConfigError: there is no such format.
    """
    return Submission if check_name("format", format, FORMATS) == "cityscapes" else Pictures


@contextlib.contextmanager
def _writing(path: Path, written: WrittenFiles | None) -> Iterator[Path]:
    """`replacing`; among images, only what is new or was written by `predict`, and it is noted.

    It is noted before it gets its name: a call that is cut off leaves nothing that is not listed.
    """
    with replacing(path) as temporary:
        yield temporary
        if written:
            written.check(path)
            written.add(path.name, temporary)


@dataclasses.dataclass(frozen=True)
class _Results:
    space: LabelSpace
    opacity: float
    written: WrittenFiles | None = None


@dataclasses.dataclass(frozen=True)
class Pictures(_Results):
    """Writes a label map in colours and the picture with its classes laid over it."""

    @staticmethod
    def name(picture: Path) -> str:
        """Of the label map."""
        return f"{picture.stem}_labels.png"

    @staticmethod
    def files(target: Path) -> tuple[Path, ...]:
        """All that is written."""
        stem = target.stem.removesuffix("_labels")
        return target, target.with_name(f"{stem}_overlay.png")

    def __call__(self, image: np.ndarray, labels: np.ndarray, target: Path) -> None:
        label_map, laid_over = self.files(target)
        with _writing(label_map, self.written) as temporary:
            save_label(temporary, labels, self.space.palette())
        picture = Image.fromarray(overlay(image, labels, self.space, self.opacity))
        with _writing(laid_over, self.written) as temporary:
            # A quarter of the time of the usual level, for a tenth more bytes.
            picture.save(temporary, compress_level=1)


@dataclasses.dataclass(frozen=True)
class Submission(_Results):
    """Writes label ids as the Cityscapes benchmark takes them, and nothing beside them."""

    def __post_init__(self) -> None:
        if self.space.names != CITYSCAPES.names:
            raise ConfigError(
                "--format cityscapes needs a model with the 19 classes of Cityscapes, got "
                f"{len(self.space)} ({self.space.names[0]}, ...); import names them with "
                "--labels cityscapes"
            )

    @staticmethod
    def name(picture: Path) -> str:
        """Of the label ids.

        Raises:
            DataError: the image has no Cityscapes name.
        """
        match = CITYSCAPES_NAME.match(picture.stem)
        if not match:
            raise DataError(
                f"{picture}: expected <city>_<sequence>_<frame>_leftImg8bit.png for --format "
                "cityscapes"
            )
        return f"{match[0]}_pred_labelIds.png"

    @staticmethod
    def files(target: Path) -> tuple[Path, ...]:
        """All that is written."""
        return (target,)

    def __call__(self, image: np.ndarray, labels: np.ndarray, target: Path) -> None:
        label_ids = np.array(CITYSCAPES.raw_values, np.uint8)[labels]
        with _writing(target, self.written) as temporary:
            Image.fromarray(label_ids).save(temporary)
