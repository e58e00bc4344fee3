"""Examples in docstrings are code on the API's page: what stands under `Example:` is fenced."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from griffe import Extension

EXAMPLE = re.compile(r"^Example:\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)


class FencedExamples(Extension):
    """Found by `mkdocs.yml`."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """For each function, class and attribute that was read."""
        if not obj.is_alias and obj.docstring:
            obj.docstring.value = EXAMPLE.sub(fenced, obj.docstring.value)


def fenced(match: re.Match[str]) -> str:
    """The same as a block; `pycon` where it shows a prompt."""
    code = textwrap.dedent(match[1]).strip("\n")
    language = "pycon" if code.startswith(">>>") else "python"
    return f"**Example:**\n\n```{language}\n{code}\n```\n"
