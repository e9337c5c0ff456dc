"""What a search tells of layers: scores, costs, and the cheapest that is good enough."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline

from sklearn_pretrained import (
    LayerScoreDisplay,
    PretrainedImageFeaturizer,
    cheapest_within_one_se,
    list_layers,
)
from sklearn_pretrained.inspection import _scores

LAYERS = ["features.2", "features.6", "features.13", "penultimate"]
COSTS = {layer.name: layer.cost for layer in list_layers("mobilenet_v2", image_size=64)}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def pipeline(**parameters):
    featurizer = PretrainedImageFeaturizer(image_size=64, **parameters)
    return Pipeline([("featurizer", featurizer), ("head", LogisticRegression())])


def searched(patches, grid=None, estimator=None, **options):
    grid = grid or {"featurizer__layer": LAYERS, "head__C": [0.01, 1]}
    search = GridSearchCV(estimator or pipeline(), grid, cv=4, **options)
    return search.fit(patches, [0] * 12 + [1] * 12)


@pytest.fixture
def search(patches):
    return searched(patches)


def with_scores(search, scores):
    """Put other scores into a search: a layer, one for each fold."""
    results = search.cv_results_
    for i, params in enumerate(results["params"]):
        folds = np.asarray(scores[params["featurizer__layer"]], float) - 0.01 * (i % 2)
        for k, score in enumerate(folds):
            results[f"split{k}_test_score"][i] = score
        results["mean_test_score"][i], results["std_test_score"][i] = folds.mean(), folds.std()
    return search


def test_each_layer_stands_with_its_best_head_and_its_cost(search):
    """Scores are those of the search, costs those of list_layers."""
    (curve,) = LayerScoreDisplay.from_search(search).curves

    assert [score.name for score in curve.scores] == LAYERS
    for score in curve.scores:
        rows = [
            i
            for i, params in enumerate(search.cv_results_["params"])
            if params["featurizer__layer"] == score.name
        ]
        assert score.mean == max(search.cv_results_["mean_test_score"][rows])
        assert score.cost == COSTS[score.name]
        assert score.params in [search.cv_results_["params"][i] for i in rows]
    assert curve.best.mean == search.best_score_


def test_the_cheapest_layer_within_one_standard_error_of_the_best_is_marked(search):
    """The error is that of the mean over folds."""
    scores = {
        "features.2": [0.5, 0.6, 0.5, 0.6],
        "features.6": [0.84, 0.86, 0.84, 0.86],
        "features.13": [0.8, 1.0, 0.8, 1.0],
        "penultimate": [0.7, 0.9, 0.7, 0.9],
    }
    (curve,) = LayerScoreDisplay.from_search(with_scores(search, scores)).curves
    error = np.std(scores["features.13"], ddof=1) / 2

    assert curve.best.name == "features.13"
    assert curve.best.error == pytest.approx(error)
    assert curve.threshold == pytest.approx(0.9 - error)
    assert curve.cheapest.name == "features.6"
    scores["features.6"] = [0.83, 0.85, 0.83, 0.85]
    (curve,) = LayerScoreDisplay.from_search(with_scores(search, scores)).curves
    assert curve.cheapest.name == "features.13"


def test_the_drawing_holds_scores_spread_and_names(search):
    """The layers stand below with their costs; a star marks the cheapest that is good enough."""
    display = LayerScoreDisplay.from_search(search)
    (curve,) = display.curves
    means = [score.mean for score in curve.scores]

    np.testing.assert_array_equal(display.lines_[0].get_ydata(), means)
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == [f"{s.name} ({s.cost:.0%})" for s in curve.scores]
    (star,) = [line for line in display.ax_.lines if line.get_marker() == "*"]
    assert star.get_xdata()[0] == LAYERS.index(curve.cheapest.name)
    assert display.figure_ is display.ax_.figure

    _, ax = plt.subplots()
    again = display.plot(ax=ax, x="cost", score_name="accuracy", negate_score=True)
    assert again.ax_ is ax
    assert ax.get_ylabel() == "accuracy"
    np.testing.assert_array_equal(again.lines_[0].get_ydata(), -np.array(means))
    drawn = np.asarray(again.lines_[0].get_xdata(), float)
    np.testing.assert_allclose(drawn, [100 * COSTS[n] for n in LAYERS])


def test_several_searches_lie_side_by_side(patches, search):
    """A dict names them; they are compared by cost."""
    other = searched(patches, {"featurizer__layer": [0.5, 1.0]})
    display = LayerScoreDisplay.from_search({"all": search, "two": other})

    assert [curve.name for curve in display.curves] == ["all", "two"]
    assert [len(curve.scores) for curve in display.curves] == [4, 2]
    assert "%" in display.ax_.get_xlabel()
    names = [curve.name for curve in LayerScoreDisplay.from_search([search, other]).curves]
    assert names == ["search 1", "search 2"]
    with pytest.raises(ValueError, match="over the same layers; use x='cost'"):
        display.plot(x="layer")
    with pytest.raises(ValueError, match="No search was given"):
        LayerScoreDisplay.from_search([])


@pytest.mark.filterwarnings("ignore::sklearn_pretrained.exceptions.RandomWeightsWarning")
def test_networks_of_one_search_get_a_curve_each(patches):
    """Depths carry over from one network to another."""
    grid = {
        "featurizer__model": ["mobilenet_v2", "squeezenet1_1"],
        "featurizer__layer": [0.5, 1.0],
    }
    search = searched(patches, grid, pipeline(weights=None))
    display = LayerScoreDisplay.from_search(search)

    assert [curve.name for curve in display.curves] == ["mobilenet_v2", "squeezenet1_1"]
    assert all(len(curve.scores) == 2 for curve in display.curves)


def test_the_table_needs_no_drawing(search):
    """As text and as a DataFrame."""
    display = LayerScoreDisplay.from_search(search, plot=False)
    frame = display.to_frame()

    assert not hasattr(display, "ax_")
    assert list(frame["layer"]) == LAYERS
    assert frame["best"].sum() == frame["cheapest_within_one_error"].sum() == 1
    lines = repr(display).splitlines()
    assert lines[0] == "mobilenet_v2: 4 layers"
    assert lines[1].split() == ["layer", "cost", "GFLOP", "score", "±", "std"]
    assert [line.split()[0] for line in lines[2:]] == LAYERS
    assert "cheapest within one standard error" in repr(display)


def test_failed_fits_are_no_scores(search):
    """A layer of which all fits failed is left out of the choice."""
    scores = dict.fromkeys(LAYERS, [0.9] * 4) | {"features.2": [np.nan] * 4}
    (curve,) = LayerScoreDisplay.from_search(with_scores(search, scores)).curves
    assert curve.cheapest.name == "features.6"

    scores = dict.fromkeys(LAYERS, [np.nan] * 4)
    (curve,) = LayerScoreDisplay.from_search(with_scores(search, scores)).curves
    assert curve.best is None
    assert curve.cheapest is None


def test_a_halving_search_counts_its_last_rounds(patches):
    """Early rounds score over fewer rows, and are no match for later ones."""
    search = HalvingGridSearchCV(
        pipeline(), {"featurizer__layer": LAYERS}, cv=2, min_resources=8, factor=2, random_state=0
    ).fit(patches, [0, 1] * 12)
    (curve,) = LayerScoreDisplay.from_search(search).curves
    results = search.cv_results_

    assert max(results["iter"]) > 0
    for score in curve.scores:
        rows = [i for i, p in enumerate(results["params"]) if p == score.params]
        assert score.mean == results["mean_test_score"][rows[-1]]


def test_a_search_of_several_scores_wants_to_know_which(patches):
    """Unless it refits by one of them."""
    scoring = ["accuracy", "neg_log_loss"]
    search = searched(patches, scoring=scoring, refit="accuracy")
    (curve,) = LayerScoreDisplay.from_search(search).curves
    assert curve.best.mean == search.best_score_
    (curve,) = LayerScoreDisplay.from_search(search, metric="neg_log_loss").curves
    assert curve.best.mean == max(search.cv_results_["mean_test_neg_log_loss"])

    with pytest.raises(ValueError, match="metric='f1' is not a score of this search; it has"):
        LayerScoreDisplay.from_search(search, metric="f1")
    search.refit = False
    with pytest.raises(ValueError, match="has several scores; pass metric, one of"):
        LayerScoreDisplay.from_search(search)


def test_a_featurizer_is_found_wherever_it_is(patches):
    """Inside a FeatureUnion, or as several layers side by side."""
    union = FeatureUnion([("images", PretrainedImageFeaturizer(image_size=64))])
    nested = Pipeline([("all", union), ("head", LogisticRegression())])
    grid = {"all__images__layer": ["features.2", ["features.2", "features.6"]]}
    (curve,) = LayerScoreDisplay.from_search(searched(patches, grid, nested)).curves

    assert [score.name for score in curve.scores] == ["features.2", "features.2+features.6"]
    assert curve.scores[1].cost == COSTS["features.6"]


def test_a_search_over_no_layer_is_refused(patches):
    """The error says what is needed; so does one that was not fitted."""
    search = searched(patches, {"head__C": [0.1, 1]})
    with pytest.raises(ValueError, match=r"parameters that end in 'layer'.*\['head__C'\]"):
        LayerScoreDisplay.from_search(search)
    with pytest.raises(ValueError, match="x must be"):
        LayerScoreDisplay(curves=[]).plot(x="depth")
    with pytest.raises(AttributeError, match="not fitted"):
        LayerScoreDisplay.from_search(GridSearchCV(pipeline(), {"featurizer__layer": LAYERS}))


@pytest.fixture
def two(patches):
    """A search over the layers of two featurizers side by side."""
    union = FeatureUnion(
        [
            ("large", PretrainedImageFeaturizer(image_size=64)),
            ("small", PretrainedImageFeaturizer(image_size=32)),
        ]
    )
    estimator = Pipeline([("union", union), ("head", LogisticRegression())])
    grid = {"union__small__layer": [2, 6], "union__large__layer": [3, 8, -1]}
    return searched(patches, grid, estimator, refit=cheapest_within_one_se(estimator))


def test_grids_may_vary_the_second_layer_or_not(two, patches):
    """Where a grid has no value for it, it is the estimator's own."""
    large, small = "union__large__layer", "union__small__layer"
    grids = [{large: [3, 8]}, {large: [3], small: [2]}]
    found = LayerScoreDisplay.from_search(searched(patches, grids, two.estimator))

    assert [len(curve.scores) for curve in found.curves] == [2, 1]


