"""Tables of texts for people: aligned columns for a console, or Markdown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from .foreign_text import markdown_cell, printable


def text_table(rows: Sequence[Sequence[str]], right: Collection[int] | None = ()) -> str:
    """Columns as wide as their widest cell, two spaces between them.

    Args:
        rows: the head and the rest, all of one length, at least one. What is not printable in them
            is shown as escapes.
        right: indices of the columns that end flush, as numbers do; None: all but the first.

    Returns:
        Lines without spaces at their ends, and no line end after the last.
    """
    shown = [list(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    flush = range(1, len(widths)) if right is None else right
    pads = [str.rjust if i in flush else str.ljust for i in range(len(widths))]
    lines = ("  ".join(p(c, w) for p, c, w in zip(pads, row, widths, strict=True)) for row in shown)
    return "\n".join(line.rstrip() for line in lines)


def markdown_table(
    head: Sequence[object], rows: Iterable[Iterable[object]], right: Collection[int] = ()
) -> str:
    """A table of GitHub's Markdown.

    Args:
        head: of the columns.
        rows: cells, as many as the head has: texts, in which no sign has a meaning, or `Markdown`.
        right: indices of the columns that end flush.
    """
    top, *below = (f"| {' | '.join(map(markdown_cell, row))} |" for row in (head, *rows))
    rule = "".join("|---:" if i in right else "|---" for i in range(len(head)))
    return "\n".join([top, f"{rule}|", *below])


def percent(share: float | None, digits: int = 2, sign: bool = False) -> str:
    """A share 0..1 in percent, or a difference of shares in points; `-` where there is none.

    Scores are 0..1 in Python and in files, and in percent wherever people read them.
    """
    if share is None or share != share:  # NaN
        return "-"
    return f"{share * 100:{'+' if sign else ''}.{digits}f}"


def decimal(value: float | None, digits: int, unit: float = 1) -> str:
    """A number, counted in `unit`s, with digits after the point; `-` where there is none."""
    return "-" if value is None else f"{value / unit:.{digits}f}"


def counted(number: int, noun: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float | None) -> str:
    """Seconds as `2 h 03 min 05 s`.

    Example:
        >>> duration(7385.2), duration(59.6), duration(None)
        ('2 h 03 min 05 s', '1 min 00 s', 'not recorded')
    """
    if seconds is None:
        return "not recorded"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min {rest:02d} s"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
