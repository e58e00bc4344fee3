"""Reading YAML of others: no aliases, no tags, bounded size and depth.

Aliases and merge keys let a few hundred bytes stand for gigabytes, and tags ask for types that
this package has no use for. What remains is what JSON has; dates stay texts.
"""

import re
from typing import Any, TypeVar

import yaml

from ..aliases import StrPath
from ..errors import InputError
from .json_text import convert
from .reading import read_text

T = TypeVar("T")

LARGEST = 1 << 20  # bytes: 254 classes and hundreds of splits take 50 thousand
DEPTH = 32
_KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:bool")
# YAML 1.1 reads 1:30 as 90, 010 as 8 and digits without end: texts here, which a schema refuses.
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17}|0x[0-9a-fA-F]{1,15})$")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,20}\.[0-9]{0,20}|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,3})?$")
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """PyYAML's safe loader without dates, merge keys and keys that stand twice; plain numbers."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag in _KEPT]
    for first, found in _Base.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def read_yaml(
    path: StrPath,
    schema: type[T] | Any = Any,
    *,
    what: str = "YAML file",
    error: type[InputError] = InputError,
) -> T:
    """Reads a YAML file.

    Args:
        path: the file.
        schema: what it holds (see `json_text`).
        what: messages call it so.
        error: the class to raise.

    Raises:
        InputError: (of the class `error`) no such file, no YAML, an alias or a tag in it, or not of
            this type.
    """
    text = read_text(path, what, largest=LARGEST, error=error)
    return convert(_load(text, str(path), error), str(path), schema, error=error)


def _load(text: str, where: str, error: type[InputError]) -> Any:
    try:
        _check_events(text, where, error)
        value = yaml.load(text, Loader=_Loader)
    except InputError:
        raise
    except yaml.YAMLError as failure:
        raise error(f"{where}: not valid YAML ({' '.join(str(failure).split())[:300]})") from None
    except (ValueError, OverflowError, RecursionError, MemoryError) as failure:
        reason = " ".join(str(failure).split())[:120] or type(failure).__name__
        raise error(f"{where}: not valid YAML ({reason})") from None
    _check_texts(value, where, error)
    return value


def _check_events(text: str, where: str, error: type[InputError]) -> None:
    """Refuses what could grow, before anything is built from it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise error(f"{where}: line {line}: an alias (*{event.anchor}): write it out instead")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise error(f"{where}: line {line}: an anchor (&{event.anchor}): leave it out")
        if tag := getattr(event, "tag", None):
            raise error(f"{where}: line {line}: a tag ({tag}): leave it out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise error(f"{where}: line {line}: nested more than {DEPTH} deep")


def _check_texts(value: object, where: str, error: type[InputError]) -> None:
    """Refuses halves of surrogate pairs, which no file and no terminal takes."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str) and any("\ud800" <= c <= "\udfff" for c in item):
            raise error(f"{where}: a text with half of a surrogate pair: {item[:40]!r}")
