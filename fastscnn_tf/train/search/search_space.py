"""What a hyper-parameter search may try: `learning_rate=log:0.001..0.1`, `augment=paper,strong`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ...core.errors import ConfigError, retold
from ...core.fields import kinds, nearest
from ..recipes import DEFAULTS
from ..settings import FIELDS, TrainSettings

# Trials are compared epoch by epoch, so these are the same for all of them.
FIXED = ("epochs", "validate_every", "early_stopping")
NONE = type(None)
FORM = "expected NAME=A..B, NAME=log:A..B or NAME=X,Y,Z"


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One setting and what it may be.

    Args:
        name: a field of `TrainSettings` that a recipe decides.
        low: least value of a range, or None where there are choices.
        high: greatest value, included.
        log: draw evenly on a logarithmic scale.
        choices: the values, in the order given; empty for a range.
    """

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    def suggest(self, trial: Any) -> Any:
        """A value for one of Optuna's trials."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        draw = trial.suggest_int if isinstance(self.low, int) else trial.suggest_float
        return draw(self.name, self.low, self.high, log=self.log)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that show whether all are valid."""
        return self.choices or (self.low, self.high)


def parse_space(texts: Sequence[str], base: TrainSettings) -> tuple[Dimension, ...]:
    """Reads and checks a space against the settings it varies.

    Args:
        texts: as on the command line. A range of a whole-number setting draws whole numbers, both
            ends included; `none` among choices stands for a setting that is left open.
        base: every other setting.

    Raises:
        ConfigError: the syntax, an unknown or fixed name, one given twice, or a value that the
            settings refuse.
    """
    space = tuple(_dimension(text) for text in texts)
    if not space:
        raise ConfigError(f"a search needs something to vary: {FORM}")
    names = [dimension.name for dimension in space]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{twice[0]} is given twice: name it once, with all its values")
    for dimension, text in zip(space, texts, strict=True):
        for value in dimension.ends:
            with retold(ConfigError, f"--space {text}: ", of=ConfigError):
                dataclasses.replace(base, **{dimension.name: value})
    return space


def _dimension(text: str) -> Dimension:
    name, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not name or not values:
        raise ConfigError(f"--space {text!r}: {FORM}")
    name = name.replace("-", "_")
    _check_name(name, text)
    known = kinds(TrainSettings)[name]
    if ".." in values:
        return _range(name, values, known, text)
    choices = tuple(_value(part.strip(), known, text) for part in values.split(","))
    if len(set(choices)) != len(choices):
        raise ConfigError(f"--space {text!r}: a value is given twice")
    return Dimension(name, choices=choices)


def _check_name(name: str, text: str) -> None:
    known = [field for field in DEFAULTS if field not in FIXED]
    if name in known:
        return
    if name in FIXED:
        reason = f"{name} is the same for all trials, or they could not be compared"
    elif name in FIELDS:
        reason = f"{name} belongs to a run, not to a way of training: it cannot be searched"
    else:
        reason = f"unknown setting {name!r}{nearest(name, known)}"
    raise ConfigError(f"--space {text!r}: {reason}")


def _range(name: str, values: str, kinds: frozenset[type], text: str) -> Dimension:
    log = values.startswith("log:")
    ends = values.removeprefix("log:").split("..")
    if len(ends) != 2 or not kinds & {int, float}:
        what = FORM if kinds & {int, float} else f"{name} is not a number: list its values"
        raise ConfigError(f"--space {text!r}: {what}")
    low, high = (_value(end.strip(), kinds - {NONE}, text) for end in ends)
    if not low < high or (log and low <= 0):
        least = "0 < A < B" if log else "A < B"
        raise ConfigError(f"--space {text!r}: a range needs {least}")
    return Dimension(name, low, high, log)


def _value(text: str, kinds: frozenset[type], whole: str) -> Any:
    if NONE in kinds and text.lower() == "none":
        return None
    if bool in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    if str in kinds and text:
        return text
    names = " or ".join(sorted(kind.__name__ for kind in kinds - {NONE}))
    raise ConfigError(f"--space {whole!r}: expected {names}, got {text!r}")
