"""Targets, and groups where there are any → rows to train on, others held out; what these say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

Indices = NDArray[np.intp]
_ERRORS = 2.0


def held_out(
    labels: NDArray[Any] | None,
    rows: Indices,
    *,
    share: float,
    groups: NDArray[Any] | None,
    random_state: Any,
) -> tuple[Indices, Indices]:
    """Split rows; none are held out where there are too few.

    Parameters
    ----------
    labels : ndarray or None
        One label a row, so that each part has some of each; None for any other target.
    rows : ndarray of int
        Which may be used.
    share : float
        Of the rows, or of the groups, to hold out.
    groups : ndarray or None
        Rows of one group stay together.
    random_state : int or RandomState
    """
    n = max(1, round(share * len(rows)))
    nothing = rows, rows[:0]
    if share == 0 or len(rows) - n < 1:
        return nothing
    y = None if labels is None else labels[rows]
    if groups is not None:
        if len(np.unique(groups[rows])) < 2:  # noqa: PLR2004
            return nothing
        splitter: Any = GroupShuffleSplit(1, test_size=share, random_state=random_state)
    elif y is not None:
        _, counts = np.unique(y, return_counts=True)
        n = max(n, len(counts))
        if counts.min() < 2 or len(rows) - n < len(counts):  # noqa: PLR2004
            return nothing
        splitter = StratifiedShuffleSplit(1, test_size=n, random_state=random_state)
    else:
        splitter = ShuffleSplit(1, test_size=n, random_state=random_state)
    used = None if groups is None else groups[rows]
    train, test = next(splitter.split(rows, y, used))
    if y is not None and len(np.unique(y[train])) < len(np.unique(y)):
        return nothing  # some label is in the held-out groups alone
    return rows[train], rows[test]


def is_worse(then: NDArray[Any], now: NDArray[Any], weights: NDArray[np.float64]) -> bool:
    """Tell whether fewer rows are right than were, beyond two standard errors of the difference."""
    gains = now.astype(float) - then.astype(float)
    gain = np.average(gains, weights=weights)
    shares = weights / weights.sum()
    error = np.sqrt(np.sum(shares**2 * (gains - gain) ** 2))
    return bool(gain < -_ERRORS * error)
