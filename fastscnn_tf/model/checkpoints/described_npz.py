"""Reading a `.npz` of ours: arrays beside JSON that says which network they belong to.

The JSON is read first, so that the arrays can be no larger than the network needs.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from ...core.config import FastSCNNConfig
from ...core.errors import ConfigError, ModelFileError
from ...core.files.json_text import decode_json
from ...core.files.zip_archive import open_zip
from ..complexity import weights_room
from ..fast_scnn import check_patterns

LARGEST = 1 << 20  # bytes of the JSON; 254 classes take 20 thousand


class Description(msgspec.Struct):
    """What the JSON of each kind of file holds."""

    format: str
    config: dict[str, Any]


D = TypeVar("D", bound=Description)


def read_described(
    path: Path, name: str, schema: type[D], format: str, what: str, hint: str = ""
) -> tuple[D, FastSCNNConfig, dict[str, np.ndarray]]:
    """The description, its configuration, and the other arrays by name.

    Args:
        path: the file.
        name: of the array of bytes that holds the JSON.
        schema: of the JSON.
        format: that it has to name.
        what: messages call the file so.
        hint: what to do where there is no array `name`.

    Raises:
        ModelFileError: missing, damaged, of another format, or more arrays than the network needs.
    """
    where = str(path)
    with open_zip(path, where, what, error=ModelFileError) as archive:
        if f"{name}.npy" not in archive.sizes:
            raise ModelFileError(f"{path}: not a {what}{hint}")
        text = archive.array(f"{name}.npy", LARGEST)
        where = f"{where}: {name}"
        found: Description = decode_json(text.tobytes(), where, Description, error=ModelFileError)
        if found.format != format:
            raise ModelFileError(f"{path}: format {found.format[:80]!r}, expected {format!r}")
        meta: D = decode_json(text.tobytes(), where, schema, error=ModelFileError)
        config = described_config(meta.config, where)
        total, room = sum(archive.sizes.values()), weights_room(config)
        if total > room:
            raise ModelFileError(
                f"{path}: {total:,} bytes of arrays, but this network has room for {room:,}"
            )
        arrays = archive.arrays()
    del arrays[name]
    return meta, config, arrays


def described_bytes(name: str, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """The content of such a file: arrays, and JSON in an array of bytes of that name."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez(buffer, **{name: text, **arrays})  # type: ignore[arg-type]
    return buffer.getvalue()


def described_config(values: dict[str, Any], where: str) -> FastSCNNConfig:
    """The configuration that a model file holds.

    Raises:
        ModelFileError: it is none; the message names the field.
    """
    try:
        config = FastSCNNConfig.from_dict(values)
        check_patterns(config)
    except ConfigError as error:
        raise ModelFileError(f"{where}: {str(error)[:300]}") from None
    return config
