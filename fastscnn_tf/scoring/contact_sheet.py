"""A contact sheet: samples as training sees them, their label maps laid over them, and a legend."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
from PIL import Image, ImageDraw

from ..core.aliases import StrPath
from ..core.arguments import check_number
from ..core.config import FastSCNNConfig
from ..core.console import warn
from ..core.errors import OutputError
from ..core.files.writing import check_output, replacing, write_bytes
from ..core.images.fonts import font_with, foreign_letters, lettering
from ..core.images.image_file import resize_image, resize_label
from ..core.images.visualize import hatched, legend, overlay
from ..core.labels import LabelSpace
from ..core.sizes import STRIDE, Size, format_size
from ..data.augment.augmentation import Augmentation, augmentation
from ..data.check.pair_faults import count_pixels
from ..data.check.usable import open_split
from ..data.datasets.dataset import SegmentationDataset, check_filled
from ..data.numpy_pipeline import BatchSource

SUFFIXES = (".png", ".jpg")
SHEET_WIDTH = 1400  # pixels
LINE = 20  # height of a line of text
GAP = 10
SMALLEST = 160  # width of a cell, where images are smaller


@dataclasses.dataclass(frozen=True)
class Sample:
    """A pair as training gets it.

    Attributes:
        name: of the pair that it was made from.
        image: (H, W, 3) uint8 RGB.
        label: (H, W) uint8 class indices, 255 where void.
    """

    name: str
    image: np.ndarray
    label: np.ndarray


def save_contact_sheet(
    path: StrPath,
    dataset: str,
    data_dir: StrPath | None = None,
    split: str = "train",
    augment: str = "paper",
    size: Size | None = None,
    count: int = 12,
    columns: int = 4,
    seed: int = 0,
    force: bool = False,
    skip_bad: bool = False,
) -> int:
    """Draws a contact sheet of a data set into an image file; needs no TensorFlow.

    Args:
        path: the file, .png or .jpg.
        dataset: as for `open_dataset`.
        data_dir: where it lies; not needed for `toy`.
        split: which split.
        augment: augmentation preset.
        size: (height, width) of the crops, as in `draw_samples`.
        count: samples.
        columns: samples in a row.
        seed: of order and augmentation.
        force: replace the file.
        skip_bad: go on without pairs that cannot be used, with a counted warning.

    Returns:
        The number of samples drawn.

    Raises:
        OutputError: the file exists, cannot be written, or is of another kind.
        ConfigError, DataError: as for `open_dataset` and `draw_samples`.
    """
    path = check_output(path, force)
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: a contact sheet is a {' or '.join(SUFFIXES)} file")
    data = open_split(dataset, data_dir, split, size, skip_bad)
    files = (file for i in range(len(data)) for file in data.files(i))
    if path.exists() and os.path.realpath(path) in map(os.path.realpath, files):
        raise OutputError(f"{path} is a file of the data set: name another one")
    letters = foreign_letters(data.labels.names)
    names = None
    if letters and not font_with(letters):
        names = check_output(path.with_suffix(".txt"), force)
    samples = draw_samples(data, size, augmentation(augment), count, seed)
    shape = format_size((samples[0].label.shape[0], samples[0].label.shape[1]))
    title = f"{data.name}, {split}: {shape}, augmentation {augment}, seed {seed}"
    sheet = Image.fromarray(contact_sheet(samples, data.labels, title, columns))
    with replacing(path) as temporary:
        sheet.save(temporary)
    if names:
        write_bytes(names, "".join(f"{i}: {n}\n" for i, n in enumerate(data.labels.names)).encode())
        warn(f"no font of this system has the letters of the class names: {names} lists them")
    return len(samples)


def draw_samples(
    dataset: SegmentationDataset,
    size: Size | None = None,
    settings: Augmentation | None = None,
    count: int = 12,
    seed: int = 0,
) -> list[Sample]:
    """The first samples that training with this seed gets from the NumPy pipeline.

    Args:
        dataset: the pairs.
        size: (height, width) of the crops; by default that of the first image, down to multiples
            of 32.
        settings: the augmentation; None: the pairs in order, resized.
        count: how many; beyond the last pair the next epoch begins.
        seed: of order and augmentation.

    Raises:
        ConfigError: `count` is below 1.
        DataError: a file cannot be read, or the split is empty.
    """
    check_number("count", count, 1)
    check_filled(dataset)
    if size is None:
        height, width = dataset.read_image(0).shape[:2]
        size = max(STRIDE, height // STRIDE * STRIDE), max(STRIDE, width // STRIDE * STRIDE)
    config = FastSCNNConfig.for_labels(dataset.labels, input_size=size)
    batch_size = min(count, len(dataset))
    source = BatchSource(dataset, config, settings, batch_size, seed)
    samples: list[Sample] = []
    for epoch in range(-(-count // batch_size)):
        images, labels = source.batch(epoch, 0)
        pixels = np.clip(np.rint(images * config.std + config.mean), 0, 255).astype(np.uint8)
        names = [dataset.sample_name(int(key)) for key in source.order(epoch)[:batch_size]]
        samples += map(Sample, names, pixels, labels)
    return samples[:count]


def contact_sheet(
    samples: Sequence[Sample], space: LabelSpace, title: str = "", columns: int = 4
) -> np.ndarray:
    """Draws samples side by side: image, label map laid over it (void hatched), name.

    Args:
        samples: at least one, all of the same size.
        space: names and colours of the classes.
        title: a line at the top.
        columns: samples in a row.

    Returns:
        (rows, width, 3) uint8 RGB; at the bottom the legend with the share of each class in the
        pixels shown.

    Raises:
        ConfigError: `columns` is below 1.
    """
    check_number("columns", columns, 1)
    columns = min(columns, len(samples))
    cells = [_cell(sample, space, _cell_size(samples[0], columns)) for sample in samples]
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // columns)
    total = max(columns * (width + GAP) + GAP, SHEET_WIDTH // 2)
    key = legend(space, LINE, _shares(samples, space), total - 2 * GAP)
    total = max(total, key.shape[1] + 2 * GAP)
    top = GAP + (LINE + GAP if title else 0)
    below = top + rows * (height + GAP)
    sheet = Image.new("RGB", (total, below + len(key) + GAP), "white")
    _line(sheet, title, GAP, GAP, total - 2 * GAP)
    for i, cell in enumerate(cells):
        row, column = divmod(i, columns)
        at = GAP + column * (width + GAP), top + row * (height + GAP)
        sheet.paste(Image.fromarray(cell), at)
    sheet.paste(Image.fromarray(key), (GAP, below))
    return np.asarray(sheet)


def _cell_size(sample: Sample, columns: int) -> Size:
    """(height, width) of an image on the sheet."""
    height, width = sample.label.shape
    wide = min((SHEET_WIDTH - GAP) // columns - GAP, max(width, SMALLEST))
    wide = max(wide, SMALLEST // 2)
    return max(1, round(wide * height / width)), wide


def _cell(sample: Sample, space: LabelSpace, size: Size) -> np.ndarray:
    """Image, overlay and name below each other."""
    image, label = resize_image(sample.image, size), resize_label(sample.label, size)
    cell = Image.new("RGB", (size[1], 2 * size[0] + 2 + LINE), "white")
    cell.paste(Image.fromarray(image), (0, 0))
    cell.paste(Image.fromarray(hatched(overlay(image, label, space), label)), (0, size[0] + 2))
    _line(cell, PurePath(sample.name).name, 0, 2 * size[0] + 2, size[1])
    return np.asarray(cell)


def _line(image: Image.Image, text: str, x: int, y: int, width: int) -> None:
    """A line of text; one that is too long loses its beginning."""
    (text,), type_face = lettering([text], LINE)
    shown = text
    while shown and type_face.getlength(shown) > width:
        text = text[1:]
        shown = f"...{text}" if text else ""
    ImageDraw.Draw(image).text((x, y + LINE / 2), shown, "black", type_face, anchor="lm")


def _shares(samples: Sequence[Sample], space: LabelSpace) -> list[float]:
    counts = sum(count_pixels(sample.label, len(space)) for sample in samples)
    return [float(share) for share in counts / np.sum(counts)]
