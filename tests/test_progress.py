"""Bars: one for a whole search, through scikit-learn's callbacks."""

from __future__ import annotations

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import PretrainedImageFeaturizer, memory_cache

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has no callbacks")


def test_one_bar_shows_a_whole_search(patches, capsys):
    """Of all candidates and folds; the featurizer itself need not say anything."""
    memory_cache().clear()
    featurizer = PretrainedImageFeaturizer(image_size=64)
    search = GridSearchCV(
        make_pipeline(featurizer, LogisticRegression()),
        {"pretrainedimagefeaturizer__layer": [0, 1]},
        cv=2,
    )
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=0))
    search.fit(patches, [0] * 12 + [1] * 12)
    shown = capsys.readouterr()

    assert "GridSearchCV" in shown.out
    assert "100%" in shown.out
    assert "PretrainedImageFeaturizer" not in shown.out
    assert shown.err == ""


def test_a_search_with_verbose_says_only_what_is_computed(patches, capsys):
    """Folds and layers that are known add no line."""
    memory_cache().clear()
    featurizer = PretrainedImageFeaturizer(image_size=64, verbose=True)
    GridSearchCV(
        make_pipeline(featurizer, LogisticRegression()),
        {"pretrainedimagefeaturizer__layer": [0, 1, 2]},
        cv=2,
    ).fit(patches, [0] * 12 + [1] * 12)
    said = [line for line in capsys.readouterr().err.splitlines() if "requested" in line]

    assert len(said) == 2  # each fold's test rows are the other's training rows
    assert all("12 to compute" in line for line in said)
