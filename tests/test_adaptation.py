"""The verdict: the same folds for every way, what each costs, and one line to act on."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_pretrained import (
    AdaptationDisplay,
    FineTunedClassifier,
    LayerScoreDisplay,
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    adaptation_report,
)
from sklearn_pretrained.finetuning import AdaptationReport, Way


@pytest.fixture(scope="module")
def digits():
    """Give 150 digits as numbers."""
    X, y = load_digits(return_X_y=True)
    return X[:150] / 4, y[:150]


@pytest.fixture(scope="module")
def featurizer():
    """Give a network that has learned nothing yet."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16)]
    return ModuleFeaturizer(nn.Sequential(*layers, nn.ReLU(), nn.Linear(16, 10)), device="cpu")


@pytest.fixture(scope="module")
def report(featurizer, digits):
    """Compare it frozen and trained."""
    return adaptation_report(
        featurizer, *digits, cv=3, depths=["1", "3", "5"], layers=["1", "3"], train_sizes=[0.5],
        epochs=8, learning_rate=1e-2,
    )  # fmt: skip


def test_every_way_has_scores_gains_and_costs(report):
    """The frozen network first; a layer that nothing is trained above is left out."""
    names = [way.name for way in report.ways]

    assert names == ["frozen", "frozen, best layer", "train from 1", "train from 3"]
    for way in report.ways:
        assert way.scores.shape == (3,)
        assert way.seconds > 0
        assert way.row_seconds > 0
        np.testing.assert_allclose(way.gain, np.mean(way.scores - report.ways[0].scores))
    assert report.ways[2].trained > report.ways[3].trained > 0
    assert report.ways[2].n_bytes > report.ways[0].n_bytes


def test_the_verdict_names_the_way_its_gain_and_its_costs(report):
    """Random layers lose what earlier ones still had: to read those, or to train, both gain."""
    assert report.best is not report.ways[0]
    assert report.ways[2].gain > 0
    assert report.verdict.startswith(f"{report.best.name}: +")
    assert " ± " in report.verdict
    assert "points, " in report.verdict
    assert repr(report).splitlines()[-1] == report.verdict


def test_a_gain_within_its_error_is_no_reason_to_train():
    """Then it says so, with what the best would have gained."""
    scores = np.array([0.8, 0.9])
    ways = [
        Way("frozen", 0.0, scores, 1.0, 5_000, 0.01),
        Way("train from a", 0.2, scores + 0.004, 9.0, 8_000_000, 0.01, 0.004, 0.011),
    ]

    assert AdaptationReport(ways).verdict == "stay frozen: train from a gains +0.4 ± 1.1 points"


def test_the_report_is_a_table_and_a_dictionary(report):
    """With the same numbers."""
    frame, plain = report.to_frame(), report.to_dict()

    assert list(frame["way"]) == [way["name"] for way in plain["ways"]]
    np.testing.assert_allclose(frame["score"], [np.mean(way["scores"]) for way in plain["ways"]])
    assert plain["verdict"] == report.verdict


@pytest.mark.parametrize(
    ("kind", "label"), [("share", "trained"), ("cost", "seconds"), ("rows", "rows learned from")]
)
def test_the_report_is_drawn(report, kind, label):
    """Against what is trained, what it costs, or the number of rows."""
    display = AdaptationDisplay.from_report(report, kind=kind)

    assert label in display.ax_.get_xlabel()
    assert display.ax_.get_title() == report.verdict
    assert len(display.ax_.get_legend().get_texts()) == len(report.ways)
    plt.close(display.figure_)


def test_the_course_of_a_training_is_drawn(featurizer, digits):
    """Losses, scores, the frozen probe, and the epoch that was kept."""
    estimator = FineTunedClassifier(featurizer, train_from="1", epochs=2, random_state=0)
    ax = AdaptationDisplay.from_estimator(estimator.fit(*digits))
    names = [text.get_text() for text in ax.get_legend().get_texts()]

    assert names == ["loss", "held_out_loss", "score", "frozen probe", "kept"]
    plt.close(ax.figure)


def test_a_search_over_train_from_is_drawn_against_what_is_trained():
    """Frozen costs nothing to train, and is the cheapest where it is good enough."""
    X, y = load_digits(n_class=2, return_X_y=True)
    featurizer = PretrainedImageFeaturizer(
        image_shape=(8, 8), value_range=(0, 16), image_size=32, device="cpu"
    )
    estimator = FineTunedClassifier(featurizer, epochs=1, learning_rate=1e-9, random_state=0)
    grid = {"train_from": [None, "features.16", "features.17"]}
    search = GridSearchCV(estimator, grid, cv=2, refit=False).fit(X[:40], y[:40])
    display = LayerScoreDisplay.from_search(search)
    (curve,) = display.curves

    assert [score.name for score in curve.scores] == ["frozen", "features.17", "features.16"]
    assert curve.cheapest.name == "frozen"
    assert "that is trained" in display.ax_.get_xlabel()
    plt.close(display.figure_)
