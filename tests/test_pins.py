"""What fit pinned is what transform uses; what differs since is an error that names it."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    backbones,
    layers,
    memory_cache,
)
from sklearn_pretrained.exceptions import BadItemWarning, LayerError, ProvenanceError
from sklearn_pretrained.pinned._pins import is_same
from tests.conftest import make_convnet, relative_error, to_tensor

TEXTS = ["The cat sat on the mat.", "Stocks fell sharply."]


@pytest.fixture(name="X")
def _numbers():
    return np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)


@pytest.fixture
def linears():
    torch.manual_seed(0)
    return nn.Sequential(*[nn.Linear(8, 8) for _ in range(4)])


@pytest.fixture(autouse=True)
def _nothing_known():
    memory_cache().clear()


# -- parameters


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [
        (1, 1.0, False),
        (1, True, False),
        (1, np.int64(1), True),
        (0.5, np.float64(0.5), True),
        (["a", 1], ("a", 1), True),
        (["a", 1], ["a", 1.0], False),
        (["a"], ["a", "b"], False),
        ("a", "a", True),
        (None, 0, False),
    ],
)
def test_values_are_the_same_where_they_mean_the_same(then, now, same):
    """An int is an index, a float a depth."""
    assert is_same(now, then) is same


def test_a_depth_for_an_index_is_another_layer(linears, X):
    """1 == 1.0 in Python; as layers they are the second stage and the last."""
    fitted = ModuleFeaturizer(linears, layer=1).fit(X).set_params(layer=1.0)

    with pytest.raises(ValueError, match=r"layer=1.0 was set after fit, which pinned layer=1"):
        fitted.transform(X)


class Names(list):
    """A list of somebody's own kind."""


@pytest.mark.parametrize("kind", [list, Names])
def test_a_list_that_its_owner_changes_after_fit_is_refused(linears, X, kind):
    """The estimator holds what the list was."""
    names = kind(["0", "1"])
    fitted = ModuleFeaturizer(linears, layer=names).fit(X)
    names[0] = "3"

    with pytest.raises(ValueError, match=r"\['3', '1'\] was set after fit.*\['0', '1'\]"):
        fitted.transform(X)
    assert [name.rpartition("_")[0] for name in fitted.get_feature_names_out()[::8]] == [
        "Sequential_0",
        "Sequential_1",
    ]


# -- what is read


def test_a_folder_that_chooses_another_pooling_later_changes_no_row(tmp_path):
    """The pooling that fit took is used, here and in a file."""
    folder = tmp_path / "encoder"
    shutil.copytree(backbones.find_text(PretrainedTextFeaturizer().model).folder, folder)
    fitted = PretrainedTextFeaturizer(str(folder), layer=0, cache=None).fit(TEXTS)
    expected = fitted.transform(TEXTS)
    path = folder / "1_Pooling" / "config.json"
    config = {**json.loads(path.read_text()), "pooling_mode_mean_tokens": False}
    path.write_text(json.dumps({**config, "pooling_mode_cls_token": True}))

    for ours in (fitted, pickle.loads(pickle.dumps(fitted))):
        assert relative_error(ours.transform(TEXTS), expected) < 1e-5
    other = PretrainedTextFeaturizer(str(folder), layer=0, cache=None).fit(TEXTS)
    assert other.pooling_ != fitted.pooling_


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layer: {}, r"layer '1' no longer exists"),
        (
            lambda layer: {"1": _with(layer, module="2")},
            r"was 1 \(output of 1.*now 1 \(output of 2",
        ),
        (lambda layer: {"1": _with(layer, shape=(4,))}, r"run 1, 8, flatten.*run 1, 4, flatten"),
    ],
)
def test_a_layer_that_is_no_longer_what_it_was_is_refused(change, message, linears, X, monkeypatch):
    """A library, or this package, plans the network otherwise than at fit."""
    fitted = ModuleFeaturizer(linears, layer="1", cache=None).fit(X)
    plan = layers.plan

    def other(backbone):
        made = plan(backbone)
        rest = {name: layer for name, layer in made.layers.items() if name != "1"}
        return _with(made, layers=rest | change(made.layers["1"]))

    monkeypatch.setattr(layers, "plan", other)
    with pytest.raises(ProvenanceError, match=message):
        fitted.transform(X)


def _with(record, **changes):
    return dataclasses.replace(record, **changes)


class Scaled:
    """A preprocessing that can be changed in place."""

    def __init__(self):
        self.factor = 1.0

    def __call__(self, image):
        return to_tensor(image) * self.factor


def test_preprocessing_that_its_owner_changes_after_fit_is_refused(patches):
    """The estimator holds the object itself; its recipe is what was pinned."""
    prepare = Scaled()
    fitted = PretrainedImageFeaturizer(make_convnet(), preprocessing=prepare).fit(patches[:2])
    fitted.transform(patches[:2])
    prepare.factor = 2.0

    with pytest.raises(ProvenanceError, match=r"as it was at fit: preprocessing was"):
        fitted.transform(patches[:2])
    assert fitted.fit(patches[:2]).transform(patches[:2]).shape == (2, 16)


