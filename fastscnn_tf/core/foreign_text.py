"""Text of others, written so that it means nothing to whoever reads it: one function a reader.

Class names, file names, descriptions and licences come from strangers. Each output format has one
function here through which such text goes in.
"""

from __future__ import annotations

import html as _html
import re
import shlex
from collections.abc import Iterable

JOINERS = "\u200c\u200d"  # of Persian, Hindi and emoji; they move nothing


def printable(text: object, keep: str = "") -> str:
    """Text for a terminal or a log: control and format characters as escapes.

    Escape sequences move cursors and rename windows, and direction marks show names that are
    none.

    Args:
        text: anything; its `str` is taken.
        keep: characters that stay, such as a line feed.

    Example:
        >>> print(printable("road\x1b[2J"))
        road\\x1b[2J
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() or c in JOINERS or c in keep else _escape(c) for c in shown)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def printable_lines(lines: Iterable[object]) -> str:
    """Texts of one line each, one below the other: what breaks a line in them is an escape."""
    return "\n".join(map(printable, lines))


def one_line(text: object) -> str:
    """Printable text in which every run of white space is one space."""
    return printable(" ".join(str(text).split()))


def html(text: object) -> str:
    """Text as the content of an element or the value of a quoted attribute."""
    return _html.escape(printable(text, keep="\n\t"), quote=True)


class Markdown(str):
    """Text that is Markdown already: the functions below leave it as it is."""


def markdown(text: object) -> Markdown:
    """Text on one line in which no sign has a meaning for Markdown, nor for HTML within it.

    It may stand in a paragraph or a heading, also at its beginning.
    """
    if isinstance(text, Markdown):
        return text
    # At the start of a line: lists, numbered ones too, and what underlines a heading.
    return Markdown(re.sub(r"^(\d*)([-=+.)])", r"\1\\\2", markdown_cell(text)))


def markdown_cell(text: object) -> Markdown:
    """The same for a table's cell or the middle of a line, where fewer signs have a meaning."""
    if isinstance(text, Markdown):
        return text
    shown = re.sub(r"([\\`*{}\[\]<>#|~$&])", r"\\\1", one_line(text))
    # Within a word it stresses nothing.
    shown = re.sub(r"(?<![^\W_])_|_(?![^\W_])|(?<=_)_|_(?=_)", r"\\_", shown)
    # What GitHub makes a link of.
    return Markdown(re.sub(r":(?=//)|(?<=www)\.", r"\\\g<0>", shown, flags=re.IGNORECASE))


def markdown_code(text: object) -> Markdown:
    """Text as a code span, in a table's cell too."""
    shown = one_line(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    if shown.startswith("`") or shown.endswith("`") or not shown:
        shown = f" {shown} " if shown else " "
    return Markdown(f"{fence}{shown}{fence}")


def shell_word(text: object) -> str:
    """Text as one word of a POSIX shell's command, on one line."""
    given = str(text)
    if given.isprintable():
        return shlex.quote(given)
    escaped = "".join(
        f"\\{c}" if c in "\\'" else c if c.isprintable() else _shell_escape(c) for c in given
    )
    return f"$'{escaped}'"


def _shell_escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "backslashreplace"))


def shell_path(path: object) -> str:
    """A path as one word that no program takes for an option."""
    given = str(path)
    return shell_word(f"./{given}" if given.startswith("-") else given)


def kotlin_string(text: object) -> str:
    """Text as a literal of Kotlin, in printable characters.

    Example:
        >>> print(kotlin_string('a"$b'))
        "a\\"\\$b"
    """
    shown = re.sub(r'([\\"$])', r"\\\1", str(text))
    return f'"{"".join(c if c.isprintable() else _utf16_escapes(c) for c in shown)}"'


def _utf16_escapes(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def python_string(text: object) -> str:
    """Text as a literal of Python, in printable characters.

    Example:
        >>> print(python_string('a"b'))
        "a\\"b"
    """
    # With a double quote in it `repr` takes single ones.
    return '"{}"'.format(repr(f'"{text}')[2:-1].replace('"', '\\"'))


def comment(text: object) -> str:
    """Text in a comment of Kotlin or a shell: on one line, and ending no block comment."""
    return one_line(text).replace("*/", "* /").replace("/*", "/ *")
