"""What a loss is made of, read from text: `ohem(0.7, 0.25) + 0.5*dice`."""

from __future__ import annotations

import difflib
import math
import re
from typing import Any, NamedTuple

from ...core.errors import ConfigError, instead_of


class TermOption(NamedTuple):
    """A number in the parentheses of a term, with its range (both ends included)."""

    name: str
    default: float
    low: float
    high: float
    integer: bool = False


OPTIONS: dict[str, tuple[TermOption, ...]] = {
    "cross_entropy": (),
    # 0.7 and a sixteenth: CoinCheung/BiSeNet, lib/models, `OhemCELoss`.
    "ohem": (TermOption("probability", 0.7, 0.0, 1.0), TermOption("share", 0.0625, 0.0, 1.0)),
    "focal": (TermOption("gamma", 2.0, 0.0, 10.0),),  # Lin et al. 2017, section 4.1
    "dice": (TermOption("step", 1, 1, 64, integer=True),),
    "lovasz": (TermOption("step", 2, 1, 64, integer=True),),
    "boundary": (TermOption("width", 3, 1, 64, integer=True),),
}
_TERM = re.compile(r"(?:(?P<weight>[^*()]*)\*)?\s*(?P<name>\w+)\s*(?:\((?P<options>[^()]*)\))?")


class Term(NamedTuple):
    """One summand: weight times the named loss with its options, all of them filled in."""

    name: str
    weight: float
    options: tuple[float, ...] = ()


def parse_terms(text: str) -> tuple[Term, ...]:
    """The summands of a loss.

    Args:
        text: names joined by `+`, each with a factor (`0.5*`) in front and options in parentheses
            behind it where they are not the default:

            | term | options |
            |---|---|
            | `cross_entropy` | none |
            | `ohem(0.7, 0.0625)` | probability of the true class below which a pixel is kept; the
              least share of the pixels that are not void to keep |
            | `focal(2)` | the exponent gamma |
            | `dice(1)` | looks at every so many-th row and column of the label map |
            | `lovasz(2)` | the same; 2 is 3.6 times faster than 1 |
            | `boundary(3)` | greatest distance from another class, in pixels of the label map |

    Raises:
        ConfigError: unknown or repeated term, a factor that is not above 0, an option that is out
            of range or one too many.

    Example:
        >>> parse_terms("0.5*ohem(0.6)")
        (Term(name='ohem', weight=0.5, options=(0.6, 0.0625)),)
    """
    if not isinstance(text, str):
        raise ConfigError(f'expected a loss such as "ohem + 0.5*dice", got {text!r}')
    terms = tuple(_term(part, text) for part in text.split("+"))
    names = [term.name for term in terms]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f'loss "{text}" has the term {name} twice: add up their factors')
    return terms


def _term(part: str, text: str) -> Term:
    match = _TERM.fullmatch(part.strip())
    if not match:
        raise ConfigError(
            f'loss "{text}": expected a term such as "0.5*dice" or "ohem(0.7, 0.25)", '
            f'got "{part.strip()}"'
        )
    name = match["name"]
    if name not in OPTIONS:
        near = difflib.get_close_matches(name, OPTIONS, 1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise ConfigError(f'loss "{text}": no term "{name}"{hint} (known: {", ".join(OPTIONS)})')
    weight = 1.0 if match["weight"] is None else _number(match["weight"], text, f"factor of {name}")
    if not 0 < weight < math.inf:
        raise ConfigError(f'loss "{text}": the factor of {name} must be above 0, got {weight:g}')
    return Term(name, weight, _options(name, match["options"], text))


def _options(name: str, given: str | None, text: str) -> tuple[float, ...]:
    known = OPTIONS[name]
    parts = given.split(",") if given and given.strip() else []
    if len(parts) > len(known):
        takes = ", ".join(option.name for option in known) or "no options"
        raise ConfigError(f'loss "{text}": {name} takes {takes}, got ({given})')
    values = [_number(part, text, o.name) for o, part in zip(known, parts, strict=False)]
    values += [option.default for option in known[len(values) :]]
    for option, value in zip(known, values, strict=True):
        if not option.low <= value <= option.high or (option.integer and value % 1):
            kind = "a whole number" if option.integer else "a number"
            raise ConfigError(
                f'loss "{text}": {option.name} of {name} must be {kind} from {option.low:g} to '
                f"{option.high:g}, got {value:g}"
            )
    return tuple(values)


def _number(given: str, text: str, what: str) -> float:
    wrong = f'loss "{text}": expected a number as {what}, got "{given.strip()}"'
    with instead_of(ValueError, ConfigError(wrong)):
        return float(given)


def check_class_weights(weights: Any) -> tuple[float, ...] | None:
    """Class weights as floats.

    Args:
        weights: a number of at least 0 for each class, not all 0; or None.

    Raises:
        ConfigError: they are something else.
    """
    if weights is None:
        return None
    values = tuple(weights)
    good = [isinstance(w, (int, float)) and 0 <= w < math.inf for w in map(_plain, values)]
    if not all(good):
        where = good.index(False)
        raise ConfigError(
            f"class weights must be finite numbers of at least 0, got {values[where]} for class "
            f"{where} (0 for a class that never occurs)"
        )
    if not any(values):
        raise ConfigError("class weights must not all be 0")
    return tuple(float(w) for w in values)


def _plain(value: object) -> Any:
    """A NumPy scalar as Python's."""
    return value.item() if hasattr(value, "item") else value
