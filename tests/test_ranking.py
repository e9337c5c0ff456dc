"""How well features suit labels: scores equal to their formulas, computed another way."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_pretrained import (
    PretrainedImageFeaturizer,
    RankingDisplay,
    list_layers,
    memory_cache,
    rank_features,
)
from sklearn_pretrained.ranking import _estimates

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


def test_rows_of_zeros_have_no_evidence():
    """A layer that is dead gives no number, and no warning."""
    assert np.isnan(_estimates.logme(np.zeros((6, 3)), np.eye(2)[[0, 1] * 3]))


def test_h_score_is_the_trace_of_its_formula():
    """Covariance of the class means, whitened by that of the rows."""
    X, y = IRIS
    means = np.array([X[y == k].mean(0) for k in range(3)])[y]
    expected = np.trace(np.linalg.pinv(np.cov(X.T)) @ np.cov(means.T))
    (rank,) = rank_features({"rows": X}, None, y)

    assert rank.h_score == pytest.approx(expected, abs=1e-6)


def test_scores_are_those_of_published_code():
    """LogME's authors' code, carried on until nothing moves, theirs for LEEP, and the H-score's."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(90, 8))
    y = (rows[:, :3] + random.normal(size=(90, 3))).argmax(axis=1)
    numbers = rows[:, 0] + random.normal(size=90)
    (classes,), (regression,) = (rank_features({"": rows}, None, t) for t in (y, numbers))

    assert classes.logme == pytest.approx(-0.823053475, abs=1e-6)
    assert regression.logme == pytest.approx(-1.600756208, abs=1e-6)
    assert classes.h_score == pytest.approx(0.650747172, abs=1e-6)
    own = softmax(rows, axis=1)
    assert _estimates.leep(own, np.eye(3)[y]) == pytest.approx(-1.031967702, abs=1e-6)


def test_leep_asks_the_networks_own_classes(patches):
    """Whatever layer is read; rows of numbers, and regression, have none."""
    y = np.array([0] * 12 + [1] * 12)
    featurizer = PretrainedImageFeaturizer(image_size=64, layer="features.3")
    memory_cache().clear()
    ranking = rank_features({"early": featurizer, "rows": np.eye(24)}, patches, y)
    early, rows = sorted(ranking, key=lambda rank: rank.name)
    again = clone(featurizer).fit(patches)
    again.transform(patches)
    own = softmax(clone(featurizer).set_params(layer="output").fit_transform(patches), axis=1)
    likelihoods = [
        sum(own[i, z] * own[y == y[i], z].sum() / own[:, z].sum() for z in range(1000))
        for i in range(24)
    ]

    assert early.leep == pytest.approx(np.log(likelihoods).mean(), abs=1e-6)
    assert np.isnan(rows.leep)
    assert again.counts_.computed == 0
    (numbers,) = rank_features({"": featurizer}, patches, np.linspace(0, 1, 24))
    assert np.isnan(numbers.leep)


def test_a_featurizer_alone_stands_for_its_layers(patches):
    """Each with the operations that a row costs; the cross-validated score comes first."""
    y = np.array([0] * 12 + [1] * 12)
    featurizer = PretrainedImageFeaturizer(image_size=64)
    ranking = rank_features(featurizer, patches, y, cv=3)
    table = list_layers(featurizer)
    costs = {layer.name: layer.cost * table.plan.flops for layer in table}

    assert {rank.name for rank in ranking} == {layer.name for layer in table} - {"output"}
    assert all(rank.flops == pytest.approx(costs[rank.name]) for rank in ranking)
    probes = [rank.probe for rank in ranking]
    assert probes == sorted(probes, reverse=True)
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    best = clone(featurizer).set_params(layer=ranking[0].name).fit_transform(patches)
    assert probes[0] == cross_val_score(head, best.astype(float), y, cv=3).mean()
    assert repr(ranking).split()[:4] == ["name", "width", "GFLOP", "probe"]
    with pytest.raises(TypeError, match="a featurizer, or a dict of names"):
        rank_features([featurizer], patches, y)


def test_a_ranking_is_drawn_the_best_on_top():
    """Accuracies on the axis, a marker each; what has another scale in columns beside it."""
    X, y = IRIS
    _, ax = plt.subplots()
    display = RankingDisplay.from_features({"sepals": X[:, :2], "all": X}, None, y, ax=ax)
    best = display.ranking[0]

    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert [label.get_text() for label in ax.get_yticklabels()] == ["all", "sepals"]
    assert [line.get_xdata()[0] for line in ax.lines] == [best.ridge, best.knn]
    told = [text.get_text() for text in ax.texts]
    assert told[:2] == ["LogME", f"{best.logme:.2f}"]
    assert "LEEP" not in told
    assert repr(display) == repr(display.ranking)
    plt.close("all")


def test_ridge_and_neighbours_leave_one_row_out_for_real(monkeypatch):
    """As 442, or 150, fits do."""
    X, y = load_diabetes(return_X_y=True)
    centred = X - X.mean(0)
    penalty = 0.01 * (np.linalg.svd(centred)[1] ** 2).mean()
    monkeypatch.setattr(_estimates, "_PENALTIES", np.array([0.01]))
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
    head = ["name", "width", "GFLOP", "ridge", "knn", "LogME", "H-score", "LEEP"]
    assert repr(ranking).splitlines()[0].split() == head
    assert list(ranking.to_frame()["width"]) == [1280, 1280, 4]


def test_labels_that_tell_nothing_are_refused():
    """One class, or a number of labels that is not that of the rows."""
    with pytest.raises(ValueError, match="only one distinct value"):
        rank_features({"rows": np.eye(4)}, None, [1, 1, 1, 1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        rank_features({"rows": np.eye(4)}, None, [0, 1, 1])
    with pytest.raises(ValueError, match="task must be"):
        rank_features({"rows": np.eye(4)}, None, [0, 1, 1, 0], task="ranking")
