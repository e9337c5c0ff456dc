"""Which rows are learned from, how much each counts, and what is said of those that do not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from sklearn_pretrained import FineTunedClassifier, FineTunedRegressor, ModuleFeaturizer
from sklearn_pretrained.exceptions import BadItemWarning

X = np.random.RandomState(0).randn(60, 8).astype(np.float32)
Y = (X[:, 0] > 0.5).astype(int) + (X[:, 1] > 0)
LABELS = np.array(["ape", "bee", "cat"])[Y]


@pytest.fixture(scope="module")
def network():
    """Give a network, whose second and third layer are trained."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)
    )


def made(kind, network, *, on_error="nan", **parameters):
    given = {"train_from": "0", "epochs": 2, "learning_rate": 1e-2, "random_state": 0}
    given |= {"validation_fraction": 0, **parameters}
    return kind(ModuleFeaturizer(network, on_error=on_error, device="cpu"), **given)


@pytest.mark.parametrize("train_from", [None, "0"])
@pytest.mark.parametrize("labels", [LABELS, np.stack([Y == 0, Y == 1], axis=1).astype(int)])
def test_an_item_that_cannot_be_read_has_no_label(network, train_from, labels):
    """A row of NaN is not predicted as some class, whether or not the network was trained."""
    estimator = made(FineTunedClassifier, network, train_from=train_from).fit(X, labels)
    damaged = X.copy()
    damaged[3] = np.nan

    with (
        pytest.warns(BadItemWarning),
        pytest.raises(
            ValueError, match=r"1 items of X could not be read, the first at position 3|NaN"
        ),
    ):
        estimator.predict(damaged)


@pytest.mark.parametrize("objective", ["cross_entropy", "contrastive"])
@pytest.mark.parametrize("train_from", [None, "0"])
@pytest.mark.parametrize("why", ["weight", "item", "class weight"])
def test_a_class_without_a_row_to_learn_from_is_no_class(network, train_from, objective, why):
    """Columns of probabilities and `classes_` are those of the classes that were learned."""
    gone = LABELS == "bee"
    estimator = made(
        FineTunedClassifier, network, train_from=train_from, objective=objective,
        class_weight={"ape": 1, "bee": 0, "cat": 1} if why == "class weight" else None,
    )  # fmt: skip
    given = np.where(gone[:, None], np.nan, X) if why == "item" else X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadItemWarning)
        estimator.fit(given, LABELS, sample_weight=~gone if why == "weight" else None)

    assert estimator.classes_.tolist() == ["ape", "cat"]
    assert estimator.predict_proba(X).shape == (60, 2)
    np.testing.assert_array_equal(
        estimator.predict(X), estimator.classes_[estimator.predict_proba(X).argmax(axis=1)]
    )
    with pytest.raises(ValueError, match=r"the data holds one class, .*ape"):
        estimator.set_params(class_weight=None).fit(X, LABELS, sample_weight=LABELS == "ape")


def test_a_row_of_no_weight_changes_no_unit(network):
    """However far its target is from the others, training and predictions are the same."""
    target = X[:, 0].astype(float)
    marked = np.r_[np.full(5, 1e12), target[5:]]
    with_them, without = (made(FineTunedRegressor, network) for _ in range(2))
    with_them.fit(X, marked, sample_weight=np.arange(60) >= 5)
    without.fit(X[5:], target[5:])

    np.testing.assert_allclose(with_them.predict(X), without.predict(X), rtol=1e-5)
    assert with_them.history_[1]["loss"] == pytest.approx(without.history_[1]["loss"], rel=1e-5)


def test_balanced_weights_count_the_rows_that_are_used(network):
    """A row of no weight is as if it were not there."""
    used = np.arange(60) >= 20
    estimator = made(FineTunedClassifier, network, train_from=None, class_weight="balanced")
    weighed = estimator.fit(X, LABELS, sample_weight=used).predict_proba(X)

    np.testing.assert_allclose(estimator.fit(X[used], LABELS[used]).predict_proba(X), weighed)


def test_equal_weights_count_as_much_as_they_are(network):
    """As for scikit-learn's heads, whose penalty weighs against the sum of weights."""
    heavy = np.full(60, 50.0)
    frozen = made(FineTunedClassifier, network, train_from=None).fit(X, LABELS, heavy)
    features = ModuleFeaturizer(network, device="cpu").fit_transform(X)
    head = LogisticRegression(max_iter=1000).fit(features, LABELS, heavy)

    np.testing.assert_array_equal(frozen.predict_proba(X), head.predict_proba(features))


