"""ModuleFeaturizer: a network of one's own is no second-class citizen."""

from __future__ import annotations

import pickle
import threading

import cloudpickle
import joblib
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import ModuleFeaturizer, ModuleHandle
from sklearn_pretrained.backbones._skeleton import random_network
from sklearn_pretrained.backbones._weights import digest_of
from sklearn_pretrained.exceptions import BadItemError, BadItemWarning, WeightsError
from sklearn_pretrained.running import _devices
from tests.conftest import make_convnet, make_mlp, relative_error

X = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)


def featurizer(model=make_mlp, **parameters):
    return ModuleFeaturizer(model, **{"cache": None, "device": "cpu", **parameters})


def hidden(network: torch.nn.Module) -> np.ndarray:
    """Compute what the head reads, by hand."""
    with torch.no_grad():
        return network.eval()[:4](torch.from_numpy(X)).numpy()


@pytest.mark.parametrize("form", [lambda n: n, ModuleHandle, lambda n: lambda: n])
def test_a_network_comes_as_itself_as_a_handle_or_as_a_function(form):
    """In each form its features are what its own layers give."""
    network = make_mlp()

    assert relative_error(featurizer(form(network)).fit_transform(X), hidden(network)) < 1e-5


def test_the_precision_that_auto_takes_is_decided_once(monkeypatch):
    """By the hardware at fit; a pickle keeps it, since the head behind it learned from it."""
    monkeypatch.setattr(_devices, "is_native", lambda *_: True)
    there = featurizer(dtype="auto").fit(X)
    rough = there.transform(X)
    monkeypatch.setattr(_devices, "is_native", lambda *_: False)
    moved = pickle.loads(pickle.dumps(there))
    here = featurizer(dtype="auto").fit(X)

    assert (there.dtype_, here.dtype_) == ("bfloat16", "float32")
    assert 1e-4 < relative_error(rough, here.transform(X)) < 5e-2
    assert relative_error(moved.transform(X), rough) < 1e-5
    assert relative_error(featurizer(dtype="bfloat16").fit_transform(X), rough) < 1e-5


def test_threads_make_the_same_random_network():
    """A function's weights come from a seed, whoever else draws from it at that time."""
    digests = []

    def make() -> None:
        digests.append(digest_of(random_network(lambda: torch.nn.Linear(500, 500))))

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(digests) == 16
    assert len(set(digests)) == 1


def test_the_users_network_stays_as_it_is():
    """It remains in training mode and trainable, and no hook is left on it."""
    network = make_mlp().train()
    featurizer(network).fit_transform(X)

    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_training_the_network_after_fit_is_noticed():
    """The head behind the featurizer learned from the old weights."""
    network = make_mlp()
    ours = featurizer(network).fit(X)
    with torch.no_grad():
        network[0].weight.add_(1)

    with pytest.raises(WeightsError, match="was pinned"):
        ours.transform(X)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_function_and_a_path_are_a_network_with_its_weights(tmp_path, suffix):
    """The state dict is read from the file, in both formats."""
    network = make_mlp()
    path = tmp_path / f"weights.{suffix}"
    (torch.save if suffix == "pth" else save_file)(network.state_dict(), path)
    ours = featurizer(make_mlp, weights=path).fit(X)

    assert relative_error(ours.transform(X), hidden(network)) < 1e-5
    assert len(pickle.dumps(ours)) < 3_000


def test_a_clone_shares_the_network():
    """Of a module and of a handle, also inside a parameter grid."""
    network = make_mlp()
    handle = ModuleHandle(network)

    assert clone(featurizer(network)).model is network
    assert clone(featurizer(handle)).model is handle
    assert clone({"model": [handle]}, safe=False)["model"][0] is handle


def test_a_search_tries_layers_and_networks():
    """Handles and functions stand in a grid like any other value."""
    pipeline = make_pipeline(featurizer(cache="memory"), LogisticRegression())
    grid = {
        "modulefeaturizer__model": [make_mlp, ModuleHandle(make_mlp())],
        "modulefeaturizer__layer": [0, -1, "output"],
    }
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)

    assert search.best_score_ > 0.6


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_a_pickle_with_a_module_gives_the_same_rows(dumps):
    """A module that was passed travels along."""
    ours = featurizer(make_mlp()).fit(X)
    again = pickle.loads(dumps(ours))

    np.testing.assert_allclose(again.transform(X), ours.transform(X), rtol=1e-6)


