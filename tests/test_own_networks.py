"""Networks of one's own are known by all that could move a row: none is served another's rows."""

from __future__ import annotations

import importlib
import os
import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    register_backbone,
)
from sklearn_pretrained.backbones import _sources
from sklearn_pretrained.backbones.identity import _functions, identity
from sklearn_pretrained.backbones.own import ModuleBackbone, _network
from sklearn_pretrained.cache._memory import MemoryStore
from sklearn_pretrained.exceptions import ProvenanceError, WeightsError
from sklearn_pretrained.recipe._recipe import Bundle
from sklearn_pretrained.running.eager import _registry
from tests.conftest import make_convnet, relative_error, to_tensor

X = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
S = np.random.default_rng(0).normal(size=(12, 5, 16)).astype(np.float32)


def seeded(make):
    torch.manual_seed(0)
    return make()


def rows_of(network, rows=X):
    with torch.no_grad():
        return network.eval()(torch.from_numpy(rows)).flatten(1).numpy()


def fitted(model, rows=X, **parameters):
    settings = {"layer": "output", "pooling": "flatten", "device": "cpu", **parameters}
    return ModuleFeaturizer(model, **settings).fit(rows)


class Scaled(nn.Module):
    """A network with a number in an attribute."""

    def __init__(self, factor):
        super().__init__()
        self.linear, self.factor = seeded(lambda: nn.Linear(8, 4)), factor

    def forward(self, x):
        return self.linear(x) * self.factor


class Activated(nn.Module):
    """A network with a function in an attribute."""

    def __init__(self, function):
        super().__init__()
        self.linear, self.function = seeded(lambda: nn.Linear(8, 4)), function

    def forward(self, x):
        return self.function(self.linear(x))


class Shifted(nn.Module):
    """A network with a buffer that no state dict holds."""

    def __init__(self, by):
        super().__init__()
        self.linear = seeded(lambda: nn.Linear(8, 4))
        self.register_buffer("by", torch.full((4,), by), persistent=False)

    def forward(self, x):
        return self.linear(x) + self.by


def hooked(factor):
    network = seeded(lambda: nn.Sequential(nn.Linear(8, 4)))
    network[0].register_forward_hook(lambda _m, _args, out: out * factor)
    return network


def encoder(**parameters):
    return seeded(
        lambda: nn.TransformerEncoderLayer(16, dim_feedforward=32, batch_first=True, **parameters)
    )


def written(body):
    """Give the network of a notebook whose cell was edited and run again."""
    space = {"nn": nn, "torch": torch, "__name__": "__main__"}
    exec(
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        torch.manual_seed(0)\n"
        "        self.linear = nn.Linear(8, 4)\n"
        f"    def forward(self, x):\n        return {body}\n",
        space,
    )
    return space["Net"]()


PAIRS = {
    "heads": (encoder(nhead=2), encoder(nhead=8), S),
    "activation": (encoder(nhead=2), encoder(nhead=2, activation="gelu"), S),
    "norm first": (encoder(nhead=2), encoder(nhead=2, norm_first=True), S),
    "number": (Scaled(1.0), Scaled(3.0), X),
    "function": (Activated(torch.relu), Activated(torch.tanh), X),
    "buffer": (Shifted(1.0), Shifted(3.0), X),
    "hook": (hooked(1.0), hooked(3.0), X),
    "forward": (written("self.linear(x)"), written("torch.sigmoid(self.linear(x))"), X),
}


@pytest.mark.parametrize("cache", ["memory", None])
@pytest.mark.parametrize(("one", "other", "rows"), PAIRS.values(), ids=PAIRS)
def test_networks_with_equal_weights_and_prints_have_their_own_rows(one, other, rows, cache):
    """Whether rows are cached or the loaded network is kept."""
    for network in (one, other):
        got = fitted(network, rows, cache=cache).transform(rows)
        assert relative_error(got, rows_of(network, rows)) < 1e-5


SETTINGS = {"factor": 1.0}


def test_a_factory_that_reads_a_global_makes_another_network_when_it_changes(monkeypatch):
    """Fit calls it again."""

    def make():
        return Scaled(SETTINGS["factor"])

    fitted(make, cache="memory").transform(X)
    monkeypatch.setitem(SETTINGS, "factor", 3.0)

    assert relative_error(fitted(make).transform(X), rows_of(Scaled(3.0))) < 1e-5


def test_a_factory_that_reads_a_file_makes_another_network_when_it_changes(tmp_path):
    """A fit sees the change; an estimator that was fitted before goes on or refuses."""
    path = tmp_path / "weights.pt"

    def make():
        network = nn.Linear(8, 4)
        network.load_state_dict(torch.load(path))
        return network

    old, new = (seeded(lambda: nn.Linear(8, 4)), nn.Linear(8, 4))
    torch.save(old.state_dict(), path)
    first = fitted(make, cache=None)
    assert relative_error(first.transform(X), rows_of(old)) < 1e-5
    torch.save(new.state_dict(), path)

    assert relative_error(fitted(make, cache=None).transform(X), rows_of(new)) < 1e-5
    with pytest.raises(WeightsError, match="Restore the weights"):
        first.transform(X)