def test_a_fact_that_only_one_side_states_counts_within_a_version(pictures):
    """Files of other versions may state fewer facts."""
    fitted = PretrainedImageFeaturizer(layer=0, image_size=32).fit(pictures)
    del fitted._provenance["preprocessing"]["network"]

    with pytest.raises(ProvenanceError, match="network was not stated"):
        fitted.transform(pictures)
    fitted._provenance["versions"]["sklearn-pretrained"] = "0.0"
    assert fitted.transform(pictures).shape == (2, 32)


# -- widths


class Wide(nn.Module):
    """A network whose rows on a processor are not those that its plan promises."""

    def __init__(self, change):
        super().__init__()
        self.linear = nn.Linear(8, 4)
        self.change = change

    def forward(self, x):
        y = self.linear(x)
        return y if x.device.type == "meta" else self.change(y)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda y: y.mean(1, keepdim=True), r"\(1,\)"),
        (lambda y: torch.cat([y, y], 1), r"\(8,\)"),
        (lambda y: y[:, :, None].expand(-1, -1, 3), r"\(12,\)"),
    ],
    ids=["one for four", "eight for four", "maps for vectors"],
)
@pytest.mark.parametrize("cache", ["memory", None])
def test_rows_of_another_width_than_planned_are_refused(change, got, cache, X):
    """Never cut, and never spread over the columns."""
    ours = ModuleFeaturizer(Wide(change), layer="output", cache=cache)

    with pytest.raises(LayerError, match=rf"'output' returns rows of shape {got}.*but 4"):
        ours.fit_transform(X)


def test_a_network_that_gives_other_rows_than_items_is_refused(X):
    """Which row is whose would be a guess."""
    ours = ModuleFeaturizer(Wide(lambda y: y[:1]), layer="output", cache=None)

    with pytest.raises(LayerError, match="returns 1 rows for 20 items"):
        ours.fit_transform(X)


# -- what is only kept


class Overflowing(nn.Module):
    """Gives Inf."""

    def forward(self, x):
        return (x.abs() + 1) * 3e38 * 10


class Safe(nn.Module):
    """Reads whatever comes."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x.clamp(-1, 1))


class Failing(nn.Module):
    """Refuses real items."""

    def forward(self, x):
        if x.device.type != "meta":
            raise RuntimeError("this head refuses it")
        return x


class Halved(nn.Module):
    """Gives another width than planned."""

    def forward(self, x):
        return x if x.device.type == "meta" else x[:, :2]


class Repeated(nn.Module):
    """Brings the width back."""

    def forward(self, x):
        return x if x.shape[1] == 4 else torch.cat([x, x], 1)


NETWORKS = {
    "gives Inf before": ("output", [Overflowing(), Safe()]),
    "raises behind": ("0", [Failing()]),
    "has another width": ("output", [Halved(), Repeated(), Safe()]),
}


@pytest.mark.filterwarnings("ignore::sklearn_pretrained.exceptions.ProvenanceWarning")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("on_error", ["raise", "nan"])
def test_a_layer_that_is_only_kept_decides_no_row(name, on_error):
    """Rows are those of a featurizer that keeps nothing; asked for itself, the layer is bad."""
    layer, further = NETWORKS[name]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 4), *further)
    X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    options = {"layer": layer, "on_error": on_error}
    expected = ModuleFeaturizer(network, keep_layers=None, cache=None, **options).fit_transform(X)
    ours = ModuleFeaturizer(network, keep_layers="main", **options)

    assert np.isfinite(expected).all()
    assert relative_error(ours.fit_transform(X), expected) < 1e-6
    assert (ours.counts_.computed, ours.counts_.bad) == (6, 0)
    assert relative_error(ours.fit_transform(X), expected) < 1e-6
    assert (ours.counts_.known, ours.counts_.computed) == (6, 0)


@pytest.mark.filterwarnings("ignore::sklearn_pretrained.exceptions.ProvenanceWarning")
def test_a_kept_layer_without_numbers_is_bad_when_it_is_asked_for():
    """It was not stored with those of the layer that was asked for before."""
    network = nn.Sequential(nn.Linear(4, 4), Overflowing(), Safe())
    X = np.ones((3, 4), np.float32)
    ModuleFeaturizer(network, layer="output").fit_transform(X)

    with pytest.warns(BadItemWarning):
        rows = ModuleFeaturizer(network, layer="1", on_error="nan").fit_transform(X)
    assert np.isnan(rows).all()


# -- counts


@pytest.mark.parametrize("cache", ["memory", None])
def test_items_that_cannot_be_read_are_counted_as_such(cache):
    """Asked is known, computed and bad together; an equal item is known."""
    X = np.array([[1, 2, 3], [1, 2, 3], [np.nan, 1, 2], [np.inf, 0, 0]], np.float32)
    ours = ModuleFeaturizer(nn.Linear(3, 2), layer="output", on_error="nan", cache=cache)
    with pytest.warns(BadItemWarning):
        ours.fit_transform(X)

    counts = ours.counts_
    assert (counts.asked, counts.known, counts.computed, counts.bad) == (4, 1, 1, 2)
