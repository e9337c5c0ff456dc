"""What users pass as X → its items, taken out by position, whatever container they came in."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from ..exceptions import BadItemError

_SINGLE = str | bytes | bytearray | memoryview


class naming_the_row:  # noqa: N801  it is used as a function, once for each item
    """Turn whatever one item raises into the error of that item.

    Parameters
    ----------
    doing : str
        What was done with the item: "read" or the like.
    """

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, BadItemError | MemoryError):
            return
        said = re.sub(r" at 0x\w+", "", str(error)).strip().partition("\n")[0]
        told = f"{type(error).__name__}: {said}" if said else type(error).__name__
        raise BadItemError(f"could not be {self._doing}: {told.rstrip('.')}") from error


class Column(Sequence[Any]):
    """The items of one X, which are taken out when they are asked for, and not kept.

    Parameters
    ----------
    X : object
        Has a length, and is read by position.
    take : callable, optional
        What stands at a position → the item.
    made_anew : bool, default=False
        Whether each look at a position may make another object, as a dataset does that opens
        files or augments what it reads.
    """

    def __init__(
        self, X: Any, take: Callable[[Any], Any] | None = None, *, made_anew: bool = False
    ) -> None:
        self._X = X
        self._take = take
        self.made_anew = made_anew

    @property
    def held(self) -> list[Any] | tuple[Any, ...] | None:
        """The items themselves, where they lie in a list or a tuple; else None."""
        return self._X if self._take is None and type(self._X) in (list, tuple) else None

    def __len__(self) -> int:
        return len(self._X)

    def __getitem__(self, i: Any) -> Any:
        try:
            return self._X[i] if self._take is None else self._take(self._X[i])
        except Exception:
            with naming_the_row("taken out of X"):
                raise


def is_missing(value: Any) -> bool:
    """Tell None, NaN and the missing values of DataFrames."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def column(X: Any, *, what: str) -> Column:
    """Find the items in a list, array, column, one-column table or dataset.

    Parameters
    ----------
    X : array-like
    what : str
        What the items are, for messages: "images" or "texts".
    """
    if _is_sparse(X):
        raise TypeError(
            f"Sparse data was passed for X, but a list or column of {what} is required."
        )
    if isinstance(X, _SINGLE) or hasattr(X, "__fspath__"):
        raise ValueError(
            f"Iterable over {what} expected, a single {type(X).__name__} object received. "
            "For one item, pass a list of length one: [X]."
        )
    if isinstance(X, Mapping):
        raise TypeError(
            f"X is a {type(X).__name__} with the keys {', '.join(map(repr, list(X)[:5]))}; pass "
            f"the column of {what} under one of them."
        )
    found = _items(X, what)
    if len(found) == 0:
        raise ValueError(
            "Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required."
        )
    return found


def _is_sparse(X: Any) -> bool:
    """Tell SciPy's sparse tables, without importing SciPy."""
    scipy = sys.modules.get("scipy.sparse")
    return scipy is not None and scipy.issparse(X)


def _items(X: Any, what: str) -> Column:
    if hasattr(X, "column_names") and hasattr(X, "features"):
        return Column(X, itemgetter(_column_of(X, what)), made_anew=True)
    if hasattr(X, "columns") and hasattr(X, "shape"):
        X = _only_column(X, what)
    if isinstance(X, np.ndarray):
        if X.ndim == 0:
            raise ValueError(f"Iterable over {what} expected, got a scalar array.")
        return Column(_only_column(X, what) if X.ndim > 1 and X.dtype.kind in "OUST" else X)
    if isinstance(X, list | tuple):
        return Column(X)
    if hasattr(X, "to_list"):  # pandas, whose [] goes by label, and polars
        return Column(getattr(X, "array", X), _plain)
    if hasattr(X, "to_pylist"):  # pyarrow
        return Column(X, lambda scalar: scalar.as_py())
    if hasattr(X, "__len__") and hasattr(X, "__getitem__"):
        return Column(X, made_anew=True)
    is_loader = hasattr(X, "dataset")
    raise TypeError(
        f"X must be a list, array, column or dataset of {what}, got {type(X).__name__}, "
        "which cannot be indexed. "
        + ("Pass its dataset: X.dataset." if is_loader else "Convert an iterator to a list first.")
    )


def _plain(item: Any) -> Any:
    """Turn a cell that is itself a column, as of nested lists in polars, into a list."""
    return item.to_list() if hasattr(item, "to_list") else item


def _only_column(X: Any, what: str) -> Any:
    """Take the only column of a table or of a two-dimensional object array."""
    if len(X.shape) != 2 or X.shape[1] != 1:  # noqa: PLR2004
        raise ValueError(
            f"X has shape {tuple(X.shape)}, but one column of {what} is expected. Select the "
            "column, or use a ColumnTransformer: make_column_transformer((featurizer, 'column'))."
        )
    if isinstance(X, np.ndarray):
        return X[:, 0]
    if hasattr(X, "iloc"):
        return X.iloc[:, 0]
    return X.to_series() if hasattr(X, "to_series") else X.column(0)


def _column_of(dataset: Any, what: str) -> str:
    """Choose the column of a Hugging Face dataset that holds what is wanted."""
    names = list(dataset.column_names)
    fitting = [name for name in names if _fits(dataset.features[name], what)]
    for choice in (fitting, names):
        if len(choice) == 1:
            return choice[0]
    raise ValueError(
        f"X is a dataset with the columns {', '.join(map(repr, names))}, and it is not clear which "
        f"of them holds the {what}. Pass the column: X['name']."
    )


def _fits(feature: Any, what: str) -> bool:
    if what == "images":
        return type(feature).__name__ == "Image"
    return getattr(feature, "dtype", None) in {"string", "large_string"}
