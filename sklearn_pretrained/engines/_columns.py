"""A table of Arrow and a shipped estimator → the table with two more columns: result and reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cache.segments._format import arrow
from ..files._parts import ERROR
from ._results import COLUMNS
from ._shipped import Answers, Shipped


def result_type(shipped: Shipped, *, fixed: bool = True) -> Any:
    """Return the type of the column of results; engines that know no lists of one length say so."""
    pa, _ = arrow()
    width, dtype = shipped.kind
    one = pa.string() if dtype.kind == "O" else pa.from_numpy_dtype(dtype)
    if width is None:
        return one
    return pa.list_(one, width) if fixed else pa.list_(one)


def names_of(shipped: Shipped, to: str | None, taken: Sequence[str], column: str) -> list[str]:
    """Name the columns that come, once it is clear that they can."""
    if column not in taken:
        raise ValueError(
            f"There is no column {column!r}; the columns are {', '.join(map(repr, taken))}."
        )
    names = [to or COLUMNS[shipped.method], ERROR]
    if names[0] == ERROR:
        raise ValueError(
            f"to={to!r} is the name of the column that says why an item could not be read. Give "
            "the results another name."
        )
    for name in names:
        if name in taken:
            raise ValueError(
                f"There is a column {name!r} already. Rename it, or name the results: to='…'."
            )
    return names


class FeaturizeBatch:
    """What an engine calls in its workers with tables of Arrow, such as ``map_batches`` of Ray.

    Parameters
    ----------
    shipped : Shipped
    column : str
        Holds the items.
    names : list of str
        Of the columns that come: results and reasons.
    """

    def __init__(self, shipped: Shipped, column: str, names: Sequence[str]) -> None:
        self._shipped, self._column, self._names = shipped, column, names

    def __call__(self, table: Any) -> Any:
        """Append two columns to a table."""
        answers = self._shipped(items_of(table.column(self._column)))
        found = results_of(answers, self._shipped)
        for name, values in zip(self._names, found, strict=True):
            table = table.append_column(name, values)
        return table


def results_of(answers: Answers, shipped: Shipped, *, fixed: bool = True) -> tuple[Any, Any]:
    """Lay out results, null for items that could not be read, and the reasons."""
    pa, _ = arrow()
    kind = result_type(shipped, fixed=fixed)
    width, dtype = shipped.kind
    reasons = pa.array(answers.reasons, pa.string())
    values = np.full(
        (len(answers.there), *shipped.kind.shape), None if dtype.kind == "O" else 0, dtype
    )
    values[answers.there] = answers.values
    gone = ~answers.there
    if width is None:
        return pa.array(values, kind, mask=gone), reasons
    flat = pa.array(values.reshape(-1), kind.value_type)
    rows = pa.FixedSizeListArray.from_arrays(flat, width, mask=pa.array(gone))
    return rows.cast(kind), reasons


def items_of(column: Any) -> Any:
    """Take items out of a column: texts, paths, bytes, cells of images, arrays or rows."""
    pa, _ = arrow()
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return [item for chunk in chunks for item in _items(chunk)]


def _items(chunk: Any) -> Sequence[Any]:
    pa, _ = arrow()
    if isinstance(chunk, pa.ExtensionArray):  # tensors, as of Ray
        return list(chunk.to_numpy(zero_copy_only=False))
    items = chunk.to_pylist()
    dtype = _dtype_in(chunk.type)
    return items if dtype is None else [_typed(item, dtype) for item in items]


def _dtype_in(kind: Any) -> Any:
    """Return the type of the numbers in lists, or in lists of lists; None of anything else."""
    pa, _ = arrow()
    inner = kind
    while any(
        is_one(inner)
        for is_one in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    ):
        inner = inner.value_type
    is_number = pa.types.is_integer(inner) or pa.types.is_floating(inner)
    return inner.to_pandas_dtype() if is_number and inner is not kind else None


def _typed(item: Any, dtype: Any) -> Any:
    """Make an array of lists, whose numbers are of a type: 200 of 255 is not 200 of 65,535."""
    try:
        return None if item is None else np.array(item, dtype)
    except (TypeError, ValueError):
        return item  # of no even shape, or with gaps, as whoever reads it will say
