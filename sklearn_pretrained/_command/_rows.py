"""Names of items, and numbers beside them → headings and rows of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def row_table(names: Sequence[str], rows: Any, *, digits: int = 4) -> list[list[str]]:
    """Return headings, and a row for each item."""
    heads = [f"feature_{i}" for i in range(rows.shape[1])]
    return [["item", *heads], *beside(names, *numbers(rows, digits=digits))]


def numbers(columns: Any, *, digits: int = 4) -> list[list[str]]:
    """Write each column of an array with some significant digits."""
    return [[f"{value:.{digits}g}" for value in column] for column in columns.T]


def beside(*columns: Any) -> list[list[str]]:
    """Join columns of cells into rows."""
    return [list(map(str, row)) for row in zip(*columns, strict=True)]
