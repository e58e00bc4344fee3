"""Fast-SCNN for phones, Raspberry Pis and embedded CPUs: train, quantize, convert, score.

Importing this package is cheap and brings in no TensorFlow; every name of `__init__.pyi` loads on
first use.
"""

from __future__ import annotations

import functools
import importlib

from .core.version import __version__ as __version__


@functools.cache
def _modules() -> dict[str, str | None]:
    """Public name -> the module that has it, by the stub that type checkers read."""
    import ast
    from pathlib import Path

    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in imports for alias in node.names}


def __getattr__(name: str) -> object:
    if name == "__all__":
        value: object = sorted(_modules())
    elif module := _modules().get(name):
        value = getattr(importlib.import_module(f".{module}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_modules())
