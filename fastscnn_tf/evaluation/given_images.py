"""Images that are given: files, folders, lists, and those in Parquet files and packed shards."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..core.aliases import StrPath
from ..core.console import LOG, first_few
from ..core.errors import DataError, NothingThere, retold
from ..core.files import parquet
from ..core.files.addresses import is_place, is_url, place_of, shown
from ..core.files.folders import walk
from ..core.files.json_text import dump_json
from ..core.files.reading import local
from ..core.files.writing import write_bytes
from ..core.images.decoding import read_image_file
from ..core.images.formats import VIDEO_SUFFIXES
from ..core.images.image_file import LARGE, decode_image, is_image_name, list_images
from ..data.datasets.own_splits import list_lines
from ..data.records import packed_dataset as packed

LISTS = ".txt"  # of files that name images
SKIPPED = ".fastscnn-skipped.jsonl"  # in a folder of results: images that cannot be read

say = LOG.warning


class Found(NamedTuple):
    """An image, and where below a given folder it lies."""

    path: Path
    name: Path


def read_found(path: Path, large: bool = False) -> np.ndarray:
    """`read_image` of an image, wherever it was found."""
    room = LARGE if large else 1
    return decode_image(content_of(path, room), str(path), room)


def content_of(path: Path, room: int = 1) -> bytes:
    """`read_image_file`, wherever it was found."""
    return packed.read_image_file(path) if packed.shard_of(path) else read_image_file(path, room)


def container_of(path: Path) -> Path | None:
    """The Parquet file or packed shard that an image lies in."""
    return parquet.shard_of(path) or packed.shard_of(path)


def name_among(image: Path, given: Path) -> Path:
    """An image's path below what was given; of one that a list names elsewhere the name alone.

    In the place of a packed shard's name is that of its split, however many shards it has.
    """
    base = given if given.is_dir() else given.parent
    if shard := packed.shard_of(image):
        below = shard.parent.relative_to(base) / packed.split_of(shard)
        return below / image.relative_to(shard)
    return image.relative_to(base) if image.is_relative_to(base) else Path(image.name)


def _inside(path: Path, skip_bad: bool) -> list[Path] | None:
    """The images of a Parquet file, a packed shard or a list; None: it is none of these."""
    if parquet.is_shard(path):
        return parquet.rows(path)
    if packed.is_shard(path):
        return packed.images(path, whole=not skip_bad)
    return _listed(path, skip_bad) if path.suffix.lower() == LISTS and path.is_file() else None


def _listed(path: Path, skip_bad: bool) -> list[Path]:
    """The images of a text file with a path in each line, relative to its folder."""
    if is_place(path):
        raise DataError(f"{path}: lists name files of this machine: copy the list and its images")
    lines = [(where, line.split("\t")[0]) for where, line in list_lines(path)]
    if far := next((f"{where}: {line}" for where, line in lines if is_url(line)), None):
        raise DataError(f"{far}: lists name files: give addresses on the command line")
    found = [(where, Path(os.path.normpath(path.parent / line))) for where, line in lines]
    lost = (f"{where}: {file}: no such file" for where, file in found if not file.is_file())
    if not skip_bad and (first := next(lost, None)):
        raise DataError(f"{first}; --skip-bad goes on without it")
    return [file for _, file in found]


def given_images(path: StrPath, skip_bad: bool) -> Path:
    """`local`; with `skip_bad` also of an address where an image should lie and does not."""
    try:
        return local(path)
    except NothingThere:
        if not (skip_bad and is_image_name(place := place_of(str(path)))):
            raise
        return place


def find_images(path: Path, recursive: bool, skip_bad: bool = False) -> list[Path]:
    """An image, or those of a folder, a list, a Parquet file or a packed shard.

    Files of other kinds in a folder are counted in a warning. With `skip_bad` there are images
    among them that are missing, which shows when they are read.

    Raises:
        DataError: there are none, or it is a video.
    """
    if skip_bad and is_image_name(path) and not os.path.lexists(path):
        return [path]
    if (found := _inside(path, skip_bad)) is not None:
        if found:
            return found
        raise DataError(f"{path}: there are no images in it")
    if not path.is_dir():
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            raise DataError(
                f"{path}: a video: fastscnn watch {path} M.TFLITE --output "
                f"{path.stem}_overlay.mp4 makes one of it (a folder as --output: images)"
            )
        return list_images(path)
    links: list[Path] = []
    folders = walk(path, links.append) if recursive else [(path, [p.name for p in path.iterdir()])]
    there = sorted(f / name for f, names in folders for name in names if name[0] != ".")
    own = {file: _of_folder(file, skip_bad) for file in there}
    found = list(itertools.chain.from_iterable(filter(None, own.values())))
    alone = (file for file in there if file.name == packed.INDEX or packed.is_shard(file))
    if not found and (first := next(alone, None)):
        packed.check_shards(first.parent)  # says what is wrong
    if not found and not recursive:
        with retold(DataError, after="; --recursive looks into its sub-folders", of=DataError):
            return list_images(path)
    if not found:
        raise DataError(f"{path}: no images in this folder or below it")
    if others := [file for file in there if own[file] is None and not file.is_dir()]:
        say(f"left out {several(others, 'file')} whose names are not those of images")
    if links:
        lost = several(links, "link")
        say(f"left out {lost} that lead out of {path} or to a folder in it: name it to take it")
    return found


def _of_folder(file: Path, skip_bad: bool) -> list[Path] | None:
    """What a file in a folder adds to its images; None: it has nothing to do with them."""
    if is_image_name(file):
        return [file]
    if file.name == packed.INDEX and any(file.parent.glob(f"*{packed.SUFFIX}")):
        packed.check_shards(file.parent, whole=not skip_bad)
        return []
    known = not packed.is_shard(file) or (file.parent / packed.INDEX).is_file()
    return _inside(file, skip_bad) if known and file.suffix.lower() != LISTS else None


def note_skipped(folder: Path, images: Sequence[tuple[Path, str | None]]) -> None:
    """Writes which images cannot be read into a folder of results, and says so.

    Args:
        folder: gets `SKIPPED`, if it is there, a line for each, or loses that of an earlier call.
        images: all, each with the reason where it cannot be read.

    Raises:
        DataError: none can be read.
    """
    lines = [{"picture": str(path), "reason": why} for path, why in images if why]
    if not lines:
        (folder / SKIPPED).unlink(missing_ok=True)
        return
    told = f"({first_few([line['reason'] for line in lines])})"
    if folder.is_dir():
        text = "".join(f"{dump_json(line)}\n" for line in lines)
        write_bytes(folder / SKIPPED, shown(text).encode())
        told += f", listed in {folder / SKIPPED}"
    if len(lines) == len(images):
        raise DataError(f"none of the {len(lines)} images can be read {told}")
    say(f"skipped {len(lines)} of {len(images)} images {told}")


def first_readable(images: Iterable[Path], skip_bad: bool) -> None:
    """Makes sure that an image can be read, before what is there is replaced.

    Args:
        images: at least one.
        skip_bad: any of them is enough, not the first one alone.

    Raises:
        DataError: it, or none, can be read.
    """
    reasons = []
    for image in images:
        try:
            read_found(image)
        except DataError as error:
            if not skip_bad:
                raise type(error)(f"{error}; --skip-bad goes on without it") from None
            reasons.append(str(error))
        else:
            return
    raise DataError(f"none of the {len(reasons)} images can be read ({first_few(reasons)})")


def several(paths: Sequence[Path], what: str) -> str:
    return f"{len(paths)} {what}{'s' if len(paths) > 1 else ''} (first: {paths[0]})"
