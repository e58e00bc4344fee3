"""`pseudo_label`: a trained model labels images, for self-training on them.

The recipe of Zhu et al. ("Improving semantic segmentation via self-training", 2020) and GluonCV: a
teacher's predictions where it is sure, 255 elsewhere, added to the human labels. The result is a
`folder` data set:

    fastscnn pseudo-label RUN --images STREETS --confidence 0.9 --flip --output PSEUDO
    fastscnn train ... --extra-dataset folder --extra-data-dir PSEUDO --extra-split train
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import Progress, StrPath
from ..core.arguments import check_number
from ..core.class_maps import has_names
from ..core.console import warn
from ..core.errors import ConfigError, DataError
from ..core.files.folder_lock import one_call
from ..core.files.writing import check_plain
from ..core.labels import IGNORE, LabelSpace
from ..core.sizes import Size
from ..runtime.fleet import Fleet
from ..scoring.averaged_views import AveragedViews
from ..scoring.class_mapping import label_space_of
from ..scoring.views import AnyModel, Predictor
from .evaluate import check_shareable, is_run_here, load_predictor, loaded, name_of, scaled_sizes
from .given_images import (
    find_images,
    first_readable,
    given_images,
    name_among,
    note_skipped,
    read_found,
)
from .pseudo_folder import JOURNAL, SETTINGS, Counts, PseudoFolder, PseudoLabels, PseudoWriter

_Labelled = tuple[bytes, Counts]  # a label map for a Parquet file, and what was counted


def pseudo_label(
    model: AnyModel,
    images: StrPath,
    folder: StrPath,
    confidence: float = 0.9,
    *,
    recursive: bool = False,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    size: Size | None = None,
    pad: bool = False,
    threads: int | None = None,
    copy: bool = False,
    parquet: bool = False,
    resume: bool = False,
    force: bool = False,
    skip_bad: bool = False,
    progress: Progress = iter,
    processes: int | Fleet = 1,
) -> PseudoLabels:
    """Labels images where a model is sure, and writes a `folder` data set.

    The label of a pixel is the class with the greatest probability, averaged over the views at the
    image's own size, where that probability is at least `confidence`; 255 elsewhere.

    Args:
        model: a `.tflite` with logits, `.keras`, `.npz`, run folder or Keras model.
        images: an image, a folder of images, a .txt with the path of one in each line, a Parquet
            file, or a packed shard or folder of them, as for `predict_files`.
        folder: gets `dataset.yaml`, `labels/` (palette PNGs), `images/` (relative links to the
            images, so that nothing is stored twice), `pseudo.json` (what decided the labels)
            and `pseudo.counts.jsonl` (a line for each image that is done).
        confidence: least probability, 0..1.
        recursive: take the images of sub-folders, too; `a/b.jpg` becomes `a__b.jpg`.
        scales: multiples of a Keras model's size to average, rounded to multiples of 32 (unless
            `pad`).
        flip: average with the mirrored image.
        size: run a Keras model at another (height, width).
        pad: take any `size`.
        threads: CPU threads of a .tflite; by default those of its settings, else 2.
        copy: copy the images instead of linking them.
        parquet: write the images' bytes and their label maps into Parquet files of up to 1,000
            images or some 128 MiB, `train-00000.parquet` and so on, instead of files each. Their
            columns are `image`, `label` and `name`.
        resume: go on where an earlier call with the same options stopped.
        force: start anew in a folder that is in use.
        skip_bad: go on without images that are missing or cannot be read, and list them in the
            folder (`.fastscnn-skipped.jsonl`).
        progress: wraps the indices of the images.
        processes: share the images among so many processes, each with an interpreter of its
            own (and `threads` threads), or among those of a `Fleet`; then `model` is a path.

    Raises:
        ConfigError: options out of range, resumed with others, or a model in memory for several
            processes.
        DataError: no images, a bad one without `skip_bad` (what is done stays, see `resume`), or
            two whose label maps would have the same name.
        ModelFileError: the model cannot be used.
        OutputError: the folder is in use, cannot be written, or another call goes on with it.
    """
    check_number("confidence", confidence, 0, 1)
    fleet = Fleet.of(processes)
    check_shareable(model, fleet)
    with one_call(check_plain(folder) / JOURNAL if resume else None):
        found = _named_images(given_images(images, skip_bad), recursive, skip_bad)
        inside = os.path.realpath(Path(folder) / "images")
        if any(os.path.realpath(image.parent) == inside for _, image in found):
            raise ConfigError(f"the images lie in the output {folder}: name another --output")
        opening = model, scales, size, pad, threads
        predictors = _predictors(*opening)
        space = _named_classes(predictors[0])
        settings = {
            "model": name_of(model),
            "images": str(images),
            "confidence": confidence,
            "recursive": recursive,
            "sizes": [list(p.input_size) for p in predictors],
            "flip": flip,
            "classes": list(space.names),
        }
        if not (resume and os.path.lexists(Path(folder) / SETTINGS)):
            first_readable((image for _, image in found), skip_bad)
        out = PseudoFolder(Path(folder), settings, space, resume, force, parquet)
        note_skipped(out.path, [])
        jobs = [(name, image) for name, image in found if not out.has(name)]
        how = functools.partial(_Labeller, confidence=confidence, write=out.writer(copy))
        make = functools.partial(_labeller, how, flip, *opening)
        here = how(AveragedViews(predictors, flip))
        sharing = fleet.map(make, jobs, lambda job: str(job[1]), here, shared=out.path)
        with contextlib.closing(sharing) as done:
            skipped = _note(out, jobs, done, skip_bad, progress)
        note_skipped(out.path, [(image, skipped.get(image)) for _, image in found])
    return out.labels(space.names, tuple(skipped.values()))


def _note(
    out: PseudoFolder,
    jobs: Sequence[tuple[str, Path]],
    done: Iterable[_Labelled | DataError],
    skip_bad: bool,
    progress: Progress,
) -> dict[Path, str]:
    """Notes what is done; why others cannot be read."""
    skipped = {}
    try:
        for index, found in zip(progress(range(len(jobs))), done, strict=True):
            if not isinstance(found, DataError):
                out.add(*jobs[index], *found)
            elif skip_bad:
                skipped[jobs[index][1]] = str(found)
            else:
                raise type(found)(f"{found}; --skip-bad goes on without it")
    finally:  # what is done before Ctrl-C or a bad image is kept
        out.flush()
    return skipped


def _named_classes(predictor: Predictor) -> LabelSpace:
    """The model's classes; it is said where they have no names."""
    space = label_space_of(predictor)
    if not has_names(space):
        first = f"{space.names[0]}, {space.names[1]}, ..."
        warn(f"the model's classes have no names: dataset.yaml calls them {first}; name them there")
    return space


