"""A fitted estimator and one item → what each place or word adds to a decision, drawn or told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..process import need
from ..reporting import lines
from ._painting import COLOURS, paint_image, paint_words

_TOLD = 10
_METHODS = ("exact", "occlusion")


class ContributionDisplay:
    """Contributions of the positions of an image, or the tokens of a text, to a decision.

    If features are means over positions, the decision value of a linear head is a sum of one
    contribution per position, without approximation. Scalers, PCA and other linear steps in
    between are taken into account. Use `from_estimator` to create a display. Printing it shows a
    table. Read more in the :doc:`User Guide </insight>`.

    Parameters
    ----------
    contributions : ndarray of shape (rows, columns) or (n_words,)
        The contribution of each position of the image, or of each token.
    constant : float
        The part that belongs to no position: the intercept, and the centres of scalers. NaN for
        occlusion.
    decision : float
        The decision value, or for occlusion the score of the whole item.
    class_ : object, default=None
        The class that is explained; None for regression.
    words : list of str, default=None
        The tokens, including special tokens; None for an image.
    pixels : ndarray of shape (height, width, 3), default=None
        The image.
    box : tuple of (left, top, right, bottom), default=None
        The part of the image that the network receives, in pixels.
    method : {"exact", "occlusion"}, default="exact"
        How the contributions were computed.

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
    ``contributions.sum() + constant`` is the decision value, up to the precision of the features
    (about 1e-6 of the terms that are summed). A position of a deep layer depends on a larger part
    of the image than it covers, so contributions show only roughly where the evidence is. If the
    encoder L2-normalises rows, the norm is that of the whole row.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_pretrained import ContributionDisplay, PretrainedImageFeaturizer
    >>> X, y = load_sample_images().images, ["palace", "flower"]
    >>> pipeline = make_pipeline(PretrainedImageFeaturizer(), LogisticRegression()).fit(X, y)
    >>> display = ContributionDisplay.from_estimator(pipeline, X[0], class_="palace")
    >>> display.contributions.shape
    (7, 7)
    >>> total = display.contributions.sum() + display.constant
    >>> bool(abs(total - pipeline.decision_function(X[:1])[0]) < 1e-5)
    True
    """

    def __init__(
        self,
        *,
        contributions: NDArray[np.float64],
        constant: float,
        decision: float,
        class_: Any = None,
        words: Sequence[str] | None = None,
        pixels: NDArray[np.uint8] | None = None,
        box: tuple[float, float, float, float] | None = None,
        method: str = "exact",
    ) -> None:
        self.contributions = contributions
        self.constant = constant
        self.decision = decision
        self.class_ = class_
        self.words = words
        self.pixels = pixels
        self.box = box
        self.method = method

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        item: Any,
        *,
        class_: Any = None,
        method: str = "exact",
        n_places: int = 7,
        verbose: bool = False,
        ax: Any = None,
        plot: bool = True,
        **kwargs: Any,
    ) -> ContributionDisplay:
        """Explain one decision of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            A pipeline that begins with a featurizer, a fine-tuned classifier or regressor, or a
            search over one of these.
        item : image or text
            One item, in any form that the featurizer accepts.
        class_ : object, default=None
            The class to explain. None is the predicted class. For regression with several targets,
            the index of the target.
        method : {"exact", "occlusion"}, default="exact"
            "exact" requires features that are means over positions and a linear head, and raises an
            error otherwise. "occlusion" works with every estimator: it covers one position at a
            time and shows how much the score decreases. This is an approximation, and takes one
            forward pass per position.
        n_places : int, default=7
            Number of rows and columns of rectangles that occlusion covers one by one.
        verbose : bool, default=False
            Whether to show a progress bar for occlusion.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        plot : bool, default=True
            Whether to plot at once. Without a plot, matplotlib is not needed.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ContributionDisplay
            The display.
        """
        from ._explain import exact, occlusion

        if method not in _METHODS:
            raise ValueError(f"method must be 'exact' or 'occlusion', got {method!r}.")
        if method == "exact":
            found = exact(estimator, item, class_)
        else:
            found = occlusion(estimator, item, class_, n_places, verbose=verbose)
        display = cls(**found, method=method)
        return display.plot(ax=ax, **kwargs) if plot else display

    def plot(
        self, ax: Any = None, *, cmap: str = COLOURS, alpha: float = 0.6, colorbar: bool = True
    ) -> ContributionDisplay:
        """Draw the contributions over the image, or behind the words.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        cmap : str, default="PuOr_r"
            A diverging colour map.
        alpha : float, default=0.6
            Opacity of the colours over an image.
        colorbar : bool, default=True
            Whether to draw a colour bar.

        Returns
        -------
        ContributionDisplay
            The display.
        """
        plt = need("matplotlib.pyplot", install="matplotlib", purpose="ContributionDisplay.plot")
        if ax is None:
            size = (6.4, 4.8) if self.words is None else (7, 1.6 + sum(map(len, self.words)) / 160)
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        if self.words is not None:
            shown = paint_words(ax, self.words, self.contributions, cmap=cmap)
        else:
            assert self.pixels is not None
            height, width = self.pixels.shape[:2]
            box = self.box or (0, 0, width, height)
            shown = paint_image(ax, self.pixels, self.contributions, box, cmap=cmap, alpha=alpha)
        if colorbar:
            self.figure_.colorbar(shown, ax=ax, label=self._unit(), shrink=0.9)
        ax.set_title(self._heading(), fontsize="medium")
        return self

    def _unit(self) -> str:
        return "fall of the score" if self.method == "occlusion" else "part of the decision"

    def _heading(self) -> str:
        name = "prediction" if self.class_ is None else str(self.class_)
        if self.method == "occlusion":
            return f"{name}: score {self.decision:.3g}, places hidden one by one"
        total = self.contributions.sum()
        sign = "+" if self.constant >= 0 else "−"
        return (
            f"{name}: {self.decision:.3g} = {total:.3g} {sign} {abs(self.constant):.3g} (constant)"
        )

    def __repr__(self) -> str:
        flat = self.contributions.ravel()
        order = np.argsort(-np.abs(flat), kind="stable")[:_TOLD]
        rows: list[tuple[str, ...]] = [("place" if self.words is None else "word", self._unit())]
        rows += [(self._place(int(i)), f"{flat[i]:+.4f}") for i in order]
        rest = len(flat) - len(order)
        if rest and self.method == "exact":
            rows.append((f"{rest} others", f"{flat.sum() - flat[order].sum():+.4f}"))
        if self.method == "exact":
            rows.append(("constant", f"{self.constant:+.4f}"))
        return "\n".join([self._heading(), *lines(rows, left={0})])

    def _place(self, i: int) -> str:
        if self.words is not None:
            return self.words[i]
        assert self.pixels is not None
        rows, columns = self.contributions.shape
        left, top, right, bottom = self.box or (0, 0, *self.pixels.shape[1::-1])
        x = left + (right - left) * (i % columns + 0.5) / columns
        y = top + (bottom - top) * (i // columns + 0.5) / rows
        return f"row {i // columns}, column {i % columns} (pixel {x:.0f}, {y:.0f})"
