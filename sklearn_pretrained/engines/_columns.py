"""A table of Arrow and a shipped estimator → the table with two more columns: result and reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cache.segments._format import arrow
from ..files._parts import ERROR
from ._shipped import RESULTS, Answers, Shipped


def result_type(shipped: Shipped, *, fixed: bool = True) -> Any:
    """Return the type of the column of results; engines that know no lists of one length say so."""
    pa, _ = arrow()
    kind = pa.string() if shipped.dtype == object else pa.from_numpy_dtype(shipped.dtype)
    if shipped.width is None:
        return kind
    return pa.list_(kind, shipped.width) if fixed else pa.list_(kind)


def names_of(shipped: Shipped, to: str | None, taken: Sequence[str], column: str) -> list[str]:
    """Name the columns that come, once it is clear that they can."""
    if column not in taken:
        raise ValueError(
            f"There is no column {column!r}; the columns are {', '.join(map(repr, taken))}."
        )
    names = [to or RESULTS[shipped.method].column, ERROR]
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
    values = answers.values.astype(shipped.dtype)
    reasons = pa.array(answers.reasons, pa.string())
    if shipped.width is None:
        found = iter(values.tolist())
        labels = [next(found) if is_there else None for is_there in answers.there]
        return pa.array(labels, kind), reasons
    numbers = np.zeros((len(answers.there), shipped.width), shipped.dtype)
    numbers[answers.there] = values
    rows = pa.FixedSizeListArray.from_arrays(
        pa.array(numbers.reshape(-1)), shipped.width, mask=pa.array(~answers.there)
    )
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
    return chunk.to_pylist()
