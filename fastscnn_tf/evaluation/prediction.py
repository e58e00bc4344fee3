"""`predict_files`: label maps and overlays of picture files, or a submission to Cityscapes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Unpack

from ..core.aliases import Progress, StrPath
from ..core.errors import ConfigError, DataError, OutputError
from ..core.files.folders import walk
from ..core.files.writing import check_name, check_output
from ..core.files.written_files import LIST, WrittenFiles
from ..core.images.image_file import is_picture_name, list_images, read_image
from ..core.sizes import Size
from ..runtime.workers import in_processes
from ..scoring.class_mapping import label_space_of
from ..scoring.prediction_files import ENDINGS, Pictures, Submission, results_of
from ..scoring.views import AnyModel, Inference, ViewOptions, Views
from .evaluate import is_path, open_inference


def predict_files(
    model: AnyModel,
    paths: Sequence[StrPath],
    folder: StrPath,
    opacity: float = 0.5,
    threads: int | None = None,
    force: bool = False,
    progress: Progress = iter,
    size: Size | None = None,
    pad: bool = False,
    *,
    format: str = "pictures",
    recursive: bool = False,
    processes: int = 1,
    skip_bad: bool = False,
    views: Views | None = None,
    **ways: Unpack[ViewOptions],
) -> list[Path]:
    """Segments pictures, each at its own size.

    Where pictures lie in the folder of the results, a hidden list tells these from those: results
    of earlier calls are left out, and what is not on the list is never replaced. A picture is left
    out, too, if it is given twice by one path; two links to it are two pictures.

    Args:
        model: a path or a Keras model, as for `evaluate`.
        paths: pictures, or folders of pictures.
        folder: where the results go.
        opacity: of the overlay's colours.
        threads: CPU threads of a .tflite; by default those of its settings, else 2.
        force: replace existing results; among pictures, those that an earlier call wrote.
        progress: wraps the picture indices.
        size: run a Keras model at another (height, width).
        pad: take any `size`, padding the image to multiples of 32.
        format: `pictures` writes `<stem>_labels.png` (palette PNG of class indices) and
            `<stem>_overlay.png`; `cityscapes` writes `<city>_<sequence>_<frame>_pred_labelIds.png`
            (8-bit grey PNG of label ids), what the benchmark's server takes.
        recursive: take the pictures of a folder's sub-folders, too.
        processes: share the pictures among so many processes, each with an interpreter of its
            own (and `threads` threads); then `model` is a path.
        skip_bad: go on without pictures that cannot be read, with a counted warning.
        views: how the model looks at a picture.
        ways: `scales`, `flip`, `window`, `stride` and `fit`, as for `evaluate`.

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
    kind = results_of(format)
    folder = Path(folder)
    pictures, among = _to_segment([Path(path) for path in paths], folder, recursive)
    targets = [folder / kind.name(picture) for picture in pictures]
    _check_distinct(pictures, targets)
    make = functools.partial(
        picture_writer,
        *(model, threads, size, pad),
        opacity=opacity,
        format=format,
        results=folder if among else None,
        skip_bad=skip_bad,
        views=Views.of(views, ways),
    )
    if processes != 1 and not is_path(model):
        raise ConfigError("several processes need the path of a model, got one in memory")
    here = make()  # names what is wrong with the model, once
    for target in targets:
        for path in here.write.files(target):
            check_name(path)
            if among and force:
                among.check(path)
            check_output(path, force)
    jobs = list(zip(pictures, targets, strict=True))
    # Closed at once on an error, so that no process outlives this call.
    with contextlib.closing(_done(make, here, jobs, processes)) as done:
        bad = [why for _, why in zip(progress(range(len(jobs))), done, strict=True)]
    return _without_bad(targets, bad)


def _without_bad(targets: list[Path], bad: list[str | None]) -> list[Path]:
    """The label maps that were written; those of pictures that cannot be read are counted."""
    reasons = [why for why in bad if why]
    if reasons and len(reasons) == len(targets):
        raise DataError(f"none of the {len(bad)} pictures can be read (first: {reasons[0]})")
    if reasons:
        _say(f"skipped {len(reasons)} of {len(bad)} pictures (first: {reasons[0]})")
    return [target for target, why in zip(targets, bad, strict=True) if not why]


