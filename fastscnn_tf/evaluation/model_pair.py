"""`ModelPair`: two models that look at the same images."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np

from ..core.aliases import Progress
from ..core.overlap import overlapped, readers
from ..data.datasets.dataset import SegmentationDataset


@dataclasses.dataclass(frozen=True)
class ModelPair:
    """Two models that look at the images of a data set.

    Attributes:
        looks: how each looks at an image (see `scoring.views.Inference`).
        mappings: from the classes of each to the data set's.
        data: the images.
    """

    looks: tuple[Any, ...]
    mappings: tuple[Any, ...]
    data: SegmentationDataset

    def seen(self, progress: Progress) -> Generator[tuple[int, np.ndarray, list[Any]]]:
        """Index, label map and what the networks said, of every image; reads ahead."""
        indices = range(len(self.data))
        threads = readers()
        with closing(overlapped(self._read, indices, 2 * threads, threads)) as pairs:
            for index, (label, prepared) in zip(progress(indices), pairs, strict=True):
                yield index, label, self._run(prepared)

    def predictions(self, index: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Image, label map and the two predictions."""
        image, label = self.data.read(index)
        prepared = [look.prepare(image, label.shape) for look in self.looks]
        return image, label, self.finish(self._run(prepared))

    def finish(self, done: list[Any]) -> list[np.ndarray]:
        """The two label maps, in the data set's classes."""
        both = zip(self.looks, self.mappings, done, strict=True)
        return [mapping.apply(look.finish(each)) for look, mapping, each in both]

    def _read(self, index: int) -> tuple[np.ndarray, list[Any]]:
        image, label = self.data.read(index)
        return label, [look.prepare(image, label.shape) for look in self.looks]

    def _run(self, prepared: list[Any]) -> list[Any]:
        return [look.run(each) for look, each in zip(self.looks, prepared, strict=True)]
