"""`<model>.settings.json`: the settings beside a model, bound to it by its SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError, ModelFileError
from ..files import check_output, write_json
from ..json_text import read_json
from .device import DeviceSettings

SUFFIX = ".settings.json"
FORMAT = 1
KEY = "settings"  # in the JSON inside a .tflite, and in this file


def settings_path(model: str | os.PathLike[str]) -> Path:
    """Where the settings of a model lie: `m.tflite.settings.json` for `m.tflite`."""
    path = Path(model)
    return path.with_name(f"{path.name}{SUFFIX}")


def write_settings(
    model: str | os.PathLike[str],
    settings: DeviceSettings,
    sha256: str | None = None,
    force: bool = False,
) -> Path:
    """Writes the settings beside a model.

    Args:
        model: the .tflite, which must be there unless `sha256` is given.
        settings: what to write.
        sha256: of the model's content, where it is known.
        force: replace settings that are there.

    Returns:
        The path written.

    Raises:
        OutputError: settings are there already, or cannot be written.
    """
    path = check_output(settings_path(model), force)
    digest = sha256 or hashlib.sha256(Path(model).read_bytes()).hexdigest()
    content = {"format": FORMAT, "model": Path(model).name, "sha256": digest}
    write_json(path, {**content, KEY: settings.to_dict()})
    return path


def read_settings(path: str | os.PathLike[str], model: Path, content: bytes) -> DeviceSettings:
    """The settings of a model from a settings file.

    Args:
        path: the settings file.
        model: the model's path, for messages.
        content: the model's bytes.

    Raises:
        ConfigError: no such file, no JSON, another model's settings, or not valid.
    """
    found: Any = read_json(path, error=ConfigError)
    if not isinstance(found, Mapping) or KEY not in found or "sha256" not in found:
        raise ConfigError(f"{path}: no settings file: expected sha256 and settings")
    if found.get("format") != FORMAT:
        raise ConfigError(
            f"{path}: settings of format {found.get('format')!r}, this program reads {FORMAT}: "
            "write them anew with fastscnn settings, or update"
        )
    digest = hashlib.sha256(content).hexdigest()
    if found["sha256"] != digest:
        raise ConfigError(
            f"{path} belongs to another model: it names SHA-256 {str(found['sha256'])[:12]}..., "
            f"{model} has {digest[:12]}...: write it anew with fastscnn settings {model} --for "
            "DEVICE --force, or delete it"
        )
    return _valid(found[KEY], str(path))


def travelling_settings(
    model: Path, content: bytes, metadata: Mapping[str, Any]
) -> tuple[DeviceSettings | None, bool]:
    """The settings beside a model, else those inside it.

    Args:
        model: the .tflite.
        content: its bytes.
        metadata: our JSON inside it.

    Returns:
        The settings or None, and whether they came inside the file: such may be anybody's.

    Raises:
        ConfigError: as `read_settings`.
        ModelFileError: settings inside the file that are not valid.
    """
    beside = settings_path(model)
    if beside.exists():
        return read_settings(beside, model, content), False
    if KEY not in metadata:
        return None, False
    try:
        return _valid(metadata[KEY], f"{model}: settings inside the file"), True
    except ConfigError as error:
        raise ModelFileError(
            f"{error}; {beside.name} beside it takes their place (fastscnn settings {model} --for "
            "DEVICE)"
        ) from None


def _valid(values: Any, where: str) -> DeviceSettings:
    try:
        return DeviceSettings.from_dict(values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
