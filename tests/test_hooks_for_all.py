"""Hooks that the caller puts on every module of the process: other rows, known by what they are."""

from __future__ import annotations

import contextlib
import functools
import pickle
import sqlite3

import numpy as np
import pytest
import scipy
import torch
from scipy import stats
from torch import nn
from torch.nn.modules import module as torchs
from torch.utils.flop_counter import FlopCounterMode

from sklearn_pretrained import FeatureCache, ModuleFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.backbones import key_of_hooks
from sklearn_pretrained.exceptions import ProvenanceError, UnsteadyError
from sklearn_pretrained.finetuning._aside import rows, way
from sklearn_pretrained.running.eager import EagerRunner
from tests import text_zoo
from tests.conftest import make_mlp, relative_error

TEXTS = text_zoo.TEXTS


def halve(_module, _args, output):
    return output / 2 if torch.is_tensor(output) else None


def mute(_module, args):
    return tuple(
        0 * x if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in args
    )


@contextlib.contextmanager
def on_every_module(hook, register=torchs.register_module_forward_hook):
    handle = register(hook)
    try:
        yield
    finally:
        handle.remove()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(text_zoo.make_folder(tmp_path_factory.mktemp("hooks") / "encoder", "BERT"))


def texts(folder, **options) -> PretrainedTextFeaturizer:
    return PretrainedTextFeaturizer(folder, pooling="mean", device="cpu", **options)


HOOKS = {
    "after": (halve, torchs.register_module_forward_hook),
    "before": (mute, torchs.register_module_forward_pre_hook),
}


@pytest.mark.parametrize(("hook", "register"), HOOKS.values(), ids=HOOKS)
@pytest.mark.parametrize("on_disk", [False, True])
def test_rows_with_a_hook_are_not_those_without(folder, hook, register, on_disk, tmp_path):
    """Neither are served for the others, from memory or from a file."""
    cache = FeatureCache(tmp_path / "rows.sqlite") if on_disk else "memory"
    plain = texts(folder, cache=cache).fit_transform(TEXTS)
    with on_every_module(hook, register):
        uncached = texts(folder, cache=None).fit_transform(TEXTS)
        hooked = texts(folder, cache=cache).fit_transform(TEXTS)

    assert relative_error(hooked, uncached) < 1e-5
    assert relative_error(hooked, plain) > 0.01
    np.testing.assert_array_equal(texts(folder, cache=cache).fit_transform(TEXTS), plain)


def test_a_hook_that_came_after_fit_is_refused(folder):
    """By a message that says what it is, since the head learned from other rows."""
    ours = texts(folder).fit(TEXTS)
    ours.transform(TEXTS)

    with (
        on_every_module(halve),
        pytest.raises(ProvenanceError, match="register_module_forward_hook"),
    ):
        ours.transform(TEXTS)
    ours.transform(TEXTS)


