"""An adaptation report, or training's history → drawings."""

from __future__ import annotations

from typing import Any

from ..process import need
from ._report import AdaptationReport


class AdaptationDisplay:
    """Scores of frozen and fine-tuned networks, against what is trained or the number of rows.

    Use `from_report` to create a display, or `from_estimator` to draw the history of one training.

    Parameters
    ----------
    report : AdaptationReport
        The result of `adaptation_report`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    LayerScoreDisplay : Scores of a search over layers, or over ``train_from``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pretrained.finetuning import AdaptationDisplay, AdaptationReport, Way
    >>> ways = [
    ...     Way("frozen", 0.0, np.array([0.8, 0.9]), 1, 5_000, 0.01),
    ...     Way("train from layer3", 0.2, np.array([0.9, 0.9]), 9, 8_000_000, 0.01, 0.05, 0.01),
    ... ]
    >>> display = AdaptationDisplay.from_report(AdaptationReport(ways))
    >>> display.report.verdict
    'train from layer3: +5.0 ± 1.0 points, 9 s, a file of 8.0 MB'
    """

    def __init__(self, *, report: AdaptationReport) -> None:
        self.report = report

    @classmethod
    def from_report(
        cls, report: AdaptationReport, *, kind: str = "share", ax: Any = None
    ) -> AdaptationDisplay:
        """Draw a report.

        Parameters
        ----------
        report : AdaptationReport
            The result of `adaptation_report`.
        kind : {"share", "cost", "rows"}, default="share"
            As in `plot`.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        AdaptationDisplay
            The display, drawn.
        """
        return cls(report=report).plot(kind=kind, ax=ax)

    def plot(self, *, kind: str = "share", ax: Any = None) -> AdaptationDisplay:
        """Draw mean scores with their standard errors.

        Parameters
        ----------
        kind : {"share", "cost", "rows"}, default="share"
            What the x axis shows: the share of the network's operations that are trained, the
            seconds that a fit takes, or the number of training rows (if the report has learning
            curves).
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        AdaptationDisplay
            The display itself.
        """
        plt = need("matplotlib.pyplot", install="matplotlib", purpose="AdaptationDisplay.plot")
        if kind not in {"share", "cost", "rows"}:
            raise ValueError(f"kind must be 'share', 'cost' or 'rows', got {kind!r}.")
        if kind == "rows" and not any(way.curve for way in self.report.ways):
            raise ValueError(
                "This report has no learning curves; make it with train_sizes=[0.25, 0.5]."
            )
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        for way in self.report.ways:
            if kind == "rows":
                sizes = sorted(way.curve)
                ax.plot(sizes, [way.curve[n] for n in sizes], marker="o", label=way.name)
                continue
            x = 100 * way.trained if kind == "share" else way.seconds
            ax.errorbar(x, way.mean, yerr=way.error, marker="o", capsize=3, label=way.name)
        ax.set_xlabel(
            {
                "share": "share of the network's work that is trained (%)",
                "cost": "seconds to fit",
                "rows": "rows learned from",
            }[kind]
        )
        ax.set_ylabel("score")
        ax.set_title(self.report.verdict, fontsize="medium", wrap=True)
        ax.legend()
        return self

    @staticmethod
    def from_estimator(estimator: Any, *, ax: Any = None) -> Any:
        """Draw the history of one training: losses, and the score on held-out rows.

        Parameters
        ----------
        estimator : FineTunedClassifier or FineTunedRegressor
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        matplotlib Axes
            The axes; the dotted line is the score of the frozen features.
        """
        plt = need("matplotlib.pyplot", install="matplotlib", purpose="AdaptationDisplay")
        history = estimator.history_
        if not history:
            raise ValueError("Nothing was trained, so there is no history to draw.")
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        epochs = [record["epoch"] for record in history]
        for name in ("loss", "held_out_loss", "score"):
            if name in history[-1]:
                ax.plot(epochs, [record.get(name) for record in history], label=name)
        if "score" in history[0]:
            ax.axhline(history[0]["score"], linestyle=":", color="black", label="frozen probe")
        ax.axvline(estimator.best_epoch_, linestyle="--", color="grey", label="kept")
        ax.set_xlabel("epoch")
        ax.legend()
        return ax
