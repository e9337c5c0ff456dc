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
    """Create a ``refit`` that selects the cheapest layer within one standard error of the best.

    With it, the ``best_estimator_`` of a search over layers uses the layer that `LayerScoreDisplay`
    marks with a star. Read more in the :doc:`User Guide </insight>`.

    Parameters
    ----------
    estimator : estimator
        The estimator that is searched, fitted or not. It determines the network that the layers
        belong to, and so their costs. It is not changed.
    metric : str, default=None
        The score to use if the search has several metrics. None uses the only one.

    Returns
    -------
    callable
        Function to pass as ``refit`` to ``GridSearchCV`` or ``RandomizedSearchCV``. It takes
        ``cv_results_`` and returns ``best_index_``.

    See Also
    --------
    LayerScoreDisplay : Show the scores and costs of the layers.

    Notes
    -----
    Each layer is represented by its best candidate. If the search also varies the network, the
    threshold is that of the best of all networks, and the cost is the number of floating-point
    operations. The standard error is that of the mean over folds, computed as if folds were
    independent; with a single split, the best candidate is selected. If ``refit`` is a callable,
    scikit-learn does not set ``best_score_``; use
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
