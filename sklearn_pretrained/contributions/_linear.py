"""A fitted head → the coefficients and the constant that it amounts to, if it is linear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_AT_ONCE = 512
_TRIED = 24
_TOLERANCE = 1e-6


def linear(function: Callable[[Floats], Any], row: Floats) -> tuple[Floats, Floats] | None:
    """Read a head as a matrix and a constant, whatever scalers and projections it holds.

    Parameters
    ----------
    function : callable
        The head: rows → scores.
    row : ndarray of shape (D,)
        A row of features. That the head is linear is tried on rows like it.

    Returns
    -------
    coef : ndarray of shape (K, D)
    constant : ndarray of shape (K,)
        The scores of features that are all zero.
        None instead of both if the head is not linear.
    """
    width, size = len(row), float(np.sqrt(np.mean(row**2))) or 1.0
    constant = columns(function(np.zeros((1, width))))[0]
    parts = []
    for start in range(0, width, _AT_ONCE):
        steps = np.zeros((min(_AT_ONCE, width - start), width))
        steps[np.arange(len(steps)), start + np.arange(len(steps))] = size
        parts.append((columns(function(steps)) - constant) / size)
    coef = np.concatenate(parts).T
    random = np.random.default_rng(0)
    tried = row * random.uniform(-2, 2, (_TRIED, 1)) + size * random.normal(size=(_TRIED, width))
    tried[0] = row
    expected = columns(function(tried))
    found = tried @ coef.T + constant
    error, scale = np.abs(found - expected).max(), 1 + np.abs(expected).max()
    return (coef, constant) if error <= _TOLERANCE * scale else None


def columns(scores: Any) -> Floats:
    """Bring scores into the form (N, K)."""
    scores = np.asarray(scores, dtype=np.float64)
    return scores[:, None] if scores.ndim == 1 else scores
