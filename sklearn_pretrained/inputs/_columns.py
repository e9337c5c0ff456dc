"""What users pass as X → a list of its items, whatever container they came in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse


def is_missing(value: Any) -> bool:
    """Tell None, NaN and the missing values of DataFrames."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def is_tensor(value: Any) -> bool:
    """Tell a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def to_array(tensor: Any) -> np.ndarray:
    """Turn a torch tensor into an array."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def to_list(  # noqa: C901  one case for each kind of container
    X: Any, *, what: str
) -> Sequence[Any]:
    """Take the items out of a list, array, Series or one-column frame.

    Parameters
    ----------
    X : array-like
    what : str
        What the items are, for messages: "images" or "texts".
    """
    if sparse.issparse(X):
        raise TypeError(
            f"Sparse data was passed for X, but a list or column of {what} is required."
        )
    if isinstance(X, str | bytes | bytearray | memoryview) or hasattr(X, "__fspath__"):
        raise ValueError(
            f"Iterable over {what} expected, a single {type(X).__name__} object received. "
            "For one item, pass a list of length one: [X]."
        )
    if hasattr(X, "columns") and hasattr(X, "shape"):
        X = _only_column(X, what)
    if isinstance(X, np.ndarray):
        if X.ndim == 0:
            raise ValueError(f"Iterable over {what} expected, got a scalar array.")
        if X.ndim > 1 and X.dtype.kind in "OUST":
            X = _only_column(X, what)
        items: Sequence[Any] = list(X)
    elif hasattr(X, "to_list"):
        items = X.to_list()
    elif isinstance(X, Sequence):
        items = X
    elif hasattr(X, "__len__") and hasattr(X, "__getitem__"):
        items = [X[i] for i in range(len(X))]
    else:
        raise TypeError(
            f"X must be a list, array or column of {what}, got {type(X).__name__}. "
            "Turn an iterator into a list first."
        )
    if len(items) == 0:
        raise ValueError(
            "Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required."
        )
    return items


def _only_column(X: Any, what: str) -> Any:
    """Take the only column of a frame or of a two-dimensional object array."""
    if len(X.shape) != 2 or X.shape[1] != 1:  # noqa: PLR2004
        raise ValueError(
            f"X has shape {tuple(X.shape)}, and one column of {what} is expected. Choose the "
            "column, or use a ColumnTransformer: make_column_transformer((featurizer, 'column'))."
        )
    if isinstance(X, np.ndarray):
        return X[:, 0]
    return X.iloc[:, 0] if hasattr(X, "iloc") else X.to_series()
