"""Searches over layers → score against depth, with the cost of each layer, drawn or as a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..process import need
from ..reporting import lines
from ._marks import COLOURS, MARKERS
from ._scores import Curve, LayerScore, all_curves

_MOST_LABELS, _FEW_LABELS = 24, 8
"""Layers that are named below a drawing, and those whose names may stand at an angle."""
_HEADINGS = ("layer", "cost", "GFLOP", "score", "± std", "")


class LayerScoreDisplay:
    """Scores of the layers that a search tried, against their depth.

    Use `from_search` to create a display. Printing it shows a table. The cheapest layer that scores
    within one standard error of the best is marked, since a deeper one is rarely worth its cost.

    Read more in the :doc:`guide to layers </layers>`.

    Parameters
    ----------
    curves : list of Curve
        For each network its name, and the scores and costs of its layers.
    score_name : str
        Name of the score.

    Attributes
    ----------
    curves : list of Curve
        One curve per network, with ``name``, ``scores``, ``best``, ``threshold`` and ``cheapest``.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    lines_ : list of matplotlib Line2D
        One line per curve.

    See Also
    --------
    list_layers : List the layers of a network with their costs, without a search.

    Notes
    -----
    The standard error is that of the mean over folds, computed as if folds were independent. They
    share training rows, so it is a rule of thumb rather than a statistical test.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_pretrained import LayerScoreDisplay, PretrainedImageFeaturizer
    >>> X, y = load_digits(n_class=2, return_X_y=True)
    >>> featurizer = PretrainedImageFeaturizer(
    ...     image_shape=(8, 8), value_range=(0, 16), image_size=32
    ... )
    >>> pipeline = make_pipeline(featurizer, LogisticRegression())
    >>> grid = {"pretrainedimagefeaturizer__layer": ["features.3", "features.13"]}
    >>> search = GridSearchCV(pipeline, grid, cv=3).fit(X[:60], y[:60])
    >>> display = LayerScoreDisplay.from_search(search)
    >>> display.curves[0].cheapest.name
    'features.3'
    """

    def __init__(self, *, curves: list[Curve], score_name: str = "score") -> None:
        self.curves = curves
        self.score_name = score_name

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        metric: str | None = None,
        ax: Any = None,
        plot: bool = True,
        **kwargs: Any,
    ) -> LayerScoreDisplay:
        """Create a display from one search or several.

        Parameters
        ----------
        search : fitted search, list or dict of them
            A ``GridSearchCV``, ``RandomizedSearchCV`` or halving search whose grid varies the
            ``layer`` of one featurizer or of two, or ``train_from``. If it varies other parameters
            as well, each layer is shown with its best score. Each network (``model``) has its own
            curve. Of two layers, the one with more values is on the x axis, and each value of the
            other has its own curve. A dict gives names to several searches.
        metric : str, default=None
            The score to show if the search has several. None uses the one for refitting.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        plot : bool, default=True
            Whether to plot at once. Without a plot, matplotlib is not needed.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        LayerScoreDisplay
            The display.
        """
        display = cls(curves=all_curves(search, metric=metric), score_name=metric or "score")
        return display.plot(ax=ax, **kwargs) if plot else display

    def plot(
        self,
        ax: Any = None,
        *,
        x: str = "auto",
        score_name: str | None = None,
        negate_score: bool = False,
        line_kw: dict[str, Any] | None = None,
    ) -> LayerScoreDisplay:
        """Plot scores with their standard deviation over the folds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        x : {"auto", "layer", "cost"}, default="auto"
            What the x axis shows. "layer" shows the names of the layers in order; for one curve,
            with the share of the network's cost that is needed to reach each. "cost" shows that
            share in percent. "auto" uses "layer" for one curve and for a search over two layers,
            and "cost" for several networks or searches.
        score_name : str, default=None
            Label of the y axis. None uses the name of the score.
        negate_score : bool, default=False
            Whether to plot the negated scores, for ``neg_…`` metrics.
        line_kw : dict, default=None
            Passed to matplotlib's ``errorbar``.

        Returns
        -------
        LayerScoreDisplay
            The display.
        """
        plt = need("matplotlib.pyplot", install="matplotlib", purpose="LayerScoreDisplay.plot")
        if x not in {"auto", "layer", "cost"}:
            raise ValueError(f"x must be 'auto', 'layer' or 'cost', got {x!r}.")
        alike = len({tuple(score.name for score in curve.scores) for curve in self.curves}) == 1
        one = len(self.curves) == 1
        joint = all(curve.bar is not None for curve in self.curves)
        named = x == "layer" or (x == "auto" and alike and (one or joint))
        if named and not alike:
            raise ValueError(
                "x='layer' requires curves over the same layers; use x='cost' to compare others."
            )
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: list[Any] = []
        sign = -1 if negate_score else 1
        for curve in self.curves:
            self._draw(curve, named=named, sign=sign, line_kw=line_kw or {})
        of_what = " that is trained" if self.curves[0].is_trained else ""
        if named:
            scores = self.curves[0].scores
            step = -(-len(scores) // _MOST_LABELS)
            told = [f"{s.name} ({s.cost:.0%})" if one else s.name for s in scores[::step]]
            ax.set_xticks(range(0, len(scores), step), told)
            ax.tick_params(axis="x", labelrotation=90 if len(scores) > _FEW_LABELS else 45)
            for label in ax.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor", va="center")
            ax.set_xlabel(f"layer, and share of the network's cost{of_what}" if one else "layer")
        else:
            whose = "the networks'" if joint else "the network's"
            ax.set_xlabel(f"share of {whose} cost{of_what or ' at the layer'} (%)")
        ax.set_ylabel(score_name or self.score_name)
        ax.legend(fontsize="small" if joint else None)
        return self

    def _draw(self, curve: Curve, *, named: bool, sign: int, line_kw: dict[str, Any]) -> None:
        k = next(i for i, one in enumerate(self.curves) if one is curve)
        aside = 0.08 * (k - (len(self.curves) - 1) / 2)  # so that bars do not hide each other

        def at(score: LayerScore) -> float:
            return curve.scores.index(score) + aside if named else 100 * score.cost

        means = [sign * score.mean for score in curve.scores]
        bars = self.ax_.errorbar(
            [at(score) for score in curve.scores],
            means,
            yerr=[score.std for score in curve.scores],
            **{
                "color": COLOURS[k % len(COLOURS)],
                "marker": MARKERS[k % len(MARKERS)],
                "capsize": 3,
                "label": curve.name,
                **line_kw,
            },
        )
        self.lines_.append(bars[0])
        colour = bars[0].get_color()
        if curve.cheapest is not None:
            self.ax_.plot(
                at(curve.cheapest), sign * curve.cheapest.mean, marker="*", markersize=16,
                linestyle="none", color=colour, markeredgecolor="black",
                label=_star(curve),
            )  # fmt: skip
        once = curve.bar is None or curve.cheapest is not None
        if np.isfinite(curve.threshold) and once:
            self.ax_.axhline(sign * curve.threshold, color=colour, linestyle=":", linewidth=1)

    def to_frame(self) -> Any:
        """Return the scores as a table.

        Returns
        -------
        pandas DataFrame
            One row per layer of each curve: its cost as a share and in operations, its score, and
            whether it is the best, and the cheapest within one standard error of the best.
        """
        pd = need("pandas", install="pandas", purpose="LayerScoreDisplay.to_frame")
        return pd.DataFrame(
            {
                "curve": curve.name,
                "layer": score.name,
                "cost": score.cost,
                "flops": score.flops,
                "mean": score.mean,
                "std": score.std,
                "standard_error": score.error,
                "best": score is curve.best,
                "cheapest_within_one_error": score is curve.cheapest,
                "params": score.params,
            }
            for curve in self.curves
            for score in curve.scores
        )

    def __repr__(self) -> str:
        return "\n\n".join(_text(curve) for curve in self.curves)


def _star(curve: Curve) -> str:
    assert curve.cheapest is not None
    name = curve.cheapest.name
    return (
        f"{name}: the cheapest within one standard error"
        if curve.bar is None
        else (f"{name}: the cheapest of all\nwithin one standard error")
    )


def _text(curve: Curve) -> str:
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for score in curve.scores:
        marks = ["best"] if score is curve.best else []
        marks += ["cheapest within one standard error"] if score is curve.cheapest else []
        rows.append(
            (
                score.name, f"{score.cost:.1%}", f"{score.flops / 1e9:.3g}", f"{score.mean:.4f}",
                f"{score.std:.4f}", ", ".join(marks),
            )
        )  # fmt: skip
    table = lines(rows, left={0, 5})
    return "\n".join([f"{curve.name}: {len(curve.scores)} layers", *table])
