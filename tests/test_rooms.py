"""The house: its rooms, and imports that point one way, as CONTRIBUTING.md draws them."""

import ast
import collections
import functools
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastscnn_tf as fs

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fastscnn_tf"
FLOOR = re.compile(r"^    (\d+) +(\w+) {2,}\S", re.MULTILINE)  # of the picture in CONTRIBUTING.md
LOOSE = {"__init__.py", "__init__.pyi", "__main__.py", "py.typed"}


def floors() -> dict[str, int]:
    """Rooms and their floors, by CONTRIBUTING.md."""
    found = FLOOR.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(found) == len({room for _, room in found})
    return {room: int(floor) for floor, room in found}


def modules() -> dict[str, Path]:
    """Files by dotted name below the package; a folder's `__init__` has the folder's name."""
    paths = {path.relative_to(PACKAGE).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    parts = {tuple(p for p in name.parts if p != "__init__"): path for name, path in paths.items()}
    return {".".join(name): path for name, path in parts.items()}


MODULES = modules()


def imported(name: str) -> Iterator[str]:
    """Files that a file imports, those in functions and for type checking among them."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ("" for alias in node.names if alias.name.startswith("fastscnn_tf"))
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        above = package.split(".") if package else []
        base = ".".join([*above[: len(above) + 1 - node.level], *filter(None, [node.module])])
        for alias in node.names:
            inner = f"{base}.{alias.name}" if base else alias.name
            yield inner if inner in MODULES else base


@functools.cache
def imports() -> dict[str, set[str]]:
    """Of each file, the files that it imports."""
    return {name: set(imported(name)) - {name} for name in MODULES}


def room(name: str) -> str:
    return name.partition(".")[0]


def test_nothing_lies_loose():
    found = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert found == set(floors()) | LOOSE


def test_no_room_stands_where_a_public_name_should():
    """Python sets a package's folder over what its `__getattr__` would have given."""
    assert not set(floors()) & set(fs.__all__)


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"", "__main__"}))
def test_imports_point_down(name):
    floor = floors()
    for other in imports()[name]:
        assert other, f"{name} imports the package itself"
        if room(other) != room(name):
            assert floor[room(other)] < floor[room(name)], f"{name} imports {other}"


def test_no_circle():
    lower = {name: found - {""} for name, found in imports().items() if name}
    tuple(graphlib.TopologicalSorter(lower).static_order())


def test_a_name_stands_for_one_thing():
    """A command's file may bear the name of what it calls."""
    named = collections.defaultdict(set)
    for name in MODULES:
        named[name.rpartition(".")[2]].add(name)
    commands = {name for name in MODULES if room(name) == "cli"}
    assert {stem for stem, found in named.items() if len(found - commands) > 1} == set()
    for name in commands - {"cli"}:
        others = named[name.rpartition(".")[2]] - {name}
        files = {other for other in others if MODULES[other].name != "__init__.py"}
        assert files <= imports()[name], f"{name} and {files}"
