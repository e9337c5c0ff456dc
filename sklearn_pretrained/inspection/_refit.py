"""Results of a search → the candidate to ship: the cheapest that is nearly as good as the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ._scores import Curve, read_results


@dataclass(frozen=True)
class _Cheapest:
    """What `GridSearchCV` calls; it knows the estimator, since results do not tell the network."""

    estimator: Any
    metric: str | None

    def __call__(self, results: Mapping[str, Any]) -> int:
        curves = read_results(results, self.estimator, metric=self.metric)
        chosen = Curve("", tuple(score for curve in curves for score in curve.scores)).cheapest
        if chosen is None:
            raise ValueError(
                "None of the candidates has a score, so none can be chosen. Pass "
                "error_score='raise' to the search to see why."
            )
        return int(chosen.index)

    def __sklearn_clone__(self) -> _Cheapest:
        # A clone of the search may share it: nothing here is ever fitted or changed.
        return self


def cheapest_within_one_se(
    estimator: Any, *, metric: str | None = None
) -> Callable[[Mapping[str, Any]], int]:
    """Make a ``refit`` that takes the cheapest layer within one standard error of the best.

    With it ``best_estimator_`` of a search over layers reads the layer that `LayerScoreDisplay`
    stars. Read more in the :doc:`User Guide </insight>`.

    Parameters
    ----------
    estimator : estimator
        The estimator that is searched, fitted or not. It is only looked at: it tells which network
        the layers belong to, and so what they cost.
    metric : str, default=None
        Which score to choose by, where the search has several. None means the only one.

    Returns
    -------
    callable
        What to pass as ``refit`` to ``GridSearchCV`` or ``RandomizedSearchCV``. It takes
        ``cv_results_`` and returns ``best_index_``.

    See Also
    --------
    LayerScoreDisplay : Shows the scores and costs among which this chooses.

    Notes
    -----
    Each layer stands with the best of its candidates. Where a search varies networks too, the best
    of all sets the threshold, and cost is counted in floating-point operations. The standard error
    is that of the mean over folds, as if these were independent; with one split only the best
    itself is taken. Where ``refit`` is a callable, scikit-learn sets no ``best_score_``; it is
    ``cv_results_["mean_test_score"][best_index_]``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_pretrained import PretrainedImageFeaturizer, cheapest_within_one_se
    >>> X, y = load_digits(n_class=2, return_X_y=True)
    >>> featurizer = PretrainedImageFeaturizer(
    ...     image_shape=(8, 8), value_range=(0, 16), image_size=32
    ... )
    >>> pipeline = make_pipeline(featurizer, LogisticRegression())
    >>> grid = {"pretrainedimagefeaturizer__layer": ["features.13", "features.3"]}
    >>> search = GridSearchCV(pipeline, grid, cv=3, refit=cheapest_within_one_se(pipeline))
    >>> search.fit(X[:60], y[:60]).best_params_
    {'pretrainedimagefeaturizer__layer': 'features.3'}
    """
    return _Cheapest(estimator, metric)
