"""The formats by name, and telling them apart by what a folder holds."""

from __future__ import annotations

from ...core.errors import ConfigError, DataError
from .source import Format
from .source_folder import SourceFolder

_ALL: tuple[Format, ...] = ()
FORMATS = {each.name: each for each in _ALL}
AUTO = "auto"


def find_format(name: str, folder: SourceFolder) -> tuple[Format, str]:
    """The format of a name, or the one that fits a folder; and what was seen.

    Raises:
        ConfigError: there is no such format.
        DataError: none fits, or several do.
    """
    if name != AUTO:
        if name not in FORMATS:
            raise ConfigError(f"no format {name!r}; expected {AUTO}, {', '.join(FORMATS)}")
        return FORMATS[name], "as given"
    seen = {each.name: reason for each in FORMATS.values() if (reason := each.recognise(folder))}
    if len(seen) == 1:
        return FORMATS[next(iter(seen))], next(iter(seen.values()))
    if not seen:
        raise DataError(
            f"{folder.root}: no format that can be recognised: say which with --from "
            f"({', '.join(FORMATS)})"
        )
    found = "; ".join(f"{known} ({reason})" for known, reason in seen.items())
    raise DataError(f"{folder.root}: fits several formats: {found}. Say which with --from NAME")
