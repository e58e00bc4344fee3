"""`text_table`: rows of texts as aligned columns, for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def text_table(rows: Sequence[Sequence[str]], right: Collection[int] | None = ()) -> str:
    """Columns as wide as their widest cell, two spaces between them.

    Args:
        rows: the head and the rest, all of one length, at least one.
        right: indices of the columns that end flush, as numbers do; None: all but the first.

    Returns:
        Lines without spaces at their ends, and no line end after the last.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    flush = range(1, len(widths)) if right is None else right
    pads = [str.rjust if i in flush else str.ljust for i in range(len(widths))]
    lines = ("  ".join(p(c, w) for p, c, w in zip(pads, row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
