"""A head of scikit-learn, fitted on frozen features → the same as weights that can be trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]


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
    centre = features.mean(axis=0, dtype=np.float64)
    scale = features.std(axis=0, dtype=np.float64) + 1e-3
    at_centre = _columns(function(centre[None]))
    steps = _columns(function(centre + np.diag(scale))) - at_centre
    coef = (steps / scale[:, None]).T
    intercept = (at_centre - centre @ coef.T)[0]
    some = features[:64].astype(np.float64)
    expected = _columns(function(some))
    error = np.abs(some @ coef.T + intercept - expected).max(initial=0.0)
    if not error <= 1e-3 * (1.0 + np.abs(expected).max(initial=0.0)):
        raise ValueError(
            f"head={name} is not linear in the features, so its coefficients cannot start what is "
            "trained. Use a linear head, or objective='contrastive'; or put it behind `transform`."
        )
    return coef, intercept


def _columns(values: Any) -> Rows:
    values = np.asarray(values, dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values
