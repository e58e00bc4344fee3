"""Where the files of a delegate's settings lie: names that another model cannot share."""

from __future__ import annotations

import posixpath
from pathlib import PurePath


def model_token(model: PurePath, sha256: str) -> str:
    """What names a model's entries in a cache: its file's name and SHA-256, shortened."""
    return f"{model.stem}-{sha256[:16]}"


def weight_cache_name(model: PurePath, sha256: str) -> str:
    """File name of XNNPACK's weight cache, which does not itself know whose weights it holds."""
    return f"{model_token(model, sha256)}.xnnpack"


def below(folder: str, path: str) -> str:
    """A path on the device: relative ones lie in `folder`."""
    return posixpath.normpath(posixpath.join(folder, path))
