"""The house: its rooms, and imports that point one way, as CONTRIBUTING.md draws them."""

import ast
import collections
import functools
import graphlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastscnn_tf as fs

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fastscnn_tf"
FLOOR = re.compile(r"^    (\d+) +(\w+) {2,}\S", re.MULTILINE)  # of the image in CONTRIBUTING.md
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


def file_of(name: str) -> Iterator[str]:
    """The file that an absolute name is of or in, if it is one of the package's."""
    top, *parts = name.split(".")
    if top == PACKAGE.name:
        while ".".join(parts) not in MODULES:
            parts.pop()
        yield ".".join(parts)


def imported(source: str, package: str) -> Iterator[str]:
    """Files that a text in a package imports, those in functions and for type checking among them.

    What `import_module` is given counts where it is written out.
    """
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(base, package) if node.level else base
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            literal = isinstance(node.args[0], ast.Constant)
            names = [importlib.util.resolve_name(node.args[0].value, package)] if literal else []
        for name in names:
            yield from file_of(name)


@functools.cache
def imports() -> dict[str, set[str]]:
    """Of each file, the files that it imports."""
    found = {}
    for name, path in MODULES.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        source = path.read_text(encoding="utf-8")
        found[name] = set(imported(source, f"{PACKAGE.name}.{package}".rstrip("."))) - {name}
    return found


def room(name: str) -> str:
    return name.partition(".")[0]


def test_nothing_lies_loose():
    found = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert found == set(floors()) | LOOSE


def test_no_room_stands_where_a_public_name_should():
    """Python sets a package's folder over what its `__getattr__` would have given."""
    assert not set(floors()) & set(fs.__all__)


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("from ..train.settings import TrainSettings", "train.settings"),
        ("from ..train import settings", "train.settings"),
        ("from .. import train", "train"),
        ("from fastscnn_tf.train.settings import TrainSettings", "train.settings"),
        ("import fastscnn_tf.train", "train"),
        ("def later():\n    import fastscnn_tf.train.settings as s", "train.settings"),
        ("from fastscnn_tf import run_training", ""),
        ("import fastscnn_tf", ""),
        ("importlib.import_module('..train.settings', __package__)", "train.settings"),
        ("import_module('fastscnn_tf.train.settings')", "train.settings"),
    ],
)
def test_every_way_to_import_a_file_counts(line, file):
    assert {*imported(line, "fastscnn_tf.core")} == {file}


def test_what_is_not_of_the_package_does_not_count():
    source = "import os.path\nfrom numpy import array\nimport_module('PIL')\nimport_module(name)"
    assert not [*imported(source, "fastscnn_tf.core")]


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


def test_classes_stand_at_module_level():
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = [each for each in ast.walk(node) if isinstance(each, ast.ClassDef)]
                assert not inside, f"{name}: {node.name}"


def test_a_class_stands_for_one_thing():
    """But a tensor, which files of weights have and graphs."""
    named = collections.Counter(
        node.name
        for path in MODULES.values()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in named.items() if count > 1} == {"Tensor"}
