"""Candidates' rows and labels → how well each suits the labels, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from ._optional import need
from ._text_table import lines

_NEIGHBOURS = 5
_PENALTIES = np.logspace(-4, 4, 17)  # times the rows' mean square


@dataclass(frozen=True)
class FeatureRank:
    """One candidate: its name, its width, and four scores, of which higher is better."""

    name: str
    width: int
    ridge: float
    knn: float
    logme: float
    h_score: float


class FeatureRanking(tuple[FeatureRank, ...]):
    """Candidates, the best by ``ridge`` first; printed, it is a table."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame."""
        pd = need("pandas", install="pandas", purpose="FeatureRanking.to_frame")
        return pd.DataFrame([asdict(rank) for rank in self])

    def __repr__(self) -> str:
        rows: list[tuple[object, ...]] = [("name", "width", "ridge", "knn", "LogME", "H-score")]
        for rank in self:
            scores = (rank.ridge, rank.knn, rank.logme, rank.h_score)
            rows.append((rank.name, rank.width, *(f"{score:.4f}" for score in scores)))
        return "\n".join(lines(rows, left={0}))


def rank_features(
    features: Mapping[str, Any], X: Any, y: Any, *, task: str = "auto"
) -> FeatureRanking:
    """Rank features by how well they suit the labels, without a search.

    Read more in the :doc:`User Guide </insight>`.

    Parameters
    ----------
    features : dict of str to array-like or featurizer
        Candidates by name: rows of shape (n_samples, n_features), or a featurizer that computes
        them from ``X``. A featurizer that is not fitted is cloned and fitted.
    X : list or array-like
        Images or texts for the featurizers. None if all candidates are rows.
    y : array-like of shape (n_samples,)
        Classes, or numbers for regression.
    task : {"auto", "classification", "regression"}, default="auto"
        The kind of target. "auto" treats integers as classes, as scikit-learn does; use
        "regression" for ages or counts.

    Returns
    -------
    FeatureRanking
        A tuple of records with ``name``, ``width``, ``ridge``, ``knn``, ``logme`` and ``h_score``,
        sorted by ``ridge``. It is printed as a table and has a method ``to_frame``.

    See Also
    --------
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

    References
    ----------
    .. [1] You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning",
       ICML 2021.
    .. [2] Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer
       Learning", ICIP 2019.

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
    for name, candidate in features.items():
        rows = check_array(_rows(candidate, X), dtype=float, ensure_min_samples=3)
        check_consistent_length(rows, y)
        ranks.append(
            FeatureRank(
                name,
                rows.shape[1],
                _score(_ridge(rows, targets), targets),
                _score(_knn(rows, targets), targets),
                _logme(rows, targets),
                np.nan if continuous else _h_score(rows, targets),
            )
        )
    return FeatureRanking(sorted(ranks, key=lambda rank: -rank.ridge))


def _rows(candidate: Any, X: Any) -> Any:
    if not hasattr(candidate, "transform"):
        return candidate
    try:
        check_is_fitted(candidate)
    except NotFittedError:
        return clone(candidate).fit_transform(X)
    return candidate.transform(X)


def _score(predicted: np.ndarray, targets: np.ndarray) -> float:
    if targets.shape[1] > 1:
        return float((predicted.argmax(1) == targets.argmax(1)).mean())
    return float(1 - ((targets - predicted) ** 2).sum() / ((targets - targets.mean()) ** 2).sum())


def _knn(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Predict each row from its nearest others."""
    k = min(_NEIGHBOURS, len(rows) - 1)
    nearest = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(rows)
    return targets[nearest.kneighbors(return_distance=False)].mean(1)


def _ridge(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Predict each row by a ridge regression with intercept over the others."""
    n, means = len(rows), targets.mean(0)
    u, s, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    found, least = np.broadcast_to(means, targets.shape), np.inf
    for penalty in _PENALTIES * max((s**2).mean(), np.finfo(float).tiny):
        shrunk = u * (s**2 / (s**2 + penalty))
        own = 1 / n + (shrunk * u).sum(1, keepdims=True)
        residuals = (targets - means - shrunk @ (u.T @ (targets - means))) / (1 - own)
        if (error := float((residuals**2).sum())) < least:
            found, least = targets - residuals, error
    return found


def _logme(rows: np.ndarray, targets: np.ndarray) -> float:
    """Maximise the evidence of each target by MacKay's fixed point; the mean, per row."""
    n, d = rows.shape
    u, s, _ = np.linalg.svd(rows, full_matrices=False)
    evidence = []
    for y in targets.T:
        z, square = u.T @ y, s**2
        outside = max(float(y @ y - z @ z), 0.0)
        alpha = beta = 1.0
        for _ in range(500):
            curvature = alpha + beta * square
            m = float(((beta * s * z / curvature) ** 2).sum())
            error = float(((alpha * z / curvature) ** 2).sum()) + outside
            gamma = float((beta * square / curvature).sum())
            before, tiny = alpha / beta, 1e-12
            alpha, beta = gamma / max(m, tiny), (n - gamma) / max(error, tiny)
            if abs(alpha / beta - before) <= 1e-9 * before:
                break
        curvature = alpha + beta * square
        m = float(((beta * s * z / curvature) ** 2).sum())
        error = float(((alpha * z / curvature) ** 2).sum()) + outside
        determinant = float(np.log(curvature).sum()) + (d - len(s)) * np.log(alpha)
        fit = n * np.log(beta / (2 * np.pi)) + d * np.log(alpha) - beta * error - alpha * m
        evidence.append((fit - determinant) / (2 * n))
    return float(np.mean(evidence))


def _h_score(rows: np.ndarray, targets: np.ndarray) -> float:
    """Share of the rows' whitened variance that lies between classes."""
    u, s, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    u = u[:, s > s.max(initial=0) * max(rows.shape) * np.finfo(float).eps]
    return float((((u.T @ targets) ** 2).sum(0) / targets.sum(0)).sum())
