"""Decoded pairs kept for the next epoch, in memory or on disk."""

import contextlib
import shutil
import stat
import threading
from pathlib import Path
from typing import Protocol

import numpy as np

from ..core.arguments import called
from ..core.errors import ConfigError, OutputError
from ..core.files.writing import make_folder, replacing
from ..core.sizes import Size
from .datasets.dataset import Pair, SegmentationDataset, key_of

MEMORY_SHARE = 0.25  # of what is available when training begins
FALLBACK_MEMORY = 2 << 30  # where the system does not say what is available
KEEP_FREE = 1 << 30  # bytes on disk that stay free


class Cache(Protocol):
    """Keeps pairs by index, as long as there is room."""

    def get(self, index: int) -> Pair | None: ...

    def put(self, index: int, pair: Pair) -> None: ...


def open_cache(choice: str, dataset: SegmentationDataset, size: Size | None) -> Cache | None:
    """The cache of a choice.

    Args:
        choice: `auto` (in memory, up to a quarter of what is available), `memory` (all of it in
            memory), `none`, or a folder.
        dataset: whose pairs are kept.
        size: the size they are resized to, or None.

    Raises:
        ConfigError: an empty choice.
        OutputError: the folder cannot be written.
    """
    check_cache(choice)
    if choice == "none":
        return None
    if choice in ("auto", "memory"):
        return MemoryCache(available_memory() * MEMORY_SHARE if choice == "auto" else float("inf"))
    return DiskCache(Path(choice), dataset, size)


def check_cache(choice: str) -> None:
    """Makes sure that this is a choice.

    Raises:
        ConfigError: an empty text.
    """
    if not choice:
        raise ConfigError(
            f"{called('cache')} must be auto, memory, none, or a folder; got an empty text"
        )


def available_memory() -> int:
    """Bytes that can be taken without swapping."""
    with contextlib.suppress(OSError, ValueError):  # not Linux
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return FALLBACK_MEMORY


class MemoryCache:
    """Keeps pairs in memory.

    Args:
        room: bytes.
    """

    def __init__(self, room: float):
        self._room = room
        self._pairs: dict[int, Pair] = {}
        self._lock = threading.Lock()

    def get(self, index: int) -> Pair | None:
        """The pair, if it is kept."""
        return self._pairs.get(index)

    def put(self, index: int, pair: Pair) -> None:
        """Keeps a pair if there is room."""
        size = pair[0].nbytes + pair[1].nbytes
        with self._lock:
            if index not in self._pairs and size <= self._room:
                self._room -= size
                self._pairs[index] = pair


def _mapped(path: Path) -> np.ndarray:
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
        raise ValueError("no file")
    return np.lib.format.open_memmap(path, mode="r")


def _checked(image: np.ndarray, label: np.ndarray) -> Pair:
    if (image.dtype, label.dtype) != (np.uint8, np.uint8) or image.shape != (*label.shape, 3):
        raise ValueError("no pair")
    return image, label


class DiskCache:
    """Keeps pairs as .npy files, which are mapped, not read: the system keeps what is used.

    A file's name says what it was made from (paths, sizes, times of change and label space), so a
    changed image is decoded anew and several runs share a folder.

    Args:
        folder: is made if need be.
        dataset: whose pairs are kept.
        size: the size they are resized to, or None.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, dataset: SegmentationDataset, size: Size | None):
        self._folder, self._dataset = make_folder(folder), dataset
        self._common = repr((dataset.name, dataset.split, dataset.labels, size))
        self._open = True

    def get(self, index: int) -> Pair | None:
        """The pair, if it is kept."""
        image, label = self._paths(index)
        # Not there, cut short, or another program's: numpy's parser raises what it likes.
        with contextlib.suppress(Exception):
            return _checked(_mapped(image), _mapped(label))
        return None

    def put(self, index: int, pair: Pair) -> None:
        """Keeps a pair while the disk has room."""
        if not self._open:
            return
        try:
            if shutil.disk_usage(self._folder).free < KEEP_FREE + pair[0].nbytes + pair[1].nbytes:
                self._open = False
                return
            for path, array in zip(self._paths(index), pair, strict=True):
                with replacing(path) as temporary:
                    np.save(temporary, array)
        except (OSError, OutputError):  # a cache is no reason to stop
            self._open = False

    def _paths(self, index: int) -> tuple[Path, Path]:
        name = key_of(self._common, str(index), *self._dataset.state(index))
        folder = self._folder / name[:2]
        return folder / f"{name}.image.npy", folder / f"{name}.label.npy"