def test_the_layer_and_what_is_trained_are_no_two_layers():
    """What reading and training cost cannot be added."""
    results = {"param_featurizer__layer": [3], "param_train_from": [8], "params": [{}]}
    with pytest.raises(ValueError, match="must vary the layer of one featurizer or of two, or"):
        _scores._layer_parameters(results)


def test_of_two_layers_one_is_the_axis_and_the_other_makes_lines(two):
    """The one with more values lies along the axis; costs are those of both networks together."""
    display = LayerScoreDisplay.from_search(two)
    wide, narrow = (list_layers("mobilenet_v2", image_size=size).plan for size in (64, 32))

    assert [curve.name for curve in display.curves] == [
        "mobilenet_v2 at features.2",
        "mobilenet_v2 at features.6",
    ]
    for curve, small in zip(display.curves, ["features.2", "features.6"], strict=True):
        assert [score.name for score in curve.scores] == ["features.3", "features.8", "features.18"]
        for score in curve.scores:
            flops = wide.flops * wide.layers[score.name].cost
            flops += narrow.flops * narrow.layers[small].cost
            assert score.flops == pytest.approx(flops)
            assert score.cost == pytest.approx(flops / (wide.flops + narrow.flops))
            assert score.mean == two.cv_results_["mean_test_score"][score.index]
    ticks = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert ticks == ["features.3", "features.8", "features.18"]
    assert len(display.lines_) == 2


def test_a_search_over_two_layers_has_one_star(two):
    """Within one standard error of the best of all; it is what the search ships."""
    display = LayerScoreDisplay.from_search(two, plot=False)
    scores = [score for curve in display.curves for score in curve.scores]
    best = max(scores, key=lambda score: score.mean)
    good = [score for score in scores if score.mean >= best.mean - best.error]
    (star,) = (curve.cheapest for curve in display.curves if curve.cheapest is not None)

    assert star == min(good, key=lambda score: score.flops)
    assert two.best_index_ == star.index
    assert repr(display).count("cheapest within one standard error") == 1
    frame = display.to_frame()
    assert frame["cheapest_within_one_error"].sum() == 1
