"""A fitted pipeline and a method → what its column is called, and what each item gets."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

COLUMNS = {"transform": "features", "predict": "prediction", "predict_proba": "probabilities"}
"""Methods, and how a column of their results is called."""

# By the kind of what predict gives; what is not a number is a text.
_VALUES = {"b": "bool", "i": "int64", "u": "int64", "f": "float64", "U": "O", "O": "O"}


class Kind(NamedTuple):
    """What each item gets.

    Parameters
    ----------
    width : int or None
        Values in a row; None where each item gets one value.
    dtype : dtype
        Of the values.
    """

    width: int | None
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what one item gets."""
        return () if self.width is None else (self.width,)


def kind_of(steps: Any, method: str, one_row: Any) -> Kind:
    """Ask the steps behind a featurizer what they make of one row, before anything starts.

    Parameters
    ----------
    steps : Pipeline
        Fitted.
    method : str
        One of `COLUMNS`.
    one_row : array-like of shape (1, n_features)
        As the featurizer gives rows.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the numbers, which are not a user's
            given = getattr(steps, method)(one_row)
    except Exception as error:
        raise ValueError(
            f"What {method} gives cannot be told: on a row of ones, the steps behind the "
            f"featurizer raise {type(error).__name__}: {error}"
        ) from error
    if isinstance(given, list):
        raise TypeError(
            f"{method} gives {len(given)} arrays, one for each output, which do not fit into one "
            "column. Fit a pipeline for each output."
        )
    values = dense(given)
    if values.ndim > 2 or len(values) != 1:  # noqa: PLR2004
        raise TypeError(
            f"{method} gives an array of shape {values.shape} for one item. An engine takes one "
            "value or one vector for each item."
        )
    dtype = _dtype(values, method, getattr(steps, "classes_", None))
    return Kind(values.shape[1] if values.ndim > 1 else None, dtype)


def dense(values: Any) -> NDArray[Any]:
    """Turn arrays, frames and sparse matrices into arrays."""
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)


def _dtype(values: NDArray[Any], method: str, classes: Any) -> np.dtype[Any]:
    if method != "predict" and values.dtype.kind in "biuf":
        return np.dtype(np.float32)
    seen = [*values.ravel(), *(np.ravel(classes) if values.dtype == object else [])]
    is_text = all(isinstance(value, str) for value in seen)
    if (
        method != "predict"
        or values.dtype.kind not in _VALUES
        or not (is_text or values.dtype.kind in "biuf")
    ):
        raise TypeError(
            f"{method} gives values of type {type(seen[0]).__name__} ({values.dtype}), for which "
            "an engine has no column. Predict texts, numbers or booleans."
        )
    return np.dtype(_VALUES[values.dtype.kind])
