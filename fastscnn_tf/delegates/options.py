"""What the settings of all delegates share: options with bounds, checks, JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from ..core.arguments import nearest_or_all
from ..core.errors import ConfigError

OPTION = "option"  # key of an `Option` in the metadata of a dataclass field


@dataclasses.dataclass(frozen=True)
class Option:
    """What a field of a settings class may hold; None leaves it to the runtime.

    Attributes:
        kind: `flag`, `number`, `choice`, `text`, `path`, `texts` or `part` (settings of their own).
        source: where the option is defined; without its name there, if that is the one it has here
            (`log_level` is `LrtQualcommOptionsSetLogLevel`).
        choices: of a `choice`, or of each entry of `texts`; empty: any.
        low: of a `number`.
        high: of a `number`.
        guarded: it makes the runtime load or write files, so that it counts only where the person
            at this machine gave it (see `trust`); every `path` is.
        needs: another option of the same settings without which this one has no meaning; or "".
    """

    kind: str
    source: str
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 0
    guarded: bool = False
    needs: str = ""

    @property
    def expected(self) -> str:
        """What may be given, for people."""
        if self.kind == "number":
            return f"{self.low}..{self.high}"
        if self.kind == "texts":
            return f"names among {', '.join(self.choices)}" if self.choices else "texts"
        names = {"flag": "true or false", "text": "text", "path": "a path", "part": "named values"}
        return names.get(self.kind, ", ".join(self.choices))

    def accepts(self, value: Any) -> bool:
        """Whether a value other than None is one of this option's."""
        if self.kind == "flag":
            return isinstance(value, bool)
        if self.kind == "number":
            return type(value) is int and self.low <= value <= self.high
        if self.kind == "texts":
            whole = isinstance(value, tuple) and all(map(self._is_text, value))
            return whole and len(set(value)) == len(value)
        return self.kind == "part" or self._is_text(value)

    def _is_text(self, value: object) -> bool:
        if not isinstance(value, str) or not value:
            return False
        if any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in value):  # or half a character
            return False
        return not self.choices or value in self.choices


def _field(option: Option, default: Any = None) -> Any:
    return dataclasses.field(default=default, metadata={OPTION: option})


def flag(source: str, needs: str = "") -> Any:
    """A field that is true, false or left to the runtime."""
    return _field(Option("flag", source, needs=needs))


def number(source: str, low: int, high: int) -> Any:
    """A field that is a whole number in low..high or left to the runtime."""
    return _field(Option("number", source, low=low, high=high))


def choice(source: str, *choices: str, default: str | None = None) -> Any:
    """A field that is one of `choices` or left to the runtime."""
    return _field(Option("choice", source, choices), default)


def text(source: str, guarded: bool = False) -> Any:
    """A field that is text or left to the runtime; a name of something to load is `guarded`."""
    return _field(Option("text", source, guarded=guarded))


def path(source: str, needs: str = "") -> Any:
    """A field that is the path of a file or folder or left to the runtime."""
    return _field(Option("path", source, guarded=True, needs=needs))


def texts(source: str, *choices: str, guarded: bool = False) -> Any:
    """A field that is a tuple of names (of `choices`, if there are any)."""
    return _field(Option("texts", source, choices, guarded=guarded))


