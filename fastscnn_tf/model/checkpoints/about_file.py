"""What a `.keras` says of itself besides the network: a JSON file of ours inside the archive.

Keras reads the members that it knows, and leaves others alone.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ...core.about_schema import About
from ...core.aliases import StrPath
from ...core.errors import ModelFileError
from ...core.files.json_text import decode_json
from ...core.files.zip_archive import open_zip

MEMBER = "fastscnn_tf.json"
TEXTS = ("name", "description", "version", "author", "license")
LARGEST = 1 << 20  # bytes; a training run takes some hundred


def add_about(path: StrPath, about: Mapping[str, Any]) -> None:
    """Appends it to a `.keras` that has none; the weights' bytes stay.

    Args:
        path: the file.
        about: as `about_model` gives it: `TEXTS` and `run`.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), json.dumps(about, indent=2) + "\n")


def read_about(path: StrPath) -> dict[str, Any]:
    """What `add_about` wrote; empty where there is nothing of it, in whatever file.

    Raises:
        ModelFileError: a licence or another text is there and none, or the file is a bomb.
    """
    if Path(path).suffix != ".keras" or not Path(path).is_file() or not zipfile.is_zipfile(path):
        return {}
    with open_zip(path, str(path), ".keras file", error=ModelFileError) as archive:
        try:
            content = archive.read(MEMBER, LARGEST)
        except KeyError:
            return {}
    found: About = decode_json(content, f"{path}: {MEMBER}", About, error=ModelFileError)
    return {name: value for name, value in msgspec.structs.asdict(found).items() if value}
