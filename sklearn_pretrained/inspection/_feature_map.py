"""Rows of features → a map of them in two dimensions, with images or texts on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, check_consistent_length

from ..process import need
from ..reporting import lines
from ._items import Shown, features, short, small, thumbnails
from ._marks import COLOURS, MARKERS, spread

_NEAR = 5


class FeatureMapDisplay:
    """A map of features in two dimensions, with thumbnails of images or texts on it.

    Use `from_estimator` or `from_features` to create a display. Printing it shows a table: how
    often a row's nearest rows, in all dimensions, bear its label. Read more in the
    :doc:`User Guide </insight>`.

    Parameters
    ----------
    positions : ndarray of shape (n_samples, 2)
        Where each row lies.
    y : ndarray of shape (n_samples,), default=None
        Labels.
    agreement : ndarray of shape (n_samples,), default=None
        For each row, the share of its nearest rows that bear its label.
    shown : dict of int to ndarray or str, default=None
        Small images or texts of items, by their positions in X.
    method : str, default="pca"
        How the map was made.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    NeighborsDisplay : Show the rows that are nearest to a row.

    Notes
    -----
    PCA keeps distances as well as two dimensions can; t-SNE and UMAP keep neighbours, and neither
    sizes of groups nor distances between them mean much there.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_pretrained import FeatureMapDisplay, PretrainedImageFeaturizer
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> featurizer = PretrainedImageFeaturizer(
    ...     image_shape=(8, 8), value_range=(0, 16), image_size=32
    ... )
    >>> display = FeatureMapDisplay.from_estimator(featurizer.fit(X), X[:60], y[:60])
    >>> display.positions.shape
    (60, 2)
    """

    def __init__(
        self,
        *,
        positions: NDArray[Any],
        y: NDArray[Any] | None = None,
        agreement: NDArray[Any] | None = None,
        shown: dict[int, Shown] | None = None,
        method: str = "pca",
    ) -> None:
        self.positions = positions
        self.y = y
        self.agreement = agreement
        self.shown = shown or {}
        self.method = method

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        method: str = "pca",
        random_state: Any = 0,
        n_shown: int = 60,
        ax: Any = None,
        plot: bool = True,
        **kwargs: Any,
    ) -> FeatureMapDisplay:
        """Create a map of what a fitted estimator makes of items.

        Parameters
        ----------
        estimator : fitted estimator
            A featurizer, or a pipeline that begins with one; what stands before its predictor
            gives the rows.
        X : array-like of items
            Images or texts.
        y : array-like of shape (n_samples,), default=None
            Labels, for colours and markers.
        method : {"pca", "tsne", "umap"}, default="pca"
            How rows are projected onto two dimensions; "umap" needs the extra ``umap``.
        random_state : int, RandomState or None, default=0
            Decides the course of "tsne" and "umap".
        n_shown : int, default=60
            Maximum number of thumbnails or texts on the map; 0 shows only points.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        plot : bool, default=True
            Whether to plot at once. Without a plot, matplotlib is not needed.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        FeatureMapDisplay
            The display.
        """
        display = cls.from_features(
            features(estimator, X), y, method=method, random_state=random_state, plot=False
        )
        display.shown = thumbnails(estimator, X, spread(display.positions, n_shown))
        return display.plot(ax=ax, **kwargs) if plot else display

    @classmethod
    def from_features(
        cls,
        rows: Any,
        y: ArrayLike | None = None,
        *,
        items: Any = None,
        method: str = "pca",
        random_state: Any = 0,
        n_shown: int = 60,
        ax: Any = None,
        plot: bool = True,
        **kwargs: Any,
    ) -> FeatureMapDisplay:
        """Create a map of rows that are known.

        Parameters
        ----------
        rows : array-like of shape (n_samples, n_features)
            Features, as returned by a featurizer's ``transform``.
        y : array-like of shape (n_samples,), default=None
            Labels, for colours and markers.
        items : sequence of images or texts, default=None
            The items that the rows belong to, for thumbnails; a string is an image if it is the
            path of a file.
        method : {"pca", "tsne", "umap"}, default="pca"
            As in `from_estimator`.
        random_state : int, RandomState or None, default=0
            Decides the course of "tsne" and "umap".
        n_shown : int, default=60
            Maximum number of thumbnails or texts on the map; 0 shows only points.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        plot : bool, default=True
            Whether to plot at once. Without a plot, matplotlib is not needed.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        FeatureMapDisplay
            The display.
        """
        rows = check_array(rows, dtype=np.float64, ensure_min_samples=3)
        y = None if y is None else np.asarray(y)
        check_consistent_length(rows, y, items)
        positions = _flat(rows, method, random_state)
        shown = {}
        if items is not None:
            items = getattr(items, "iloc", items)  # a Series is read by position
            shown = {int(i): small(items[int(i)]) for i in spread(positions, n_shown)}
        agreement = None if y is None else _agreement(rows, y)
        display = cls(positions=positions, y=y, agreement=agreement, shown=shown, method=method)
        return display.plot(ax=ax, **kwargs) if plot else display

    def plot(self, ax: Any = None, *, zoom: float = 0.6, letters: int = 22) -> FeatureMapDisplay:
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        zoom : float, default=0.6
            Size of thumbnails, which have 64 pixels at 1.
        letters : int, default=22
            Letters that are shown of each text.

        Returns
        -------
        FeatureMapDisplay
            The display.
        """
        plt = need("matplotlib.pyplot", install="matplotlib", purpose="FeatureMapDisplay.plot")
        if ax is None:
            _, ax = plt.subplots(figsize=(8, 6), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        colours = ["black"] * len(self.positions)
        groups = [None] if self.y is None else list(np.unique(self.y))
        for k, group in enumerate(groups):
            rows = (
                np.arange(len(self.positions)) if group is None else np.flatnonzero(self.y == group)
            )
            colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
            ax.scatter(*self.positions[rows].T, s=18, color=colour, marker=marker, label=group)
            for i in rows.tolist():
                colours[i] = colour
        for i, item in self.shown.items():
            self._show(item, self.positions[i], colours[i], zoom, letters)
        ax.margins(0.08)
        ax.set(xticks=[], yticks=[], xlabel=f"{self.method} 1", ylabel=f"{self.method} 2")
        if self.y is not None:
            ax.legend(loc="best", framealpha=0.9)
        return self

    def _show(self, item: Shown, at: Any, colour: str, zoom: float, letters: int) -> None:
        from matplotlib.offsetbox import AnnotationBbox, OffsetImage

        if isinstance(item, str):
            self.ax_.annotate(
                short(item, letters).replace("$", r"\$"), at, xytext=(4, 2), color=colour,
                textcoords="offset points", fontsize="x-small",
            )  # fmt: skip
        elif item is not None:
            frame = {"edgecolor": colour, "linewidth": 2, "boxstyle": "square,pad=0.05"}
            self.ax_.add_artist(
                AnnotationBbox(OffsetImage(item, zoom=zoom), at, bboxprops=frame, pad=0.05)
            )

    def __repr__(self) -> str:
        head = f"{len(self.positions)} rows, {self.method}"
        if self.y is None or self.agreement is None:
            return head
        table: list[tuple[str, ...]] = [("label", "rows", f"same label in nearest {_NEAR}")]
        for group in np.unique(self.y):
            mine = self.agreement[self.y == group]
            table.append((str(group), str(len(mine)), f"{mine.mean():.3f}"))
        return "\n".join([head, *lines(table, left={0})])


def _flat(rows: NDArray[Any], method: str, random_state: Any) -> NDArray[Any]:
    if method == "pca":
        return PCA(2, random_state=random_state).fit_transform(rows)
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(rows) - 1) / 3)
        return TSNE(perplexity=perplexity, random_state=random_state).fit_transform(rows)
    if method == "umap":
        umap = need("umap", install="sklearn-pretrained[umap]", purpose="method='umap'")
        return umap.UMAP(random_state=random_state, n_jobs=1).fit_transform(rows)
    raise ValueError(f"method must be 'pca', 'tsne' or 'umap', got {method!r}.")


def _agreement(rows: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    n = min(_NEAR, len(rows) - 1)
    near = NearestNeighbors(n_neighbors=n).fit(rows).kneighbors(return_distance=False)
    return (y[near] == y[:, None]).mean(axis=1)
