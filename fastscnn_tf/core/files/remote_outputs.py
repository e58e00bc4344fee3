"""Outputs at addresses such as `s3://bucket/run`: written in a folder here, then uploaded."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..console import warn
from ..errors import FastSCNNError, InputError, OutputError, retold
from .addresses import HTTP, address_of, name_of_part, place_of, root
from .leftovers import PART, is_lock
from .remote import (
    forget_answers,
    is_stand_in,
    list_place,
    make_folder,
    open_store,
    patiently,
    stand_in,
    version_of,
)

# Stores that show an object once it is whole; elsewhere it gets its name by a rename.
_WHOLE = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf", "oss", "oci", "memory")


class _Stage:
    """What is written for an address: where, and what of it lies there already."""

    def __init__(self, url: str, area: Path, place: Path):
        self.url, self.area, self.place = url, area, place
        self.done = {path: _state(path) for path in _files(area)}
        self.theirs = set(self.done)

    def upload(self, last: bool) -> None:
        """Uploads what is new, and at last removes what was removed here."""
        forget_answers()
        for path in _files(self.area):
            if (state := _state(path)) != self.done.get(path) and not is_stand_in(path):
                self._put(path)
                self.done[path] = state
        for path in sorted(self.theirs - set(_files(self.area))) if last else ():
            store, name = open_store(address_of(path))
            patiently(address_of(path), functools.partial(store.rm_file, name))

    def _put(self, path: Path) -> None:
        url = address_of(path)
        store, name = open_store(url)
        if path not in self.done and patiently(url, lambda: store.exists(name)):
            raise OutputError(f"{url} came meanwhile: choose another output")
        temporary = name if _is_whole(store) else f"{name}.{os.getpid()}{PART}"

        def put() -> None:
            _put_into(store, name, lambda: store.put_file(str(path), temporary))
            if temporary != name:
                store.mv(temporary, name)

        patiently(url, put)


def _state(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_size, found.st_mtime_ns


def _files(area: Path) -> list[Path]:
    """What a command wrote, without what is half-written, a lock, or an older run moved aside."""
    found = []
    for place, folders, names in os.walk(area):
        folders[:] = [name for name in folders if not name.startswith(".")]
        kept = (name for name in names if PART not in name and not is_lock(name))
        found += [Path(place, name) for name in kept]
    return sorted(path for path in found if not path.is_symlink())


_stages: list[_Stage] = []


@contextlib.contextmanager
def staged(url: str) -> Iterator[Path]:
    """A local path for an output at an address; what is written there is uploaded at the end.

    What lies at the address stands in the folder as if it were there. So whatever refuses or
    replaces existing outputs, or goes on with a run, does as with local ones.

    Args:
        url: of a file or folder.

    Raises:
        OutputError: nothing can be written there.
        InputError, FastSCNNError: as `local`. What could not be uploaded stays, the message says
            where.
    """
    if url.startswith(HTTP):
        raise OutputError(f"{url}: cannot be written to; choose a store such as s3:// or gs://")
    area = f"output-{os.getpid()}-{os.urandom(4).hex()}"
    place = place_of(url, area)
    make_folder(place.parent)
    stage = None
    try:
        _list_outputs(url, place)
        stage = _Stage(url, root() / area, place)
        _stages.append(stage)
        try:
            yield place
        except BaseException:  # finished epochs and images are kept, as on a disk
            try:
                stage.upload(last=True)
            except FastSCNNError as failure:
                warn(_kept(failure, stage))
            raise
        try:
            stage.upload(last=True)
        except FastSCNNError as failure:
            raise type(failure)(_kept(failure, stage)) from None
    finally:
        if stage in _stages:
            _stages.remove(stage)
        if stage is None or all(_state(p) == stage.done.get(p) for p in _files(stage.area)):
            shutil.rmtree(root() / area, ignore_errors=True)


def _kept(failure: FastSCNNError, stage: _Stage) -> str:
    return f"{failure}; what was written stays in {stage.area}, copy it from there"


def _list_outputs(url: str, place: Path) -> None:
    """Stand-ins for a folder, or for a file and those beside it whose names begin alike."""
    store, name = open_store(url)
    store.invalidate_cache()
    try:
        info = patiently(url, functools.partial(store.info, name))
    except InputError:
        info = {"type": "file"}  # to be
    _try(url, store, name)
    if info["type"] == "directory":
        list_place(store, name, place)
        return
    folder, beside = name.rpartition("/")[0], []
    with contextlib.suppress(InputError):  # there is no such folder yet
        beside = patiently(url, lambda: store.ls(folder, detail=True))
    for each in beside:
        last = each["name"].rpartition("/")[2]
        if each["type"] == "file" and last.startswith(place.stem):
            stand_in(place.with_name(name_of_part(last)), *version_of(each))


def _try(url: str, store: Any, name: str) -> None:
    """Writes and removes an empty object, before any long work starts."""
    if "hf" in store.protocol:
        return  # each write is a commit
    probe = f"{name}.{os.getpid()}{PART}"
    with retold(OutputError, "nothing can be written there: "):
        patiently(url, lambda: _put_into(store, probe, lambda: store.pipe_file(probe, b"")))
        patiently(url, functools.partial(store.rm_file, probe))


def _put_into(store: Any, name: str, put: Callable[[], object]) -> None:
    """Puts an object into a folder, which is made where the store has folders at all."""
    if not _is_whole(store):
        store.makedirs(store._parent(name), exist_ok=True)
    put()


def _is_whole(store: Any) -> bool:
    protocols = (store.protocol,) if isinstance(store.protocol, str) else store.protocol
    return bool(set(protocols) & set(_WHOLE))


def uploaded(folder: Path) -> None:
    """Uploads what is new in a folder that `staged` gave, as far as it goes; nothing elsewhere."""
    for stage in _stages:
        if stage.place in (folder, *folder.parents):
            try:
                stage.upload(last=False)
            except FastSCNNError as failure:  # a run of hours does not end with a connection
                warn(f"{failure}; it is uploaded later")
