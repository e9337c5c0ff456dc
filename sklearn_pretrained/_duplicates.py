"""Feature rows → a group for each, shared by rows that are nearly the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from sklearn.utils import check_array, gen_batches

_CHUNK = 2048  # rows whose neighbours are held at once
_LOOKED_AT = 4096  # rows whose nearest neighbours tell the threshold
_SHARE = 0.4
_ROUNDING = 1e-6


def near_duplicate_groups(rows: Any, threshold: float | str = "auto") -> np.ndarray:
    """Group rows that are nearly equal, so that copies stay on one side of a split.

    Two rows are in the same group if their cosine distance is within the threshold, or if they are
    connected by a chain of such pairs. Read more in the :doc:`User Guide </insight>`.

    Parameters
    ----------
    rows : array-like of shape (n_samples, n_features)
        The output of a featurizer's ``transform``, without NaN and infinity.
    threshold : float or "auto", default="auto"
        Largest cosine distance of two near duplicates, from 0 (the same direction) to 2.
        ``"auto"`` uses 0.4 times the upper quartile of the distances from each distinct row to its
        nearest neighbour. Copies have small distances, which do not affect the upper quartile as
        long as at least a quarter of the rows have no copy. With more than 4,096 rows, the
        quartile is computed from 4,096 evenly spaced rows.

    Returns
    -------
    ndarray of shape (n_samples,)
        An integer for each row: ``groups`` for scikit-learn's ``GroupKFold``. Groups are numbered
        in the order in which they first occur.

    See Also
    --------
    sklearn.model_selection.GroupKFold : Keeps each group on one side of a split.

    Notes
    -----
    All pairs are compared, in chunks, without approximation. This takes quadratic time and linear
    memory, and is meant for up to 100,000 rows. How close two images are depends on the network:
    different images of one scene may be as close as an image and a crop of it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pretrained import near_duplicate_groups
    >>> rows = np.array([[1, 0, 0], [0, 1, 0], [0.99, 0.01, 0], [0, 0, 1]])
    >>> near_duplicate_groups(rows, threshold=0.01)
    array([0, 1, 0, 2])
    """
    X = normalize(check_array(rows, dtype=np.float32))
    # Equal rows first: a thousand copies of one row would make a million pairs.
    _, first, place = np.unique(
        X.view(np.dtype((np.void, X.dtype.itemsize * X.shape[1]))).ravel(),
        return_index=True,
        return_inverse=True,
    )
    distinct = X[first]
    neighbours = NearestNeighbors(algorithm="brute").fit(distinct)
    limit = _threshold(threshold, neighbours, distinct)
    labels = np.arange(len(distinct))
    for part in gen_batches(len(distinct), _CHUNK):
        # Of rows of length one, the square of the distance is twice the cosine distance.
        near = neighbours.radius_neighbors_graph(distinct[part], radius=np.sqrt(2 * limit))
        labels = _joined(labels, *near.nonzero(), start=part.start)
    _, begins, groups = np.unique(labels[place], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(begins))[groups]


def _threshold(threshold: float | str, neighbours: NearestNeighbors, rows: np.ndarray) -> float:
    if isinstance(threshold, str):
        if threshold != "auto":
            raise ValueError(f"threshold must be 'auto' or a number, got {threshold!r}.")
        if len(rows) < 2:  # noqa: PLR2004 (a nearest neighbour needs two)
            return _ROUNDING
        step = -(-len(rows) // _LOOKED_AT)
        nearest = neighbours.kneighbors(rows[::step], n_neighbors=2)[0][:, 1]
        return max(_SHARE * float(np.quantile(nearest, 0.75)) ** 2 / 2, _ROUNDING)
    if not 0 <= threshold <= 2:  # noqa: PLR2004 (opposite directions)
        raise ValueError(f"threshold must lie between 0 and 2, got {threshold!r}.")
    return max(float(threshold), _ROUNDING)


def _joined(labels: np.ndarray, one: np.ndarray, other: np.ndarray, *, start: int) -> np.ndarray:
    """Join the components of rows that are near each other."""
    n = len(labels)
    _, begins = np.unique(labels, return_index=True)
    ends = np.concatenate([np.arange(n), one + start]), np.concatenate([begins[labels], other])
    links = coo_array((np.ones(len(ends[0]), bool), ends), shape=(n, n))
    return connected_components(links, directed=False)[1]
