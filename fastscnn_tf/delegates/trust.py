"""Which of a model's settings count on this machine: none that somebody else may have chosen.

A settings file and settings inside a .tflite come from whoever made the model, and so does the
SHA-256 that binds them. Guarded options (`Option.guarded`: paths, and what else makes the runtime
load or write files) count only where the person at this machine gave them:

- as `DeviceSettings` in code, or to `fastscnn settings M.tflite --set`, which records it (see
  `recorded`);
- by the environment variable `FASTSCNN_TRUST_SETTINGS`: absolute folders, with `:` between (`;` on
  Windows), in which the paths of settings may lie; or `*`, which trusts all of all settings;
- by `--trust-settings` (`trust_settings=True` in Python), which is `*` for one command.

All others are named and left out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..core.environment import environment
from ..core.errors import ConfigError
from ..core.foreign_text import one_line
from .device import DeviceSettings
from .options import plain, shortened, shown
from .recorded import recorded

VARIABLE = "FASTSCNN_TRUST_SETTINGS"
EVERYTHING = "*"
ALLOW = f"--trust-settings (trust_settings=True in Python, {VARIABLE}=FOLDER) allows it"


@dataclasses.dataclass(frozen=True)
class Held:
    """The settings that count.

    Attributes:
        settings: with values as they were given, without those that do not count.
        ignored: full name -> value of those.
        given_by: full name -> who gave a guarded option that counts.
        places: full name -> absolute path, without links, of each path that counts.
    """

    settings: DeviceSettings
    ignored: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    given_by: Mapping[str, str] = dataclasses.field(default_factory=dict)
    places: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    @property
    def here(self) -> DeviceSettings:
        """The settings with absolute paths."""
        return self.settings.replaced({name: str(path) for name, path in self.places.items()})

    @property
    def warning(self) -> str:
        """What is ignored and what would allow it, in one line; or ""."""
        if not self.ignored:
            return ""
        ignored = self.ignored.items()
        named = ", ".join(f"{name}={shortened(text_of(value))}" for name, value in ignored)
        return (
            "ignored, since it came with the file and makes the runtime load or write files: "
            f"{named}; {ALLOW}"
        )


def trusting() -> contextlib.AbstractContextManager[None]:
    """Trusts all of all settings meanwhile, in processes that are started, too."""
    return environment(**{VARIABLE: EVERYTHING})


def own(settings: DeviceSettings) -> Held:
    """Settings that are the caller's own; relative paths lie in the current folder."""
    return _held(settings, {name: ("", Path.cwd()) for name in settings.guarded()})


def hold(settings: DeviceSettings, model: Path, sha256: str, trusted: bool = False) -> Held:
    """What counts of settings that came with a model.

    Args:
        settings: all of them.
        model: the .tflite; only where all is trusted do relative paths lie in its folder, and else
            in the folder where they were recorded, or the current one.
        sha256: of its content.
        trusted: all counts.

    Raises:
        ConfigError: the environment variable is not valid, or a damaged record.
    """
    guarded = settings.guarded()
    if not guarded:
        return Held(settings)
    variable = os.environ.get(VARIABLE, "")
    if trusted or variable == EVERYTHING:
        base = Path(model).absolute().parent
        return _held(settings, dict.fromkeys(guarded, ("all is trusted", base)))
    folders, entries = _folders(variable), recorded(sha256)
    values = settings.flat()
    given: dict[str, tuple[str, Path]] = {}
    for name, option in guarded.items():
        entry = entries.get(name)
        if entry and entry.value == plain(values[name]):
            given[name] = f"recorded {entry.date[:10]} by {entry.program}", Path(entry.folder)
        elif option.kind == "path" and _lies_in(values[name], folders):
            given[name] = VARIABLE, Path.cwd()
    return _held(settings, given)


def _held(settings: DeviceSettings, given: Mapping[str, tuple[str, Path]]) -> Held:
    """What is left of settings: of guarded options those that were `given`, by whom and where."""
    values, guarded = settings.flat(), settings.guarded()
    ignored = [name for name in guarded if name not in given]
    known = settings.all_options()
    for name, value in values.items():  # what has no meaning without them
        needed = known[name].needs
        if value and needed and f"{name.rpartition('.')[0]}.{needed}" in ignored:
            ignored.append(name)
    return Held(
        settings.replaced(dict.fromkeys(ignored)),
        {name: values[name] for name in ignored},
        {name: who for name, (who, _) in given.items() if name not in ignored},
        {
            name: Path(os.path.realpath(base / values[name]))  # as it was judged
            for name, (_, base) in given.items()
            if guarded[name].kind == "path" and name not in ignored
        },
    )


def _folders(variable: str) -> list[Path]:
    named = [Path(part) for part in variable.split(os.pathsep) if part]
    for folder in named:
        if not folder.is_absolute():
            raise ConfigError(
                f"{VARIABLE} must be absolute folders with {os.pathsep!r} between, or "
                f"{EVERYTHING}, got {shown(str(folder))}"
            )
    return [Path(os.path.realpath(folder)) for folder in named]


def _lies_in(path: str, folders: Iterable[Path]) -> bool:
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(folder) for folder in folders)


def text_of(value: object) -> str:
    """A value for people."""
    return one_line(",".join(value) if isinstance(value, tuple) else value)
