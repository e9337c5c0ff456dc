"""Recipes: what decides a row has one fingerprint, and only that decides it."""

from __future__ import annotations

import pytest

from sklearn_pretrained.recipe import _recipe
from sklearn_pretrained.recipe._recipe import Bundle, fingerprint


def test_the_order_of_facts_does_not_matter():
    """Two recipes with the same facts are the same."""
    assert fingerprint({"a": 1, "b": [2, 3]}) == fingerprint({"b": [2, 3], "a": 1})


def test_every_fact_matters():
    """A change anywhere gives another fingerprint."""
    base = {"network": "n", "preprocessing": {"mean": [0.5]}, "weights": "w"}
    others = [
        {**base, "network": "m"},
        {**base, "preprocessing": {"mean": [0.25]}},
        {**base, "weights": "v"},
    ]
    assert len({fingerprint(facts) for facts in [base, *others]}) == 4


def test_raising_the_version_makes_every_stored_row_unknown(monkeypatch):
    """Rows of an older recipe version are never served."""
    before = fingerprint({"a": 1})
    monkeypatch.setattr(_recipe, "RECIPE_VERSION", _recipe.RECIPE_VERSION + 1)

    assert fingerprint({"a": 1}) != before


def test_the_fingerprint_is_the_same_in_every_process():
    """A stored row is found again tomorrow: this value changes with RECIPE_VERSION alone."""
    expected = "0b6594f4002d11b5f1d65c9082eb78150d07c95dd447040c2a5c82122f15de93"

    assert fingerprint({"network": "n", "size": 224}) == expected


def test_a_fact_that_has_no_canonical_form_is_refused():
    """NaN is not JSON, and would not equal itself."""
    with pytest.raises(ValueError, match="JSON"):
        fingerprint({"a": float("nan")})


def test_a_bundle_knows_where_its_outputs_lie():
    """Outputs lie side by side in their order."""
    bundle = Bundle("r", (("a:avg", 3), ("b:avg", 2)))

    assert bundle.width == 5
    assert bundle.offsets == {"a:avg": slice(0, 3), "b:avg": slice(3, 5)}
