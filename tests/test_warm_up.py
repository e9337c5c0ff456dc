"""What `warm_up` does beforehand is not done again, and rows stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.running import eager
from sklearn_pretrained.running.eager import _registry
from tests.conftest import relative_error


def cases(patches):
    """Make featurizers with their items."""
    texts = ["rain on the old bridge", "a stone", "nobody knew " * 30] * 8
    numbers = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    return {
        "images": (PretrainedImageFeaturizer(layer=2, image_size=64), patches),
        "texts": (PretrainedTextFeaturizer(layer=1), texts),
        "tokens": (PretrainedTextFeaturizer(layer=1, pooling="none"), texts),
        "numbers": (ModuleFeaturizer(nn.Sequential(nn.Linear(5, 3), nn.ReLU())), numbers),
    }


@pytest.mark.parametrize("kind", ["images", "texts", "tokens", "numbers"])
def test_no_row_waits_for_what_was_done(kind, patches, monkeypatch):
    """Neither loading nor rearranging is left to the first requests."""
    featurizer, X = cases(patches)[kind]
    featurizer.set_params(cache=None).fit(X)
    expected = featurizer.transform(X)
    eager.unload()

    assert featurizer.warm_up() is featurizer
    monkeypatch.setattr(_registry, "_make", lambda *_: pytest.fail("a network was loaded"))
    monkeypatch.setattr(_registry, "_rearranged", lambda *_: pytest.fail("it was rearranged"))
    rows = featurizer.transform(X)

    for row, right in zip(rows, expected, strict=True):
        assert relative_error(row[None].reshape(1, -1), right[None].reshape(1, -1)) < 1e-5
    eager.unload()


def test_what_is_not_fitted_is_not_warmed_up():
    """There is no network yet."""
    with pytest.raises(NotFittedError):
        PretrainedImageFeaturizer().warm_up()
