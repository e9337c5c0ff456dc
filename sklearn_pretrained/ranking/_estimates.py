"""Rows of features and targets → scores of how well the one tells the other.

Targets have a column of zeros and ones for each class, or a single column of numbers.
"""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

_NEIGHBOURS = 5
_PENALTIES = np.logspace(-4, 4, 17)  # times the rows' mean square


def score(predicted: np.ndarray, targets: np.ndarray) -> float:
    """Compute the accuracy, or R² of a single column."""
    if targets.shape[1] > 1:
        return float((predicted.argmax(1) == targets.argmax(1)).mean())
    return float(1 - ((targets - predicted) ** 2).sum() / ((targets - targets.mean()) ** 2).sum())


def knn(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Predict each row from its nearest others."""
    k = min(_NEIGHBOURS, len(rows) - 1)
    nearest = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(rows)
    return targets[nearest.kneighbors(return_distance=False)].mean(1)


def ridge(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
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


def logme(rows: np.ndarray, targets: np.ndarray) -> float:
    """Maximise the evidence of each target by MacKay's fixed point; the mean, per row."""
    if not rows.any():  # a layer that is dead
        return np.nan
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


def h_score(rows: np.ndarray, targets: np.ndarray) -> float:
    """Sum of the rows' whitened variance between classes, at most one less than these."""
    u, s, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    u = u[:, s > s.max(initial=0) * max(rows.shape) * np.finfo(float).eps]
    return float((((u.T @ targets) ** 2).sum(0) / targets.sum(0)).sum())


def leep(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean log likelihood of the labels, given the network's own classes as the only features."""
    joint = targets.T @ probabilities / len(targets)
    given = joint / np.maximum(joint.sum(0), np.finfo(float).tiny)
    return float(np.log((probabilities @ given.T)[targets.astype(bool)]).mean())
