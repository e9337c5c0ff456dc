"""Headings and rows of cells → a table that fits the window, or CSV."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Collection, Sequence
from typing import Annotated

import typer

Cells = Sequence[Sequence[str]]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, with every column.")]

_GAP = 2
_UNLIMITED = 10_000


def print_csv(table: Cells) -> None:
    """Print headings and rows as CSV."""
    csv.writer(sys.stdout, lineterminator="\n").writerows(table)


def print_table(
    table: Cells, *, left: Collection[str], spare: Sequence[str] = (), title: str = ""
) -> int:
    """Print headings and rows so that no line is longer than the window.

    In a file or a pipe, every column is printed in full.

    Parameters
    ----------
    table : sequence of rows
        The first holds the headings.
    left : collection of str
        Headings of the columns that begin at their left edge; the others hold numbers.
    spare : sequence of str
        Headings of the columns that are left out where the window is narrow, these in turn. What
        is still too wide is cut in the first column.
    title : str
        What stands above the table.

    Returns
    -------
    int
        Number of columns that are shown.
    """
    from rich.console import Console
    from rich.table import Table

    width = _window()
    kept = _that_fit(table, spare, width)
    shown = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for place in kept:
        head = table[0][place]
        first = place == kept[0]
        shown.add_column(
            head,
            justify="left" if head in left else "right",
            overflow="ellipsis" if first else "fold",
            no_wrap=first,
            min_width=None if first or place == kept[-1] else _width(table, place),
        )
    for row in table[1:]:
        shown.add_row(*(row[place] for place in kept))
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    if title:
        console.print(title, style="bold")
    console.print(shown)
    return len(kept)


def print_features(table: Cells, *, left: Collection[str]) -> None:
    """Print the first columns of a table, of which there may be thousands."""
    most = 7
    first = [row[:most] for row in table]
    shown = print_table(first, left=left, spare=first[0][:1:-1])
    if shown < len(table[0]):
        typer.echo(f"{shown - 1} of {len(table[0]) - 1:,} columns are shown; --csv prints all.")


def _window() -> int:
    """Return the columns of the window; as many as are needed where there is none."""
    from shutil import get_terminal_size

    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return get_terminal_size().columns
    return _UNLIMITED


def _that_fit(table: Cells, spare: Sequence[str], width: int) -> list[int]:
    """Return the places of the columns that are printed."""
    kept = list(range(len(table[0])))
    for head in spare:
        if sum(_width(table, place) + _GAP for place in kept) - _GAP <= width:
            break
        if head in table[0]:
            kept.remove(table[0].index(head))
    return kept


def _width(table: Cells, place: int) -> int:
    return max(len(row[place]) for row in table)