@pytest.mark.parametrize(
    ("weights", "said"),
    [(np.where(Y == 0, -1.0, 1.0), "Negative values in data passed to `sample_weight`")],
)
def test_weights_that_mean_nothing_are_refused(network, weights, said):
    """Rows of negative weight are not left out in silence."""
    with pytest.raises(ValueError, match=said):
        made(FineTunedClassifier, network).fit(X, LABELS, weights)


@pytest.mark.parametrize("train_from", [None, "0"])
def test_without_a_row_to_learn_from_that_is_what_is_said(network, train_from):
    """Instead of an error of the head."""
    estimator = made(FineTunedClassifier, network, train_from=train_from)
    with (
        pytest.warns(BadItemWarning),
        pytest.raises(ValueError, match="There is no row to learn from"),
    ):
        estimator.fit(np.full_like(X, np.nan), LABELS)


def test_targets_far_from_zero_keep_their_digits(network):
    """Seconds since 1970 are predicted as exactly as seconds since this morning."""
    seconds = 1000.0 * X[:, 0].astype(float)
    day = made(FineTunedRegressor, network, epochs=10).fit(X, seconds)
    epoch = made(FineTunedRegressor, network, epochs=10).fit(X, 1.7e9 + seconds)

    assert len(np.unique(epoch.predict(X))) == len(np.unique(day.predict(X)))
    assert epoch.score(X, 1.7e9 + seconds) == pytest.approx(day.score(X, seconds), abs=0.02)


@pytest.mark.parametrize("number", [0.0, 0.1, -1e-7, 5.0])
def test_a_target_that_is_the_same_everywhere_is_learned(network, number):
    """What is left of rounding is not taken for a unit."""
    estimator = made(FineTunedRegressor, network).fit(X, np.full(60, number))

    assert max(record["loss"] for record in estimator.history_[1:]) < 1e-3
    np.testing.assert_allclose(estimator.predict(X), number, atol=0.02)


@pytest.mark.parametrize(("offset", "unit"), [(0.0, 1e-5), (1e5, 1.0)])
def test_a_forest_is_not_taken_for_a_line(network, offset, unit):
    """Whatever the units of the targets."""
    forest = RandomForestRegressor(10, random_state=0)
    with pytest.raises(ValueError, match="is not linear in the features"):
        made(FineTunedRegressor, network, head=forest).fit(X, offset + unit * X[:, 0].astype(float))


def test_a_head_without_scores_cannot_start_training(network):
    """Which is said with what to do."""
    with pytest.raises(ValueError, match=r"has no decision_function.*objective='contrastive'"):
        made(FineTunedClassifier, network, head=RandomForestClassifier(5)).fit(X, LABELS)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (FineTunedClassifier, {}),
        (FineTunedClassifier, {"objective": "contrastive", "head": KNeighborsClassifier()}),
        (FineTunedRegressor, {}),
    ],
)
def test_training_that_ran_away_is_an_error(network, kind, parameters):
    """Without rows held out nothing else would tell; with them, the frozen network is kept."""
    estimator = made(kind, network, learning_rate=1e30, **parameters)
    with pytest.raises(ValueError, match=r"ran away: with learning_rate=1e\+30"):
        estimator.fit(X, Y)

    assert estimator.set_params(validation_fraction=0.2).fit(X, Y).best_epoch_ == 0


def test_a_fit_that_fails_leaves_nothing_of_the_one_before(network):
    """Labels of one fit are never named as those of another."""
    estimator = made(FineTunedClassifier, network).fit(X, LABELS)
    with pytest.raises(ValueError, match="at least two classes"):
        estimator.fit(X, np.zeros(60))
    with pytest.raises(NotFittedError):
        estimator.predict(X)


@pytest.mark.parametrize("train_from", [None, "0"])
def test_heads_read_arrays_whatever_transform_returns(network, train_from):
    """A head that was fitted on an array is not given a table."""
    estimator = made(FineTunedClassifier, network, train_from=train_from)
    estimator.set_output(transform="pandas").fit(X, LABELS)

    assert estimator.transform(X).shape == (60, 12)
    estimator.predict(X)  # a warning would be an error
    estimator.predict_proba(X)
