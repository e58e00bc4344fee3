"""What can be wrong with one pair, and reading many pairs at once to find out."""

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ...core.aliases import Progress
from ...core.errors import DataError
from ...core.foreign_text import shell_path
from ...core.images.decoding import ImageFile, TooManyPixels, look_at, read_image_file
from ...core.images.formats import LOSSY, image_format
from ...core.images.image_file import label_values, read_image
from ...core.images.pixels import turned
from ...core.labels import IGNORE
from ...core.overlap import Sharing, shared
from ...core.sizes import Size, format_size
from ..datasets.dataset import SegmentationDataset
from .appearance import SURE, better_fit, is_one_color, looks_drawn, thumbnail, unlike_label

# Kinds of problems; only a pair whose label map is all void can be used.
MISSING_LABEL, MISSING_IMAGE = "missing-label", "missing-image"
UNREADABLE, BOMB = "unreadable", "decompression-bomb"
SIZES, VALUES, ALL_VOID = "size-mismatch", "label-values", "all-void"
# Kinds of which one is looked for only where it is asked for: but for labels that cannot be read,
# they do not keep a pair from being used.
COLORS = "label-colors"
LIKE_IMAGE, LIKE_LABEL, ONE_COLOR = "label-like-image", "picture-like-label", "one-color"
TURNED, PAGES = "turned", "pages"
UNTURN = "exiftool -Orientation= -overwrite_original"  # takes the note away, not a pixel changes


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong with a file.

    Attributes:
        kind: one of the constants above.
        path: the file, or the sample's name where there is none of its own.
        message: the reason, without the path.
        mend: what to do, where the kind alone does not say it.
    """

    kind: str
    path: str
    message: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclasses.dataclass(frozen=True)
class Look:
    """How a pair looks.

    Attributes:
        content: a hash of the decoded image.
        thumbnail: (32, 32) uint8 grey.
        deep: largest value of an image of 16 bits, as 0..255; None of another.
        problems: that do not keep it from being used.
    """

    content: bytes
    thumbnail: np.ndarray
    deep: int | None
    problems: tuple[Problem, ...]


@dataclasses.dataclass(frozen=True)
class PairFacts:
    """What reading a pair showed.

    Attributes:
        problems: of both files.
        size: (height, width) of the image; None if it cannot be read.
        pixels: (classes + 1,) int64 pixels of each class, void last; None without a label map.
        look: how it looks, where it was asked for and the image can be read.
    """

    problems: tuple[Problem, ...]
    size: Size | None = None
    pixels: np.ndarray | None = None
    look: Look | None = None

    @property
    def usable(self) -> bool:
        """Whether it can be trained on and scored; an all-void label map only adds nothing."""
        return all(problem.kind == ALL_VOID for problem in self.problems)


def check_pairs(
    pairs: Sequence[tuple[SegmentationDataset, int]],
    looks: bool = False,
    workers: int | Sharing | None = None,
    progress: Progress = iter,
) -> list[PairFacts]:
    """Reads pairs in threads, as Pillow decodes without holding Python's lock, or in processes.

    Args:
        pairs: data sets and indices.
        looks: see how they look, too.
        workers: threads, one per core by default; or a `Fleet`.
        progress: wraps the indices, to show a progress bar.

    Returns:
        The facts in the order of `pairs`.

    Raises:
        ConfigError: there are no workers.
    """
    datasets = list({id(dataset): dataset for dataset, _ in pairs}.values())
    places = {id(dataset): place for place, dataset in enumerate(datasets)}
    items = [(places[id(dataset)], index) for dataset, index in pairs]
    check = functools.partial(_check_at, datasets, looks)
    done = shared(check, items, workers, lambda item: datasets[item[0]].sample_name(item[1]))
    with contextlib.closing(done):
        return [fact for _, fact in zip(progress(range(len(items))), done, strict=True)]


def _check_at(
    datasets: Sequence[SegmentationDataset], looks: bool, item: tuple[int, int]
) -> PairFacts:
    place, index = item
    return check_pair(datasets[place], index, looks)


def check_pair(dataset: SegmentationDataset, index: int, looks: bool = False) -> PairFacts:
    """Reads a pair and says everything that is wrong with it.

    Args:
        dataset: where it is.
        index: of the pair.
        looks: see how it looks, too.
    """
    name, files = dataset.sample_name(index), dataset.files(index)
    paths = [str(path) for path in files] if len(files) == 2 else [name, name]
    image, problems = _attempt(dataset.read_image, index, [paths[0], name])
    label, others = _attempt(dataset.read_label, index, [paths[1], name])
    if label is None and others[0].kind == UNREADABLE and len(files) == 2:
        others = [_with_values(others[0], files[1])]
    problems += [problem for problem in others if problem not in problems]
    headers: list[ImageFile | None] = [None, None]
    if looks and len(files) == 2:  # of what could be decoded: a bomb stays closed
        read = zip(files, (image, label), strict=True)
        headers = [None if pixels is None else _header(path) for path, pixels in read]
    if image is not None and label is not None and image.shape[:2] != label.shape:
        problems.append(_sizes(image, label, paths[0], headers[0]))
    pixels = None if label is None else count_pixels(label, len(dataset.labels))
    if pixels is not None and not pixels[:-1].any():
        problems.append(Problem(ALL_VOID, paths[1], "the whole label map is void"))
    size = None if image is None else (image.shape[0], image.shape[1])
    look = None if image is None or not looks else _look(image, label, paths, headers)
    return PairFacts(tuple(problems), size, pixels, look)


def _header(path: Path) -> ImageFile | None:
    with contextlib.suppress(DataError):  # said by the decoder
        return look_at(read_image_file(path), str(path))
    return None


def _sizes(image: np.ndarray, label: np.ndarray, path: str, header: ImageFile | None) -> Problem:
    sizes = format_size(image.shape[:2]), format_size((label.shape[0], label.shape[1]))
    text, mend = f"image is {sizes[0]} but its label map is {sizes[1]}", ""
    if header and header.orientation > 4 and label.shape == image.shape[1::-1]:
        text += f": EXIF orientation {header.orientation} turns the image alone"
        mend = f"{UNTURN} {shell_path(path)}"
    return Problem(SIZES, path, text, mend)


def _look(
    image: np.ndarray,
    label: np.ndarray | None,
    paths: Sequence[str],
    headers: Sequence[ImageFile | None],
) -> Look:
    problems = [
        Problem(PAGES, path, f"{header.pages} pages or frames, of which only the first is read")
        for path, header in zip(paths, headers, strict=True)
        if header and header.pages > 1
    ]
    header = headers[0]
    if is_one_color(image):
        problems.append(Problem(ONE_COLOR, paths[0], _one_color(image, header)))
    elif looks_drawn(image) and not (header and header.bits == 16):  # few values by few bits
        text = "few colours in flat areas, as in a label map"
        problems.append(Problem(LIKE_LABEL, paths[0], text))
    if label is not None and (what := unlike_label(label)):
        problems.append(Problem(LIKE_IMAGE, paths[1], f"it looks {what}"))
    if header and header.orientation > 1 and label is not None and label.shape == image.shape[:2]:
        problems += _turned(image, label, paths[0], header.orientation)
    deep = int(image.max(initial=0)) if header and header.bits == 16 else None
    return Look(content_hash(image), thumbnail(image), deep, tuple(problems))


def _one_color(image: np.ndarray, header: ImageFile | None) -> str:
    text = f"every pixel is {tuple(image[0, 0].tolist())}"
    if header and header.mode in ("RGBA", "LA", "PA") and not image.any():
        return f"{text}: it is transparent everywhere, alpha is composed over black"
    if header and header.bits == 16:
        return f"{text}: of 16 bits the upper 8 are read, and its values are in the lower ones"
    return text


def _turned(image: np.ndarray, label: np.ndarray, path: str, orientation: int) -> Iterator[Problem]:
    """Whether the label map is turned as EXIF turns the image."""
    other = turned(label, orientation)
    fit = better_fit(image, label, other) if other.shape == label.shape else np.inf
    if fit > SURE:
        return
    sure = "fits it as stored" if fit < -SURE else "has no orientation: which one fits is unclear"
    text = f"EXIF orientation {orientation} turns the image, and its label map {sure}"
    yield Problem(TURNED, path, text, f"{UNTURN} {shell_path(path)}")


def _with_values(problem: Problem, path: Path) -> Problem:
    """What is wrong with a file that can be read as an image, but not as a label map."""
    try:
        image = read_image(path)
        if image_format(read_image_file(path)) in LOSSY:
            return dataclasses.replace(problem, kind=LIKE_IMAGE)
    except DataError:
        return problem
    try:
        pixels, kind = label_values(path), VALUES
    except DataError as error:
        colored = str(error).endswith(problem.message) and np.ptp(image, axis=2).any()
        pixels, kind = image[..., 1], COLORS if colored else VALUES
    if what := unlike_label(pixels):
        kind, text = LIKE_IMAGE, f"{problem.message}; it looks {what}"
        return dataclasses.replace(problem, kind=kind, message=text)
    return dataclasses.replace(problem, kind=kind)


def _attempt(
    read: Callable[[int], np.ndarray], index: int, places: Sequence[str]
) -> tuple[np.ndarray | None, list[Problem]]:
    """The image or label map, and what is wrong with it; `places` as in `_problem`."""
    try:
        return read(index), []
    except DataError as error:
        return None, [_problem(error, places)]


def content_hash(image: np.ndarray) -> bytes:
    """16 bytes that equal images share, however they are encoded.

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