def test_weights_swapped_under_the_same_size_and_date_are_noticed(tmp_path):
    """As tar, rsync and cp leave them: the file system still knows when the entry changed."""
    path = tmp_path / "weights.safetensors"
    save_file(seeded(lambda: nn.Linear(8, 4)).state_dict(), path)
    dates = path.stat()
    ours = fitted(lambda: nn.Linear(8, 4), weights=path, cache=None)
    save_file(nn.Linear(8, 4).state_dict(), path)
    os.utime(path, ns=(dates.st_atime_ns, dates.st_mtime_ns))

    with pytest.raises(WeightsError, match="was pinned"):
        ours.transform(X)


def test_what_changes_in_a_network_after_fit_is_refused():
    """Its weights, and whatever else decides rows."""
    network = Scaled(1.0)
    ours = fitted(network, cache=None)
    network.factor = 3.0
    with pytest.raises(ProvenanceError, match="is not prepared as it was at fit: code was"):
        ours.transform(X)
    network.factor = 1.0
    ours.transform(X)
    with torch.no_grad():
        network.linear.weight[0, 0] += 1

    with pytest.raises(WeightsError, match="was pinned"):
        ours.transform(X)


def keeping(seen):
    """Give a network with a hook that stores what a layer gave."""
    network = nn.Sequential(seeded(lambda: nn.Linear(8, 4)), nn.Tanh())
    network[0].register_forward_hook(lambda _m, _args, out: seen.append(out))
    return network


def test_a_hook_that_stores_activations_gives_right_rows_or_is_refused_with_what_to_do():
    """It changes what the network holds, so nobody can tell whether it changes rows."""
    ours = fitted(keeping([]), cache=None)

    def run() -> None:
        for _ in range(3):
            assert relative_error(ours.transform(X), rows_of(keeping([]))) < 1e-5

    with pytest.raises(ProvenanceError, match="a hook or forward that stores activations"):
        run()


def test_rows_are_those_of_the_network_at_fit_whatever_a_glance_misses():
    """One number changed behind torch's back: the frozen copy goes on, and a new fit sees it."""
    network = seeded(lambda: nn.Linear(8, 40))
    ours = fitted(network, cache=None)
    before = ours.transform(X)
    network.weight.data[1, 3] += 1

    assert ours.transform(X).tolist() == before.tolist()
    assert relative_error(fitted(network).transform(X), rows_of(network)) < 1e-5
    _registry.unload()
    with pytest.raises(WeightsError, match="was pinned"):
        ours.transform(X)


def test_an_unchanged_network_is_hashed_once(monkeypatch):
    """At fit, and when the copy is made; a transform only glances at it."""
    hashed = []
    whole = _network.digest_of
    monkeypatch.setattr(_network, "digest_of", lambda net: hashed.append(1) or whole(net))
    ours = fitted(nn.Linear(8, 33), cache=None)
    ours.transform(X)
    ours.transform(X)
    ours.transform(X[:3])

    assert len(hashed) == 2


class Opaque(nn.Module):
    """Reads what is known to nobody: a buffer of C code."""

    def __init__(self, factor):
        super().__init__()
        self.linear = seeded(lambda: nn.Linear(8, 4))
        self.held = [memoryview(bytes([factor]))]

    def __deepcopy__(self, memo):
        return Opaque(self.held[0][0])

    def forward(self, x):
        return self.linear(x) * self.held[0][0]


def test_what_cannot_be_told_keeps_its_rows_out_of_files(tmp_path):
    """They are kept in memory for itself, and nobody else is given them."""
    path = tmp_path / "rows.sqlite"
    for factor in (2, 3):
        network = Opaque(factor)
        ours = fitted(network, cache=path)
        assert relative_error(ours.transform(X), rows_of(network)) < 1e-5
        ours.transform(X)
        assert ours.counts_.computed == len(X)

    assert not path.exists()


def test_a_source_that_is_registered_again_serves_its_own_networks(monkeypatch, patches):
    """Rows, plans and loaded networks of the old one are not taken for the new one's."""
    monkeypatch.setattr(_sources, "_registered", {})

    def network(kernel, stride):
        return lambda: nn.Sequential(nn.Conv2d(3, 4, kernel, stride), nn.ReLU())

    for make in (network(8, 8), network(8, 4)):
        register_backbone("lab", lambda _name, make=make: (make, to_tensor))
        ours = PretrainedImageFeaturizer("lab/net", layer="output", pooling="flatten")
        own = PretrainedImageFeaturizer(
            make, preprocessing=to_tensor, layer="output", pooling="flatten"
        )
        assert ours.fit_transform(patches[:3]).tolist() == own.fit_transform(patches[:3]).tolist()


