"""A head of scikit-learn → the same as weights that can be trained, and what its scores say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
_SOME = 1024


def affine(
    function: Callable[[Rows], Any], features: NDArray[np.float32], name: str
) -> tuple[Rows, Rows]:
    """Read a fitted head as a matrix and an offset, whatever scalers it holds.

    Parameters
    ----------
    function : callable
        The head's decisions, or what it predicts.
    features : ndarray of shape (N, D)
        Some that it was fitted on; that it is linear is proved on them.
    name : str
        What the head is called.

    Returns
    -------
    coef : ndarray of shape (K, D)
    intercept : ndarray of shape (K,)
    """
    some = features[:_SOME].astype(np.float64)
    centre, scale = some.mean(axis=0), some.std(axis=0) + 1e-3
    at_centre = _columns(function(centre[None]))
    steps = _columns(function(centre + np.diag(scale))) - at_centre
    coef = (steps / scale[:, None]).T
    intercept = (at_centre - centre @ coef.T)[0]
    some = some[:64]
    expected = _columns(function(some))
    errors = np.abs(some @ coef.T + intercept - expected).max(axis=0)
    # Whatever the units are: an offset of all says nothing of how they differ.
    allowed = 1e-3 * np.ptp(expected, axis=0) + 1e-6 * np.abs(expected).max(axis=0)
    if not (errors <= allowed).all():
        raise ValueError(
            f"head={name} is not linear in the features, so its coefficients cannot start what is "
            "trained. Use a linear head, or objective='contrastive'; or put it behind `transform`."
        )
    return coef, intercept


def head_has(name: str) -> Callable[[Any], bool]:
    """Tell whether an estimator's head can do something; one that was trained can."""

    def has(estimator: Any) -> bool:
        head = getattr(estimator, "head_", estimator.head)
        return head is None or hasattr(head, name)

    return has


def labels(scores: Rows, *, is_multilabel: bool) -> NDArray[np.intp]:
    """Turn a classifier's scores into the number of a class, or a column for each label."""
    unread = np.flatnonzero(np.isnan(scores).any(axis=1))
    if len(unread):
        raise ValueError(
            f"{len(unread)} items of X could not be read, the first at position {unread[0]}, and "
            "have no label. Remove them, or use predict_proba, which gives NaN for them."
        )
    if is_multilabel:
        return (scores > 0).astype(int)
    return (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(axis=1)


def probabilities(scores: Rows, *, is_multilabel: bool) -> Rows:
    """Turn a classifier's scores into a probability of each class or label."""
    if is_multilabel or scores.shape[1] == 1:
        likely = 0.5 * (1 + np.tanh(0.5 * scores))
        return likely if is_multilabel else np.hstack([1 - likely, likely])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _columns(values: Any) -> Rows:
    values = np.asarray(values, dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values
