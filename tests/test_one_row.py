"""One row at a time: what has not changed is not worked out again, and what has is noticed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer, _roads
from sklearn_pretrained._sklearn import validate_data, validate_rows
from sklearn_pretrained.cache import resolve_cache
from sklearn_pretrained.exceptions import BadItemError, ProvenanceError
from sklearn_pretrained.inputs import Some, read_rows
from sklearn_pretrained.pinned import _state
from sklearn_pretrained.running import Reading, Runners, embed, embed_one
from tests.conftest import make_mlp

X = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)


@pytest.fixture
def fitted():
    featurizer = ModuleFeaturizer(make_mlp(), cache=None).fit(X)
    featurizer.transform(X[:1])
    return featurizer


@pytest.mark.parametrize("form", [lambda row: [row], lambda row: row[None]])
def test_a_row_is_the_row_that_it_is_among_others(form, fitted):
    """A list of one array and a table of one row are read as any table."""
    alone = [fitted.transform(form(row)) for row in X[:3]]

    np.testing.assert_allclose(fitted.transform(X[:3]), np.vstack(alone), rtol=1e-5, atol=1e-6)


def test_a_recipe_is_worked_out_once(fitted, monkeypatch):
    """As long as all that decides it is as it was."""
    monkeypatch.setattr(_roads, "fingerprint", None)
    monkeypatch.setattr(_state, "pinned_outputs", None)

    assert fitted.transform(X[1:2]).shape == (1, fitted.n_features_out_)


@pytest.mark.parametrize("of", ["shape", "preprocessing", "code"])
def test_what_was_pinned_is_compared_again_once_it_is_another(of, fitted):
    """A recipe that was right before says nothing of one that is stated otherwise."""
    fitted._provenance["preprocessing"][of] = "another"

    with pytest.raises(ProvenanceError, match="not prepared as it was at fit"):
        fitted.transform(X[1:2])


def test_another_code_is_another_recipe(fitted):
    """A network that its owner changes in place is not the one whose recipe was worked out."""
    before = fitted.road().recipe
    fitted.model.factor = 2.0

    with pytest.raises(ProvenanceError):
        fitted.transform(X[1:2])
    assert ModuleFeaturizer(fitted.model, cache=None).fit(X).road().recipe != before


def test_a_layer_that_is_kept_besides_is_no_other_recipe(patches):
    """What a forward keeps follows `keep_layers` and the cache at each request."""
    featurizer = PretrainedImageFeaturizer(weights=None, cache="memory")
    with pytest.warns(match="random weights"):
        featurizer.fit(patches[:2])
    kept = len(featurizer.road().kept)

    assert len(featurizer.set_params(keep_layers=None).road().kept) < kept
    assert len(featurizer.set_params(keep_layers="auto", cache=None).road().kept) < kept
    assert len(featurizer.set_params(cache="memory").road().kept) == kept


ROWS = {
    "one row": X[:1],
    "a list of one row": [X[0]],
    "a row of float64": X[:1].astype(np.float64),
    "several rows": X[:2],
    "a list of lists": [[1.0] * 8],
    "whole numbers": np.ones((1, 8), dtype=int),
    "half floats": np.ones((1, 8), dtype=np.float16),
    "another byte order": X[:1].astype(">f4"),
    "objects": np.ones((1, 8), dtype=object),
    "texts": np.array([["a"] * 8]),
    "complex numbers": np.ones((1, 8), dtype=complex),
    "a vector": X[0],
    "a list of numbers": [1.0],
    "a map": X[:1, :, None],
    "no row": X[:0],
    "no column": X[:1, :0],
    "fewer columns": X[:1, :5],
    "NaN": np.full((1, 8), np.nan),
    "infinity": [np.full(8, np.inf)],
}


@pytest.mark.parametrize("named", [False, True], ids=["no names", "names at fit"])
@pytest.mark.parametrize("allow_nd", [False, True])
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_rows_are_checked_as_scikit_learn_checks_them(rows, allow_nd, named):
    """A row that is passed on without its checks is one that they would pass on."""
    estimator = BaseEstimator()
    estimator.n_features_in_ = 8
    if named:
        estimator.feature_names_in_ = np.array([f"x{i}" for i in range(8)], dtype=object)

    def outcome(check, **how):
        try:
            found = check(estimator, rows, reset=False, allow_nd=allow_nd, **how)
        except (TypeError, ValueError) as error:
            return type(error), str(error)
        return found.dtype, found.tolist()

    expected = outcome(validate_data, dtype="numeric", ensure_all_finite=True)
    assert expected == outcome(validate_rows, allow_nan=False)


def test_some_rows_are_checked_as_they_are_among_all():
    """One that holds no numbers is refused under its own place, digested or not."""
    items = Some(read_rows(np.vstack([X[:1], np.full((1, 8), np.nan)])), [1, 0])

    items.check(1)
    for refuses in (items.check, items.digest):
        with pytest.raises(BadItemError, match="NaN or infinity"):
            refuses(0)


def test_no_cache_keeps_no_row_and_no_claim():
    """Threads without a cache never wait for each other."""
    store = resolve_cache(None).store
    claim = store.claim(None, None, is_warm=False)

    assert claim.take([b"a", b"b", b"c"], 1, 1) == ([b"b", b"c"], 3)
    claim.keep([b"b"], X[:1])
    assert store.get(None, [b"b"]) == [None]
    assert store.remember("recipe", "name", b"value") == b"value"
    assert store.recall("recipe", "name") is None


def test_rows_without_a_cache_go_through_the_network_each_time(forwarded):
    """Whether they came before or not; equal rows of one request go once."""
    torch.manual_seed(0)
    featurizer = ModuleFeaturizer(nn.Linear(8, 2), layer="output", cache=None).fit(X)
    del forwarded[:]
    rows = featurizer.transform(np.vstack([X[:2], X[:2]]))
    featurizer.transform(X[:2])

    np.testing.assert_array_equal(rows[:2], rows[2:])
    assert featurizer.counts_.computed == 4


def test_one_item_takes_a_way_of_its_own_to_the_same_row(fitted):
    """The one that `embed` takes where it is asked for one, and which a caller may take himself."""
    road = fitted.road()
    runners = Runners("cpu", "float32", fitted.weights_digest_).load(road.backbone)
    items, reading, told, done = read_rows(X), Reading(tuple(road.outputs)), [], []
    how = {"backbone": road.backbone, "reading": reading, "on_bad": told.append}

    ((where, row),) = embed_one(items, 5, runner=runners[0], on_batch=done.append, **how)
    ((same, again),) = embed(
        items, [5], runners=runners, batch_size="auto", on_batch=done.append, **how
    )

    assert (where, same, told, done) == ([5], [5], [], [1, 1])
    np.testing.assert_array_equal(row, again)
    np.testing.assert_allclose(row, fitted.transform(X)[5:6], rtol=1e-5, atol=1e-6)