def _done(
    make: Callable[[], _Writer], here: _Writer, jobs: list[tuple[Path, Path]], processes: int
) -> Generator[str | None]:
    """Writes one picture's results after the other, here or in several processes."""
    if processes == 1:
        yield from map(here, jobs)
    else:
        yield from in_processes(make, jobs, processes, lambda job: str(job[0]))


def picture_writer(
    model: AnyModel,
    threads: int | None = None,
    size: Size | None = None,
    pad: bool = False,
    *,
    opacity: float = 0.5,
    format: str = "pictures",
    results: Path | None = None,
    skip_bad: bool = False,
    views: Views | None = None,
) -> _Writer:
    """What `predict_files` does with each picture, as a function of (picture, label map) paths.

    The arguments are those of `predict_files`; `results` is their folder if a list is to be kept.

    Raises:
        ModelFileError, ConfigError: the model cannot be used, or not so.
    """
    inference, predictor = open_inference(model, threads, size, pad, views=views)
    written = WrittenFiles(results) if results else None
    write = results_of(format)(label_space_of(predictor), opacity, written)
    return _Writer(inference, write, skip_bad)


@dataclasses.dataclass(frozen=True)
class _Writer:
    """Writes what a model sees in a picture; with `skip_bad` it says why one cannot be read."""

    inference: Inference
    write: Pictures | Submission
    skip_bad: bool = False

    def __call__(self, job: tuple[Path, Path]) -> str | None:
        picture, target = job
        try:
            image = read_image(picture)
        except DataError as error:
            if not self.skip_bad:
                raise
            return str(error)
        self.write(image, self.inference.label_map(image, image.shape[:2]), target)
        return None


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
    left_out: list[Path] = []
    walked = walk(path, left_out.append)
    found = sorted(filter(is_picture_name, (f / name for f, names in walked for name in names)))
    if not found:
        raise DataError(f"{path}: no pictures in this folder or below it")
    if left_out:
        links = _several(left_out, "link")
        _say(f"left out {links} that lead out of {path} or to a folder in it: name it to take it")
    return found


def _say(line: str) -> None:
    logging.getLogger("fastscnn_tf").warning(line)


def _several(paths: Sequence[Path], what: str) -> str:
    return f"{len(paths)} {what}{'s' if len(paths) > 1 else ''} (first: {paths[0]})"


def _real(path: Path) -> str:
    """Its place without links; `Path.resolve` fails at loops of them."""
    return os.path.realpath(path)


def _to_segment(
    paths: Sequence[Path], folder: Path, recursive: bool
) -> tuple[list[Path], WrittenFiles | None]:
    """The pictures, and the list of results in their folder if some lie there."""
    found = [picture for path in paths for picture in find_pictures(path, recursive)]
    pictures = list({(_real(p.parent), p.name): p for p in found}.values())
    if more := len(found) - len(pictures):
        _say(f"{more} of {len(found)} pictures are given twice by one path: each is taken once")
    results = _results_among(pictures)
    pictures = [picture for picture in pictures if picture not in results]
    there = _real(folder)
    within = [p for p in pictures if _real(p.parent) == there]
    if not within and not any(_real(path) == there for path in paths):
        return pictures, None
    if like := [p for p in within if p.stem.endswith(ENDINGS)]:
        _say(f"takes {_several(like, 'file')} for pictures: {LIST} does not list them as results")
    return pictures, WrittenFiles(folder)


def _results_among(pictures: Sequence[Path]) -> set[Path]:
    """Those that earlier calls wrote, as the lists beside them say."""
    results: set[Path] = set()
    for parent in sorted({picture.parent for picture in pictures}):
        if not os.path.lexists(parent / LIST):
            continue
        written = WrittenFiles(parent)
        found = [p for p in pictures if p.parent == parent and written.has(p)]
        if found:
            results_found = _several(found, "result")
            _say(f"left out {results_found} of earlier calls, listed in {parent / LIST}")
        results.update(found)
    return results


def _check_distinct(pictures: list[Path], targets: list[Path]) -> None:
    if len(set(targets)) == len(targets):
        return
    twice = next(t for i, t in enumerate(targets) if t in targets[:i])
    names = ", ".join(str(p) for p, t in zip(pictures, targets, strict=True) if t == twice)
    raise OutputError(f"{names} would both become {twice.name}: predict them one by one")
