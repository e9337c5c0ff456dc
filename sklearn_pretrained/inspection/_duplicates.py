"""Feature rows → the links between rows that are nearly the same, and a group for each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from sklearn.utils import check_array, gen_batches

from ..process import need

_MOST_EXACT = 100_000  # rows; all pairs of more take hours
_INDEXED = 32  # nearest rows that an index is asked for
_CHUNK = 2048  # rows whose neighbours are held at once
_LOOKED_AT = 4096  # rows whose nearest neighbours tell the threshold
_SHARE = 0.2
_ROUNDING = 1e-6
Edges = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Links:
    """The fewest and shortest pairs of near duplicates that connect each group.

    Parameters
    ----------
    groups : ndarray of shape (n_samples,)
        Numbered in the order in which they first occur.
    pairs : ndarray of shape (n_links, 2)
        Positions of rows, by their distance.
    distances : ndarray of shape (n_links,)
        Cosine distances.
    threshold : float
        The largest distance of near duplicates.
    """

    groups: NDArray[np.intp]
    pairs: NDArray[np.intp]
    distances: NDArray[np.float64]
    threshold: float


def near_duplicate_groups(
    rows: Any, threshold: float | str = "auto", *, search: str = "auto"
) -> np.ndarray:
    """Group rows that are nearly equal, so that copies stay on one side of a split.

    Two rows are in the same group if their cosine distance is within the threshold, or if they are
    connected by a chain of such pairs. Read more in the :doc:`User Guide </insight>`.

    Parameters
    ----------
    rows : array-like of shape (n_samples, n_features)
        The output of a featurizer's ``transform``, without NaN and infinity.
    threshold : float or "auto", default="auto"
        Largest cosine distance of two near duplicates, from 0 (the same direction) to 2.
        ``"auto"`` uses a fifth of the upper quartile of the distances from each row to its nearest
        neighbour, computed over rows whose nearest neighbour is beyond the threshold. With more
        than 4,096 distinct rows, the quartile is computed from 4,096 evenly spaced ones.
        If three quarters or more of the distinct rows have a near duplicate, it is far too low;
        pass a number.
    search : {"auto", "exact", "index"}, default="auto"
        How near pairs are found. "exact" compares all pairs. "index" asks an approximate index for
        the 32 nearest neighbours of each row, which is much faster and can miss a few pairs; it
        requires the extra ``duplicates``. "auto" is exact for up to 100,000 distinct rows.

    Returns
    -------
    ndarray of shape (n_samples,)
        An integer for each row: ``groups`` for scikit-learn's ``GroupKFold``. Groups are numbered
        in the order in which they first occur.

    See Also
    --------
    DuplicatesDisplay : Show the pairs side by side.
    sklearn.model_selection.GroupKFold : Keeps each group on one side of a split.

    Notes
    -----
    The exact search takes quadratic time and linear memory. How close two images are depends on
    the network: different images of one scene may be as close as an image and a crop of it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pretrained import near_duplicate_groups
    >>> rows = np.array([[1, 0, 0], [0, 1, 0], [0.99, 0.01, 0], [0, 0, 1]])
    >>> near_duplicate_groups(rows, threshold=0.01)
    array([0, 1, 0, 2])
    """
    return find_links(rows, threshold, search=search).groups


def find_links(rows: Any, threshold: float | str = "auto", *, search: str = "auto") -> Links:
    """Find the links between near duplicates; see `near_duplicate_groups`."""
    X = normalize(check_array(rows, dtype=np.float32))
    if search not in {"auto", "exact", "index"}:
        raise ValueError(f"search must be 'auto', 'exact' or 'index', got {search!r}.")
    # Equal rows first: a thousand copies of one row would make a million pairs.
    _, first, place = np.unique(
        X.view(np.dtype((np.void, X.dtype.itemsize * X.shape[1]))).ravel(),
        return_index=True,
        return_inverse=True,
    )
    distinct = X[first]
    exact = len(distinct) <= _MOST_EXACT if search == "auto" else search == "exact"
    space: _Space = _AllPairs(distinct) if exact else _Index(distinct)
    limit = _threshold(threshold, space, len(distinct))
    n = len(distinct)
    forest = coo_array((n, n))
    for part in gen_batches(n, _CHUNK):
        one, other, apart = space.near(part, limit)
        forest = _joined(forest, one + part.start, other, apart)
    labels = connected_components(forest, directed=False)[1]
    _, begins, groups = np.unique(labels[place], return_index=True, return_inverse=True)
    again = np.flatnonzero(first[place] != np.arange(len(X)))
    links = np.vstack([np.c_[first[place[again]], again], np.sort(first[np.c_[forest.coords]])])
    distances = np.concatenate([np.zeros(len(again)), forest.data - _ROUNDING])
    order = np.lexsort((links[:, 1], links[:, 0], distances))
    groups = np.argsort(np.argsort(begins))[groups]
    return Links(groups, links[order], distances[order], limit)


class _Space(Protocol):
    """Rows of length one, and which of them are near each other."""

    def nearest(self, step: int) -> NDArray[Any]:
        """Return the distance from each ``step``-th row to its nearest other one."""

    def near(self, part: slice, limit: float) -> Edges:
        """Return near pairs: a row's place in the part, the other row, and their distance."""


