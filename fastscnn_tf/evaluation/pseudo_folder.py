"""The folder that `pseudo_label` writes: a `folder` data set that grows image by image."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import yaml

from ..core.errors import OutputError
from ..core.files.journal import DONE, Journal, add_lines, check_same, read_lines
from ..core.files.json_text import Count, Name, Text, plain, read_json
from ..core.files.parquet import SUFFIX, Parts, arrow
from ..core.files.writing import (
    check_output_folder,
    make_folder,
    replacing,
    write_bytes,
    write_json,
)
from ..core.images.image_file import save_label
from ..core.labels import MAX_CLASSES, LabelSpace
from ..core.text_table import text_table
from ..data.datasets.description import DESCRIPTION
from .given_images import container_of, content_of, say, several

SETTINGS, JOURNAL, SPLIT = "pseudo.json", "pseudo.counts.jsonl", "train"
FOLDERS = ("images", "labels")


class Counts(msgspec.Struct, frozen=True):
    """Pixels by class: what each won, and what of it was kept."""

    predicted: tuple[Count, ...]
    kept: tuple[Count, ...]


@dataclasses.dataclass(frozen=True)
class PseudoLabels:
    """What was labelled.

    Attributes:
        folder: the data set; `dataset.yaml` describes it, with the one split `train`.
        images: images in it.
        classes: names of the classes.
        predicted: pixels that each class won.
        kept: those of them that reached the confidence.
        skipped: images that cannot be read, each with the reason.
    """

    folder: Path
    images: int
    classes: tuple[str, ...]
    predicted: tuple[int, ...]
    kept: tuple[int, ...]
    skipped: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Pixels kept, of all; 0..1."""
        return sum(self.kept) / max(1, sum(self.predicted))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**dataclasses.asdict(self), "folder": str(self.folder), "share": self.share}

    def table(self) -> str:
        """For people: pixels and the share kept, by class."""
        rows = [("class", "predicted", "kept", "share")]
        for name, predicted, kept in zip(self.classes, self.predicted, self.kept, strict=True):
            share = f"{kept / predicted:.3f}" if predicted else "-"
            rows.append((name, f"{predicted:,}", f"{kept:,}", share))
        total, kept = sum(self.predicted), sum(self.kept)
        rows.append(("all", f"{total:,}", f"{kept:,}", f"{self.share:.3f}"))
        return text_table(rows, right=None)

    __str__ = table


class PseudoFolder:
    """Images, label maps, and what is known of those that are done.

    Args:
        path: the folder.
        settings: what decides the labels; on resuming it must be the same.
        space: the classes.
        resume: go on in a folder that has some.
        force: start anew in it: what an earlier call wrote there goes, other files stay.
        parquet: images and label maps go into Parquet files, see `Parts`.

    Raises:
        InputError: these need pyarrow, which is not installed.
        OutputError: it is in use and neither is set, or it cannot be written.
        ConfigError: it was begun with other settings.
    """

    def __init__(
        self,
        path: Path,
        settings: dict[str, Any],
        space: LabelSpace,
        resume: bool,
        force: bool,
        parquet: bool = False,
    ):
        self.path, self._palette = path, space.palette()
        self._parts = None
        self.done: dict[str, Counts] = {}
        if parquet:
            arrow()  # before anything is written
        self._begin(plain({**settings, "parquet": parquet}), space, resume, force)
        if parquet:
            self._parts = Parts(path, SPLIT, Journal(path / DONE, {}))
            self.done = self._parts.done(Counts)

    def _begin(
        self, settings: dict[str, Any], space: LabelSpace, resume: bool, force: bool
    ) -> None:
        path = self.path
        if resume and os.path.lexists(path / SETTINGS):
            for name in (JOURNAL, *FOLDERS):
                if (path / name).is_symlink():
                    raise OutputError(f"{path / name} is a link: a folder of our own has none")
            before: _Settings = read_json(path / SETTINGS, _Settings, error=OutputError, mend=True)
            check_same(path, msgspec.structs.asdict(before), settings)
            self.done = _read_journal(path / JOURNAL, len(space))
            images = [path / "images" / name for name in self.done]  # none of Parquet files
            if lost := [image for image in images if not image.exists()]:
                say(f"labelled before, but gone: {several(lost, 'image')}; the label maps stay")
            return
        check_output_folder(path, force, SETTINGS)
        if force:
            clear_pseudo_labels(path)
        write_json(path / SETTINGS, settings)
        split = {"images": f"{SPLIT}-*{SUFFIX}"}
        if not settings["parquet"]:
            split = {name: make_folder(path / name).name for name in FOLDERS}
        write_bytes(path / DESCRIPTION, _description(path, space, split).encode())

    def has(self, name: str) -> bool:
        """Whether an image is done."""
        return plain(name) in self.done

    def writer(self, copy: bool) -> PseudoWriter:
        """What writes into it, in whatever process."""
        return PseudoWriter(self.path, self._palette, copy, self._parts is not None)

    def note(self, name: str, counts: Counts) -> None:
        """Notes that an image and its label map are there."""
        add_lines(self.path / JOURNAL, [{"name": name, **msgspec.structs.asdict(counts)}])
        self.done[plain(name)] = counts

    def add(self, name: str, image: Path, label: bytes, counts: Counts) -> None:
        """`note`, or adds both to a Parquet file."""
        if self._parts is None:
            self.note(name, counts)
            return
        row = {"image": content_of(image), "label": label, "name": plain(name)}
        self._parts.add(plain(name), row, msgspec.structs.asdict(counts))
        self.done[plain(name)] = counts

    def flush(self) -> None:
        """Writes what has been added and is in no file yet."""
        if self._parts:
            self._parts.flush()

    def labels(self, classes: Sequence[str], skipped: Sequence[str]) -> PseudoLabels:
        """What was labelled; at least one image is done."""
        every = self.done.values()
        predicted, kept = (
            tuple(map(sum, zip(*counts, strict=True)))
            for counts in ((c.predicted for c in every), (c.kept for c in every))
        )
        return PseudoLabels(
            self.path, len(self.done), tuple(classes), predicted, kept, tuple(skipped)
        )


