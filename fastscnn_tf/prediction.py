"""`predict_files`: label maps and overlays of picture files, or a submission to Cityscapes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .core.errors import ConfigError, DataError, OutputError
from .core.files import check_output, replacing
from .core.images import IMAGE_SUFFIXES, list_images, read_image, save_label
from .core.labels import CITYSCAPES, LabelSpace
from .core.sizes import Size
from .evaluation import open_inference
from .runtime.class_mapping import label_space_of
from .runtime.views import Inference
from .runtime.visualize import overlay
from .runtime.workers import in_processes

FORMATS = ("pictures", "cityscapes")
# What cityscapesScripts looks for: <city>_<sequence>_<frame>*.png.
CITYSCAPES_NAME = re.compile(r"[^_]+_\d+_\d+(?=_leftImg8bit$|$)")


def predict_files(
    model: Any,
    paths: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    opacity: float = 0.5,
    threads: int | None = None,
    force: bool = False,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    size: Size | None = None,
    pad: bool = False,
    *,
    format: str = "pictures",
    recursive: bool = False,
    processes: int = 1,
    **views: Any,
) -> list[Path]:
    """Segments pictures, each at its own size.

    Args:
        model: a path or a Keras model, as for `evaluate`.
        paths: pictures, or folders of pictures.
        folder: where the results go.
        opacity: of the overlay's colours.
        threads: CPU threads of a .tflite; by default those of its settings, else 2.
        force: replace existing results.
        progress: wraps the picture indices.
        size: run a Keras model at another (height, width).
        pad: take any `size`, padding the image to multiples of 32.
        format: `pictures` writes `<stem>_labels.png` (palette PNG of class indices) and
            `<stem>_overlay.png`; `cityscapes` writes `<city>_<sequence>_<frame>_pred_labelIds.png`
            (8-bit grey PNG of label ids), what the benchmark's server takes.
        recursive: take the pictures of a folder's sub-folders, too.
        processes: share the pictures among so many processes, each with an interpreter of its
            own (and `threads` threads); then `model` is a path.
        views: `scales`, `flip`, `window`, `stride` and `fit`, as for `evaluate`.

    Returns:
        The label maps written, in the order of the pictures.

    Raises:
        DataError: a picture is missing or unreadable (those before it are written; with several
            processes some after it may be, too), or has no Cityscapes name.
        ConfigError: no such format or number of processes, a model without Cityscapes' classes for
            its format, or a model in memory for several processes.
        WorkerDied: a process was killed.
        OutputError: a result exists, two pictures share a name, or the folder cannot be written.
    """
    kind = _kind(format)
    folder = Path(folder)
    listed = (picture for path in paths for picture in find_pictures(Path(path), recursive))
    pictures = list({p.resolve(): p for p in listed if not _is_result(p, folder)}.values())
    targets = [folder / kind.name(picture) for picture in pictures]
    _check_distinct(pictures, targets)
    make = functools.partial(
        picture_writer, model, threads, size, pad, opacity=opacity, format=format, **views
    )
    if processes != 1 and not isinstance(model, str | os.PathLike):
        raise ConfigError("several processes need the path of a model, got one in memory")
    here = make()  # names what is wrong with the model, once
    for target in targets:
        for path in here.write.files(target):
            check_output(path, force)
    jobs = list(zip(pictures, targets, strict=True))
    # Closed at once on an error, so that no process outlives this call.
    with contextlib.closing(_done(make, here, jobs, processes)) as done:
        for _ in zip(progress(range(len(jobs))), done, strict=True):
            pass
    return targets


def _done(
    make: Callable[[], _Writer], here: _Writer, jobs: list[tuple[Path, Path]], processes: int
) -> Generator[None]:
    """Writes one picture's results after the other, here or in several processes."""
    if processes == 1:
        yield from map(here, jobs)
    else:
        yield from in_processes(make, jobs, processes, lambda job: str(job[0]))


def picture_writer(
    model: Any,
    threads: int | None = None,
    size: Size | None = None,
    pad: bool = False,
    *,
    opacity: float = 0.5,
    format: str = "pictures",
    **views: Any,
) -> _Writer:
    """What `predict_files` does with each picture, as a function of (picture, label map) paths.

    The arguments are those of `predict_files`.

    Raises:
        ModelFileError, ConfigError: the model cannot be used, or not so.
    """
    inference, predictor = open_inference(model, threads, size, pad, **views)
    return _Writer(inference, _kind(format)(label_space_of(predictor), opacity))


