"""Pictures that are given: files, folders, lists, and those in Parquet files and packed shards."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..core.errors import DataError
from ..core.files import parquet
from ..core.files.folders import walk
from ..core.images.decoding import read_picture
from ..core.images.formats import VIDEO_SUFFIXES
from ..core.images.image_file import LARGE, decode_image, is_picture_name, list_images
from ..data.datasets.own_splits import list_lines
from ..data.records import packed_dataset as packed

LISTS = ".txt"  # of files that name pictures


class Found(NamedTuple):
    """A picture, and where below a given folder it lies."""

    path: Path
    name: Path


def read_found(path: Path, large: bool = False) -> np.ndarray:
    """`read_image` of a picture, wherever it was found."""
    room = LARGE if large else 1
    return decode_image(content_of(path, room), str(path), room)


def content_of(path: Path, room: int = 1) -> bytes:
    """`read_picture`, wherever it was found."""
    return packed.read_picture(path) if packed.shard_of(path) else read_picture(path, room)


def container_of(path: Path) -> Path | None:
    """The Parquet file or packed shard that a picture lies in."""
    return parquet.shard_of(path) or packed.shard_of(path)


def name_among(picture: Path, given: Path) -> Path:
    """A picture's path below what was given; of one that a list names elsewhere the name alone.

    In the place of a packed shard's name is that of its split, however many shards it has.
    """
    base = given if given.is_dir() else given.parent
    if shard := packed.shard_of(picture):
        below = shard.parent.relative_to(base) / packed.split_of(shard)
        return below / picture.relative_to(shard)
    return picture.relative_to(base) if picture.is_relative_to(base) else Path(picture.name)


def _inside(path: Path) -> list[Path] | None:
    """The pictures of a Parquet file, a packed shard or a list; None: it is none of these."""
    if parquet.is_shard(path):
        return parquet.rows(path)
    if packed.is_shard(path):
        return packed.pictures(path)
    return _listed(path) if path.suffix.lower() == LISTS and path.is_file() else None


def _listed(path: Path) -> list[Path]:
    """The pictures of a text file with a path in each line, relative to its folder."""
    lines = [(where, line.split("\t")[0]) for where, line in list_lines(path)]
    found = [(where, Path(os.path.normpath(path.parent / line))) for where, line in lines]
    if lost := next(((where, file) for where, file in found if not file.is_file()), None):
        raise DataError(f"{lost[0]}: {lost[1]}: no such file")
    return [file for _, file in found]


def find_pictures(path: Path, recursive: bool) -> list[Path]:
    """A picture, or those of a folder, a list, a Parquet file or a packed shard.

    Files of other kinds in a folder are counted in a warning.

    Raises:
        DataError: there are none, or it is a video.
    """
    if (found := _inside(path)) is not None:
        if found:
            return found
        raise DataError(f"{path}: there are no pictures in it")
    if not path.is_dir():
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            raise DataError(
                f"{path}: a video: fastscnn watch {path} M.TFLITE --output "
                f"{path.stem}_overlay.mp4 makes one of it (a folder as --output: pictures)"
            )
        return list_images(path)
    links: list[Path] = []
    folders = walk(path, links.append) if recursive else [(path, [p.name for p in path.iterdir()])]
    there = sorted(f / name for f, names in folders for name in names if name[0] != ".")
    own = {file: _of_folder(file) for file in there}
    found = list(itertools.chain.from_iterable(filter(None, own.values())))
    if not found and not recursive:
        try:
            return list_images(path)
        except DataError as error:
            raise DataError(f"{error}; --recursive looks into its sub-folders") from None
    if not found:
        raise DataError(f"{path}: no pictures in this folder or below it")
    if others := [file for file in there if own[file] is None and not file.is_dir()]:
        say(f"left out {several(others, 'file')} whose names are not those of pictures")
    if links:
        lost = several(links, "link")
        say(f"left out {lost} that lead out of {path} or to a folder in it: name it to take it")
    return found


def _of_folder(file: Path) -> list[Path] | None:
    """What a file in a folder adds to its pictures; None: it has nothing to do with them."""
    if is_picture_name(file):
        return [file]
    if file.name == packed.INDEX:
        packed.check_shards(file.parent)
        return []
    known = not packed.is_shard(file) or (file.parent / packed.INDEX).is_file()
    return _inside(file) if known and file.suffix.lower() != LISTS else None


def say(line: str) -> None:
    logging.getLogger("fastscnn_tf").warning(line)


def several(paths: Sequence[Path], what: str) -> str:
    return f"{len(paths)} {what}{'s' if len(paths) > 1 else ''} (first: {paths[0]})"
