"""What `make docs` adds to MkDocs: pages that lie elsewhere in the repository, links, the API.

A link to a file of the repository must have a target: to a page of the site it is rewritten, of
another file its text stays. So the same Markdown reads well on a code host and here.
"""

from __future__ import annotations

import logging
import os
import posixpath
import re
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOG = logging.getLogger("mkdocs.site_hooks")  # a warning ends a strict build
# Pages of the site that are files of the repository, from its root.
ELSEWHERE = {
    "security-policy.md": "SECURITY.md",
    "contributing.md": "CONTRIBUTING.md",
    "changes.md": "CHANGELOG.md",
    "benchmarks.md": "benchmarks/README.md",
    "model-card.md": "tflite/fastscnn_camvid.md",
    "operations.md": "tflite/delegates.md",
    "device-files.md": "tflite/README.md",
    "raspberry-pi.md": "tflite/raspberry_pi/README.md",
    "android.md": "tflite/android/README.md",
    "browser.md": "tflite/web/README.md",
    "cpp.md": "tflite/cpp/README.md",
}
PAGES = {source: page for page, source in ELSEWHERE.items()}
LINK = re.compile(
    r"(?<!!)\[(?P<text>(?:[^][]|\[[^][]*\])*)\]\((?P<to>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)"
)
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`(?!\]))", re.MULTILINE | re.DOTALL)
NOTES = re.compile(r"(\[\d+\])\[")  # [5][6] in generated tables are two notes, no link
API = "<!-- every public name -->"


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that lie elsewhere."""
    from mkdocs.structure.files import File  # what is below runs without MkDocs, in the tests

    for page, source in ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrites links out of the site, and puts the public names into the API's page."""
    name = page.file.src_uri
    source = ELSEWHERE.get(name, f"docs/{name}")
    parts = CODE.split(markdown)  # code at odd places
    parts[::2] = [LINK.sub(lambda m: _link(m, source), part) for part in parts[::2]]
    parts[::2] = [NOTES.sub(r"\1\[", part) for part in parts[::2]]
    # In a table a code host wants `a\|b`, and MkDocs shows the backslash.
    parts[1::2] = [p if p.startswith("```") else p.replace(r"\|", "|") for p in parts[1::2]]
    return "".join(parts).replace(API, _api())


def _link(match: re.Match[str], source: str) -> str:
    """A link of a file, as the site has it."""
    text, to, anchor = match["text"], match["to"], match["anchor"] or ""
    if ":" in to:
        return match[0]
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), to))
    if target in PAGES:
        return f"[{text}]({PAGES[target]}{anchor})"
    if target.startswith("docs/"):
        return f"[{text}]({target.removeprefix('docs/')}{anchor})"
    if not os.path.lexists(ROOT / target):
        LOG.warning("%s: a link to %s, which is not there", source, target)
    return text


def _api() -> str:
    """One entry for each of `fs.__all__`, grouped as `fastscnn_tf/__init__.pyi` groups them."""
    lines = []
    for title, names in groupby(_public(), key=lambda pair: pair[0]):
        lines.append(f"## {title[0].upper()}{title[1:]}\n")
        lines += (f"::: fastscnn_tf.{name}\n" for _, name in names)
    return "\n".join(lines)


def _public() -> list[tuple[str, str]]:
    """(Comment above, name) of each import of `__init__.pyi`; above the version's there is none."""
    title, found = "", []
    stub = (ROOT / "fastscnn_tf" / "__init__.pyi").read_text(encoding="utf-8")
    for line in stub.splitlines():
        title = line.strip("# ") if line.startswith("#") else title
        if title and line.startswith("from"):
            found.append((title, line.split()[-1]))
    return found
