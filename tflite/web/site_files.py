"""What is served under which path: the page, LiteRT.js and the .tflite files of one folder."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import stat
from collections.abc import Callable, Iterator
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from http_request import RefusedError, printable

HERE = Path(__file__).resolve().parent
PAGE = HERE / "page"
LITERT = HERE / "node_modules" / "@litertjs"
MOST_MODELS = 1000  # that are listed
LATEST = 253402300799.0  # the last second that HTTP's dates can tell

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".wasm": "application/wasm",  # any other type keeps browsers from compiling while they load
    ".tflite": "application/octet-stream",
}
# A worker has no import map: the package's only bare import becomes a path.
BARE = (b'"@litertjs/wasm-utils"', b'"../../wasm-utils/dist/index.js"')


@dataclasses.dataclass(frozen=True)
class Content:
    """An open file.

    Attributes:
        file: at its beginning.
        size: in bytes.
        type: for browsers.
        changed: seconds since 1970, 0 if it is made anew each time.
    """

    file: BinaryIO
    size: int
    type: str
    changed: float


class Site:
    """The files that may be seen.

    Args:
        models: the folder whose .tflite files the page offers.
        tell: gets a line for each file there that is not offered, once.
    """

    def __init__(self, models: Path, tell: Callable[[str], None]):
        self._models, self._tell = models.resolve(), tell
        self._told: set[str] = set()
        core, utilities = LITERT / "core", LITERT / "wasm-utils"
        self._core = (core / "dist").resolve()
        self._folders = {
            "/litert/core/dist": (self._core, (".js",)),
            "/litert/core/wasm": ((core / "wasm").resolve(), (".js", ".wasm")),
            "/litert/wasm-utils/dist": ((utilities / "dist").resolve(), (".js",)),
            "/models": (self._models, (".tflite",)),
            "": (PAGE, (".html", ".css", ".js", ".svg", ".jpg")),
        }

    def open(self, path: str) -> Content:
        """The content under a path.

        Raises:
            RefusedError: nothing is there, or something that may not be seen.
        """
        if path == "/models.json":
            listed = json.dumps(list(itertools.islice(self._listed(), MOST_MODELS))).encode()
            return Content(BytesIO(listed), len(listed), TYPES[".json"], 0.0)
        parent, _, name = ("/index.html" if path == "/" else path).rpartition("/")
        folder, suffixes = self._folders.get(parent, (PAGE, ()))
        suffix = Path(name).suffix
        if suffix not in suffixes or os.sep in name or (os.altsep or "\0") in name or "\0" in name:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is nothing under this path")
        file, status = opened_inside(folder, name)
        changed = min(max(status.st_mtime, 1.0), LATEST)
        if (folder, name) == (self._core, "index.js"):
            with file:
                content = file.read().replace(*BARE)
            return Content(BytesIO(content), len(content), TYPES[suffix], changed)
        return Content(file, status.st_size, TYPES[suffix], changed)

    def _listed(self) -> Iterator[dict[str, str | int]]:
        """The models that can be opened, under names that can be shown."""
        try:
            names = sorted(f.name for f in self._models.iterdir() if f.suffix == ".tflite")
        except OSError as error:
            self._say(f"the folder of models: {error.strerror}")
            return
        for name in names:
            try:
                file, status = opened_inside(self._models, name)
            except RefusedError as error:
                self._say(f"{printable(name)} is not offered: {error.log}")
                continue
            file.close()
            url = f"models/{quote(os.fsencode(name))}"
            yield {"name": printable(name), "url": url, "bytes": status.st_size}

    def _say(self, line: str) -> None:
        if line not in self._told and len(self._told) < MOST_MODELS:
            self._told.add(line)
            self._tell(line)


def opened_inside(folder: Path, name: str) -> tuple[BinaryIO, os.stat_result]:
    """Opens a regular file of a folder; a link counts if its end lies in the same folder.

    Args:
        folder: without links in its path.
        name: of a file directly in it.

    Raises:
        RefusedError: no such file, a link out, no regular file, or not to be read.
    """
    try:
        real = (folder / name).resolve(strict=True)
        if real.parent != folder:
            raise RefusedError(HTTPStatus.FORBIDDEN, "a link out of the folder")
        _check_regular(real.lstat())
        # What is there may have changed since: a link is not followed now, and neither a pipe nor
        # a device is waited for.
        wanted = (getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
        descriptor = os.open(real, os.O_RDONLY | sum(wanted))
    except FileNotFoundError:
        raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such file") from None
    except (OSError, RuntimeError) as error:  # the latter before Python 3.13
        why = getattr(error, "strerror", "a loop of links")
        raise RefusedError(HTTPStatus.FORBIDDEN, "the file cannot be opened", why) from None
    try:
        status = os.fstat(descriptor)
        _check_regular(status)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb"), status


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(HTTPStatus.FORBIDDEN, "no regular file")
