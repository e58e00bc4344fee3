"""`predict_files`: label maps, overlays, colours or RLEs of image files, or a submission."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from ..core.aliases import Progress, StrPath
from ..core.errors import DataError, OutputError
from ..core.files.addresses import shown
from ..core.files.folder_lock import one_call
from ..core.files.journal import DONE, Journal, name_of
from ..core.files.json_text import dump_json
from ..core.files.parquet import Parts
from ..core.files.writing import check_name, check_output, check_plain, write_bytes
from ..core.files.written_files import LIST, WrittenFiles
from ..core.images.decoding import TooManyPixels
from ..core.sizes import Size
from ..runtime.fleet import Fleet
from ..scoring.class_mapping import label_space_of
from ..scoring.prediction_files import COCO, ENDINGS, Results, coco_file
from ..scoring.views import AnyModel, Inference, Predictor, ViewOptions, Views
from .evaluate import check_shareable, deciding, open_inference
from .given_images import (
    Found,
    find_images,
    given_images,
    name_among,
    note_skipped,
    read_found,
    say,
    several,
)

PARTS = "labels"  # what the names of Parquet files begin with


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
    processes: int | Fleet = 1,
    skip_bad: bool = False,
    resume: bool = False,
    views: Views | None = None,
    **ways: Unpack[ViewOptions],
) -> list[Path]:
    """Segments images, each at its own size.

    Where images lie in the folder of the results, a hidden list tells these from those: results
    of earlier calls are left out, and what is not on the list is never replaced. An image is left
    out, too, if it is given twice by one path; two links to it are two images.

    Args:
        model: a path or a Keras model, as for `evaluate`.
        paths: images, folders of images, or .txt files with the path of an image in each line,
            relative to the file's folder; addresses of them will do, too. The images of a
            Parquet file have results in a folder of its name, by the numbers of their rows; those
            of a packed shard, or of all in a folder, have them by their names, in a folder of the
            name of their split.
        folder: where the results go.
        opacity: of the overlay's colours.
        threads: CPU threads of a .tflite; by default those of its settings, else 2.
        force: replace existing results; among images, those that an earlier call wrote.
        progress: wraps the image indices.
        size: run a Keras model at another (height, width).
        pad: take any `size`, padding the image to multiples of 32.
        format: `pictures` writes `<stem>_labels.png` (palette PNG of class indices) and
            `<stem>_overlay.png`; `palette` and `overlay` one of them; `index` writes
            `<stem>_labels.png` as an 8-bit grey PNG of class indices; `color` writes
            `<stem>_color.png` in RGB; `cityscapes` writes
            `<city>_<sequence>_<frame>_pred_labelIds.png` (8-bit grey PNG of label ids), what the
            benchmark's server takes; `coco` writes one `coco.json` with RLEs of all images;
            `parquet` writes `labels-00000.parquet` and so on, with columns `label`, a palette PNG,
            and `name`, of up to 1,000 images each.
        recursive: take the images of a folder's sub-folders, too; the results lie in sub-folders
            of the same names, but those for the benchmark, whose names are its own.
        processes: share the images among so many processes, each with an interpreter of its
            own (and `threads` threads), or among those of a `Fleet`; then `model` is a path.
        skip_bad: go on without images that are missing or cannot be read, and list them in the
            folder (`.fastscnn-skipped.jsonl`).
        resume: note in the folder what is done (`.fastscnn-done.jsonl`), and leave out images
            that an earlier call with the same options noted.
        views: how the model looks at an image; with windows it may have up to 536 megapixels
            instead of 89.
        ways: `scales`, `flip`, `window`, `stride` and `fit`, as for `evaluate`.

    Returns:
        The first file written of each image, in their order, or, for `parquet`, the one that it
        is in; for `coco` the one file.

    Raises:
        DataError: an image is missing or unreadable (those before it are written; with several
            processes some after it may be, too), or has no Cityscapes name.
        ConfigError: no such format or number of processes, a model without Cityscapes' classes for
            its format, a model in memory for several processes, or resumed with other options.
        WorkerDied: a process was killed.
        OutputError: a result exists, two images share a name and a suffix, the folder cannot be
            written, or another call with `resume` or
            for `parquet` writes into it.
    """
    folder, views, fleet = check_plain(folder), Views.of(views, ways), Fleet.of(processes)
    check_shareable(model, fleet)
    anew = force and not resume
    noted = anew and os.path.lexists(folder / DONE)
    alone = resume or noted or format == "parquet"  # whose files are named by their numbers
    with one_call(folder / DONE if alone else None):
        given = [given_images(path, skip_bad) for path in paths]
        found = _to_segment(given, recursive, skip_bad)
        make = functools.partial(
            image_writer,
            *(model, threads, size, pad),
            opacity=opacity,
            format=format,
            listed=_lie_among(found, given, folder, format),
            skip_bad=skip_bad,
            views=views,
        )
        here = make()  # names what is wrong with the model, once
        journal = None
        if resume:
            decides = deciding(model, here.predictor, size, pad, views)
            journal = Journal(folder / DONE, decides | {"format": format, "opacity": opacity})
        work = _Work(found, folder, here.write, journal, anew)
        jobs = work.begin(force)
        if noted:  # by calls whose results this one replaces
            (folder / DONE).unlink(missing_ok=True)
        sharing = fleet.map(make, jobs, lambda job: str(job[0]), here, shared=folder)
        # Closed at once on an error, so that no process outlives this call.
        with contextlib.closing(sharing) as done:
            work.take(done, progress)
        return work.end()


class _Work:
    """The images of a call: where their results go, what is done, and what came of each.

    Args:
        found: the images.
        folder: of the results.
        write: writes them.
        journal: of calls that can be gone on with.
        anew: results of earlier calls are replaced.

    Raises:
        OutputError: two images would have the same result.
        DataError: an image has no Cityscapes name, which the format needs.
    """

    def __init__(
        self,
        found: Sequence[Found],
        folder: Path,
        write: Results,
        journal: Journal | None,
        anew: bool,
    ):
        self._found, self._folder, self._write, self._journal = found, folder, write, journal
        self._targets = _targets(found, folder, write)
        self._one_file = [folder / COCO] if write.format == "coco" else []
        if not self._one_file:
            _check_distinct(found, self._targets)
        parquet = write.format == "parquet"
        self._parts = Parts(folder, PARTS, journal, anew) if parquet else None
        files = [write.files(target) for target in self._targets]
        self._seen = _done_before(journal, self._parts, found, files)
        self._to_do = [index for index in range(len(found)) if index not in self._seen]

    def begin(self, force: bool) -> list[tuple[Path, Path]]:
        """Images that are to be segmented, and the targets of their results.

        Raises:
            OutputError: a result exists, or cannot be written.
        """
        targets = [self._targets[index] for index in self._to_do]
        files = [*self._one_file, *(path for to in targets for path in self._write.files(to))]
        began = None if self._journal else self._folder / DONE
        _check_files(files, force, self._journal, None if self._one_file else self._write, began)
        if self._journal:
            self._journal.begin(files)
        note_skipped(self._folder, [])
        return [(self._found[index].path, self._targets[index]) for index in self._to_do]

    def take(self, done: Iterable[_Seen], progress: Progress) -> None:
        """What came of them, in their order."""
        try:
            for index, each in zip(progress(self._to_do), done, strict=True):
                image = self._found[index]
                self._seen[index] = each
                if self._parts and not each.bad:
                    row = {"label": each.annotations, "name": image.name.as_posix()}
                    self._parts.add(name_of(image.path), row)
                    self._seen[index] = _Seen()
                elif self._journal and not each.bad:
                    self._journal.note(image.path, each.annotations)
        finally:  # what is done before Ctrl-C or a bad image is kept
            if self._parts:
                self._parts.flush()

    def end(self) -> list[Path]:
        """The first file of each image, or the one that it is in; that of all is written."""
        bad = [self._seen[index].bad for index in range(len(self._found))]
        paths = [image.path for image in self._found]
        note_skipped(self._folder, list(zip(paths, bad, strict=True)))
        used = [index for index, why in enumerate(bad) if not why]
        files = {paths[i]: self._write.files(self._targets[i]) for i, why in enumerate(bad) if why}
        if stale := [path for path, own in files.items() if any(map(os.path.lexists, own))]:
            say(f"what an earlier call made of {several(stale, 'image')} that was skipped stays")
        if self._one_file and self._journal and (lost := self._journal.others(paths)):
            say(f"{self._one_file[0]}: left out {several(lost, 'image')} of earlier calls")
        if self._one_file:
            names = [self._found[i].name for i in used]
            content = coco_file(names, [self._seen[i].annotations for i in used], self._write.space)
            write_bytes(self._one_file[0], dump_json(content).encode())
        if self._parts:
            return [self._parts.place[name_of(self._found[i].path)] for i in used]
        return self._one_file or [self._write.files(self._targets[i])[0] for i in used]


def _check_files(
    files: Sequence[Path],
    force: bool,
    journal: Journal | None,
    write: Results | None,
    began: Path | None,
) -> None:
    """Makes sure that results can be written; `write` knows which of them lie among images."""
    for path in files:
        check_name(path)
        may_replace = force or bool(journal and journal.has_begun(path))
        if may_replace and write:
            write.check(path)
        check_output(path, may_replace, began)


def _done_before(
    journal: Journal | None,
    parts: Parts | None,
    found: Sequence[Found],
    files: Sequence[list[Path]],
) -> dict[int, _Seen]:
    """Which images an earlier call has done, all of whose files are there."""
    known = parts.done() if parts else {}
    done = {
        index: _Seen(annotations=None if parts else journal.result(image.path))
        for index, (image, paths) in enumerate(zip(found, files, strict=True))
        if journal
        and (journal.is_done(image.path) or name_of(image.path) in known)
        and all(map(os.path.lexists, paths))
    }
    if done:
        say(f"{len(done)} of {len(found)} images are done already")
    return done


class _Seen(NamedTuple):
    """What came of an image: why it cannot be read, or what goes into a file with others."""

    bad: str | None = None
    annotations: Any = None


def _targets(found: Sequence[Found], folder: Path, write: Results) -> list[Path]:
    """Paths of results without ending; those of x.jpg and x.jfif keep the suffix, which is said."""
    flat = write.format == "cityscapes"
    places = [folder if flat else folder / image.name.parent for image in found]
    targets = [at / write.stem(each.path) for at, each in zip(places, found, strict=True)]
    count = Counter(targets)
    if flat or len(count) == len(targets):
        return targets
    named = zip(places, found, targets, strict=True)
    longer = [at / each.path.name if count[to] > 1 else to for at, each, to in named]
    if len(set(longer)) < len(longer):
        return targets  # two images of one name, which `_check_distinct` refuses
    twice = [image.path for image, at in zip(found, targets, strict=True) if count[at] > 1]
    say(f"{several(twice, 'image')} differ in their suffix alone: it is in the results' names")
    return longer


def image_writer(
    model: AnyModel,
    threads: int | None = None,
    size: Size | None = None,
    pad: bool = False,
    *,
    opacity: float = 0.5,
    format: str = "pictures",
    listed: bool = False,
    skip_bad: bool = False,
    views: Views | None = None,
) -> _PredictionWriter:
    """What `predict_files` does with each image, as a function of (image, target) paths.

    The arguments are those of `predict_files`, and `listed` of `Results`.

    Raises:
        ModelFileError, ConfigError: the model cannot be used, or not so.
    """
    inference, predictor = open_inference(model, threads, size, pad, views=views)
    write = Results(format, label_space_of(predictor), opacity, listed)
    return _PredictionWriter(inference, predictor, write, skip_bad, bool(views and views.window))


@dataclasses.dataclass(frozen=True)
class _PredictionWriter:
    """Writes what a model sees in an image; with `skip_bad` it says why one cannot be read."""

    inference: Inference
    predictor: Predictor
    write: Results
    skip_bad: bool = False
    windowed: bool = False

    def __call__(self, job: tuple[Path, Path]) -> _Seen:
        path, target = job
        try:
            image = read_found(path, large=self.windowed)
        except DataError as error:
            if self.skip_bad:
                return _Seen(str(error))
            larger = isinstance(error, TooManyPixels) and not self.windowed
            hint = "--window HxW looks at larger images in windows; " if larger else ""
            raise type(error)(f"{error}; {hint}--skip-bad goes on without it") from None
        labels = self.inference.label_map(image, image.shape[:2])
        return _Seen(annotations=self.write(image, labels, target))


def _real(path: Path) -> str:
    """Its place without links, or its address; `Path.resolve` fails at loops of them."""
    return shown(os.path.realpath(path))


def _to_segment(paths: Sequence[Path], recursive: bool, skip_bad: bool) -> list[Found]:
    """The images, each once, without results of earlier calls."""
    found = [
        Found(p, name_among(p, path))
        for path in paths
        for p in find_images(path, recursive, skip_bad)
    ]
    once = {(_real(f.path.parent), f.path.name): f for f in found}.values()
    if more := len(found) - len(once):
        say(f"{more} of {len(found)} images are given twice by one path: each is taken once")
    results = _results_among([each.path for each in once])
    return [each for each in once if each.path not in results]


def _lie_among(found: Sequence[Found], paths: Sequence[StrPath], folder: Path, format: str) -> bool:
    """Whether results come to lie among the images."""
    flat = format == "cityscapes"
    there = {_real(folder if flat else folder / each.name.parent) for each in found}
    within = [each.path for each in found if _real(each.path.parent) in there]
    if like := [p for p in within if p.stem.endswith(ENDINGS)]:
        say(f"takes {several(like, 'file')} for images: {LIST} does not list them as results")
    return bool(within) or any(_real(Path(path)) == _real(folder) for path in paths)


def _results_among(images: Sequence[Path]) -> set[Path]:
    """Those that earlier calls wrote, as lists beside them and journals above them say."""
    results: set[Path] = set()
    folders = {image.parent for image in images}
    lists: dict[Path, Callable[[Path], bool]] = {
        folder / LIST: WrittenFiles(folder).has for folder in folders if _has(folder, LIST)
    }
    above = {parent for folder in folders for parent in (folder, *folder.parents)}
    journals = [folder / DONE for folder in above if _has(folder, DONE)]
    lists |= {path: Journal(path).has_begun for path in journals}
    for path, written in sorted(lists.items()):
        inside = (p for p in images if path.parent in p.parents and p not in results)
        if path.name == LIST:
            inside = (p for p in inside if p.parent == path.parent)
        if found := list(filter(written, inside)):
            say(f"left out {several(found, 'result')} of earlier calls, listed in {path}")
        results.update(found)
    return results


def _has(folder: Path, name: str) -> bool:
    return os.path.lexists(folder / name)


def _check_distinct(images: Sequence[Found], targets: list[Path]) -> None:
    if len(set(targets)) == len(targets):
        return
    twice = next(t for i, t in enumerate(targets) if t in targets[:i])
    names = ", ".join(str(p.path) for p, t in zip(images, targets, strict=True) if t == twice)
    raise OutputError(f"{names} would both become {twice}: give each an output of its own")
