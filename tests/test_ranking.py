"""How well features suit labels: scores equal to their formulas, computed another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from sklearn_pretrained import PretrainedImageFeaturizer, _ranking, rank_features

IRIS = load_iris(return_X_y=True)


def evidence(rows, y):
    """Maximise the density of y itself: Gaussian, with covariance I/b + F Fᵀ/a."""

    def negative(logs):
        a, b = np.exp(logs)
        covariance = np.eye(len(y)) / b + rows @ rows.T / a
        return -multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)

    options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 2000}
    return -minimize(negative, [0, 0], method="Nelder-Mead", options=options).fun / len(y)


@pytest.mark.parametrize("width", [4, 60])
def test_logme_is_the_maximum_of_the_evidence(width):
    """Found by a search over both precisions, for fewer and for more features than rows."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, width))
    y = rows[:, 0] + rng.normal(size=40)
    (rank,) = rank_features({"rows": rows}, None, y)
    assert rank.logme == pytest.approx(evidence(rows, y), abs=1e-6)
    assert np.isnan(rank.h_score)

    classes = np.digitize(y, [-0.5, 0.5])
    (rank,) = rank_features({"rows": rows}, None, classes)
    expected = np.mean([evidence(rows, (classes == k).astype(float)) for k in range(3)])
    assert rank.logme == pytest.approx(expected, abs=1e-6)


def test_h_score_is_the_trace_of_its_formula():
    """Covariance of the class means, whitened by that of the rows."""
    X, y = IRIS
    means = np.array([X[y == k].mean(0) for k in range(3)])[y]
    expected = np.trace(np.linalg.pinv(np.cov(X.T)) @ np.cov(means.T))
    (rank,) = rank_features({"rows": X}, None, y)

    assert rank.h_score == pytest.approx(expected, abs=1e-6)


def test_ridge_and_neighbours_leave_one_row_out_for_real(monkeypatch):
    """As 442, or 150, fits do."""
    X, y = load_diabetes(return_X_y=True)
    centred = X - X.mean(0)
    penalty = 0.01 * (np.linalg.svd(centred)[1] ** 2).mean()
    monkeypatch.setattr(_ranking, "_PENALTIES", np.array([0.01]))
    (rank,) = rank_features({"rows": X}, None, y, task="regression")
    slow = cross_val_predict(Ridge(alpha=penalty), X, y, cv=LeaveOneOut())
    assert rank.ridge == pytest.approx(r2_score(y, slow), abs=1e-6)

    X, y = IRIS
    (rank,) = rank_features({"rows": X}, None, y)
    neighbours = KNeighborsClassifier(5, metric="cosine", algorithm="brute")
    assert rank.knn == (cross_val_predict(neighbours, X, y, cv=LeaveOneOut()) == y).mean()


def test_candidates_are_rows_and_featurizers_the_best_first(patches):
    """A featurizer is not fitted in place; the table prints and is a DataFrame."""
    y = np.array(["palace"] * 12 + ["flower"] * 12)
    deep = PretrainedImageFeaturizer(image_size=64)
    fitted = clone(deep).fit(patches)
    noise = np.random.default_rng(0).normal(size=(24, 4))
    ranking = rank_features({"noise": noise, "deep": deep, "fitted": fitted}, patches, y)

    assert [rank.name for rank in ranking] == ["deep", "fitted", "noise"]
    assert not hasattr(deep, "n_features_out_")
    assert ranking[0].ridge == ranking[1].ridge > 0.9
    assert repr(ranking).splitlines()[0].split() == [
        "name",
        "width",
        "ridge",
        "knn",
        "LogME",
        "H-score",
    ]
    assert list(ranking.to_frame()["width"]) == [1280, 1280, 4]


def test_labels_that_tell_nothing_are_refused():
    """One class, or a number of labels that is not that of the rows."""
    with pytest.raises(ValueError, match="only one distinct value"):
        rank_features({"rows": np.eye(4)}, None, [1, 1, 1, 1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        rank_features({"rows": np.eye(4)}, None, [0, 1, 1])
    with pytest.raises(ValueError, match="task must be"):
        rank_features({"rows": np.eye(4)}, None, [0, 1, 1, 0], task="ranking")
