"""Pieces of Kotlin source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from ..core.foreign_text import kotlin_string
from .options import Settings

OBJECT = "FastScnnModel"


@dataclasses.dataclass(frozen=True)
class Written:
    """A source file's content.

    Attributes:
        imports: names to import.
        lines: of the source below them.
        missing: options that the API has no place for.
    """

    imports: set[str]
    lines: list[str]
    missing: list[str]


def literal(value: object) -> str:
    """A Kotlin literal of a flag, number or text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else kotlin_string(value)


def private_folder(path: str) -> str:
    """Expression of a folder: a relative one lies in the app's code cache."""
    if path.startswith("/"):
        return kotlin_string(path)
    return f"File(context.codeCacheDir, {kotlin_string(path)}).apply {{ mkdirs() }}.path"


def private_file(folder: str, name: str) -> str:
    """Expression of a file in such a folder."""
    if folder.startswith("/"):
        return kotlin_string(f"{folder}/{name}")
    path = kotlin_string(f"{folder}/{name}")
    return f"File(context.codeCacheDir, {path}).apply {{ parentFile?.mkdirs() }}.path"


def call(name: str, values: Sequence[str], indent: str) -> list[str]:
    """`name(` with one argument on each line."""
    return [f"{name}(", *(f"{indent}  {value}," for value in values), f"{indent})"]


def arguments(part: Settings, names: Iterable[str], kind: str) -> list[str]:
    """`parameter = value` for the options that are given.

    Args:
        part: the settings.
        names: of the options; a parameter has an option's name as Kotlin spells it.
        kind: the class that holds the enums, one for each option that is a choice.
    """
    options, given, written = part.options(), part.given(), []
    for name in (name for name in names if name in given):
        first, *rest = name.removeprefix(f"{part.NAME}_").split("_")
        parameter = "".join([first, *map(str.capitalize, rest)])
        shown = literal(given[name])
        if options[name].kind == "choice":
            shown = f"{kind}.{parameter[0].upper()}{parameter[1:]}.{given[name].upper()}"
        written.append(f"{parameter} = {shown}")
    return written


def left_out(part: Settings | None, *taken: str) -> list[str]:
    """The given options of a part that have no place, as `gpu.wait_type = active`."""
    if part is None:
        return []
    return [f"{part.NAME}.{k} = {v}" for k, v in part.given().items() if k not in taken]
