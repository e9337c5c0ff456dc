"""The cache: each distinct row is computed once, and a result never depends on it."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer
from sklearn_pretrained.cache import Request
from sklearn_pretrained.cache._cache import (
    FeatureCache,
    RowCache,
    memory_cache,
    resolve_cache,
)
from sklearn_pretrained.cache._memory import LIMIT_VARIABLE, OVERHEAD, MemoryStore, default_memory
from sklearn_pretrained.recipe._recipe import Bundle
from tests.conftest import make_mlp

ALL = Bundle("r", (("a", 2), ("b", 3), ("c", 1)))
ONE = Bundle("r", (("b", 3),))


def row(digest: bytes, bundle: Bundle) -> np.ndarray:
    """Make the row that stands for a digest: each output is told by its name."""
    return np.concatenate(
        [np.full(width, digest[0] + ord(name), np.float32) for name, width in bundle.outputs]
    )


class Computer:
    """Counts what it is asked to compute."""

    def __init__(self, digests, bad=()):
        self.digests, self.bad, self.seen = digests, set(bad), []

    def __call__(self, positions, bundle):
        for position in positions:
            self.seen.append(self.digests[position])
            if position not in self.bad:
                yield [position], row(self.digests[position], bundle)[None]


def fetch(cache, wanted, keep, digests, **options):
    computer = Computer(digests, **options)
    out = np.full((len(digests), wanted.width), np.nan, np.float32)
    return cache.fetch(Request(wanted, keep, digests, computer, out)), out, computer.seen


@pytest.fixture
def cache() -> RowCache:
    """Make a cache of its own, as no test shares rows with another."""
    return RowCache(MemoryStore(1 << 20))


@pytest.mark.parametrize(
    "make", [partial(resolve_cache, None), lambda: RowCache(MemoryStore(1 << 20))]
)
def test_equal_items_of_one_request_are_computed_once(make):
    """With a cache and without one."""
    digests = [b"x", b"y", b"x", b"x"]
    work, out, seen = fetch(make(), ONE, ONE, digests)

    assert seen == [b"x", b"y"]
    assert (work.asked, work.known, work.computed) == (4, 2, 2)
    np.testing.assert_array_equal(out, [row(d, ONE) for d in digests])


def test_without_a_cache_nothing_is_kept():
    """The next request computes every row again."""
    cache = resolve_cache(None)
    for _ in range(2):
        work, _, seen = fetch(cache, ONE, ONE, [b"x", b"y"])
        assert seen == [b"x", b"y"]
        assert (work.known, work.computed) == (0, 2)


def test_a_known_row_is_served_from_whatever_bundle_holds_it(cache):
    """All layers were kept once; one of them, or another order, needs no forward."""
    fetch(cache, ONE, ALL, [b"x", b"y"])
    other = Bundle("r", (("c", 1), ("a", 2)))
    work, out, seen = fetch(cache, other, other, [b"y", b"x", b"z"])

    assert seen == [b"z"]
    assert (work.known, work.computed) == (2, 1)
    np.testing.assert_array_equal(out, [row(d, other) for d in (b"y", b"x", b"z")])


def test_another_recipe_knows_nothing(cache):
    """Rows of other weights are other rows."""
    fetch(cache, ONE, ALL, [b"x"])
    other = Bundle("other", ONE.outputs)

    assert fetch(cache, other, other, [b"x"])[2] == [b"x"]


def test_bad_items_are_never_cached_and_leave_their_rows(cache):
    """Neither those without a digest, nor those that turn out bad on the way."""
    work, out, _ = fetch(cache, ONE, ONE, [b"x", None, b"y"], bad=[2])

    assert np.isnan(out).all(axis=1).tolist() == [False, True, True]
    assert work.computed == 1
    assert fetch(cache, ONE, ONE, [b"x", b"y"])[2] == [b"y"]


def test_what_was_computed_before_an_interruption_is_kept(cache):
    """Ctrl-C in the middle costs what was in the middle."""
    digests = [b"x", b"y", b"z"]

    def interrupted(positions, bundle):
        yield [positions[0]], row(digests[positions[0]], bundle)[None]
        raise KeyboardInterrupt

    out = np.empty((3, 3), np.float32)
    with pytest.raises(KeyboardInterrupt):
        cache.fetch(Request(ONE, ONE, digests, interrupted, out))

    assert fetch(cache, ONE, ONE, digests)[2] == [b"y", b"z"]


def test_the_least_recently_used_rows_go_first():
    """The cache stays within its bytes."""
    store = MemoryStore(3 * (ONE.width * 4 + OVERHEAD))
    cache = RowCache(store)
    fetch(cache, ONE, ONE, [b"x", b"y", b"z"])
    fetch(cache, ONE, ONE, [b"x"])
    fetch(cache, ONE, ONE, [b"w"])

    assert store.n_bytes == store.max_bytes
    assert fetch(cache, ONE, ONE, [b"x", b"z", b"w"])[2] == []
    assert fetch(cache, ONE, ONE, [b"y"])[2] == [b"y"]


def test_threads_that_ask_for_the_same_rows_compute_them_once(cache):
    """The second waits for the first and finds the rows known."""
    digests = [bytes([i]) for i in range(50)]
    computers = [Computer(digests) for _ in range(8)]
    outs = [np.empty((50, 3), np.float32) for _ in computers]

    def ask(k):
        cache.fetch(Request(ONE, ALL, digests, computers[k], outs[k]))

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(len(computer.seen) for computer in computers) == 50
    for out in outs:
        np.testing.assert_array_equal(out, [row(d, ONE) for d in digests])


def test_the_memory_limit_is_a_share_of_the_machine_or_what_the_environment_says(monkeypatch):
    """And a word that is no number is refused."""
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    assert 0 < default_memory() <= 4 << 30
    monkeypatch.setenv(LIMIT_VARIABLE, "12345")
    assert default_memory() == 12345
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    with pytest.raises(ValueError, match="'much' is not a valid number of bytes"):
        default_memory()


def test_a_cache_parameter_names_a_cache(cache, tmp_path):
    """The word "memory" is the process's own, a path is a file, a cache is itself."""
    assert resolve_cache("memory") is memory_cache()
    assert resolve_cache(cache) is cache
    assert resolve_cache(str(tmp_path / "rows")) == FeatureCache(tmp_path / "rows")
    assert resolve_cache(tmp_path / "rows") == FeatureCache(tmp_path / "rows")
    with pytest.raises(TypeError, match="or a SharedFeatureCache, got int 3"):
        resolve_cache(3)


