"""Rows of features → pairs of near duplicates side by side, as images or texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from ..process import need
from ..reporting import lines
from ._duplicates import Links, find_links
from ._items import Shown, features, short, small, thumbnails
from ._marks import OTHER, SAME
from ._tiles import SIDE, tile

_WIDTH = 64  # letters of a text
_HEADINGS = ("row", "row", "distance", "label", "label", "item", "item")
_COLUMNS = 3
_STEP = 2.2, 1.3  # from one pair to the next, across and down


class DuplicatesDisplay:
    """Pairs of near duplicates, side by side, from the nearest to the farthest.

    Use `from_estimator` or `from_features` to create a display. Printing it shows a table. If the
    last pairs are not copies, the threshold is too high. Read more in the
    :doc:`User Guide </insight>`.

    Parameters
    ----------
    pairs : ndarray of shape (n_links, 2)
        Positions of the rows of each pair. Each group is connected by as few pairs as possible,
        the shortest ones.
    distances : ndarray of shape (n_links,)
        Cosine distance of each pair, in ascending order.
    groups : ndarray of shape (n_samples,)
        The group of each row, as `near_duplicate_groups` returns it.
    threshold : float
        The largest distance of near duplicates.
    which : ndarray of int, default=None
        The pairs that are shown. None shows all.
    y : ndarray of shape (n_samples,), default=None
        Labels.
    shown : dict of int to ndarray or str, default=None
        Small images or texts of items, by their positions in X.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    near_duplicate_groups : The groups alone, for scikit-learn's ``GroupKFold``.
    NeighborsDisplay : Show the rows that are nearest to a row.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pretrained import DuplicatesDisplay
    >>> rows = np.array([[1, 0, 0], [0, 1, 0], [0.99, 0.01, 0], [0, 0, 1]])
    >>> DuplicatesDisplay.from_features(rows, threshold=0.01, plot=False)
    4 rows in 3 groups; near duplicates are within 0.0100
    row  row  distance
      0    2    0.0001
    """

    def __init__(
        self,
        *,
        pairs: NDArray[np.intp],
        distances: NDArray[Any],
        groups: NDArray[np.intp],
        threshold: float,
        which: NDArray[np.intp] | None = None,
        y: NDArray[Any] | None = None,
        shown: dict[int, Shown] | None = None,
    ) -> None:
        self.pairs = pairs
        self.distances = distances
        self.groups = groups
        self.threshold = threshold
        self.which = np.arange(len(pairs)) if which is None else which
        self.y = y
        self.shown = shown or {}

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        threshold: float | str = "auto",
        search: str = "auto",
        n_pairs: int = 12,
        ax: Any = None,
        plot: bool = True,
        **kwargs: Any,
    ) -> DuplicatesDisplay:
        """Find near duplicates among items.

        Parameters
        ----------
        estimator : fitted estimator
            A featurizer, or a pipeline that begins with one; what stands before its predictor
            gives the rows.
        X : array-like of items
            Images or texts.
        y : array-like of shape (n_samples,), default=None
            Labels: pairs with different labels have another colour.
        threshold : float or "auto", default="auto"
            As in `near_duplicate_groups`.
        search : {"auto", "exact", "index"}, default="auto"
            As in `near_duplicate_groups`.
        n_pairs : int, default=12
            Most pairs that are shown, evenly spaced from the nearest to the farthest.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        plot : bool, default=True
            Whether to plot at once. Without a plot, matplotlib is not needed.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        DuplicatesDisplay
            The display.
        """
        links = find_links(features(estimator, X), threshold, search=search)
        display = cls._of(links, y, n_pairs)
        display.shown = thumbnails(estimator, X, _rows(display))
        return display.plot(ax=ax, **kwargs) if plot else display

    @classmethod
    def from_features(
        cls,
        rows: Any,
        y: ArrayLike | None = None,
        *,
        items: Any = None,
        threshold: float | str = "auto",
        search: str = "auto",
        n_pairs: int = 12,
        ax: Any = None,
        plot: bool = True,
        **kwargs: Any,
    ) -> DuplicatesDisplay:
        """Find near duplicates among rows.

        Parameters
        ----------
        rows : array-like of shape (n_samples, n_features)
            What a featurizer's ``transform`` gives.
        y : array-like of shape (n_samples,), default=None
            Labels: pairs with different labels have another colour.
        items : sequence of images or texts, default=None
            What the rows were made of; a string is an image if it is a file's path.
        threshold : float or "auto", default="auto"
            As in `near_duplicate_groups`.
        search : {"auto", "exact", "index"}, default="auto"
            As in `near_duplicate_groups`.
        n_pairs : int, default=12
            Most pairs that are shown, evenly spaced from the nearest to the farthest.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        plot : bool, default=True
            Whether to plot at once. Without a plot, matplotlib is not needed.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        DuplicatesDisplay
            The display.
        """
        check_consistent_length(rows, y, items)
        display = cls._of(find_links(rows, threshold, search=search), y, n_pairs)
        if items is not None:
            items = getattr(items, "iloc", items)  # a Series is read by position
            display.shown = {i: small(items[i]) for i in _rows(display)}
        return display.plot(ax=ax, **kwargs) if plot else display

    @classmethod
    def _of(cls, links: Links, y: ArrayLike | None, n_pairs: int) -> DuplicatesDisplay:
        y = None if y is None else np.asarray(y)
        check_consistent_length(links.groups, y)
        m = len(links.pairs)
        which = np.unique(np.linspace(0, m - 1, max(0, min(n_pairs, m))).round().astype(int))
        return cls(
            pairs=links.pairs, distances=links.distances, groups=links.groups,
            threshold=links.threshold, which=which, y=y,
        )  # fmt: skip

    def plot(self, ax: Any = None) -> DuplicatesDisplay:
        """Draw the pairs side by side, or one text below the other.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.

        Returns
        -------
        DuplicatesDisplay
            The display.
        """
        plt = need("matplotlib.pyplot", install="matplotlib", purpose="DuplicatesDisplay.plot")
        m = len(self.which)
        in_words = not any(isinstance(item, np.ndarray) for item in self.shown.values())
        if ax is None:
            across = max(1, min(_COLUMNS, m))
            size = (8, 0.8 * max(m, 1)) if in_words else (2.6 * across, 1.6 * -(-m // across) + 0.1)
            _, ax = plt.subplots(figsize=(max(size[0], 3), max(size[1], 1)), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        if m == 0:
            ax.text(0.5, 0.5, "no near duplicates", ha="center", va="center")
        elif in_words:
            self._write()
        else:
            self._draw()
        ax.axis("off")
        return self

    def _draw(self) -> None:
        across = min(_COLUMNS, len(self.which))
        down = -(-len(self.which) // across)
        for k, pair in enumerate(self.which):
            x, y = (k % across) * _STEP[0], k // across * _STEP[1]
            for side, i in enumerate(self.pairs[pair].tolist()):
                at = x + side * (SIDE + 0.06), y
                tile(self.ax_, self.shown.get(i), at, self._name(i), self._colour(pair))
            told = f"{self.distances[pair]:.4f}"
            place = x + SIDE + 0.03, y + SIDE + 0.17
            self.ax_.text(*place, told, ha="center", va="top", fontsize="x-small")
        self.ax_.set(
            xlim=(-0.05, across * _STEP[0] - 0.3), ylim=(down * _STEP[1], -0.05), aspect="equal"
        )

    def _write(self) -> None:
        for k, pair in enumerate(self.which):
            i, j = self.pairs[pair].tolist()
            told = [f"{self.distances[pair]:.4f}", self._told(i), self._told(j)]
            for line, text in enumerate(told):
                self.ax_.text(
                    0.02 * (line > 0), 3.5 * k + line, text.replace("$", r"\$"), va="top",
                    fontsize="small", weight=None if line else "bold", color=self._colour(pair),
                )  # fmt: skip
        self.ax_.set(xlim=(0, 1), ylim=(3.5 * len(self.which), 0))

    def _told(self, i: int) -> str:
        item = self.shown.get(i)
        text = short(item, _WIDTH) if isinstance(item, str) else ""
        return "  ".join(filter(None, [self._name(i), text]))

    def _name(self, i: int) -> str:
        return f"row {i}" if self.y is None else f"{i}: {self.y[i]}"

    def _colour(self, pair: int) -> str:
        if self.y is None:
            return "black"
        one, other = self.y[self.pairs[pair]]
        return SAME if one == other else OTHER

    def __repr__(self) -> str:
        n, m, k = len(self.groups), len(self.pairs), len(self.which)
        head = f"{n} rows in {len(np.unique(self.groups))} groups; near duplicates are within "
        head += f"{self.threshold:.4f}"
        head += f"; {k} of {m} pairs" if k < m else ""
        if m == 0:
            return head
        table: list[tuple[str, ...]] = [_HEADINGS]
        for pair in self.which:
            i, j = self.pairs[pair].tolist()
            labels = ("", "") if self.y is None else (str(self.y[i]), str(self.y[j]))
            items = [self.shown.get(place) for place in (i, j)]
            texts = [short(item, _WIDTH // 2) if isinstance(item, str) else "" for item in items]
            table.append((str(i), str(j), f"{self.distances[pair]:.4f}", *labels, *texts))
        filled = [column for column in zip(*table, strict=True) if any(column[1:])]
        return "\n".join([head, *lines(zip(*filled, strict=True), left={3, 4, 5, 6})])


def _rows(display: DuplicatesDisplay) -> list[int]:
    return np.unique(display.pairs[display.which]).tolist()
