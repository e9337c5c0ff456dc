"""Where things are added: each addition is one thing in one place, with no other edit."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer
from sklearn_pretrained._featurizer import BaseFeaturizer
from sklearn_pretrained.backbones import Backbone
from sklearn_pretrained.backbones._skeleton import random_network
from sklearn_pretrained.backbones._weights import digest_of
from sklearn_pretrained.cache import resolve_cache
from sklearn_pretrained.exceptions import BadItemError
from sklearn_pretrained.inputs import _digest, read_rows
from sklearn_pretrained.running import Runner
from sklearn_pretrained.taps import _pooling
from tests import test_pooling
from tests.conftest import relative_error

# -- a pooling: one record


def median(x, layout, mask, _skip):
    """Take the median over positions."""
    return _pooling.positions(x, layout, mask)[0].median(1).values


def test_a_pooling_is_one_record(monkeypatch):
    """It may be named, is planned, refused and cached like those that are there."""
    monkeypatch.setitem(_pooling.MODES, "median", _pooling.Mode(median))
    images = load_sample_images().images
    ours = PretrainedImageFeaturizer(image_size=64, layer="features.3", pooling="median")
    whole = PretrainedImageFeaturizer(image_size=64, layer="features.3", pooling="none")

    maps = whole.fit_transform(images)
    expected = torch.from_numpy(maps).flatten(2).median(2).values.numpy()
    assert_allclose(ours.fit_transform(images), expected, rtol=1e-5)

    with pytest.raises(ValueError, match="cannot be used at layer"):
        ours.set_params(layer="penultimate", pooling="cls").fit(images)


def test_the_first_change_of_the_contribution_guide_works_as_it_stands(monkeypatch):
    """Its function and its record make the pooling, and its line of the table expects that."""
    guide = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
    line, record = re.findall(r"```diff\n\+\s*(.*?)```", guide, flags=re.DOTALL)
    (function,) = re.findall(r"```py\n(.*?)```", guide, flags=re.DOTALL)
    names = {**vars(_pooling), **vars(test_pooling)}
    exec(compile(f"from __future__ import annotations\n{function}", "guide", "exec"), names)

    ((name, mode),) = eval(f"{{{record}}}", names).items()
    monkeypatch.setitem(_pooling.MODES, name, mode)
    pooling, x, layout, expected = eval(f"[{line}]", names)[0]
    torch.testing.assert_close(_pooling.pool(x, pooling, layout), expected)


# -- a runner: one method


class NumpyRunner(Runner):
    """A linear network, in NumPy."""

    def __init__(self, linear):
        super().__init__("numpy")
        self.weight = linear.weight.detach().numpy()
        self.bias = linear.bias.detach().numpy()

    def rows(self, samples, outputs):
        rows = np.stack([np.asarray(sample) for sample in samples]) @ self.weight.T + self.bias
        return SimpleNamespace(here=lambda: np.hstack([rows] * len(outputs)))


def test_a_runner_is_one_method():
    """The road, the cache, the batches and the checks are the engine's."""
    linear = nn.Linear(5, 3)
    X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    torchs = ModuleFeaturizer(linear, layer="output", cache=None)
    expected = torchs.fit_transform(X)
    runners = SimpleNamespace(
        dtype="float32", batch_size=8, load=lambda _backbone: [NumpyRunner(linear)]
    )

    road = torchs.road()
    rows = road.rows(read_rows(X), resolve_cache(None), runners)

    assert relative_error(rows, expected) < 1e-5


# -- a modality: its items, its backbone, its estimator


class Waves:
    """Sounds: arrays of one axis, of any length."""

    at_once = 1024

    def __init__(self, X):
        self._waves = [np.asarray(wave, dtype=np.float32) for wave in X]

    def __len__(self):
        return len(self._waves)

    def load(self, i):
        """Return one sound."""
        wave = self._waves[i]
        if wave.ndim != 1 or not len(wave):
            raise BadItemError(f"has the shape {wave.shape}; a sound has one axis")
        return wave

    def digest(self, i):
        """Hash its numbers."""
        return _digest.of_array(self.load(i), "sound")

    def let_go(self):
        """Hold nothing."""

    def name(self, i):
        """Say which sound."""
        return f"Item {i} of X"


