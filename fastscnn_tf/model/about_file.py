"""What a `.keras` says of itself besides the network: a JSON file of ours inside the archive.

Keras reads the members that it knows, and leaves others alone.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MEMBER = "fastscnn_tf.json"
TEXTS = ("name", "description", "version", "author", "license")
RUN = "run"
LARGEST = 1 << 20  # bytes; a training run takes some hundred


def add_about(path: str | os.PathLike[str], about: Mapping[str, Any]) -> None:
    """Appends it to a `.keras` that has none; the weights' bytes stay.

    Args:
        path: the file.
        about: as `about_model` gives it: `TEXTS` and `run`.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), json.dumps(about, indent=2) + "\n")


def read_about(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `add_about` wrote; empty where there is nothing of it, in whatever file."""
    if Path(path).suffix != ".keras" or not zipfile.is_zipfile(path):
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(MEMBER).file_size > LARGEST:
                return {}
            found = json.loads(archive.read(MEMBER))
    except (KeyError, ValueError, OSError, RecursionError, zipfile.BadZipFile):
        return {}
    if not isinstance(found, Mapping):
        return {}
    about = {name: found[name] for name in TEXTS if isinstance(found.get(name), str)}
    return about | ({RUN: found[RUN]} if isinstance(found.get(RUN), dict) else {})
