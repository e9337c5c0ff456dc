"""Candidates' rows and labels → how well each suits the labels, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from ..process import need
from ..reporting import lines
from ._estimates import h_score, knn, leep, logme, ridge, score


@dataclass(frozen=True)
class FeatureRank:
    """One candidate: its name, width and cost, and its scores, of which higher is better.

    What is unknown or makes no sense is NaN.
    """

    name: str
    width: int
    ridge: float
    knn: float
    logme: float
    h_score: float
    leep: float = np.nan
    probe: float = np.nan
    flops: float = np.nan


_COLUMNS = {
    "probe": "probe",
    "ridge": "ridge",
    "knn": "knn",
    "logme": "LogME",
    "h_score": "H-score",
    "leep": "LEEP",
}


class FeatureRanking(tuple[FeatureRank, ...]):
    """Candidates, the best by ``probe`` (or ``ridge``) first; printed, it is a table."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame."""
        pd = need("pandas", install="pandas", purpose="FeatureRanking.to_frame")
        return pd.DataFrame([asdict(rank) for rank in self])

    def __repr__(self) -> str:
        known = [name for name in _COLUMNS if not np.isnan([getattr(r, name) for r in self]).all()]
        costs = any(not np.isnan(rank.flops) for rank in self)
        head = ["name", "width", *(["GFLOP"] if costs else []), *(_COLUMNS[name] for name in known)]
        rows: list[Iterable[object]] = [head]
        for rank in self:
            cost = ["" if np.isnan(rank.flops) else f"{rank.flops / 1e9:.3g}"] if costs else []
            scores = [getattr(rank, name) for name in known]
            told = ["" if np.isnan(one) else f"{one:.4f}" for one in scores]
            rows.append([rank.name, rank.width, *cost, *told])
        return "\n".join(lines(map(tuple, rows), left={0}))


def rank_features(
    features: Any, X: Any, y: Any, *, task: str = "auto", cv: Any = None
) -> FeatureRanking:
    """Rank features by how well they suit the labels, without a search.

    Read more in the :doc:`User Guide </insight>`.

    Parameters
    ----------
    features : featurizer, or dict of str to array-like or featurizer
        Candidates by name: rows of shape (n_samples, n_features), or a featurizer that computes
        them from ``X``. A featurizer that is not fitted is cloned and fitted. A single featurizer
        stands for its layers: all main stages, and the input of the classifier.
    X : list or array-like
        Images or texts for the featurizers. None if all candidates are rows.
    y : array-like of shape (n_samples,)
        Classes, or numbers for regression.
    task : {"auto", "classification", "regression"}, default="auto"
        The kind of target. "auto" treats integers as classes, as scikit-learn does; use
        "regression" for ages or counts.
    cv : int, splitter or None, default=None
        Folds for ``probe``, the cross-validated score of a linear model: a logistic regression,
        or a ridge regression. With None, it is not computed.

    Returns
    -------
    FeatureRanking
        A tuple of records with ``name``, ``width``, ``ridge``, ``knn``, ``logme``, ``h_score``,
        ``leep``, ``probe`` and ``flops``, sorted by ``probe``, or by ``ridge`` without it. It is
        printed as a table and has a method ``to_frame``.

    See Also
    --------
    RankingDisplay : Plot a ranking.
    LayerScoreDisplay : Cross-validated scores of layers, with their costs.

    Notes
    -----
    ``ridge`` and ``knn`` are leave-one-out scores: accuracy for classification, R² for regression.
    ``ridge`` is a ridge regression in closed form (on class indicators for classification). Its
    penalty is chosen by the same leave-one-out error, so the score is slightly too high. With few
    columns, it can miss a class that lies between two others. ``knn`` uses the five nearest rows by
    cosine distance. ``logme`` is the log evidence of a Bayesian linear model per row [1]_, with
    its two precisions at their maximum, averaged over classes. ``h_score`` is the trace of
    ``pinv(cov(rows)) @ cov(class means)`` [2]_, and NaN for regression. If there are
    more features than rows, it is close to the number of classes minus one and not meaningful.
    ``leep`` is the mean log likelihood of the labels if only the probabilities of the network's own
    classes were known [3]_. It compares networks, not layers, and is NaN for regression, for rows,
    and for networks without a classifier. ``flops`` are the floating-point operations that one row
    costs, as counted for `list_layers`; NaN for rows. ``probe`` scales the rows first.

    References
    ----------
    .. [1] You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning",
       ICML 2021.
    .. [2] Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer
       Learning", ICIP 2019.
    .. [3] Nguyen et al., "LEEP: A New Measure to Evaluate Transferability of Learned
       Representations", ICML 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_pretrained import rank_features
    >>> X, y = load_iris(return_X_y=True)
    >>> ranking = rank_features({"sepals": X[:, :2], "all": X}, None, y)
    >>> [rank.name for rank in ranking]
    ['all', 'sepals']
    """
    y = column_or_1d(y)
    if task not in {"auto", "classification", "regression"}:
        raise ValueError(f"task must be 'auto', 'classification' or 'regression', got {task!r}.")
    continuous = type_of_target(y) == "continuous" if task == "auto" else task == "regression"
    classes = np.unique(y)
    if len(classes) < 2:  # noqa: PLR2004 (one value tells nothing apart)
        raise ValueError("y has only one distinct value, so features cannot be ranked.")
    targets = (y[:, None] if continuous else y[:, None] == classes).astype(float)
    ranks = []
    for name, candidate in _named(features).items():
        # The network's output first: the forward that reads it keeps the layers before it.
        own = None if continuous else _probabilities(candidate, X)
        rows = check_array(_rows(candidate, X), dtype=float, ensure_min_samples=3)
        check_consistent_length(rows, y)
        ranks.append(
            FeatureRank(
                name,
                rows.shape[1],
                score(ridge(rows, targets), targets),
                score(knn(rows, targets), targets),
                logme(rows, targets),
                np.nan if continuous else h_score(rows, targets),
                np.nan if own is None else leep(own, targets),
                np.nan if cv is None else _probe(rows, y, continuous=continuous, cv=cv),
                _flops(candidate),
            )
        )
    key = "ridge" if cv is None else "probe"
    # A score is NaN where a fold failed.
    return FeatureRanking(
        sorted(ranks, key=lambda rank: -np.nan_to_num(getattr(rank, key), nan=-np.inf))
    )