def _kind(format: str) -> type[_Pictures] | type[_Submission]:
    if format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}: expected one of {', '.join(FORMATS)}")
    return _Submission if format == "cityscapes" else _Pictures


@dataclasses.dataclass(frozen=True)
class _Writer:
    """Writes what a model sees in a picture."""

    inference: Inference
    write: _Pictures | _Submission

    def __call__(self, job: tuple[Path, Path]) -> None:
        picture, target = job
        image = read_image(picture)
        self.write(image, self.inference.label_map(image, image.shape[:2]), target)


def find_pictures(path: Path, recursive: bool) -> list[Path]:
    """A picture, or those of a folder; macOS' hidden `._` companions are none.

    Raises:
        DataError: there are none.
    """
    if not path.is_dir():
        return list_images(path)
    if not recursive:
        try:
            return list_images(path)
        except DataError as error:
            raise DataError(f"{error}; --recursive looks into its sub-folders") from None
    found = sorted(
        Path(folder) / name
        for folder, _, names in os.walk(path, followlinks=True)
        for name in names
        if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
    )
    if not found:
        raise DataError(f"{path}: no pictures in this folder or below it")
    return found


def _is_result(picture: Path, folder: Path) -> bool:
    """Whether an earlier call wrote this picture (input and output folder are the same)."""
    ours = picture.stem.endswith(("_labels", "_overlay", "_pred_labelIds"))
    return ours and picture.parent.resolve() == folder.resolve()


def _check_distinct(pictures: list[Path], targets: list[Path]) -> None:
    if len(set(targets)) == len(targets):
        return
    twice = next(t for i, t in enumerate(targets) if t in targets[:i])
    names = ", ".join(str(p) for p, t in zip(pictures, targets, strict=True) if t == twice)
    raise OutputError(f"{names} would both become {twice.name}: predict them one by one")


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """Writes a label map in colours and the picture with its classes laid over it."""

    space: LabelSpace
    opacity: float

    @staticmethod
    def name(picture: Path) -> str:
        return f"{picture.stem}_labels.png"

    @staticmethod
    def files(target: Path) -> tuple[Path, ...]:
        stem = target.stem.removesuffix("_labels")
        return target, target.with_name(f"{stem}_overlay.png")

    def __call__(self, image: np.ndarray, labels: np.ndarray, target: Path) -> None:
        label_map, laid_over = self.files(target)
        with replacing(label_map) as temporary:
            save_label(temporary, labels, self.space.palette())
        picture = Image.fromarray(overlay(image, labels, self.space, self.opacity))
        with replacing(laid_over) as temporary:
            # A quarter of the time of the usual level, for a tenth more bytes.
            picture.save(temporary, compress_level=1)


@dataclasses.dataclass(frozen=True)
class _Submission:
    """Writes label ids as the Cityscapes benchmark takes them, and nothing beside them."""

    space: LabelSpace
    opacity: float

    def __post_init__(self) -> None:
        if self.space.names != CITYSCAPES.names:
            raise ConfigError(
                "--format cityscapes needs a model with the 19 classes of Cityscapes, got "
                f"{len(self.space)} ({self.space.names[0]}, ...); import names them with "
                "--labels cityscapes"
            )

    @staticmethod
    def name(picture: Path) -> str:
        match = CITYSCAPES_NAME.match(picture.stem)
        if not match:
            raise DataError(
                f"{picture}: expected <city>_<sequence>_<frame>_leftImg8bit.png for --format "
                "cityscapes"
            )
        return f"{match[0]}_pred_labelIds.png"

    @staticmethod
    def files(target: Path) -> tuple[Path, ...]:
        return (target,)

    def __call__(self, image: np.ndarray, labels: np.ndarray, target: Path) -> None:
        label_ids = np.array(CITYSCAPES.raw_values, np.uint8)[labels]
        with replacing(target) as temporary:
            Image.fromarray(label_ids).save(temporary)
