"""How to install what is optional."""

from __future__ import annotations

DISTRIBUTION = "fastscnn-tf"


def pip_install(*extras: str) -> str:
    """The command that adds extras to this installation.

    It is the same for a checkout (`pip install -e .`) and a wheel: the package is there already, so
    that pip fetches only what the extras add.

    Example:
        >>> pip_install("train", "search")
        'pip install "fastscnn-tf[train,search]"'
    """
    return f'pip install "{DISTRIBUTION}[{",".join(extras)}]"'