class _AllPairs:
    def __init__(self, rows: NDArray[Any]) -> None:
        self.rows = rows
        self.neighbours = NearestNeighbors(algorithm="brute").fit(rows)

    def nearest(self, step: int) -> NDArray[Any]:
        # Of rows of length one, the square of the distance is twice the cosine distance.
        return self.neighbours.kneighbors(self.rows[::step], n_neighbors=2)[0][:, 1] ** 2 / 2

    def near(self, part: slice, limit: float) -> Edges:
        graph = self.neighbours.radius_neighbors_graph(
            self.rows[part], radius=np.sqrt(2 * limit), mode="distance"
        ).tocoo()
        return graph.row, graph.col, graph.data**2 / 2


class _Index:
    """usearch's graph: one wheel without a compiler at run time, and cosine as a metric."""

    def __init__(self, rows: NDArray[Any]) -> None:
        index = need(
            "usearch.index",
            install="sklearn-pretrained[duplicates]",
            purpose=f"An index of {len(rows):,} rows (search='exact' compares all pairs instead)",
        )
        self.rows = rows
        self.index = index.Index(ndim=rows.shape[1], metric="cos", dtype="f32")
        # One thread: the graph, and so the groups, are the same each time.
        self.index.add(np.arange(len(rows)), rows, threads=1)

    def nearest(self, step: int) -> NDArray[Any]:
        return self._found(self.rows[::step], 2)[1][:, 1]

    def near(self, part: slice, limit: float) -> Edges:
        keys, distances = self._found(self.rows[part], min(_INDEXED, len(self.rows)))
        one, k = np.nonzero(distances <= limit)
        return one, keys[one, k].astype(np.intp), np.maximum(distances[one, k], 0)

    def _found(self, rows: NDArray[Any], n: int) -> tuple[NDArray[Any], NDArray[Any]]:
        found = self.index.search(rows, n)
        keys, distances = (found.keys.reshape(-1, n), found.distances.reshape(-1, n))
        # Where fewer than n were found, the rest of a line holds no neighbours.
        beyond = np.arange(n) >= np.reshape(found.counts if len(rows) > 1 else len(found), (-1, 1))
        return keys, np.where(beyond, np.inf, distances.astype(np.float64))


def _threshold(threshold: float | str, space: _Space, n: int) -> float:
    if isinstance(threshold, str):
        if threshold != "auto":
            raise ValueError(f"threshold must be 'auto' or a number, got {threshold!r}.")
        if n < 2:  # noqa: PLR2004 (a nearest neighbour needs two)
            return _ROUNDING
        nearest = space.nearest(-(-n // _LOOKED_AT))
        limit, before = _ROUNDING, -1.0
        while limit > before and nearest.max() > limit:
            # Copies are near each other: only rows without one tell how far others are.
            before = limit
            limit = max(_SHARE * float(np.quantile(nearest[nearest > limit], 0.75)), limit)
        return limit
    if not 0 <= threshold <= 2:  # noqa: PLR2004 (opposite directions)
        raise ValueError(f"threshold must lie between 0 and 2, got {threshold!r}.")
    return max(float(threshold), _ROUNDING)


def _joined(
    forest: coo_array, one: NDArray[Any], other: NDArray[Any], apart: NDArray[Any]
) -> coo_array:
    """Add pairs to a forest, and keep only the shortest that connect the same rows."""
    apart_rows = one != other
    one, other, apart = one[apart_rows], other[apart_rows], apart[apart_rows]
    low = np.concatenate([forest.coords[0], np.minimum(one, other)]).astype(np.int64)
    high = np.concatenate([forest.coords[1], np.maximum(one, other)]).astype(np.int64)
    # A length of zero would be no link, and lengths of one pair that is given twice would be added.
    lengths = np.concatenate([forest.data, apart + _ROUNDING])
    _, once = np.unique(low * forest.shape[0] + high, return_index=True)
    links = coo_array((lengths[once], (low[once], high[once])), shape=forest.shape)
    return coo_array(minimum_spanning_tree(links))
