"""Maps of features and nearest rows: what is shown of which rows, drawn and told."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_pretrained import FeatureMapDisplay, NeighborsDisplay, PretrainedImageFeaturizer
from sklearn_pretrained.exceptions import MissingExtraError
from sklearn_pretrained.inspection._marks import COLOURS, spread

TEXTS = ["The striker scored twice.", "Simmer the onions.", "A late goal.", "Bake the bread."]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def pipeline(patches):
    """A fitted pipeline over 24 patches of two pictures."""
    featurizer = PretrainedImageFeaturizer(image_size=64, layer="features.6")
    pipeline = make_pipeline(featurizer, StandardScaler(), LogisticRegression())
    return pipeline.fit(patches, [0] * 12 + [1] * 12)


def test_a_map_shows_what_stands_before_the_predictor(pipeline, patches):
    """Its first axis is the one on which rows differ most."""
    y = np.array([0] * 12 + [1] * 12)
    display = FeatureMapDisplay.from_estimator(pipeline, patches, y)
    rows = pipeline[:-1].transform(patches)
    known = FeatureMapDisplay.from_features(rows, y, items=patches, plot=False)

    assert np.allclose(np.abs(display.positions), np.abs(known.positions), atol=1e-3)
    assert display.positions[:, 0].std() > display.positions[:, 1].std()
    assert display.shown.keys() == known.shown.keys()
    assert all(max(picture.shape[:2]) == 64 for picture in display.shown.values())
    assert {text.get_text() for text in display.ax_.get_legend().get_texts()} == {"0", "1"}


def test_a_map_is_told_by_how_often_near_rows_bear_the_same_label():
    """In all dimensions, by scikit-learn's neighbours."""
    random = np.random.default_rng(0)
    rows = np.vstack([random.normal(size=(20, 5)), 9 + random.normal(size=(20, 5))])
    y = np.repeat(["near", "far"], 20)
    apart, mixed = (
        FeatureMapDisplay.from_features(rows, labels, plot=False)
        for labels in (y, random.permutation(y))
    )

    assert (apart.agreement == 1).all()
    assert 0.2 < mixed.agreement.mean() < 0.8
    assert "near" in str(apart)
    assert "1.000" in str(apart)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_is_the_same_each_time(method):
    """With the default random_state."""
    rows = np.random.default_rng(0).normal(size=(12, 5))
    one, other = (FeatureMapDisplay.from_features(rows, method=method, plot=False) for _ in "ab")

    assert np.array_equal(one.positions, other.positions)


def test_umap_is_used_where_it_is_installed(monkeypatch):
    """With the same random_state; and the error without it names the extra."""
    asked = []

    class Umap:
        def __init__(self, **options):
            asked.append(options)

        def fit_transform(self, rows):
            return rows[:, :2]

    rows = np.random.default_rng(0).normal(size=(12, 5))
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Umap))
    display = FeatureMapDisplay.from_features(rows, method="umap", random_state=3, plot=False)
    assert np.array_equal(display.positions, rows[:, :2])
    assert asked[0]["random_state"] == 3

    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"sklearn-pretrained\[umap\]"):
        FeatureMapDisplay.from_features(rows, method="umap", plot=False)


def test_points_that_are_shown_lie_apart():
    """The first is the first; each next one is the farthest."""
    positions = np.array([[0, 0], [0.01, 0], [1, 1], [0.99, 1], [1, 0]])

    assert spread(positions, 3) == [0, 2, 4]
    assert spread(positions, 0) == []
    assert len(spread(np.zeros((5, 2)), 3)) == 1


def test_texts_are_written_on_the_map():
    """Cut to some letters; a dollar is a dollar."""
    rows = np.random.default_rng(0).normal(size=(4, 5))
    texts = ["$5 and $6", *TEXTS[1:]]
    display = FeatureMapDisplay.from_features(rows, items=texts, ax=plt.subplots()[1], letters=9)
    display.figure_.canvas.draw()

    written = {text.get_text() for text in display.ax_.texts}
    assert r"\$5 and \$6" in written
    assert "Simmer t…" in written


def test_nearest_rows_leave_out_the_row_itself():
    """Not its copies."""
    rows = np.array([[1.0, 0], [1, 0], [1, 0.1], [0, 1]])
    display = NeighborsDisplay.from_features(rows, [0, 1], n_neighbors=2, plot=False)

    assert display.indices.tolist() == [[1, 2], [0, 2]]
    assert np.allclose(display.distances[:, 0], 0)


def test_queries_may_be_other_items(pipeline, patches):
    """Which are computed as X is."""
    display = NeighborsDisplay.from_estimator(
        pipeline, patches[1:], [patches[0], patches[5]], n_neighbors=1
    )

    assert display.indices[1, 0] == 4
    assert display.distances[1, 0] == pytest.approx(0, abs=1e-5)
    assert "nearest to query" in str(display)


def test_neighbours_are_drawn_with_labels_and_distances(pipeline, patches):
    """In a colour for the same label and another for others."""
    y = np.array(["palace"] * 12 + ["flower"] * 12)
    _, ax = plt.subplots()
    display = NeighborsDisplay.from_estimator(pipeline, patches, [0, 23], y=y, ax=ax)

    assert display.ax_ is ax
    told = [text.get_text() for text in ax.texts]
    assert "palace" in told
    assert f"{y[display.indices[0, 0]]}\n{display.distances[0, 0]:.3f}" in told
    same = y[display.indices[0, 0]] == "palace"
    frame = ax.patches[1].get_edgecolor()
    expected = plt.matplotlib.colors.to_rgba(COLOURS[0 if same else 1])
    assert frame == expected


def test_neighbours_of_texts_are_written_out():
    """With the distance before each."""
    rows = np.array([[1.0, 0], [0, 1], [1, 0.2], [0.1, 1]])
    display = NeighborsDisplay.from_features(rows, [0], items=TEXTS, n_neighbors=2)

    assert [text.get_text() for text in display.ax_.texts] == [
        "row 0  The striker scored twice.",
        "0.019  row 2  A late goal.",
        "0.900  row 3  Bake the bread.",
    ]
    assert "A late goal." in str(display)


def test_a_wrong_method_is_named():
    """With those that are right."""
    with pytest.raises(ValueError, match="method must be 'pca', 'tsne' or 'umap'"):
        FeatureMapDisplay.from_features(np.eye(4), method="mds")
