"""The candidate that a search ships: the cheapest layer that is nearly as good as the best."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sklearn_pretrained import (
    LayerScoreDisplay,
    PretrainedImageFeaturizer,
    cheapest_within_one_se,
)

LAYERS = ["penultimate", "features.6", "features.2"]


def pipeline(**parameters):
    featurizer = PretrainedImageFeaturizer(image_size=64, **parameters)
    return Pipeline([("featurizer", featurizer), ("head", LogisticRegression())])


def results(scores, name="score", **varied):
    """Write what a search would: a list of scores over folds for each candidate."""
    folds = np.array(scores, float)
    params = [
        dict(zip(varied, values, strict=True)) for values in zip(*varied.values(), strict=True)
    ]
    table = {f"param_{key}": np.array(values, object) for key, values in varied.items()}
    table |= {f"split{k}_test_{name}": folds[:, k] for k in range(folds.shape[1])}
    return table | {
        "params": params,
        f"mean_test_{name}": folds.mean(1),
        f"std_test_{name}": folds.std(1),
    }


def test_the_starred_layer_is_the_one_that_is_shipped(patches):
    """best_estimator_ reads what LayerScoreDisplay marks, through a clone of the search too."""
    model = pipeline()
    grid = {"featurizer__layer": LAYERS, "head__C": [0.01, 1]}
    search = GridSearchCV(model, grid, cv=4, refit=cheapest_within_one_se(model))
    search = clone(search).fit(patches, [0] * 12 + [1] * 12)
    (curve,) = LayerScoreDisplay.from_search(search, plot=False).curves

    assert search.best_params_ == curve.cheapest.params
    assert search.cv_results_["params"][search.best_index_] == curve.cheapest.params
    assert search.best_estimator_[0].layer == curve.cheapest.name
    assert pickle.loads(pickle.dumps(search)).best_index_ == search.best_index_


@pytest.mark.parametrize(("middle", "index"), [(0.85, 2), (0.80, 0)])
def test_one_standard_error_of_the_mean_over_folds_is_the_limit(middle, index):
    """0.9 ± 0.0577 reaches down to 0.842; the better head of the cheap layer is taken."""
    scores = [[0.8, 1.0, 0.8, 1.0], [middle - 0.05] * 4, [middle] * 4, [0.5] * 4]
    layers = ["penultimate", "features.6", "features.6", "features.2"]
    table = results(scores, featurizer__layer=layers, head__C=[1, 0.01, 1, 1])

    assert cheapest_within_one_se(pipeline())(table) == index


@pytest.mark.filterwarnings("ignore::sklearn_pretrained.exceptions.RandomWeightsWarning")
def test_networks_are_compared_by_operations():
    """The best of all sets the threshold: half of ResNet-18 is dearer than all of MobileNetV2."""
    models = ["resnet18", "mobilenet_v2", "mobilenet_v2"]
    scores = [[0.8, 1.0, 0.8, 1.0], [0.88] * 4, [0.6] * 4]
    table = results(scores, featurizer__model=models, featurizer__layer=[0.5, 1.0, 0.5])

    assert cheapest_within_one_se(pipeline(weights=None))(table) == 1


def test_one_split_and_failed_fits_leave_the_best_alone():
    """Without an error to allow for, a cheaper layer must be as good."""
    table = results([[0.9], [0.89], [np.nan]], featurizer__layer=LAYERS)
    assert cheapest_within_one_se(pipeline())(table) == 0

    table = results([[np.nan]] * 3, featurizer__layer=LAYERS)
    with pytest.raises(ValueError, match="None of the candidates has a score"):
        cheapest_within_one_se(pipeline())(table)


def test_several_scores_want_to_know_which():
    """The metric names it; a search over no layer is refused."""
    table = results([[0.9, 0.9], [0.5, 0.5]], "f1", featurizer__layer=LAYERS[:2])
    table |= {f"mean_test_{name}": np.ones(2) for name in ["loss"]}
    with pytest.raises(ValueError, match="pass metric, one of"):
        cheapest_within_one_se(pipeline())(table)
    assert cheapest_within_one_se(pipeline(), metric="f1")(table) == 0

    with pytest.raises(ValueError, match="that end in 'layer'"):
        cheapest_within_one_se(pipeline())(results([[1.0, 1.0]], head__C=[1]))