def test_one_network_runs_hooks_on_all_that_it_calls():
    """No module is run as one with another, so each row is the network's own with its hooks."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
    network[1].running_var.fill_(25)
    X = np.random.default_rng(0).normal(scale=100, size=(64, 3, 8, 8)).astype(np.float32)
    how = {"layer": "output", "pooling": "flatten", "device": "cpu", "cache": None}

    def rows():
        return ModuleFeaturizer(network, **how).fit_transform(X)

    def cut(_module, _args, output):
        return output.clamp(-20, 20)  # beyond what the samples reach on which steps are tried

    rows()  # made fast
    with on_every_module(cut), torch.inference_mode():
        expected = network(torch.from_numpy(X)).flatten(1).numpy()
        assert relative_error(rows(), expected) < 1e-5


@pytest.mark.parametrize("kind", ["named", "own"])
def test_torchs_own_hooks_only_watch(kind, folder):
    """Operations may be counted while rows are computed, or known."""
    own = ModuleFeaturizer(nn.Linear(3, 2), layer="output", device="cpu")
    ours, X = (own, np.eye(3)) if kind == "own" else (texts(folder), TEXTS)
    rows = ours.fit(X).transform(X)
    before = ours.counts_.computed

    with FlopCounterMode(display=False):
        np.testing.assert_array_equal(ours.transform(X), rows)
    assert ours.counts_.computed == before


def test_rows_with_a_hook_that_cannot_be_told_are_kept_in_no_file(folder, tmp_path):
    """No other process could know it."""
    cache = FeatureCache(tmp_path / "rows.sqlite")
    lines = (line for line in "ab")

    def untold(_module, _args, _output):
        next(lines, None)

    with on_every_module(untold):
        texts(folder, cache=cache).fit_transform(TEXTS)

    if cache.path.exists():
        with contextlib.closing(sqlite3.connect(cache.path)) as connection:
            assert connection.execute("SELECT count(*) FROM rows").fetchone() == (0,)


def test_rows_by_way_of_a_lower_layer_are_those_of_the_network():
    """What is kept of a lower layer has been through the hooks, and goes through them no more."""
    network, X = make_mlp().eval(), np.eye(8)
    with on_every_module(halve):
        expected = ModuleFeaturizer(network, layer="output", cache=None).fit_transform(X)
        ModuleFeaturizer(network, layer="0", pooling="none").fit_transform(X)
        ours = ModuleFeaturizer(network, layer="output").fit(X)

        np.testing.assert_allclose(rows(ours, X, way(ours, "0")), expected, rtol=1e-5)
        np.testing.assert_allclose(ours.transform(X), expected, rtol=1e-5)


def test_what_is_known_of_a_network_is_not_known_of_it_under_other_hooks():
    """Rows were steady without a hook that looks at the batch: with it they are looked at anew."""
    X = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)

    def centred(module, _args, output):
        return output - output.mean(0, keepdim=True) if type(module) is nn.Linear else None

    def harmless(_module, _args, _output):
        return None

    network = make_mlp().eval()
    with on_every_module(harmless):
        ModuleFeaturizer(network, cache=None).fit_transform(X)
    with on_every_module(centred):
        ours = ModuleFeaturizer(network, cache=None).fit(X)
        with pytest.raises(UnsteadyError):
            ours.transform(X)


def test_hooks_that_come_while_rows_are_streamed_are_refused():
    """Rows under them are neither given nor kept as those of a network without."""
    X = np.random.default_rng(0).normal(size=(20000, 8)).astype(np.float32)
    network = make_mlp().eval()
    expected = ModuleFeaturizer(network, layer="output", cache=None).fit_transform(X)
    ours = ModuleFeaturizer(network, layer="output").fit(X)
    stream = ours.stream(X)
    next(stream)

    with on_every_module(halve), pytest.raises(ProvenanceError, match="changed while rows"):
        next(stream)
    np.testing.assert_allclose(ours.transform(X), expected, rtol=1e-4, atol=1e-6)


@contextlib.contextmanager
def a_hook_that_comes_with_the_next_rows(monkeypatch):
    """Put a hook on every module just before a runner computes, and take it away at the end."""
    handles = []
    whole = EagerRunner.rows

    def hooking(self, samples, outputs):
        if not handles:
            handles.append(torchs.register_module_forward_hook(halve))
        return whole(self, samples, outputs)

    monkeypatch.setattr(EagerRunner, "rows", hooking)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def test_hooks_that_come_within_a_window_are_refused(monkeypatch):
    """Before the rows of its next batch are kept."""
    X = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    ours = ModuleFeaturizer(make_mlp().eval(), layer="output", batch_size=8).fit(X)
    ours.transform(X[:8])
    before = ours.counts_.computed
    with (
        a_hook_that_comes_with_the_next_rows(monkeypatch),
        pytest.raises(ProvenanceError, match="changed while rows"),
    ):
        ours.transform(X)
    assert ours.counts_.computed == before


def test_a_row_under_a_hook_that_comes_meanwhile_is_not_kept(monkeypatch):
    """Nor is the row of a request for one item, which goes a way of its own."""
    X = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    ours = ModuleFeaturizer(nn.Linear(8, 4), layer="output").fit(X)
    expected = ModuleFeaturizer(ours.model, layer="output", cache=None).fit(X).transform(X[:1])
    with (
        a_hook_that_comes_with_the_next_rows(monkeypatch),
        pytest.raises(ProvenanceError, match="hooks"),
    ):
        ours.transform(X[:1])
    np.testing.assert_array_equal(ours.transform(X[:1]), expected)


def test_versions_of_packages_that_a_hook_calls_are_facts(folder):
    """Their code is not read, so another version of them may give another row."""

    def transformed(_module, _args, output):
        return stats.zscore(output) if isinstance(output, np.ndarray) else None

    with on_every_module(transformed):
        ours = texts(folder).fit(TEXTS)
        ours.transform(TEXTS)
        packages = ours._provenance["preprocessing"]["packages_of_hooks"]
        assert packages["scipy"] == scipy.__version__
        packages["scipy"] = "0.1"
        with pytest.raises(ProvenanceError, match="packages_of_hooks"):
            ours.transform(TEXTS)


def test_a_loaded_featurizer_asks_for_hooks_and_not_for_their_print(folder):
    """Another Python prints the same code otherwise; that there are none, it can tell."""
    with on_every_module(halve):
        ours = texts(folder).fit(TEXTS)
        ours._provenance["preprocessing"]["hooks"] = "as another Python prints it"
        loaded = pickle.loads(pickle.dumps(ours))
        loaded.transform(TEXTS)
        with pytest.raises(ProvenanceError, match="hooks was"):
            ours.transform(TEXTS)
    with pytest.raises(ProvenanceError, match="hooks was True"):
        loaded.transform(TEXTS)


class Doubled(nn.Module):
    """A network whose hook doubles."""

    def forward(self, _module, _args, output):
        return output * 2


IN_TORCHS_CLOTHES = {
    "decorated": torch.no_grad()(halve),
    "traced": torch.fx.symbolic_trace(Doubled()),
    "method of torch": Doubled().__call__,
    "partial": functools.partial(torch.mul, 2),
}


@pytest.mark.parametrize("hook", IN_TORCHS_CLOTHES.values(), ids=IN_TORCHS_CLOTHES)
def test_a_hook_that_torch_wraps_is_not_torchs(hook):
    """It may change rows, whoever wrote the function that is called first."""
    with on_every_module(hook):
        assert key_of_hooks() != ""
    assert key_of_hooks() == ""