# -- through the estimators


def test_a_search_over_layers_folds_and_heads_costs_one_forward_for_each_row(patches, forwarded):
    """Counted: six layers, two poolings, five folds and three heads send 24 images once."""
    memory_cache().store.clear()
    pipeline = make_pipeline(PretrainedImageFeaturizer(image_size=64), LogisticRegression())
    grid = {
        "pretrainedimagefeaturizer__layer": ["penultimate", 3, 0.5, "features.13", -2, -1],
        "pretrainedimagefeaturizer__pooling": ["auto", "max"],
        "logisticregression__C": [0.1, 1, 10],
    }
    grid["pretrainedimagefeaturizer__pooling"] = ["auto"]
    y = [0] * 12 + [1] * 12
    search = GridSearchCV(pipeline, grid, cv=5, error_score="raise").fit(patches, y)

    assert sum(forwarded) == 24
    assert search.best_estimator_[0].counts_.computed == 0

    best = search.best_estimator_[0]
    for layer, pooling in [("features.7", "avg"), (-1, "max"), (["features.2", 0.9], "avg")]:
        best.set_params(layer=layer, pooling=pooling).fit_transform(patches)
    assert sum(forwarded) == 24


@pytest.mark.parametrize("layer", ["penultimate", "features.3", ["features.2", "penultimate"]])
def test_what_a_search_keeps_of_an_image_is_kilobytes(layer, patches):
    """The poolings of every main layer, and never a whole map."""
    memory_cache().clear()
    PretrainedImageFeaturizer(layer=layer).fit_transform(patches[:2])

    assert memory_cache().store.n_bytes < 2 * 32_000


def test_a_loaded_pipeline_stops_early_and_keeps_what_it_needs(patches, forwarded):
    """In production no layer is read that nobody asked for."""
    import pickle

    memory_cache().store.clear()
    fitted = PretrainedImageFeaturizer(image_size=64, layer="features.2").fit(patches)
    loaded = pickle.loads(pickle.dumps(fitted))
    loaded.transform(patches)
    assert memory_cache().store.n_bytes == 24 * (24 * 4 + OVERHEAD)

    loaded.transform(patches)
    assert sum(forwarded) == 24
    assert (loaded.counts_.asked, loaded.counts_.known, loaded.counts_.computed) == (48, 24, 24)


def test_layers_to_keep_can_be_named(patches, forwarded):
    """A list keeps those layers, and the forward stops after the deepest of them."""
    memory_cache().store.clear()
    ours = PretrainedImageFeaturizer(
        image_size=64, layer="features.2", keep_layers=["features.4"]
    ).fit(patches)
    ours.transform(patches)
    ours.set_params(layer="features.4").fit(patches).transform(patches)
    assert sum(forwarded) == 24

    ours.set_params(layer="features.5").fit(patches).transform(patches)
    assert sum(forwarded) == 48


def test_the_rows_are_the_same_with_any_cache_cold_or_warm(patches):
    """A result never depends on the cache."""
    memory_cache().store.clear()
    rows = [
        PretrainedImageFeaturizer(image_size=64, layer="features.5", cache=cache, keep_layers=keep)
        .fit(patches)
        .transform(patches)
        for cache, keep in [(None, None), ("memory", "auto"), ("memory", "auto"), ("memory", None)]
    ]
    for other in rows[1:]:
        np.testing.assert_allclose(other, rows[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": 96},
        {"resize": "exact"},
        {"layer": "features.2.conv.0.0"},
        {"pooling": "gem"},
        {"dtype": "bfloat16"},
        {"model": "resnet18", "weights": None, "layer": "layer1"},
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn_pretrained.exceptions.RandomWeightsWarning")
def test_whatever_decides_a_row_makes_it_another_row(pictures, forwarded, change):
    """Preprocessing, layer, pooling, precision and network are part of what a row is known by."""
    memory_cache().store.clear()
    ours = PretrainedImageFeaturizer(image_size=64, layer="features.2", keep_layers=None)
    ours.fit_transform(pictures)
    ours.set_params(**change).fit_transform(pictures)

    assert sum(forwarded) == 4


def test_changing_one_pixel_or_one_weight_makes_another_row(forwarded):
    """Content decides, not identity."""
    import torch

    memory_cache().store.clear()
    X = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    network = make_mlp()
    ModuleFeaturizer(network).fit_transform(X)
    changed = X.copy()
    changed[2, 3] += 1e-3
    ModuleFeaturizer(network).fit_transform(changed)
    assert sum(forwarded) == 6
    with torch.no_grad():
        network[0].bias[0] += 1e-3
    ModuleFeaturizer(network).fit_transform(changed)

    assert sum(forwarded) == 11
