"""Rows of cells → lines of text in columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def lines(rows: Iterable[Sequence[object]], *, left: Collection[int]) -> list[str]:
    """Lay cells out in columns, two spaces apart.

    Parameters
    ----------
    rows : iterable of sequence
        The first holds the headings.
    left : collection of int
        Columns that begin at their left edge; the others, numbers, end at their right one.
    """
    table = [tuple(map(str, row)) for row in rows]
    sizes = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(size) if i in left else cell.rjust(size)
            for i, (cell, size) in enumerate(zip(row, sizes, strict=True))
        ).rstrip()
        for row in table
    ]