@dataclasses.dataclass(frozen=True)
class PseudoWriter:
    """Writes label maps and their images.

    Args:
        path: of the data set.
        palette: of the label maps.
        copy: copy the images instead of linking them.
        parquet: write nothing.
    """

    path: Path
    palette: np.ndarray
    copy: bool
    parquet: bool

    def __call__(self, name: str, image: Path, label: np.ndarray) -> bytes:
        """Writes one of each, or gives the bytes of a label map for a Parquet file.

        Args:
            name: of the image in the data set.
            image: where it lies.
            label: (H, W) uint8.
        """
        if self.parquet:
            save_label(png := io.BytesIO(), label, self.palette)
            return png.getvalue()
        with replacing(self.path / "labels" / f"{Path(name).stem}.png") as temporary:
            save_label(temporary, label, self.palette)
        with replacing(self.path / "images" / name) as temporary:
            _place(image, temporary, self.copy)
        return b""


class _Settings(msgspec.Struct):
    """The content of `pseudo.json`; later versions may say more."""

    model: str
    images: str
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)]
    recursive: bool
    sizes: Annotated[list[tuple[int, int]], msgspec.Meta(max_length=100)]
    flip: bool
    classes: Annotated[list[Name], msgspec.Meta(max_length=MAX_CLASSES)]
    parquet: bool = False


class _CountsLine(Counts, frozen=True):
    """A line of the journal."""

    name: Text


def _read_journal(path: Path, classes: int | None = None) -> dict[str, Counts]:
    """What is done."""
    done: dict[str, Counts] = {}
    for number, line in enumerate(read_lines(path, _CountsLine), 1):
        if {len(line.predicted), len(line.kept)} != {classes or len(line.kept)}:
            raise OutputError(f"{path}: damaged at line {number}: expected {classes} counts each")
        done[line.name] = line
    return done


def clear_pseudo_labels(path: Path) -> None:
    """Removes what an earlier call wrote, by its journal, and links; never a file of the user's.

    Raises:
        OutputError: there are other files where ours would go; nothing is removed then.
    """
    names = set(_read_journal(path / JOURNAL)) if (path / SETTINGS).is_file() else set()
    ours = {"images": names, "labels": {f"{Path(name).stem}.png" for name in names}}
    gone = []
    for folder in FOLDERS:
        if (path / folder).is_symlink():
            gone.append(path / folder)
        elif (path / folder).is_dir():
            gone += sorted((path / folder).iterdir())
    for each in gone:
        own = each.is_file() and plain(each.name) in ours.get(each.parent.name, ())
        if not (own or each.is_symlink()):
            raise OutputError(f"{each} is none of ours: move it away, or choose another output")
    begun = Journal(path / DONE, {}).has_begun
    gone += filter(begun, path.glob(f"{SPLIT}-*{SUFFIX}"))
    for each in (*gone, path / JOURNAL, path / DONE):
        each.unlink(missing_ok=True)


def _place(image: Path, target: Path, copy: bool) -> None:
    """Links an image by a relative path, or copies it, as one in a file of many always is."""
    if container_of(image):
        target.write_bytes(content_of(image))
        return
    image = image.resolve()
    if copy:
        shutil.copyfile(image, target)
        return
    try:
        target.symlink_to(os.path.relpath(image, target.parent.resolve()))
    except OSError as error:
        raise OutputError(
            f"cannot link {image} from {target.parent} ({error.strerror or error}): copy the "
            "images with --copy (copy=True)"
        ) from None


def _description(path: Path, space: LabelSpace, split: dict[str, str]) -> str:
    classes = [
        {"name": name, "color": list(color)}
        for name, color in zip(space.names, space.colors, strict=True)
    ]
    values = {
        "name": path.resolve().name or "pseudo-labels",
        "classes": classes,
        "splits": {SPLIT: split},
    }
    return yaml.safe_dump(plain(values), sort_keys=False, allow_unicode=True)