def make_sound_network():
    """Make a network over one channel."""
    return nn.Sequential(
        nn.Conv1d(1, 8, 9, 4), nn.ReLU(), nn.Conv1d(8, 16, 9, 4), nn.ReLU(), nn.Conv1d(16, 4, 3)
    )


class SoundWeights:
    """Random weights, which a seed decides."""

    def digest(self):
        """Hash them."""
        return digest_of(random_network(make_sound_network))

    def describe(self):
        """Say where they come from."""
        return "a seed"


class SoundBackbone(Backbone):
    """Loudness set to one, and the first second."""

    name, libraries, growth, has_head = "sound/tiny", (), 2, False
    weights = SoundWeights()
    length = 1000

    architecture = "sound/tiny"

    def recipe(self):
        return {"network": self.name, "length": self.length}

    def skeleton(self, *, grown):
        return random_network(make_sound_network).eval().to("meta")

    def rehearse(self, network, batch, *, grown):
        return network(torch.empty(batch, 1, self.length * (2 if grown else 1), device="meta"))

    def build(self):
        return random_network(make_sound_network)

    def prepare(self, contents):
        padded = [
            np.pad(wave[: self.length], (0, max(0, self.length - len(wave)))) for wave in contents
        ]
        return [torch.from_numpy(wave / max(np.abs(wave).max(), 1e-9))[None] for wave in padded]

    def collate(self, samples, device, dtype):
        return torch.stack(list(samples)).to(device=device, dtype=dtype)

    def call(self, network, batch):
        return network(batch)


class SoundFeaturizer(BaseFeaturizer):
    """Features of sounds."""

    def __init__(
        self, model="tiny", *, weights="default", layer="penultimate", pooling="auto",
        batch_size="auto", device="cpu", dtype="float32", cache="memory", keep_layers="auto",
        on_error="raise", verbose=False,
    ):  # fmt: skip
        self.model, self.weights, self.layer, self.pooling = model, weights, layer, pooling
        self.batch_size, self.device, self.dtype, self.cache = batch_size, device, dtype, cache
        self.keep_layers, self.on_error, self.verbose = keep_layers, on_error, verbose

    def _read(self, X, *, reset):
        return Waves(X)

    def _backbone(self):
        return SoundBackbone()

    def _canary_item(self):
        return lambda: np.sin(np.arange(700, dtype=np.float32))


def test_a_modality_is_items_a_backbone_and_an_estimator(forwarded):
    """A layer search over sounds costs one pass, and a bad sound is named."""
    rng = np.random.default_rng(0)
    tones = [np.sin(np.arange(rng.integers(500, 2000)) * f) for f in [0.05] * 10 + [0.9] * 10]
    y = [0] * 10 + [1] * 10
    pipeline = Pipeline([("sound", SoundFeaturizer()), ("head", LogisticRegression())])
    grid = {"sound__layer": [0, 1, -1], "sound__pooling": ["avg", "max"]}

    search = GridSearchCV(pipeline, grid, cv=2).fit(tones, y)

    assert search.best_score_ == 1.0
    assert sum(forwarded) == len(tones)
    network = random_network(make_sound_network).eval()
    wave = SoundBackbone().prepare([np.float32(tones[0])])[0]
    ours = SoundFeaturizer(layer="2", pooling="avg").fit(tones).transform(tones[:1])
    assert relative_error(ours, network[:3](wave[None]).mean(2).detach().numpy()) < 1e-5
    with pytest.raises(BadItemError, match="Item 1 of X has the shape"):
        SoundFeaturizer().fit_transform([tones[0], np.zeros((2, 2))])
