"""A teacher's logits on disk, and batches that carry them through crop, zoom and mirroring.

`train --teacher FOLDER` learns from them. For teachers that are too large to run in every step, or
that no Keras can load: whoever writes the files decides. They follow the geometry of the NumPy
pipeline, which runs on every backend; the teacher saw whole images in their own light, as in
offline distillation.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ...core.aliases import Progress, StrPath
from ...core.config import FastSCNNConfig
from ...core.errors import ConfigError, DataError
from ...core.files.json_text import read_json
from ...core.files.reading import read_bytes
from ...core.files.writing import make_folder, replacing, write_json
from ...core.files.zip_archive import read_npy
from ...core.images.image_file import resize_image
from ...core.sizes import LOGITS_STRIDE
from ...data.augment import numpy_ops
from ...data.augment.augmentation import Augmentation, Draws
from ...data.augment.geometry import choose_window
from ...data.datasets.dataset import SegmentationDataset
from ...data.numpy_pipeline import BatchSource, numpy_batches
from ...data.pipeline import for_outputs
from ...runtime.postprocess import logit_strips
from ...scoring.views import Predictor, frame_of

INDEX = "logits.json"
LARGEST_INDEX = 64 << 20  # bytes; a million images take fifty
LARGEST = 1 << 29  # bytes of an image's logits; Cityscapes' take one million
# What moves or hides pixels in ways that saved logits do not follow.
REFUSED = ("rotation", "cutout", "cutmix", "classmix")


class _Index(msgspec.Struct):
    classes: int
    samples: list[str]


def save_logits(
    predictor: Predictor,
    dataset: SegmentationDataset,
    folder: StrPath,
    progress: Progress = iter,
) -> Path:
    """Writes the logits of every image of a split at 1/8 of its own size; files there stay.

    Args:
        predictor: the teacher, such as `evaluation.evaluate.load_predictor` gives.
        dataset: the split.
        folder: gets `000000.npy` and so on, (h, w, classes) float16, and `logits.json` with the
            names of the samples in order. Files of another program are as good.
        progress: wraps the indices.

    Raises:
        ConfigError: the teacher gives no logits.
        DataError: an image cannot be read.
    """
    folder = make_folder(Path(folder))
    kind = getattr(predictor, "outputs", "logits")
    if not kind.startswith("logits"):
        raise ConfigError(f"the teacher gives {kind}, expected logits: export it with logits")
    scale = np.float32(getattr(predictor, "logit_scale", 1.0))
    for index in progress(range(len(dataset))):
        path = folder / f"{index:06d}.npy"
        if path.exists():
            continue
        image = dataset.read_image(index)
        output = predictor.run(resize_image(image, predictor.input_size))
        size = tuple(-(-side // LOGITS_STRIDE) for side in image.shape[:2])
        strips = logit_strips(output, frame_of(predictor), (size[0], size[1]))
        logits = np.concatenate([strip for _, strip in strips]) * scale
        with replacing(path) as temporary:
            np.save(temporary, logits.astype(np.float16))
    names = [dataset.sample_name(index) for index in range(len(dataset))]
    write_json(folder / INDEX, {"classes": predictor.num_classes, "samples": names})
    return folder


def saved_logits_in(teacher: StrPath) -> Path | None:
    """The folder, where what is named as the teacher is one that `save_logits` wrote."""
    return Path(teacher) if (Path(teacher) / INDEX).is_file() else None


class SavedLogits:
    """The logits of a split, by the index of the sample.

    Args:
        folder: as `save_logits` writes it.
        dataset: the split; it may lack samples of the folder, not the reverse.

    Raises:
        DataError: the folder is of another data set or number of classes, or its index is none.
    """

    def __init__(self, folder: StrPath, dataset: SegmentationDataset):
        self.folder, self.classes = Path(folder), len(dataset.labels)
        index: _Index = read_json(
            self.folder / INDEX, _Index, largest=LARGEST_INDEX, error=DataError
        )
        if index.classes != self.classes:
            raise DataError(
                f"{self.folder}: logits of {index.classes} classes, but {dataset.name} has "
                f"{self.classes}"
            )
        places = {name: place for place, name in enumerate(index.samples)}
        names = [dataset.sample_name(i) for i in range(len(dataset))]
        if lost := [name for name in names if name not in places]:
            raise DataError(
                f"{self.folder}: no logits of {lost[0]} ({len(lost)} of {len(names)} samples have "
                "none): save them again"
            )
        self._places = [places[name] for name in names]

    def read(self, index: int) -> np.ndarray:
        """(h, w, classes) float32 over the whole image.

        Raises:
            DataError: the file is missing, damaged, of another shape, or not finite.
        """
        path = self.folder / f"{self._places[index]:06d}.npy"
        content = read_bytes(path, "file of logits", largest=LARGEST, error=DataError)
        logits = read_npy(content, str(path), error=DataError)
        if logits.ndim != 3 or logits.shape[2] != self.classes or logits.dtype.kind != "f":
            raise DataError(
                f"{path}: expected (h, w, {self.classes}) floats, got {logits.shape} of "
                f"{logits.dtype}"
            )
        if not np.isfinite(logits).all():
            raise DataError(f"{path}: some logits are NaN or infinite: save them again")
        return logits.astype(np.float32)


def logits_batches(
    dataset: SegmentationDataset,
    config: FastSCNNConfig,
    folder: StrPath,
    settings: Augmentation | None = None,
    batch_size: int = 1,
    seed: int | None = None,
    **more: Any,
) -> Any:
    """Batches for `distilling_model(student)`: ((images, teacher), labels).

    Args:
        dataset: the pairs.
        config: the student's.
        folder: what `save_logits` wrote for them.
        settings: augmentation; without rotation, cutout and mixing.
        batch_size, seed: as for `numpy_batches`.
        more: `workers`, `cache` and `share`, as for `numpy_batches`.

    Returns:
        A `keras.utils.PyDataset`. `teacher` is float32 (B, H/8, W/8, classes + 1): logits, and 1
        where a cell shows the image, 0 in the padding.

    Raises:
        ConfigError: an augmentation that logits do not follow, naming it.
        DataError: logits are missing or of another data set.
    """
    for name in REFUSED if settings else ():
        value = getattr(settings, name)
        if (value[0] if isinstance(value, tuple) else value) > 0:
            raise ConfigError(
                f"saved logits do not follow the augmentation {name}: switch off "
                f"{', '.join(REFUSED)} (only the preset strong has some of them)"
            )
    kind = functools.partial(LogitsBatchSource, SavedLogits(folder, dataset))
    return numpy_batches(dataset, config, settings, batch_size, seed, kind=kind, **more)


class LogitsBatchSource(BatchSource):
    """Batches with the teacher's logits of the same part of the same images."""

    def __init__(self, logits: SavedLogits, *about: Any):
        super().__init__(*about)
        self.logits = logits

    def batch(self, epoch: int, index: int) -> Any:
        """((images, teacher), labels) of batch `index` of an epoch."""
        drawn = zip(*self._drawn(epoch, index), strict=True)
        parts = [self._triple(int(key), vector) for key, vector in drawn]
        images, labels, told = (np.stack(part) for part in zip(*parts, strict=True))
        return (images, told), for_outputs(labels, self.config)

    def _triple(self, key: int, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        image, label = self._reader.read(key)
        rows, columns, shown = shown_cells(label, vector, self.settings, self.config)
        told = sampled(self.logits.read(key), rows, columns)
        told = np.concatenate([told, shown[..., None].astype(np.float32)], -1)
        return *self._shown(image, label, vector), told


def shown_cells(
    label: np.ndarray, vector: np.ndarray, settings: Augmentation | None, config: FastSCNNConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where in its image each cell of the crop's logits lies.

    Args:
        label: (H, W) label map of the whole image.
        vector: (DRAWS,) the pair's numbers.
        settings: augmentation without rotation; None: the whole image.
        config: gives the crop's size.

    Returns:
        (h,) rows and (w,) columns of the cells' centres, as parts 0..1 of the image's height and
        width, and (h, w) whether the cell shows the image.
    """
    sides = [np.arange(LOGITS_STRIDE / 2, side, LOGITS_STRIDE) for side in config.input_size]
    if settings is None:
        inside = np.ones((len(sides[0]), len(sides[1])), bool)
        return sides[0] / config.input_size[0], sides[1] / config.input_size[1], inside
    draws = Draws(vector)
    window = choose_window(label, draws, settings, config, numpy_ops)
    places, within = [], []
    for axis, centres in enumerate(sides):
        start, size, shown, before = (int(part[axis]) for part in window)
        place = centres - before
        within.append((place > 0) & (place < shown))
        if axis and settings.flip and draws.one("flip") < 0.5:
            place = shown - place
        places.append((start + place * size / shown) / label.shape[axis])
    return places[0], places[1], within[0][:, None] & within[1]


def sampled(logits: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear (len(rows), len(columns), classes) at parts 0..1 of the image; edges repeated."""
    for axis, places in ((0, rows), (1, columns)):
        cells = logits.shape[axis]
        position = np.clip(places * cells - 0.5, 0, cells - 1)
        low = np.floor(position).astype(np.intp)
        share = (position - low).astype(np.float32)
        share = share[:, None, None] if axis == 0 else share[:, None]
        high = np.minimum(low + 1, cells - 1)
        below, above = logits.take(low, axis), logits.take(high, axis)
        logits = below * (1 - share) + above * share
    return logits