def test_a_backbone_of_a_users_class_is_known_by_its_code(monkeypatch, patches):
    """A source may return one, and be registered again with another class of that name."""
    monkeypatch.setattr(_sources, "_registered", {})
    rows = []
    for factor in (1.0, 3.0):

        class Lab(ModuleBackbone):
            def collate(self, samples, device, dtype, factor=factor):
                return super().collate(samples, device, dtype) * factor

        register_backbone("lab", lambda _name, lab=Lab: lab(make_convnet, preprocessing=to_tensor))
        ours = PretrainedImageFeaturizer("lab/net", layer="output", keep_layers=None).fit(patches)
        rows.append(ours.transform(patches[:3]))
        computed = ours.counts_.computed
        ours.transform(patches[:3])
        assert ours.counts_.computed == computed == 3

    assert relative_error(rows[1], rows[0]) > 1e-3


@pytest.mark.parametrize(
    "reads",
    [
        "open('file').read()",
        "eval('1')",
        "os.environ['A']",
        "sys.modules['a'].b",
        "importlib.import_module('a').b",
        "globals()['a']",
    ],
)
def test_a_function_that_reads_what_nobody_can_foresee_is_like_no_other(reads):
    """It stays the same for itself."""
    space = {"os": os, "sys": sys, "importlib": importlib}
    one, other = (eval(f"lambda image: {reads}", space) for _ in range(2))

    assert identity(one).key == identity(one).key
    assert identity(one).key != identity(other).key


def test_every_device_keeps_its_networks():
    """Eight devices hold eight copies, which are made once."""
    made = []
    backbone = types.SimpleNamespace(
        name="n",
        architecture="a",
        code="",
        weights=types.SimpleNamespace(digest=lambda: "d", describe=lambda: "w"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_registry, "_make", lambda *_: made.append(1) or types.SimpleNamespace())
        for _ in range(3):
            for i in range(8):
                _registry.load(backbone, torch.device("cuda", i), torch.float32, "d")
    _registry.unload()

    assert len(made) == 8


@dataclass
class Given:
    """What a network may return."""

    label: str
    logits: torch.Tensor


class ReturnsObject(nn.Module):
    """A network that returns a data class, from layers that return one too."""

    def __init__(self):
        super().__init__()
        self.linear = seeded(lambda: nn.Linear(8, 4))

    def forward(self, x):
        return Given("logits", self.linear(x))


def test_a_network_that_returns_a_data_class_gives_its_first_tensor():
    """As with tuples and mappings."""
    network = ReturnsObject()

    assert relative_error(fitted(network).transform(X), rows_of(network.linear)) < 1e-5


def test_a_network_in_double_precision_runs_in_the_one_that_was_asked_for():
    """The copy is float32; the network itself stays as it is."""
    network = seeded(lambda: nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2))).double()
    expected = network(torch.from_numpy(X).double()).detach().numpy()

    assert relative_error(fitted(network).transform(X), expected) < 1e-5
    assert network[0].weight.dtype == torch.float64


def test_a_lazy_network_has_to_be_run_once():
    """Then it has a shape, and its layers can be planned."""
    network = nn.Sequential(nn.LazyLinear(4), nn.ReLU())
    with pytest.raises(ValueError, match=r"Sequential is lazy: '0.weight' has no shape yet"):
        fitted(network)
    network(torch.from_numpy(X))

    assert relative_error(fitted(network).transform(X), rows_of(network)) < 1e-5


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_scripted_network_is_refused_with_what_to_do():
    """Its layers run outside Python, where they cannot be read."""
    with pytest.raises(TypeError, match=r"Pass the nn\.Module that it was made from"):
        fitted(torch.jit.trace(nn.Linear(8, 4), torch.zeros(2, 8)))


def test_a_memory_that_is_full_forgets_whose_rows_are_gone():
    """A process that sees many networks gives back what it knew of the old ones."""
    store = MemoryStore(10_000)
    for i in range(100):
        bundle = Bundle(str(i), (("output:flatten", 4),))
        store.remember(str(i), "canary", b"")
        store.put(bundle, [bytes([i, k]) for k in range(8)], np.zeros((8, 4), np.float32))

    assert len(store) > 16
    assert len(store._numbers) == len(store._sizes) <= 5
    assert len(store._facts) <= 5
    assert store.get(bundle, [bytes([99, 0])])[0].tolist() == [0] * 4


def test_what_is_remembered_of_classes_is_bounded(monkeypatch):
    """However many classes a process makes, few are held, and each is known as it is."""
    monkeypatch.setattr(_functions, "_MOST_UNCHANGED", 3)
    monkeypatch.setattr(_functions, "_unchanged", {})
    for number in range(10):
        assert _functions._changed(type(f"Kind{number}", (), {"number": number})) == {}
        assert len(_functions._unchanged) <= 3
