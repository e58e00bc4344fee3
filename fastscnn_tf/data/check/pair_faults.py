"""What can be wrong with one pair, and reading many pairs at once to find out."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ...core.aliases import Progress
from ...core.arguments import check_number
from ...core.errors import DataError
from ...core.images.decoding import TooManyPixels
from ...core.images.image_file import read_image
from ...core.labels import IGNORE
from ...core.sizes import Size, format_size
from ..datasets.dataset import SegmentationDataset

# Kinds of problems; only a pair whose label map is all void can be used.
MISSING_LABEL, MISSING_IMAGE = "missing-label", "missing-image"
UNREADABLE, BOMB = "unreadable", "decompression-bomb"
SIZES, VALUES, ALL_VOID = "size-mismatch", "label-values", "all-void"


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong with a file.

    Attributes:
        kind: one of the constants above.
        path: the file, or the sample's name where there is none of its own.
        message: the reason, without the path.
    """

    kind: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclasses.dataclass(frozen=True)
class PairFacts:
    """What reading a pair showed.

    Attributes:
        problems: of both files.
        size: (height, width) of the picture; None if it cannot be read.
        pixels: (classes + 1,) int64 pixels of each class, void last; None without a label map.
        content: a hash of the decoded picture, where it was asked for.
    """

    problems: tuple[Problem, ...]
    size: Size | None = None
    pixels: np.ndarray | None = None
    content: bytes | None = None

    @property
    def usable(self) -> bool:
        """Whether it can be trained on and scored; an all-void label map only adds nothing."""
        return all(problem.kind == ALL_VOID for problem in self.problems)


def check_pairs(
    pairs: Sequence[tuple[SegmentationDataset, int]],
    content: bool = False,
    workers: int | None = None,
    progress: Progress = iter,
) -> list[PairFacts]:
    """Reads pairs in threads; Pillow decodes without holding Python's lock.

    Args:
        pairs: data sets and indices.
        content: hash the pictures, too.
        workers: threads; one per core by default.
        progress: wraps the indices, to show a progress bar.

    Returns:
        The facts in the order of `pairs`.

    Raises:
        ConfigError: there are no workers.
    """
    workers = (os.cpu_count() or 1) if workers is None else workers
    check_number("workers", workers, 1)
    with ThreadPoolExecutor(workers, "fastscnn-check") as pool:
        futures = [pool.submit(check_pair, data, index, content) for data, index in pairs]
        try:
            return [futures[i].result() for i in progress(range(len(futures)))]
        finally:
            pool.shutdown(cancel_futures=True)


def check_pair(dataset: SegmentationDataset, index: int, content: bool = False) -> PairFacts:
    """Reads a pair and says everything that is wrong with it.

    Args:
        dataset: where it is.
        index: of the pair.
        content: hash the picture, too.
    """
    name, files = dataset.sample_name(index), dataset.files(index)
    paths = [str(path) for path in files] if len(files) == 2 else [name, name]
    image, problems = _attempt(dataset.read_image, index, [paths[0], name])
    label, others = _attempt(dataset.read_label, index, [paths[1], name])
    if label is None and others[0].kind == UNREADABLE and len(files) == 2 and _opens(files[1]):
        others = [dataclasses.replace(others[0], kind=VALUES)]
    problems += [problem for problem in others if problem not in problems]
    if image is not None and label is not None and image.shape[:2] != label.shape:
        sizes = format_size(image.shape[:2]), format_size((label.shape[0], label.shape[1]))
        text = f"image is {sizes[0]} but its label map is {sizes[1]}"
        problems.append(Problem(SIZES, paths[0], text))
    pixels = None if label is None else count_pixels(label, len(dataset.labels))
    if pixels is not None and not pixels[:-1].any():
        problems.append(Problem(ALL_VOID, paths[1], "the whole label map is void"))
    digest = None if image is None or not content else content_hash(image)
    size = None if image is None else (image.shape[0], image.shape[1])
    return PairFacts(tuple(problems), size, pixels, digest)


def _attempt(
    read: Callable[[int], np.ndarray], index: int, places: Sequence[str]
) -> tuple[np.ndarray | None, list[Problem]]:
    """The picture or label map, and what is wrong with it; `places` as in `_problem`."""
    try:
        return read(index), []
    except DataError as error:
        return None, [_problem(error, places)]


def content_hash(image: np.ndarray) -> bytes:
    """16 bytes that equal pictures share, however they are encoded.

    Args:
        image: (H, W, 3) uint8.
    """
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def count_pixels(label: np.ndarray, classes: int) -> np.ndarray:
    """(classes + 1,) int64: pixels of each class in (H, W) uint8 class indices, void last."""
    counts = np.bincount(label.ravel(), minlength=IGNORE + 1)
    return np.append(counts[:classes], counts[IGNORE]).astype(np.int64)


def _problem(error: DataError, places: Sequence[str]) -> Problem:
    """Splits `PATH: reason`; what names none of the places is put down to the first."""
    kind, text = BOMB if isinstance(error, TooManyPixels) else UNREADABLE, str(error)
    for place in places:
        if text.startswith(f"{place}: "):
            return Problem(kind, place, text[len(place) + 2 :])
    return Problem(kind, places[0], text)


def _opens(path: Path) -> bool:
    try:
        read_image(path)
    except DataError:
        return False
    return True