def test_worker_processes_give_the_same_rows():
    """Joblib's processes open the recipe and make the network again."""
    ours = featurizer().fit(X)
    parts = joblib.Parallel(n_jobs=2)(joblib.delayed(ours.transform)(X[i::2]) for i in range(2))

    for i, part in enumerate(parts):
        np.testing.assert_allclose(part, ours.transform(X[i::2]), rtol=1e-5, atol=1e-6)


def test_arrays_of_more_dimensions_go_to_networks_that_read_them():
    """Rows of shape (C, H, W), each pooled by a channel axis that was derived."""
    network = make_convnet()
    images = np.random.default_rng(0).normal(size=(6, 3, 20, 20)).astype(np.float32)
    ours = featurizer(network, layer="stem").fit(images)
    with torch.no_grad():
        expected = network.eval().stem(torch.from_numpy(images)).mean((2, 3)).numpy()

    assert relative_error(ours.transform(images), expected) < 1e-5
    with pytest.raises(ValueError, match=r"had shape \(3, 20, 20\) at fit"):
        ours.transform(images[:, :, 1:])


def test_rows_with_nan_are_refused_or_become_rows_of_nan():
    """scikit-learn's words, or aligned rows and a warning."""
    spoiled = X.copy()
    spoiled[3, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        featurizer().fit(spoiled)
    ours = featurizer(on_error="nan").fit(X)
    with pytest.warns(BadItemWarning, match="1 items of X"):
        rows = ours.transform(spoiled)

    assert np.flatnonzero(np.isnan(rows).any(axis=1)).tolist() == [3]
    assert "NaN or infinity" in ours.bad_items_[3]


class Exploding(torch.nn.Module):
    """Gives infinity for some rows."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(8, 4)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Divide by zero where the first number is negative."""
        return self.head(self.inner(x) / (x[:, :1] > 0))


def test_a_network_that_gives_nan_is_reported_with_row_and_layer():
    """Never a silent wrong number."""
    where = int(np.flatnonzero(X[:, 0] < 0)[0])
    with pytest.raises(BadItemError, match=rf"Item {where} of X made the network.*'penultimate'"):
        featurizer(Exploding).fit_transform(X[: where + 1])
    ours = featurizer(Exploding, on_error="nan")
    with pytest.warns(BadItemWarning):
        rows = ours.fit_transform(X)

    assert np.isnan(rows).all(axis=1).tolist() == (X[:, 0] < 0).tolist()


def test_threads_that_read_different_layers_of_one_network_keep_their_rows_apart():
    """Hooks belong to the network, so a forward that reads layers has it to itself."""
    network = ModuleHandle(make_mlp())
    ours = [featurizer(network, layer=layer, batch_size=4).fit(X) for layer in ("0", "2", "4")]
    expected = [one.transform(X) for one in ours]
    wrong = []

    def work(k):
        for _ in range(20):
            rows = ours[k].transform(X)
            if rows.shape != expected[k].shape or not np.allclose(rows, expected[k], atol=1e-5):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(i % 3,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.parametrize(
    ("model", "parameters", "error", "message"),
    [
        (lambda: 7, {}, TypeError, "returned a int, not an nn.Module"),
        (7, {}, ValueError, "'model' parameter"),
        (make_mlp(), {"weights": "file.pth"}, ValueError, "only if model is a function"),
        (make_mlp, {"weights": "nowhere.pth"}, WeightsError, "no weights file at .*nowhere.pth"),
        (make_mlp, {"weights": None}, ValueError, "comes with its weights"),
        (make_convnet, {}, ValueError, "cannot be run on inputs of this shape"),
    ],
)
def test_what_is_no_network_is_refused_at_fit(model, parameters, error, message):
    """The message says what was expected."""
    with pytest.raises(error, match=message):
        featurizer(model, **parameters).fit(X)


def test_a_handle_holds_a_module():
    """And nothing else."""
    with pytest.raises(TypeError, match=r"takes an nn\.Module, got int"):
        ModuleHandle(7)
