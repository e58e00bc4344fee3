"""A report as one self-contained HTML page, or as Markdown with images beside it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path

from .files.writing import make_folder, remove_own, write_bytes
from .foreign_text import Markdown, html, markdown, markdown_cell
from .text_table import markdown_table

HTML = "report.html"
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;
color:#111;background:#fff}
table{border-collapse:collapse;margin:1em 0;display:block;overflow-x:auto}
td,th{padding:.2em .8em;text-align:left}
thead th{border-bottom:2px solid #666}tbody th{font-weight:normal}
.changed{background:#fff0c2;font-weight:bold}.changed th{font-weight:bold}
summary{cursor:pointer}summary h2{display:inline}
figure{margin:1em 0}img{max-width:100%}figcaption{color:#444}"""
# Even if a text got through as markup: no script, and nothing is fetched or sent.
POLICY = (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    f"{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        head: of the columns.
        rows: each as long as `head`; their first cell names them.
        changed: indices of rows that stand out.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    changed: frozenset[int] = frozenset()


@dataclasses.dataclass(frozen=True)
class Figure:
    """An image.

    Attributes:
        file: its name beside the page; empty for one that stands in the page alone.
        content: the PNG.
        alt: what it shows, for those who cannot see it.
    """

    file: str
    content: bytes
    alt: str


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading with what stands below it, in this order; a page may show the heading alone."""

    title: str
    text: str = ""
    figures: tuple[Figure, ...] = ()
    table: Table | None = None
    folded: bool = False


def facts(
    title: str, rows: Iterable[tuple[str, ...]], text: str = "", of: str = "value"
) -> Section:
    """A section whose table says what is what."""
    return Section(title, text, table=Table(("", of), tuple(rows)))


@dataclasses.dataclass(frozen=True)
class Page:
    """A report."""

    title: str
    sections: tuple[Section, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Of all sections."""
        return tuple(figure for section in self.sections for figure in section.figures)

    def html(self) -> str:
        """A page that needs no other file and runs no script."""
        title = html(self.title)
        body = "\n".join(map(_section_html, self.sections))
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width">'
            f"<title>{title}</title><style>{STYLE}</style></head>\n"
            f"<body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
        )

    def write(self, folder: Path, own: str = "", markdown: str = "") -> Path:
        """Writes the page and its figures into a folder, which is made where it is not there.

        Args:
            folder: gets `report.html` and the figures.
            own: a regular expression of the names that a new report takes the place of.
            markdown: name of the Markdown, where it is wanted, too.

        Returns:
            The HTML file.

        Raises:
            OutputError: the folder cannot be written.
        """
        make_folder(folder)
        if own:
            remove_own(folder, own)
        for figure in self.figures:
            if figure.file:
                write_bytes(folder / figure.file, figure.content)
        if markdown:
            write_bytes(folder / markdown, self.markdown().encode())
        write_bytes(folder / HTML, self.html().encode())
        return folder / HTML

    def markdown(self) -> str:
        """Text that refers to the figures by their file names."""
        parts = [f"# {markdown(self.title)}", *map(_section_markdown, self.sections)]
        return "\n\n".join(parts) + "\n"


def _section_html(section: Section) -> str:
    title = f"<h2>{html(section.title)}</h2>"
    begin, end = "<section>", "</section>"
    if section.folded:
        begin, title, end = "<details>", f"<summary>{title}</summary>", "</details>"
    parts = [f"{begin}{title}"]
    if section.text:
        parts.append(f"<p>{html(section.text)}</p>")
    parts += map(_figure_html, section.figures)
    if section.table:
        parts.append(table_html(section.table, section.title))
    return "\n".join([*parts, end])


def _figure_html(figure: Figure) -> str:
    data = base64.b64encode(figure.content).decode()
    alt = html(figure.alt)
    return (
        f'<figure><img alt="{alt}" src="data:image/png;base64,{data}">'
        f"<figcaption>{alt}</figcaption></figure>"
    )


def table_html(table: Table, name: str) -> str:
    """A table as an HTML element; what is in its cells stays text."""
    head = "".join(f'<th scope="col">{html(text)}</th>' for text in table.head)
    lines = [f'<table aria-label="{html(name)}"><thead><tr>{head}</tr></thead><tbody>']
    for index, (first, *others) in enumerate(table.rows):
        mark = ' class="changed"' if index in table.changed else ""
        cells = "".join(f"<td>{html(text)}</td>" for text in others)
        lines.append(f'<tr{mark}><th scope="row">{html(first)}</th>{cells}</tr>')
    return "\n".join([*lines, "</tbody></table>"])


def _section_markdown(section: Section) -> str:
    parts = [f"## {markdown(section.title)}"]
    if section.text:
        parts.append(markdown(section.text))
    parts += [f"![{markdown_cell(figure.alt)}]({figure.file})" for figure in section.figures]
    if section.table:
        parts.append(_table_markdown(section.table))
    return "\n\n".join(parts)


def _table_markdown(table: Table) -> str:
    rows = [
        [_bold(text) if index in table.changed else text for text in row]
        for index, row in enumerate(table.rows)
    ]
    return markdown_table(table.head, rows)


def _bold(text: str) -> Markdown:
    shown = markdown_cell(text)
    return Markdown(f"**{shown}**" if shown else "")
