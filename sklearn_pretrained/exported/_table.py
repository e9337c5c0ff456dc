"""X with columns → the columns that a part of a file reads, and its numbers and strings as fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import BadItemError

Feed = dict[str, NDArray[Any]]


def chosen(X: Any, columns: Mapping[str, Any]) -> list[Any]:
    """Take columns out of a DataFrame, a dictionary of columns, an array, or a list of rows.

    Parameters
    ----------
    X : object
    columns : mapping
        Their ``places``, where None stands for X itself, and ``names``.

    Returns
    -------
    list
        One sequence for each.
    """
    places, names = columns["places"], columns["names"]
    if places is None:
        return [X]
    has_names = isinstance(X, Mapping) or hasattr(X, "columns")
    if has_names and names is not None:
        known = list(X if isinstance(X, Mapping) else X.columns)
        missing = [name for name in names if name not in known]
        if missing:
            raise ValueError(
                f"X has no column {missing[0]!r}, which this file reads; its columns are "
                f"{', '.join(map(str, known))}."
            )
        return [X[name] for name in names]
    if isinstance(X, Mapping):
        raise TypeError(
            "This file was fitted on columns without names, and reads an array of shape (n, "
            f"{max(places) + 1}) or more columns; got a dictionary."
        )
    table = np.asarray(X, dtype=None if hasattr(X, "dtype") else object)
    if table.ndim != 2 or table.shape[1] <= max(places):  # noqa: PLR2004
        wanted = f"columns {', '.join(names)}" if names else f"{max(places) + 1} columns"
        raise ValueError(
            f"X has shape {table.shape}, and this file reads a table with {wanted}: a DataFrame, "
            "a dictionary of columns, or rows of a list or array in the order of fit."
        )
    return [table[:, place] for place in places]


class Table:
    """Columns of numbers and strings, as scikit-learn's steps read them.

    Parameters
    ----------
    form : mapping
        What the file says of its input: inputs with name, type and number of columns.
    """

    def __init__(self, form: Mapping[str, Any]) -> None:
        self._form = form

    def samples(self, X: Sequence[Any]) -> list[Any]:
        """Lay columns beside each other, for each row one array per input."""
        groups, start = [], 0
        for entry in self._form["inputs"]:
            columns = range(start, start := start + entry["count"])
            found = [self._one(X[i], entry["dtype"], i) for i in columns]
            groups.append(np.stack(found, axis=1))
        return list(zip(*groups, strict=True))

    def _one(self, values: Any, dtype: str, place: int) -> NDArray[Any]:
        label = self._form["labels"][place]
        if dtype == "string":
            words = np.asarray(values, dtype=object)
            odd = [i for i, word in enumerate(words) if not isinstance(word, str)]
            if odd:
                raise BadItemError(
                    f"Item {odd[0]} of column {label} is {words[odd[0]]!r}, and the column held "
                    "only strings when the file was written. Remove it."
                )
            return self._known(words, place)
        numbers = np.asarray(values)
        if numbers.dtype.kind not in "fiub":
            numbers = np.asarray(values, dtype=np.float64)
        if numbers.dtype.kind == "f":
            bad = np.isinf(numbers) if self._form["nan"][place] else ~np.isfinite(numbers)
            if bad.any():
                i = int(np.flatnonzero(bad)[0])
                raise BadItemError(
                    f"Item {i} of column {label} is {numbers[i]}, and no example held such a "
                    "value when the file was written. Remove it or, if the pipeline accepts it, "
                    "export again with an example that has one."
                )
            if dtype == "int64" and (numbers != np.round(numbers)).any():
                i = int(np.flatnonzero(numbers != np.round(numbers))[0])
                raise BadItemError(
                    f"Item {i} of column {label} is {numbers[i]}, and the column held only "
                    "whole numbers when the file was written. Export again with an example that "
                    "has fractions."
                )
        return self._known(numbers.astype(dtype), place)

    def _known(self, values: NDArray[Any], place: int) -> NDArray[Any]:
        """Refuse what an encoder refuses; its graph would give the code of something else."""
        known = self._form.get("categories", [None] * (place + 1))[place]
        if known is None:
            return values
        others = ~np.isin(values, np.array(known, values.dtype))
        if values.dtype.kind == "f":
            others &= ~np.isnan(values)
        if others.any():
            i = int(np.flatnonzero(others)[0])
            raise BadItemError(
                f"Item {i} of column {self._form['labels'][place]} is {values[i]!r}, which the "
                "encoder did not see in fit. Remove it, or fit the encoder with another "
                "handle_unknown and write the file again."
            )
        return values

    def size(self, sample: Any) -> int:  # noqa: ARG002  all have one size
        """Return the same for all."""
        return 1

    def feed(self, samples: Sequence[Any]) -> Feed:
        """Stack them."""
        names = [entry["name"] for entry in self._form["inputs"]]
        return {
            name: np.stack(rows)
            for name, rows in zip(names, zip(*samples, strict=True), strict=True)
        }
