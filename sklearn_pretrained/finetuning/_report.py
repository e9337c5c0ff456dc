"""A featurizer, X and y → whether training pays: scores, costs and one line to act on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, KFold, check_cv
from sklearn.utils.multiclass import type_of_target

from ..process import need
from ..reporting import lines
from ._trial import Trial, Way, compare

_HEADINGS = ("", "trained", "score", "± error", "gain", "± error", "p", "fit", "file", "row")
_DEPTHS = (-2, -3, -5)
_FROZEN_LAYERS = (0.6, 0.8, 1.0)


class AdaptationReport:
    """What `adaptation_report` found; printed, it is a table that ends in a verdict.

    Parameters
    ----------
    ways : list of Way
        The frozen network first.
    unit : str
        What scores are, in words.
    """

    def __init__(self, ways: list[Way], *, unit: str = "points") -> None:
        self.ways, self.unit = ways, unit

    @property
    def best(self) -> Way:
        """The way of the largest gain, where that is larger than its error; else the frozen one."""
        most = max(self.ways[1:], key=lambda way: way.gain, default=self.ways[0])
        return most if most.gain > most.gain_error else self.ways[0]

    @property
    def verdict(self) -> str:
        """One line that a person can act on."""
        best = self.best
        if best is self.ways[0]:
            tuned = [way for way in self.ways if way.trained] or self.ways
            most = max(tuned, key=lambda way: way.gain)
            return f"stay frozen: {most.name} gains {self._gain(most)}"
        return (
            f"{best.name}: {self._gain(best)}, {_duration(best.seconds)}, "
            f"a file of {_size(best.n_bytes)}"
        )

    def _gain(self, way: Way) -> str:
        scale = 100 if self.unit == "points" else 1
        return f"{scale * way.gain:+.1f} ± {scale * way.gain_error:.1f} {self.unit}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values.

        Returns
        -------
        dict
            ``"verdict"``, and ``"ways"``: for each its scores, gain, error, p value and costs.
        """
        ways = [{**vars(way), "scores": way.scores.tolist()} for way in self.ways]
        return {"verdict": self.verdict, "ways": ways}

    def to_frame(self) -> Any:
        """Return the table.

        Returns
        -------
        pandas DataFrame
            One line for each way.
        """
        pd = need("pandas", install="pandas", purpose="AdaptationReport.to_frame")
        return pd.DataFrame(
            [
                {
                    "way": way.name,
                    "trained": way.trained,
                    "score": way.mean,
                    "error": way.error,
                    "gain": way.gain,
                    "gain_error": way.gain_error,
                    "p_value": way.p_value,
                    "fit_seconds": way.seconds,
                    "bytes": way.n_bytes,
                    "row_seconds": way.row_seconds,
                }
                for way in self.ways
            ]
        )

    def __repr__(self) -> str:
        table = [
            (
                way.name, f"{way.trained:.0%}", f"{way.mean:.3f}", f"{way.error:.3f}",
                f"{way.gain:+.3f}", f"{way.gain_error:.3f}", f"{way.p_value:.2f}",
                _duration(way.seconds), _size(way.n_bytes), f"{1000 * way.row_seconds:.1f} ms",
            )
            for way in self.ways
        ]  # fmt: skip
        return "\n".join([*lines([_HEADINGS, *table], left={0}), self.verdict])


def adaptation_report(
    featurizer: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    groups: Any = None,
    depths: Sequence[Any] = _DEPTHS,
    layers: Sequence[Any] = _FROZEN_LAYERS,
    scoring: Any = None,
    train_sizes: Sequence[float] = (),
    random_state: Any = 0,
    **parameters: Any,
) -> AdaptationReport:
    """Compare the frozen network with fine-tuning from several layers, on the same folds.

    Parameters
    ----------
    featurizer : estimator
        One of this package's featurizers.
    X : array-like of items
        The items, as the featurizer accepts them.
    y : array-like
        Labels or numbers.
    cv : int or splitter, default=5
        The folds.
    groups : array-like, default=None
        Groups of rows; all rows of a group are in the same fold.
    depths : sequence of str, int or float, default=(-2, -3, -5)
        Values of ``train_from`` to try; layers above which there are no weights are skipped.
    layers : sequence of str, int or float, default=(0.6, 0.8, 1.0)
        Frozen layers to try in addition to the featurizer's own; the best is chosen within each
        fold.
    scoring : str or callable, default=None
        The score. None means accuracy for classification and R² for regression.
    train_sizes : sequence of float, default=()
        Fractions of the training rows of each fold, for learning curves.
    random_state : int, default=0
        As in `FineTunedClassifier`.
    **parameters : dict
        Further parameters of `FineTunedClassifier` or `FineTunedRegressor`.

    Returns
    -------
    AdaptationReport
        The results, printed as a table with a recommendation. It has methods ``to_dict`` and
        ``to_frame``, and can be drawn by `AdaptationDisplay`.

    Notes
    -----
    Folds share training rows, so their scores vary less than scores on independent data. The
    standard errors and p-values of the gains are corrected for this with the method of Nadeau and
    Bengio.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_pretrained import PretrainedImageFeaturizer, adaptation_report
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> featurizer = PretrainedImageFeaturizer(
    ...     image_shape=(8, 8), value_range=(0, 16), image_size=32
    ... )
    >>> report = adaptation_report(
    ...     featurizer, X[:45], y[:45], cv=3, depths=["features.17"], layers=[], epochs=2
    ... )
    >>> [way.name for way in report.ways]
    ['frozen', 'train from features.17']
    """
    from ._classifier import FineTunedClassifier
    from ._regressor import FineTunedRegressor

    y = np.asarray(y)
    is_classified = not type_of_target(y).startswith("continuous")
    kind = FineTunedClassifier if is_classified else FineTunedRegressor
    frozen = kind(featurizer, train_from=None, random_state=random_state, **parameters)
    splits = list(check_cv(cv, y, classifier=is_classified).split(np.zeros(len(y)), y, groups))
    scorer = check_scoring(frozen, scoring)
    trial = Trial(X, y, splits=splits, scorer=scorer, sizes=train_sizes, groups=groups)
    ways = [trial.way("frozen", frozen, 0.0)]
    if layers:
        ways.append(trial.way("frozen, best layer", _layer_search(frozen, layers), 0.0))
    for name, share in _trained(featurizer, depths, X):
        way = trial.way(f"train from {name}", clone(frozen).set_params(train_from=name), share)
        ways.append(way)
    for way in ways[1:]:
        compare(way, ways[0], splits)
    is_share = is_classified and scoring is None
    return AdaptationReport(ways, unit="points" if is_share else "")


def _layer_search(frozen: Any, layers: Sequence[Any]) -> Any:
    own = frozen.featurizer.layer
    searched = list(dict.fromkeys([own, *layers] if not isinstance(own, list) else layers))
    folds = KFold(3, shuffle=True, random_state=0)  # any number of rows of a label will do
    return GridSearchCV(frozen, {"featurizer__layer": searched}, cv=folds)


def _trained(featurizer: Any, depths: Sequence[Any], X: Any) -> list[tuple[str, float]]:
    """Name the layers to train from, with the share of the work that lies above."""
    from ._network import cut, place

    fitted = clone(featurizer).fit(X)
    found: dict[str, float] = {}
    for depth in depths:
        try:
            name, share = place(fitted, depth)
        except ValueError:  # a network of fewer stages
            continue
        if name not in found and cut(fitted, name, X) is not None:
            found[name] = share
    return list(found.items())


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"  # noqa: PLR2004


def _size(n_bytes: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"