def _named(features: Any) -> Mapping[str, Any]:
    """Name candidates; a featurizer alone stands for the layers that it can read."""
    if isinstance(features, Mapping):
        return features
    if not hasattr(features, "find_backbone"):
        raise TypeError(
            "features must be a featurizer, or a dict of names to featurizers or rows, got "
            f"{type(features).__name__}."
        )
    from ..layers import OUTPUT, list_layers

    names = [layer.name for layer in list_layers(features) if layer.name != OUTPUT]
    return {name: clone(features).set_params(layer=name) for name in names}


def _rows(candidate: Any, X: Any) -> Any:
    if not hasattr(candidate, "transform"):
        return candidate
    try:
        check_is_fitted(candidate)
    except NotFittedError:
        return clone(candidate).fit_transform(X)
    return candidate.transform(X)


def _probabilities(candidate: Any, X: Any) -> NDArray[Any] | None:
    """Compute the probabilities of the classes that a network was trained to tell apart."""
    if not hasattr(candidate, "find_backbone"):
        return None
    from ..layers import OUTPUT, plan

    backbone = candidate.find_backbone()
    if not backbone.has_head or len(plan(backbone).layers[OUTPUT].shape) != 1:
        return None
    outputs = clone(candidate).set_params(layer=OUTPUT, pooling="auto").fit_transform(X)
    return softmax(np.asarray(outputs, dtype=float), axis=1)


def _flops(candidate: Any) -> float:
    if not hasattr(candidate, "find_backbone"):
        return np.nan
    from ..layers import plan

    found = plan(candidate.find_backbone())
    return found.flops * max(layer.cost for layer in found.resolve(candidate.layer))


def _probe(rows: NDArray[Any], y: NDArray[Any], *, continuous: bool, cv: Any) -> float:
    head = RidgeCV(np.logspace(-3, 5, 9)) if continuous else LogisticRegression(max_iter=1000)
    return float(cross_val_score(make_pipeline(StandardScaler(), head), rows, y, cv=cv).mean())
