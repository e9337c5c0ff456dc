"""A request for one item: the same as any request, whatever is remembered of those before it."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn import config_context
from sklearn.base import clone
from torch import nn
from torchvision.models import mobilenet_v3_small

from sklearn_pretrained import (
    ModuleFeaturizer,
    ModuleHandle,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    memory_cache,
)
from sklearn_pretrained.backbones import Backbone
from sklearn_pretrained.exceptions import BadItemError, BadItemWarning, ProvenanceWarning
from sklearn_pretrained.pinned import _state
from sklearn_pretrained.pinned._standing import Standing
from tests.conftest import make_mlp

X = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)


def outcome(featurizer, items):
    """Say what a request gives: its rows, or its error; with its warnings, and what it counts."""
    asked = copy.copy(featurizer.counts_)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            given = featurizer.transform(items).tolist()
        except Exception as error:
            given = type(error), str(error)
    counted = {name: n - vars(asked)[name] for name, n in vars(featurizer.counts_).items()}
    return given, [str(one.message) for one in told], counted, featurizer.bad_items_


def rows(**parameters):
    torch.manual_seed(0)
    parameters = {"layer": ["0", "4"], "cache": None, **parameters}
    featurizer = ModuleFeaturizer(parameters.pop("model", make_mlp()), **parameters)
    return featurizer.fit(X)


CHANGES = {
    "nothing": lambda f: None,
    "a parameter": lambda f: f.set_params(layer="0"),
    "a parameter in place": lambda f: f.layer.append("4"),
    "an index that is no number": lambda f: f.layer.__setitem__(0, False),
    "a free parameter": lambda f: f.set_params(on_error="nan"),
    "the cache": lambda f: f.set_params(cache="memory"),
    "the engine": lambda f: f.set_params(engine="auto"),
    "the device": lambda f: f.set_params(device="cpu"),
    "weights": lambda f: f.model[0].weight.data.add_(1.0),
    "weights through NumPy": lambda f: f.model[0].weight.detach().numpy().__setitem__(0, 9.0),
    "a buffer": lambda f: f.model[1].running_mean.add_(1.0),
    "other weights": lambda f: setattr(f.model[0], "weight", nn.Parameter(torch.ones(16, 8))),
    "a part": lambda f: f.model.__setitem__(2, nn.GELU()),
    "an attribute": lambda f: setattr(f.model[1], "eps", 0.5),
    "a hook": lambda f: f.model[2].register_forward_hook(lambda m, x, y: y + 1),
    "its forward": lambda f: setattr(f.model[2], "forward", torch.sin),
    "training mode": lambda f: f.model.train(),
    "what was pinned": lambda f: setattr(f, "weights_digest_", "0" * 64),
    "the width": lambda f: setattr(f, "n_features_out_", 7),
    "a pooling": lambda f: f.pooling_.__setitem__(0, "max"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_remembered_never_shows(change):
    """After each change, a featurizer does what one does that served nothing before."""
    torch.manual_seed(0)
    featurizer = rows()
    featurizer.transform(X[:1])
    before = featurizer.transform(X[1:2])

    change(featurizer)
    memory_cache().clear()
    found = outcome(featurizer, X[1:2])
    featurizer._standing = Standing()
    memory_cache().clear()
    assert found == outcome(featurizer, X[1:2])
    if change is CHANGES["nothing"]:
        assert found[0] == before.tolist()


def test_a_handle_that_holds_another_network_is_noticed():
    """Of a handle, it is the network in it that was remembered."""
    handle = ModuleHandle(make_mlp())
    featurizer = rows(model=handle)
    featurizer.transform(X[:1])
    featurizer.transform(X[:1])

    torch.manual_seed(1)
    handle.module = make_mlp()
    with pytest.raises(Exception, match="not those that this estimator was fitted with"):
        featurizer.transform(X[:1])


class Scaled(nn.Module):
    """A preprocessing with a number of its own."""

    scale = 1.0

    def forward(self, image):
        small = image.resize((8, 8))
        return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() * self.scale


def test_a_preprocessing_that_changes_is_noticed():
    """It decides the rows as much as the network does."""
    preprocessing = Scaled()
    featurizer = PretrainedImageFeaturizer(
        nn.Sequential(nn.Conv2d(3, 4, 3)), layer="output", preprocessing=preprocessing, cache=None
    )
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    featurizer.fit([image])
    featurizer.transform([image])
    featurizer.transform([image])

    preprocessing.scale = 2.0
    with pytest.raises(Exception, match="not prepared as it was at fit"):
        featurizer.transform([image])


def test_a_file_of_weights_that_is_written_over_is_noticed(tmp_path):
    """It is looked at for each request."""
    path = tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    save_file(mobilenet_v3_small(weights=None).state_dict(), path)
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    featurizer = PretrainedImageFeaturizer("mobilenet_v3_small", weights=path, cache=None)
    featurizer.fit([image])
    featurizer.transform([image])
    featurizer.transform([image])

    save_file(mobilenet_v3_small(weights=None).state_dict(), path)
    with pytest.raises(Exception, match="not those that this estimator was fitted with"):
        featurizer.transform([image])


def test_a_road_is_found_once_as_long_as_nothing_changes(monkeypatch):
    """Which is what makes one row quick."""
    featurizer = rows()
    expected = featurizer.transform(X[:1])
    featurizer.transform(X[:1])
    monkeypatch.setattr(_state.PinnedState, "find_backbone", None)

    np.testing.assert_array_equal(featurizer.transform(X[:1]), expected)


def test_what_cannot_be_told_soon_is_looked_at_each_time(monkeypatch):
    """A network of which nothing is said is found anew."""
    featurizer = rows()
    monkeypatch.setattr(type(featurizer.road().backbone), "is_still", Backbone.is_still)
    featurizer.transform(X[:1])
    found = featurizer.road()

    assert featurizer.road() is not found


def test_a_class_of_somebody_else_is_looked_at_each_time():
    """It may read of itself what it likes."""

    class Mine(ModuleFeaturizer):
        pass

    featurizer = Mine(make_mlp(), cache=None).fit(X)
    featurizer.transform(X[:1])

    assert featurizer.road() is not featurizer.road()


@pytest.mark.parametrize(
    "twin",
    [copy.copy, copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))],
    ids=["copied", "copied deeply", "pickled"],
)
def test_nothing_remembered_goes_along(twin):
    """A copy that is changed does not take the road of the original."""
    torch.manual_seed(0)
    featurizer = rows()
    expected = featurizer.transform(X[:1])
    featurizer.transform(X[:1])
    other = twin(featurizer)
    other.set_params(on_error="nan")

    np.testing.assert_allclose(other.transform(X[:1]), expected, rtol=1e-5)
    np.testing.assert_allclose(featurizer.transform(X[:1]), expected, rtol=1e-5)
    assert b"Standing" not in pickle.dumps(featurizer)
    assert not hasattr(clone(featurizer), "_standing")


def test_what_is_pinned_while_a_road_is_looked_for_is_noticed(monkeypatch):
    """A thread that asks while another one fits remembers nothing of what was pinned before."""
    featurizer = rows(layer="0")
    canary = _state.PinnedState._canary

    def fits_meanwhile(self, *given):
        monkeypatch.undo()
        self.set_params(layer="4").fit(X)
        return canary(self, *given)

    monkeypatch.setattr(_state.PinnedState, "_canary", fits_meanwhile)
    featurizer.road()

    for _ in range(3):
        np.testing.assert_allclose(
            featurizer.transform(X[:1]), rows(layer="4").transform(X[:1]), rtol=1e-6
        )


@pytest.mark.parametrize("kind", ["rows", "images", "texts"])
def test_what_is_remembered_holds_no_estimator(kind, pictures):
    """One that nobody holds is freed at once, and its network with it."""
    made = {
        "rows": lambda: (rows(), X),
        "images": lambda: (PretrainedImageFeaturizer(cache=None).fit(pictures), pictures),
        "texts": lambda: (PretrainedTextFeaturizer(cache=None).fit(["a"]), ["a"]),
    }
    featurizer, items = made[kind]()
    for _ in range(3):
        featurizer.transform(items[:1])
    freed = weakref.ref(featurizer)
    gc.collect()
    gc.disable()
    try:
        del featurizer
        assert freed() is None
    finally:
        gc.enable()


def test_a_warning_that_is_an_error_is_not_passed_over():
    """It is said once, and the longer way would say nothing."""

    class Picky(nn.Linear):
        def forward(self, x):
            if not x.is_meta and len(x) == 1 and x[0, 0] == np.float32(np.cos(1)):
                raise ValueError("the canary")
            return super().forward(x)

    featurizer = ModuleFeaturizer(Picky(8, 4), layer="output", cache=None).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProvenanceWarning)
        with pytest.raises(ProvenanceWarning, match="could not read the canary"):
            featurizer.transform(X[:1])


@pytest.mark.parametrize("bad", [np.nan, np.inf], ids=str)
@pytest.mark.parametrize("n", [1, 2])
def test_what_scikit_learn_is_told_to_assume_is_checked(bad, n):
    """A network may make a number of what is none."""
    network = nn.Sequential(nn.Linear(8, 4), nn.Hardtanh())
    network[0].register_forward_hook(lambda _module, _args, output: output.nan_to_num())
    featurizer = ModuleFeaturizer(network, layer="output", cache=None).fit(X)
    with config_context(assume_finite=True), pytest.raises(BadItemError, match="NaN or infinity"):
        featurizer.transform(np.full((n, 8), bad, np.float32))


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("cache", [None, "memory"])
@pytest.mark.parametrize("on_error", ["raise", "nan"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300], ids=str)
def test_a_bad_item_is_told_as_among_others(bad, on_error, cache):
    """Its place and its reason, or a row of NaN and a warning."""
    featurizer = rows(cache=cache, on_error=on_error)
    featurizer.transform(X[:1])
    featurizer.transform(X[:1])
    item = np.full((1, 8), bad)
    alone = outcome(featurizer, item)

    if on_error == "nan":
        assert np.isnan(alone[0]).all()
        assert list(alone[3]) == [0]
        with pytest.warns(BadItemWarning):
            together = featurizer.transform(np.vstack([item, X[:1]]))
        assert np.isnan(together[0]).all()
        assert np.isfinite(together[1]).all()
    else:
        assert alone[0][0].__name__ in {"ValueError", "BadItemError"}


def test_a_known_row_is_known_and_counted():
    """One that came before is not computed again."""
    memory_cache().clear()
    featurizer = pickle.loads(pickle.dumps(rows(cache="memory")))
    featurizer.transform(X[:3])
    featurizer.transform(X[3:4])
    featurizer.transform(X[3:4])
    featurizer.transform(X[:1])

    counted = featurizer.counts_
    assert (counted.asked, counted.known, counted.computed, counted.bad) == (6, 2, 4, 0)
    np.testing.assert_allclose(
        featurizer.transform(X[3:4]), rows(cache=None).transform(X[3:4]), rtol=1e-5, atol=1e-6
    )


def test_a_text_that_is_cut_is_told_once():
    """As it is among others."""
    featurizer = PretrainedTextFeaturizer(max_length=8, cache=None)
    featurizer.fit(["a"])
    featurizer.transform(["a"])
    featurizer.transform(["a"])
    told = outcome(featurizer, ["a " * 40])[1]

    assert len(told) == 1
    assert "1 texts were longer than 8 tokens" in told[0]
    assert outcome(featurizer, ["b " * 40])[1] == []
