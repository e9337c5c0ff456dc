"""Rows of features and some of them → the nearest rows of each, as images or texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, check_consistent_length

from ..process import need
from ..reporting import lines
from ._items import Shown, features, short, small, thumbnails
from ._marks import OTHER, SAME
from ._tiles import tile

_WIDTH = 64  # letters of a text


class NeighborsDisplay:
    """The rows that are nearest to a row, as images or texts.

    Use `from_estimator` or `from_features` to create a display. Printing it shows a table. Read
    more in the :doc:`User Guide </insight>`.

    Parameters
    ----------
    queries : list of int or None
        Position of each query in X; None for one that is not in X.
    indices : ndarray of shape (n_queries, n_neighbors)
        Positions of the nearest rows, nearest first.
    distances : ndarray of shape (n_queries, n_neighbors)
        Their distances.
    y : ndarray of shape (n_samples,), default=None
        Labels.
    shown : dict of int to ndarray or str, default=None
        Small images or texts of items of X.
    query_shown : list of ndarray or str, default=None
        Small images or texts of the queries.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    FeatureMapDisplay : A map of all rows.
    near_duplicate_groups : Group rows that are nearly the same.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_pretrained import NeighborsDisplay, PretrainedImageFeaturizer
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> featurizer = PretrainedImageFeaturizer(
    ...     image_shape=(8, 8), value_range=(0, 16), image_size=32
    ... )
    >>> display = NeighborsDisplay.from_estimator(featurizer.fit(X), X[:60], [0, 1], y=y[:60])
    >>> display.indices.shape
    (2, 5)
    """

    def __init__(
        self,
        *,
        queries: list[int | None],
        indices: NDArray[np.intp],
        distances: NDArray[Any],
        y: NDArray[Any] | None = None,
        shown: dict[int, Shown] | None = None,
        query_shown: list[Shown] | None = None,
    ) -> None:
        self.queries = queries
        self.indices = indices
        self.distances = distances
        self.y = y
        self.shown = shown or {}
        self.query_shown = query_shown or [None] * len(queries)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        queries: Sequence[Any],
        *,
        y: ArrayLike | None = None,
        n_neighbors: int = 5,
        metric: str = "cosine",
        ax: Any = None,
        plot: bool = True,
        **kwargs: Any,
    ) -> NeighborsDisplay:
        """Find the items that are nearest to some items.

        Parameters
        ----------
        estimator : fitted estimator
            A featurizer, or a pipeline that begins with one; what stands before its predictor
            gives the rows.
        X : array-like of items
            The items to search.
        queries : sequence of int or of items
            Positions in X, whose own rows are left out of their neighbours, or other items.
        y : array-like of shape (n_samples,), default=None
            Labels of X.
        n_neighbors : int, default=5
            How many rows are shown for each query.
        metric : str, default="cosine"
            Distance, as in ``NearestNeighbors``.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        plot : bool, default=True
            Whether to plot at once. Without a plot, matplotlib is not needed.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        NeighborsDisplay
            The display.
        """
        rows = features(estimator, X)
        places = _places(queries)
        asked: Any = places if places is not None else features(estimator, queries)
        display = cls.from_features(
            rows, asked, y=y, n_neighbors=n_neighbors, metric=metric, plot=False
        )
        which = {*display.indices.ravel().tolist(), *(places or [])}
        display.shown = thumbnails(estimator, X, which)
        if places is not None:
            display.query_shown = [display.shown.get(i) for i in places]
        else:
            found = thumbnails(estimator, queries, range(len(queries)))
            display.query_shown = [found.get(i) for i in range(len(queries))]
        return display.plot(ax=ax, **kwargs) if plot else display

    @classmethod
    def from_features(
        cls,
        rows: Any,
        queries: Any,
        *,
        items: Any = None,
        y: ArrayLike | None = None,
        n_neighbors: int = 5,
        metric: str = "cosine",
        ax: Any = None,
        plot: bool = True,
        **kwargs: Any,
    ) -> NeighborsDisplay:
        """Find the rows that are nearest to some rows.

        Parameters
        ----------
        rows : array-like of shape (n_samples, n_features)
            The rows to search.
        queries : sequence of int, or array-like of shape (n_queries, n_features)
            Positions of rows, or other rows.
        items : sequence of images or texts, default=None
            The items that the rows belong to; a string is an image if it is a file's path.
        y : array-like of shape (n_samples,), default=None
            Labels of the rows.
        n_neighbors : int, default=5
            How many rows are shown for each query.
        metric : str, default="cosine"
            Distance, as in ``NearestNeighbors``.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        plot : bool, default=True
            Whether to plot at once. Without a plot, matplotlib is not needed.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        NeighborsDisplay
            The display.
        """
        rows = check_array(rows, dtype=np.float64)
        y = None if y is None else np.asarray(y)
        check_consistent_length(rows, y, items)
        places = _places(queries)
        index = NearestNeighbors(metric=metric).fit(rows)
        asked = rows[places] if places is not None else check_array(queries, dtype=np.float64)
        n = min(n_neighbors, len(rows) - (places is not None))
        distances, indices = index.kneighbors(asked, n_neighbors=n + (places is not None))
        if places is not None:
            # A copy of the query may come before it, so the query is looked for.
            kept = np.array(
                [np.flatnonzero(line != i)[:n] for i, line in zip(places, indices, strict=True)]
            )
            indices = np.take_along_axis(indices, kept, axis=1)
            distances = np.take_along_axis(distances, kept, axis=1)
        shown: dict[int, Shown] = {}
        if items is not None:
            which = {*indices.ravel().tolist(), *(places or [])}
            items = getattr(items, "iloc", items)  # a Series is read by position
            shown = {i: small(items[i]) for i in which}
        display = cls(
            queries=list(places) if places is not None else [None] * len(asked),
            indices=indices, distances=distances, y=y, shown=shown,
            query_shown=[shown.get(i) for i in places] if places is not None else None,
        )  # fmt: skip
        return display.plot(ax=ax, **kwargs) if plot else display

    def plot(self, ax: Any = None) -> NeighborsDisplay:
        """Draw each query with its nearest rows beside it, or below it where they are texts.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.

        Returns
        -------
        NeighborsDisplay
            The display.
        """
        plt = need("matplotlib.pyplot", install="matplotlib", purpose="NeighborsDisplay.plot")
        m, n = self.indices.shape
        in_words = not any(isinstance(item, np.ndarray) for item in self.shown.values())
        if ax is None:
            size = (8, 0.3 * m * (n + 1.5)) if in_words else (1.5 * (n + 1), 1.8 * m)
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        (self._write if in_words else self._draw)()
        return self

    def _draw(self) -> None:
        m, n = self.indices.shape
        for q in range(m):
            name, top = self._name(self.queries[q], "query"), 1.25 * q
            tile(self.ax_, self.query_shown[q], (0, top), name, "black")
            for k, i in enumerate(self.indices[q]):
                title = f"{self._name(i, f'row {i}')}\n{self.distances[q, k]:.3f}"
                item, colour = self.shown.get(int(i)), self._colour(q, i)
                tile(self.ax_, item, (k + 1.2, top), title, colour)
        self.ax_.set(xlim=(-0.05, n + 1.2), ylim=(1.25 * m, -0.05), aspect="equal")
        self.ax_.axis("off")

    def _write(self) -> None:
        m, n = self.indices.shape
        for q in range(m):
            top = q * (n + 1.5)
            told = self._told(self.query_shown[q], self.queries[q]).replace("$", r"\$")
            self.ax_.text(0, top, told, va="top", weight="bold", fontsize="small")
            for k, i in enumerate(self.indices[q]):
                told = f"{self.distances[q, k]:.3f}  {self._told(self.shown.get(int(i)), i)}"
                self.ax_.text(
                    0.03, top + k + 1, told.replace("$", r"\$"), va="top", fontsize="small",
                    color=self._colour(q, i),
                )  # fmt: skip
        self.ax_.set(xlim=(0, 1), ylim=(m * (n + 1.5), 0))
        self.ax_.axis("off")

    def _told(self, item: Shown, i: Any) -> str:
        text = short(item, _WIDTH) if isinstance(item, str) else ""
        return "  ".join(filter(None, [self._name(i, "query" if i is None else f"row {i}"), text]))

    def _name(self, i: Any, otherwise: str) -> str:
        return otherwise if self.y is None or i is None else str(self.y[i])

    def _colour(self, q: int, i: Any) -> str:
        place = self.queries[q]
        if self.y is None or place is None:
            return "black"
        return SAME if self.y[place] == self.y[i] else OTHER

    def __repr__(self) -> str:
        parts = []
        for q, place in enumerate(self.queries):
            table: list[tuple[str, ...]] = [("row", "distance", "label", "item")]
            for i, distance in zip(self.indices[q], self.distances[q], strict=True):
                item = self.shown.get(int(i))
                text = short(item, _WIDTH) if isinstance(item, str) else ""
                table.append((str(i), f"{distance:.4f}", self._name(i, ""), text))
            filled = [column for column in zip(*table, strict=True) if any(column[1:])]
            head = "query" if place is None else f"row {place}"
            head += "" if self.y is None or place is None else f" ({self.y[place]})"
            parts.append(
                "\n".join([f"nearest to {head}", *lines(zip(*filled, strict=True), left={2, 3})])
            )
        return "\n\n".join(parts)


def _places(queries: Any) -> list[int] | None:
    """Return positions in X, if that is what the queries are."""
    if len(queries) and all(isinstance(one, int | np.integer) for one in queries):
        return [int(one) for one in queries]
    return None
