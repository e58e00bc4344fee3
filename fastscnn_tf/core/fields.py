"""One declaration of a setting: its default, what it may be, and what `--help` says of it.

A settings class is a frozen dataclass whose fields are made by `setting`. Checks (`Declared`), the
options of commands (`setting_options` of the command line) and the table for people
(`fields_table`) all come of that declaration.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from .arguments import called
from .errors import ConfigError
from .foreign_text import markdown_code
from .sizes import Size, check_size, format_size
from .text_table import markdown_table

FIELD = "field"  # key of a `Field` in the metadata of a dataclass field


@dataclasses.dataclass(frozen=True)
class Field:
    """What a setting may be besides its type; None is good where it is the default.

    Attributes:
        help: one line for `--help`; empty: the choices, or no option.
        choices: the texts that it may be; empty: any.
        low, high: ends of a number, which count as well; None: no end.
        between: the ends themselves do not count.
        shown: what `--help` says of the default, where the default does not tell.
        place: it belongs to a place or a run rather than to a way of training (see recipes).
    """

    help: str = ""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    between: bool = False
    shown: str = ""
    place: bool = False

    @property
    def expected(self) -> str:
        """What may be given, for people; empty: anything of its type."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.low is None:
            return ""
        low, high = (f"{end:.7g}" if isinstance(end, float) else end for end in self.ends)
        if self.high is None:
            return f"at least {low}"
        return f"above {low} and below {high}" if self.between else f"{low}..{high}"

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """`low` and `high`."""
        return self.low, self.high

    def accepts(self, value: Any, kinds: frozenset[type]) -> bool:
        """Whether a value other than None is one of this setting's."""
        if self.choices:
            return value in self.choices
        if self.low is None:
            return isinstance(value, tuple(typing.get_origin(kind) or kind for kind in kinds))
        number = isinstance(value, int | float if float in kinds else int)
        if not number or isinstance(value, bool):
            return False
        if self.between and value in self.ends:
            return False
        return self.low <= value and (self.high is None or value <= self.high)


def setting(
    default: Any = dataclasses.MISSING,
    help: str = "",
    low: float | None = None,
    high: float | None = None,
    **options: Any,
) -> Any:
    """A dataclass field that is a setting; everything but its default is as for `Field`."""
    field = Field(help, low=low, high=high, **options)
    if field.choices and not help:
        *most, last = field.choices
        field = dataclasses.replace(field, help=f"{', '.join(most)} or {last}.")
    return dataclasses.field(default=default, metadata={FIELD: field})


def like(cls: Any, name: str, default: Any = None, **changes: Any) -> Any:
    """A field that is declared as that of another class, but for its default and some changes."""
    field = dataclasses.replace(declared(cls)[name], **changes)
    default = defaults(cls)[name] if default is None else default
    return dataclasses.field(default=default, metadata={FIELD: field})


def declared(cls: Any) -> dict[str, Field]:
    """Name -> declaration of the settings of a class, in their order."""
    return {field.name: field.metadata[FIELD] for field in dataclasses.fields(cls)}


def defaults(cls: Any) -> dict[str, Any]:
    """Name -> default of the settings that have one."""
    fields = dataclasses.fields(cls)
    return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}


@functools.cache
def kinds(cls: Any) -> dict[str, frozenset[Any]]:
    """Name -> the types that a setting takes; `NoneType` among them where it may be None."""
    hints = typing.get_type_hints(cls)
    return {
        name: frozenset(typing.get_args(hint) if isinstance(hint, types.UnionType) else [hint])
        for name, hint in hints.items()
    }


def default_text(cls: Any, name: str) -> str:
    """The default for people; empty where there is none."""
    value = defaults(cls).get(name)
    if text := declared(cls)[name].shown:
        return text
    if value is None:
        return ""
    return format_size(value) if Size in kinds(cls)[name] else str(value)


def check_values(cls: Any, values: Mapping[str, Any]) -> None:
    """Makes sure that values are what the settings of a class may be.

    Args:
        cls: of the settings.
        values: by the names of its fields.

    Raises:
        ConfigError: naming the first one that is something else.
    """
    fields = declared(cls)
    for name, value in values.items():
        field, known = fields[name], kinds(cls)[name]
        if not ((value is None and type(None) in known) or field.accepts(value, known)):
            wanted = field.expected or ("True or False" if bool in known else "a text")
            raise ConfigError(f"{called(name)} must be {wanted}, got {value!r}")


class Declared:
    """Base of settings: what each field may be is checked when they are made."""

    def __post_init__(self) -> None:
        cls: Any = type(self)
        for name, known in kinds(cls).items():
            value = getattr(self, name)
            if Size in known and not (value is None and type(None) in known):
                size = check_size(value, name="" if name == "size" else called(name))
                object.__setattr__(self, name, size)
        check_values(cls, {name: getattr(self, name) for name in declared(cls)})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]


def fields_table(cls: Any) -> str:
    """The settings that have a line of help, as a Markdown table."""
    rows = [
        (markdown_code(name), default_text(cls, name) or "-", field.expected or "-", field.help)
        for name, field in declared(cls).items()
        if field.help
    ]
    return markdown_table(("setting", "default", "may be", "meaning"), rows)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?` of a known one that is nearly the same; else empty."""
    near = difflib.get_close_matches(name, [*known], 1)
    return f"; did you mean {near[0]}?" if near else ""
