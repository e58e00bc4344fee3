"""`<model>.settings.json`: the settings beside a model, bound to it by its SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..core.aliases import StrPath
from ..core.console import LOG
from ..core.errors import ConfigError, InputError, ModelFileError, retold
from ..core.files.json_text import read_json
from ..core.files.reading import read_bytes
from ..core.files.writing import check_output, write_json
from .device import DeviceSettings
from .options import shown
from .recorded import record, recorded

SUFFIX = ".settings.json"
FORMAT = 1
KEY = "settings"  # in the JSON inside a .tflite, and in this file
LARGEST = 1 << 18  # bytes of such a file


class _SettingsFile(msgspec.Struct):
    """What such a file holds; its settings are checked by `DeviceSettings`."""

    format: int | None = None
    sha256: str | None = None
    settings: Any = None


def settings_path(model: StrPath) -> Path:
    """Where the settings of a model lie: `m.tflite.settings.json` for `m.tflite`."""
    path = Path(model)
    return path.with_name(f"{path.name}{SUFFIX}")


def write_settings(
    model: StrPath,
    settings: DeviceSettings,
    sha256: str | None = None,
    force: bool = False,
    given: Collection[str] | None = None,
) -> Path:
    """Writes the settings beside a model, and what of them counts on this machine elsewhere.

    Paths in the file alone count nowhere, since it may be anybody's (see `trust`); those that are
    given here are recorded in this user's configuration folder, too (see `recorded`).

    Args:
        model: the .tflite, which must be there unless `sha256` is given.
        settings: what to write.
        sha256: of the model's content, where it is known.
        force: replace settings that are there.
        given: full names of the options that the person gave; all of them by default.

    Returns:
        The path written.

    Raises:
        OutputError: settings are there already, or cannot be written.
    """
    path = check_output(settings_path(model), force)
    digest = sha256 or hashlib.sha256(read_bytes(model, "model file")).hexdigest()
    content = {"format": FORMAT, "model": Path(model).name, "sha256": digest}
    write_json(path, {**content, KEY: settings.to_dict()})
    try:
        everything = {*settings.guarded(), *recorded(digest)}  # what is left out is taken back
        record(settings, Path(model), digest, everything if given is None else given)
    except InputError as error:
        LOG.warning("%s: its paths will not count here, they are not recorded: %s", path, error)
    return path


def read_settings(path: StrPath, model: Path, content: bytes) -> DeviceSettings:
    """The settings of a model from a settings file.

    Args:
        path: the settings file.
        model: the model's path, for messages.
        content: the model's bytes.

    Raises:
        ConfigError: no such file, no JSON, another model's settings, or not valid.
    """
    found: _SettingsFile = read_json(
        path, _SettingsFile, what="settings file", largest=LARGEST, error=ConfigError
    )
    if found.settings is None or found.sha256 is None:
        raise ConfigError(f"{path}: no settings file: expected sha256 and settings")
    if found.format != FORMAT:
        raise ConfigError(
            f"{path}: settings of format {found.format}, this program reads {FORMAT}: "
            "write them anew with fastscnn settings, or update"
        )
    digest = hashlib.sha256(content).hexdigest()
    if found.sha256 != digest:
        raise ConfigError(
            f"{path} belongs to another model: it names SHA-256 {shown(found.sha256[:12])}..., "
            f"{model} has {digest[:12]}...: write it anew with fastscnn settings {model} --for "
            "DEVICE --force, or delete it"
        )
    return _valid(found.settings, str(path))


def travelling_settings(
    model: Path, content: bytes, metadata: Mapping[str, Any]
) -> tuple[DeviceSettings | None, bool]:
    """The settings beside a model, else those inside it.

    Args:
        model: the .tflite.
        content: its bytes.
        metadata: our JSON inside it.

    Returns:
        The settings or None, and whether they came inside the file.

    Raises:
        ConfigError: as `read_settings`.
        ModelFileError: settings inside the file that are not valid.
    """
    beside = settings_path(model)
    if os.path.lexists(beside):
        return read_settings(beside, model, content), False
    if KEY not in metadata:
        return None, False
    hint = f"{beside.name} beside it takes their place (fastscnn settings {model} --for DEVICE)"
    with retold(ModelFileError, after=f"; {hint}", of=ConfigError):
        return _valid(metadata[KEY], f"{model}: settings inside the file"), True


def _valid(values: object, where: str) -> DeviceSettings:
    with retold(ConfigError, f"{where}: ", of=ConfigError):
        return DeviceSettings.from_dict(values)
