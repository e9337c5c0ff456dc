"""A search over layers, folds and heads: each distinct row goes through the network once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sklearn_pretrained import (
    FeatureCache,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    memory_cache,
)

LAYERS = ["features.3", "features.6", "features.10", "features.14", "penultimate"]
STATES = [1, 2, 3, 4, "penultimate"]
TEXTS = [f"{word} number {i}" for i in range(12) for word in ("flower", "engine")]


def search(featurizer, layers, **options):
    pipeline = Pipeline([("featurizer", featurizer), ("head", LogisticRegression())])
    grid = {"featurizer__layer": layers, "head__C": [0.1, 1, 10]}
    return GridSearchCV(pipeline, grid, cv=5, error_score="raise", **options)


@pytest.fixture
def some(patches):
    """Make 24 pictures of two kinds, the first of them twice."""
    return [*patches, patches[0]], [0] * 12 + [1] * 12 + [0]


def test_images_go_through_the_network_once(some, forwarded):
    """With default parameters; a second search costs nothing, and the cache says so."""
    memory_cache().clear()
    before = memory_cache().stats()["forwards"]
    X, y = some
    first = search(PretrainedImageFeaturizer(image_size=64), LAYERS).fit(X, y)
    assert sum(forwarded) == 24
    again = search(PretrainedImageFeaturizer(image_size=64), LAYERS[::-1]).fit(X, y)

    assert sum(forwarded) == memory_cache().stats()["forwards"] - before == 24
    assert again.best_score_ == first.best_score_
    assert again.best_estimator_["featurizer"].counts_.known == 25


def test_texts_go_through_the_network_once(forwarded):
    """As images do, with default parameters."""
    memory_cache().clear()
    search(PretrainedTextFeaturizer(), STATES).fit([*TEXTS, TEXTS[0]], [0, 1] * 12 + [0])

    assert sum(forwarded) == 24


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_two_processes_share_the_work_through_a_file(kind, some, tmp_path):
    """The rows are computed once in total, and a second run computes none."""
    X, y = some if kind == "images" else ([*TEXTS, TEXTS[0]], [0, 1] * 12 + [0])
    cache = FeatureCache(tmp_path / "features.sqlite")
    if kind == "images":
        featurizer, layers = PretrainedImageFeaturizer(image_size=64, cache=cache), LAYERS
    else:
        featurizer, layers = PretrainedTextFeaturizer(cache=cache), STATES
    shared = search(featurizer, layers, n_jobs=2).fit(X, y)
    assert cache.stats()["forwards"] == cache.stats()["rows"] == 24

    again = search(featurizer, layers, n_jobs=2).fit(X, y)
    assert cache.stats()["forwards"] == 24
    alone = search(featurizer.set_params(cache=None), layers).fit(X, y)
    for other in (shared, again):
        np.testing.assert_array_equal(
            other.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
        )


def test_a_path_is_a_cache_too(some, tmp_path, forwarded):
    """As a str or a Path; another run of the program would find the same rows."""
    X, y = some
    for path in (str(tmp_path / "rows"), tmp_path / "rows"):
        search(PretrainedImageFeaturizer(image_size=64, cache=path), LAYERS).fit(X, y)

    assert sum(forwarded) == 24


@pytest.mark.parametrize("cache", ["memory", "file", None])
def test_rows_never_depend_on_the_cache(cache, some, tmp_path):
    """Cold or warm, in memory, on disk or without."""
    memory_cache().clear()
    X, _ = some
    plain = PretrainedImageFeaturizer(image_size=64, cache=None).fit_transform(X)
    place = tmp_path / "rows" if cache == "file" else cache
    ours = PretrainedImageFeaturizer(image_size=64, cache=place)
    for _ in range(2):
        np.testing.assert_allclose(ours.fit_transform(X), plain, rtol=1e-5, atol=1e-6)
