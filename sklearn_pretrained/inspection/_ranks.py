"""A ranking of features → its scores side by side, with what a row costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..process import need
from ..ranking import FeatureRanking, rank_features
from ._marks import COLOURS, MARKERS

_SCORES = {
    "probe": "linear, cross-validated",
    "ridge": "ridge, leave one out",
    "knn": "5 nearest, leave one out",
}
_SIZES = (11, 7, 4.5)  # so that none hides another
_ESTIMATES = {"logme": "LogME", "h_score": "H-score", "leep": "LEEP"}


class RankingDisplay:
    """Scores of several candidates' features, with their estimates and costs beside them.

    Use `from_features` to create a display. Printing it shows the table. Read more in the
    :doc:`User Guide </insight>`.

    Parameters
    ----------
    ranking : FeatureRanking
        What `rank_features` returns.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    rank_features : The ranking as a table.
    LayerScoreDisplay : Scores of a search over layers.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn_pretrained import RankingDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> RankingDisplay.from_features({"means": X[:, :10], "all": X}, None, y, plot=False)
    name   width   ridge     knn    LogME  H-score
    all       30  0.9438  0.9227  -0.1850   0.7743
    means     10  0.8998  0.8770  -0.2436   0.6828
    """

    def __init__(self, *, ranking: FeatureRanking) -> None:
        self.ranking = ranking

    @classmethod
    def from_features(
        cls,
        features: Any,
        X: Any,
        y: Any,
        *,
        task: str = "auto",
        cv: Any = None,
        ax: Any = None,
        plot: bool = True,
        **kwargs: Any,
    ) -> RankingDisplay:
        """Rank features and plot the ranking.

        Parameters
        ----------
        features : featurizer, or dict of str to array-like or featurizer
            As in `rank_features`.
        X : list or array-like
            Images or texts for the featurizers. None if all candidates are rows.
        y : array-like of shape (n_samples,)
            Classes, or numbers for regression.
        task : {"auto", "classification", "regression"}, default="auto"
            As in `rank_features`.
        cv : int, splitter or None, default=None
            As in `rank_features`.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        plot : bool, default=True
            Whether to plot at once. Without a plot, matplotlib is not needed.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        RankingDisplay
            The display.
        """
        display = cls(ranking=rank_features(features, X, y, task=task, cv=cv))
        return display.plot(ax=ax, **kwargs) if plot else display

    def plot(self, ax: Any = None, *, score_name: str | None = None) -> RankingDisplay:
        """Plot the scores of each candidate on a line, the best on top.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        score_name : str, default=None
            Label of the x axis. None uses "accuracy", or "R²" for regression.

        Returns
        -------
        RankingDisplay
            The display.
        """
        plt = need("matplotlib.pyplot", install="matplotlib", purpose="RankingDisplay.plot")
        from matplotlib.transforms import ScaledTranslation

        n = len(self.ranking)
        if ax is None:
            _, ax = plt.subplots(figsize=(8, 1.8 + 0.32 * n), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        for k, (name, told) in enumerate(_SCORES.items()):
            values = [getattr(rank, name) for rank in self.ranking]
            if not np.isnan(values).all():
                ax.plot(
                    values, range(n), MARKERS[k], color=COLOURS[k], label=told,
                    markersize=_SIZES[k], clip_on=False,
                )  # fmt: skip
        ax.set_yticks(range(n), [_title(rank) for rank in self.ranking])
        ax.set_ylim(n - 0.5, -0.5)
        ax.grid(axis="y", color="0.85")
        ax.set_axisbelow(True)
        regression = all(np.isnan(rank.h_score) for rank in self.ranking)
        ax.set_xlabel(score_name or ("R²" if regression else "accuracy"))
        self._estimates()
        below = ScaledTranslation(0, -42 / 72, self.figure_.dpi_scale_trans)
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=ax.transAxes + below,
            ncols=3, fontsize="small", frameon=False, columnspacing=1, handletextpad=0.2,
        )  # fmt: skip
        return self

    def _estimates(self) -> None:
        """Write what has another scale as columns right of the axes."""
        place = self.ax_.get_yaxis_transform()
        known = {
            name: title
            for name, title in _ESTIMATES.items()
            if not np.isnan([getattr(rank, name) for rank in self.ranking]).all()
        }
        for k, (name, title) in enumerate(known.items()):
            shared = {
                "xycoords": place, "textcoords": "offset points", "xytext": (48 + 46 * k, 0),
                "ha": "right", "va": "center", "fontsize": "small", "annotation_clip": False,
            }  # fmt: skip
            self.ax_.annotate(title, (1, -0.8), **shared)
            for i, rank in enumerate(self.ranking):
                value = getattr(rank, name)
                self.ax_.annotate("" if np.isnan(value) else f"{value:.2f}", (1, i), **shared)

    def __repr__(self) -> str:
        return repr(self.ranking)


def _title(rank: Any) -> str:
    return rank.name if np.isnan(rank.flops) else f"{rank.name}  ({rank.flops / 1e9:.2g} GFLOP)"