@dataclasses.dataclass(frozen=True)
class _Labeller:
    """Labels an image and writes that; what was counted, or why it cannot be read."""

    views: AveragedViews
    confidence: float
    write: PseudoWriter

    def __call__(self, job: tuple[str, Path]) -> _Labelled | DataError:
        name, image = job
        try:
            pixels = read_found(image)
        except DataError as error:
            return error
        probabilities = self.views.probabilities(pixels, pixels.shape[:2])
        label, counts = confident_labels(probabilities, self.confidence)
        return self.write(name, image, label), counts


def _labeller(how: Callable[[AveragedViews], _Labeller], flip: bool, *opening: Any) -> _Labeller:
    return how(AveragedViews(_predictors(*opening), flip))


def confident_labels(probabilities: np.ndarray, confidence: float) -> tuple[np.ndarray, Counts]:
    """The winning classes, 255 where they are below the confidence, and what each class won.

    Args:
        probabilities: (H, W, classes).
        confidence: least probability that is kept.
    """
    winners = probabilities.argmax(-1).astype(np.uint8)
    sure = probabilities.max(-1) >= np.float32(confidence)
    count = probabilities.shape[-1]
    predicted = np.bincount(winners.ravel(), minlength=count)
    kept = np.bincount(winners[sure], minlength=count)
    labels = np.where(sure, winners, np.uint8(IGNORE))
    return labels, Counts(tuple(map(int, predicted)), tuple(map(int, kept)))


def _predictors(
    model: Any, scales: Sequence[float], size: Size | None, pad: bool, threads: int | None
) -> list[Predictor]:
    """The model at each scale.

    Raises:
        ConfigError: scales of a .tflite, or an output without probabilities.
    """
    if not scales or any(not 0 < scale < 16 for scale in scales):
        raise ConfigError(f"scales must be above 0 and below 16, got {tuple(scales)}")
    plain = set(scales) == {1.0}
    if not plain and is_run_here(model):
        raise ConfigError("such a file has one size: leave --scales out, or give the Keras model")
    model = model if plain else loaded(model)
    first = load_predictor(model, threads, size=size, pad=pad)
    outputs = getattr(first, "outputs", "logits")
    if not outputs.startswith("logits"):
        raise ConfigError(
            f"the model gives {outputs}, which say little of how sure it is: export it with "
            "--outputs logits"
        )
    if plain:
        return [first]
    sizes = scaled_sizes(first.input_size, scales, pad)
    return [load_predictor(model, threads, size=each, pad=pad) for each in sizes]


def _named_images(path: Path, recursive: bool, skip_bad: bool) -> list[tuple[str, Path]]:
    """(name in the data set, image); names are unique without their suffix.

    Raises:
        DataError: there are none, or two would have the same label map.
    """
    images: dict[str, tuple[str, Path]] = {}
    for image in find_images(path, recursive, skip_bad):
        name = "__".join(name_among(image, path).parts)
        other = images.setdefault(Path(name).stem, (name, image))[1]
        if other != image:
            raise DataError(f"{other} and {image} would have the same label map: rename one")
    return list(images.values())