def part(source: str) -> Any:
    """A field that holds settings of its own, named in `PARTS`, or nothing."""
    return _field(Option("part", source))


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of all settings: every field is an `Option`, checked on construction.

    Raises:
        ConfigError: a value that its option does not take.
    """

    NAME: ClassVar[str] = ""  # what messages call these settings
    PARTS: ClassVar[dict[str, type[Settings]]] = {}  # fields that hold settings

    def __post_init__(self) -> None:
        for name, option in self.options().items():
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, value := tuple(value))
            if value is None:
                continue
            wanted = self.PARTS.get(name)
            if not (isinstance(value, wanted) if wanted else option.accepts(value)):
                raise ConfigError(
                    f"{self._called(name)} must be {option.expected}, got {shown(value)}"
                )
            if value and option.needs and not getattr(self, option.needs):
                raise ConfigError(f"{self._called(name)} needs {self._called(option.needs)}")

    @classmethod
    def options(cls) -> dict[str, Option]:
        """Field -> what it may hold."""
        return {field.name: field.metadata[OPTION] for field in dataclasses.fields(cls)}

    @classmethod
    def _called(cls, name: str) -> str:
        return f"{cls.NAME}.{name}" if cls.NAME else name

    def given(self) -> dict[str, Any]:
        """The fields that are not left to the runtime."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def all_options(cls, prefix: str = "") -> dict[str, Option]:
        """Full name, such as `npu.qualcomm.log_level`, -> what it may hold; of the parts, too."""
        found: dict[str, Option] = {}
        for name, option in cls.options().items():
            part = cls.PARTS.get(name)
            found |= part.all_options(f"{prefix}{name}.") if part else {f"{prefix}{name}": option}
        return found

    def flat(self, prefix: str = "") -> dict[str, Any]:
        """Full name -> value of what is given, of the parts, too."""
        found: dict[str, Any] = {}
        for name, value in self.given().items():
            part = isinstance(value, Settings)
            found |= value.flat(f"{prefix}{name}.") if part else {f"{prefix}{name}": value}
        return found

    def guarded(self) -> dict[str, Option]:
        """Full name -> option of what is given and guarded."""
        known = self.all_options()
        return {name: known[name] for name in self.flat() if known[name].guarded}

    def replaced(self, changes: Mapping[str, Any]) -> Self:
        """These settings with other values; keys are full names of options that are given."""
        parts = {
            name: value.replaced(inner)
            for name, value in self.given().items()
            if isinstance(value, Settings) and (inner := _below(name, changes))
        }
        own = {name: value for name, value in changes.items() if "." not in name}
        return dataclasses.replace(self, **own, **parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; what is left to the runtime is left out."""
        return {name: plain(value) for name, value in self.given().items()}

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """The settings that `to_dict` wrote.

        Raises:
            ConfigError: an unknown option (the nearest known one is named) or value.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(
                f"{cls.NAME or 'settings'}: expected named values, got {shown(values)}"
            )
        known = cls.options()
        for name in values:
            if name not in known:
                raise ConfigError(cls._unknown(str(name)))
        read = {
            name: cls.PARTS[name].from_dict(value) if name in cls.PARTS else value
            for name, value in values.items()
            if value is not None
        }
        return cls(**read)

    @classmethod
    def _unknown(cls, name: str) -> str:
        hint = nearest_or_all(name, cls.options(), cls._called)
        return f"unknown option {shown(cls._called(name))}: {hint}"

    def with_option(self, path: str, value: str) -> Self:
        """These settings with one option set from text, as on the command line.

        Args:
            path: `num_threads`, or `gpu.inference_preference` of a part.
            value: text; `none` leaves the option to the runtime, `a,b` are several texts.

        Raises:
            ConfigError: no such option, or not a value of it.
        """
        name, _, rest = path.partition(".")
        if name not in self.options():
            raise ConfigError(self._unknown(name))
        if name in self.PARTS and value.lower() == "none" and not rest:
            return dataclasses.replace(self, **{name: None})
        if (name in self.PARTS) != bool(rest):
            hint = "it has no parts" if rest else f"set one of its options, as in {name}.OPTION=..."
            raise ConfigError(f"{self._called(name)}: {hint}")
        if rest:
            inner = getattr(self, name) or self.PARTS[name]()
            return dataclasses.replace(self, **{name: inner.with_option(rest, value)})
        return dataclasses.replace(self, **{name: _parsed(self.options()[name], value)})


def _below(part: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What changes in a part, by its own names."""
    start = f"{part}."
    return {n.removeprefix(start): v for n, v in changes.items() if n.startswith(start)}


def plain(value: object) -> Any:
    """A value as JSON gives it back."""
    if isinstance(value, Settings):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


def _parsed(option: Option, value: str) -> Any:
    """Text as the option's type where it is such text; else as it is, for the check to refuse."""
    if value.lower() in ("none", "null"):
        return None
    if option.kind == "flag":
        return {"true": True, "false": False}.get(value.lower(), value)
    if option.kind == "number" and value.lstrip("-").isdecimal():
        return int(value)
    return tuple(value.split(",")) if option.kind == "texts" else value


def shown(value: object) -> str:
    """A value in a message: as Python writes it, shortened."""
    return shortened(repr(value))


def shortened(text: str) -> str:
    """A text, or its beginning."""
    return text if len(text) <= 60 else f"{text[:57]}..."
