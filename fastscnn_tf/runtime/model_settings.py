"""The settings of a .tflite as a whole: where they come from, new ones, code from them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.aliases import StrPath
from ..core.errors import ConfigError, InputError
from ..core.files.writing import check_output
from ..core.foreign_text import comment, printable_lines
from ..core.named_weights import TFLITE, named_weights
from ..delegates.benchmark_flags import benchmark_command
from ..delegates.device import DeviceSettings
from ..delegates.kotlin import PACKAGE, kotlin_source
from ..delegates.settings_file import (
    read_settings,
    settings_path,
    travelling_settings,
    write_settings,
)
from ..delegates.targets import target
from ..delegates.trust import Held, hold, text_of
from ..tflite.file import own_metadata, read_model
from .engine import plan_engine

INSIDE, NOWHERE = "inside the file", "the runtime's defaults: none travel with it"


@dataclasses.dataclass(frozen=True)
class FileSettings:
    """The settings of one file.

    Attributes:
        model: the .tflite.
        sha256: of its content.
        held: what counts of them here, and what does not (see `delegates.trust`).
        source: where they come from.
        reasons: why they were chosen, where they just were.
        notes: what Python on this machine does otherwise.
    """

    model: Path
    sha256: str
    held: Held
    source: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def settings(self) -> DeviceSettings:
        """Those that count, as they were given."""
        return self.held.settings

    def text(self) -> str:
        """For people."""
        by, ignored = self.held.given_by, self.held.ignored
        rows = [
            f"  {name} = {text_of(value)}" + (f" ({by[name]})" if name in by else "")
            for name, value in self.settings.flat().items()
        ]
        rows += [f"  {name} = {text_of(value)} (ignored)" for name, value in ignored.items()]
        lines = [f"{self.model}: settings from {self.source}", *rows]
        lines += [f"  - {reason}" for reason in self.reasons]
        lines += [f"  in Python here: {note}" for note in self.notes]
        return printable_lines(lines)


def settings_of(model: StrPath) -> FileSettings:
    """The settings that travel with a file.

    Raises:
        ModelFileError: no .tflite, or its settings are not valid.
        ConfigError: those beside it are another model's.
    """
    path = named_weights(model, TFLITE)
    content, graphs = read_model(path)
    metadata = own_metadata(graphs)
    settings, inside = travelling_settings(path, content, metadata)
    source = NOWHERE if settings is None else INSIDE if inside else str(settings_path(path))
    digest = hashlib.sha256(content).hexdigest()
    held = hold(settings or DeviceSettings(), path, digest)
    return FileSettings(path, digest, held, source, notes=_notes(path, content, metadata, held))


def _notes(path: Path, content: bytes, metadata: dict[str, Any], held: Held) -> tuple[str, ...]:
    """What Python here does otherwise, or cannot do at all, such as load from an absent folder."""
    try:
        plan = plan_engine(path, content, metadata)
    except InputError as error:
        return tuple(filter(None, (held.warning, str(error))))
    return tuple(dict.fromkeys(filter(None, (plan.remark, held.warning, *plan.notes))))


def write_new(
    model: StrPath, device: str | None = None, changes: Sequence[str] = (), force: bool = False
) -> FileSettings:
    """Writes settings beside a file.

    Args:
        model: the .tflite.
        device: a name of the decision table; without it the settings that hold are changed.
        changes: `option=value` each, in this order.
        force: replace those that are there.

    Raises:
        ConfigError: no such device or option, or a value that it does not take.
        OutputError: settings are there already.
    """
    path = Path(model)
    content, graphs = read_model(path)
    reasons: tuple[str, ...] = ()
    if device:
        chosen = target(device)
        settings, reasons = chosen.settings, chosen.reasons
        reasons += _misfits(own_metadata(graphs), device)
    else:
        found, _ = travelling_settings(path, content, own_metadata(graphs))
        settings = found or DeviceSettings()
    given = set()
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise ConfigError(f"expected OPTION=VALUE, got {change!r}")
        settings = settings.with_option(name.strip(), value.strip())
        given.add(name.strip())
    check_output(settings_path(path), force)
    written = write_settings(path, settings, hashlib.sha256(content).hexdigest(), force, given)
    read_settings(written, path, content)
    return dataclasses.replace(settings_of(path), reasons=reasons)


def _misfits(metadata: dict[str, Any], device: str) -> tuple[str, ...]:
    """How a file differs from what the table would export for a device."""
    chosen = target(device)
    found = {
        "recipe": str(metadata.get("recipe", "")).removesuffix("-qat"),
        "outputs": metadata.get("outputs", ""),
    }
    return tuple(
        f"this file has {name} {value}, the table says {getattr(chosen, name)}"
        for name, value in found.items()
        if value and value != getattr(chosen, name)
    )


def code_of(found: FileSettings, kotlin: bool = False, package: str = PACKAGE) -> str:
    """Kotlin source, or the commands that time the file, with what they leave out as comments.

    Paths that do not count here are left out as well.

    Raises:
        ConfigError: settings for a browser.
    """
    warning = found.held.warning and comment(f"{found.model.name}: {found.held.warning}")
    if kotlin:
        source = kotlin_source(found.settings, found.model, found.sha256, package)
        return source + (warning and f"\n// {warning}\n")
    command = benchmark_command(found.settings, found.model, found.sha256)
    lines = [f"# benchmark_model is bazel target {command.tool}", *command.lines]
    lines += [f"# no flag for {comment(note)}" for note in command.notes]
    lines += [f"# {warning}"] if warning else []
    return "\n".join(lines) + "\n"
