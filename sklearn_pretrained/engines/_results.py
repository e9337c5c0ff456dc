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

_STATES = {
    "transform": "feature names (a FunctionTransformer: feature_names_out='one-to-one')",
    "predict": "the attribute classes_, if it is a classifier",
    "predict_proba": "the attribute classes_",
}
"""What a last step can say of its results."""


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

    def holds(self, values: NDArray[Any]) -> bool:
        """Tell whether results are what was expected, so that none is cut or spread out."""
        fits = np.can_cast(values.dtype, self.dtype, "same_kind")
        return values.shape[1:] == self.shape and fits


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
    last = steps[-1]
    width = getattr(last, "n_features_in_", None)
    tries = [(steps, one_row)]
    if width is not None:  # steps before it may know no row of ones
        tries.append((last, np.ones((1, width), np.float32)))
    problems: list[Exception] = []
    for asked, row in tries:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the numbers, which are not a user's
                given = getattr(asked, method)(row)
            break
        except Exception as error:
            problems.append(error)
    else:
        stated = _stated(steps, method)
        if stated is not None:
            return stated
        raise ValueError(
            f"What {method} gives cannot be told: on a row of ones, the steps behind the "
            f"featurizer raise {type(problems[0]).__name__}: {problems[0]} Let the last step take "
            f"such a row, or give it {_STATES[method]}."
        ) from problems[0]
    if isinstance(given, list):
        raise _of_each_output(method, len(given))
    values = dense(given)
    if values.ndim > 2 or len(values) != 1:  # noqa: PLR2004
        raise TypeError(
            f"{method} gives an array of shape {values.shape} for one item. An engine takes one "
            "value or one vector for each item."
        )
    dtype = _dtype(values, method, getattr(steps, "classes_", None))
    return Kind(values.shape[1] if values.ndim > 1 else None, dtype)


def _stated(steps: Any, method: str) -> Kind | None:
    """Find what each item gets in what the fitted steps say of themselves, or nothing."""
    if method == "transform":
        width: int | None
        try:
            width = len(steps.get_feature_names_out())
        except (AttributeError, TypeError, ValueError):  # as steps say that they have no names
            width = getattr(steps[-1], "n_features_out_", None)
        return None if width is None else Kind(width, np.dtype(np.float32))
    classes = getattr(steps, "classes_", None)
    if classes is None:
        return None
    if method == "predict_proba":
        if isinstance(classes, list):
            raise _of_each_output(method, len(classes))
        return Kind(len(classes), np.dtype(np.float32))
    several = isinstance(classes, list)
    labels = np.concatenate(classes) if several else np.asarray(classes)
    return Kind(len(classes) if several else None, _dtype(labels, method, labels))


def _of_each_output(method: str, n_outputs: int) -> TypeError:
    return TypeError(
        f"{method} gives {n_outputs} arrays, one for each output, which do not fit into one "
        "column. Fit a pipeline for each output."
    )


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
