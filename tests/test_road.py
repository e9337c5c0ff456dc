"""The road of a row: X is taken window by window, and no row depends on where it is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    memory_cache,
)
from sklearn_pretrained.cache import resolve_cache
from sklearn_pretrained.exceptions import BadItemError, BadItemWarning
from sklearn_pretrained.inputs import _contents, read_rows
from sklearn_pretrained.inputs._images import Images
from sklearn_pretrained.inputs._rows import Rows
from sklearn_pretrained.inputs._texts import Texts
from sklearn_pretrained.running import Runners
from tests.conftest import make_mlp, relative_error

AT_ONCE = 5


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch):
    memory_cache().clear()
    for kind in (Images, Rows, Texts):
        monkeypatch.setattr(kind, "at_once", AT_ONCE)


@pytest.fixture(name="X")
def _numbers():
    X = np.random.default_rng(0).normal(size=(23, 8)).astype(np.float32)
    X[[11, 12, 22]] = X[[0, 12, 3]]
    return X


@pytest.fixture
def files(patches, tmp_path):
    """Save more pictures than go into two windows."""
    paths = [tmp_path / f"{i}.png" for i in range(12)]
    for path, patch in zip(paths, patches, strict=False):
        Image.fromarray(patch).save(path)
    return paths


def images(**parameters):
    return PretrainedImageFeaturizer(layer=0, image_size=32, **parameters)


def runners(fitted):
    return Runners("cpu", fitted.dtype_, fitted.weights_digest_)


@pytest.mark.parametrize("cache", ["memory", None])
def test_rows_are_those_of_one_window(cache, X, monkeypatch):
    """With a cache and without one."""
    ours = ModuleFeaturizer(make_mlp, cache=cache).fit(X)
    cut = ours.transform(X)
    memory_cache().clear()
    monkeypatch.setattr(Rows, "at_once", 1000)

    assert relative_error(ours.transform(X), cut) < 1e-6


@pytest.mark.parametrize("cache", ["memory", None])
def test_equal_items_of_far_windows_are_forwarded_once(cache, X, forwarded):
    """They are known, and counted so."""
    ours = ModuleFeaturizer(make_mlp, cache=cache)
    rows = ours.fit_transform(X)

    assert sum(forwarded) == 21
    np.testing.assert_array_equal(rows[[11, 22]], rows[[0, 3]])
    counts = ours.counts_
    assert (counts.asked, counts.known, counts.computed, counts.bad) == (23, 2, 21, 0)


@pytest.mark.parametrize("cache", ["memory", None])
def test_the_stream_gives_the_same_rows_window_by_window(cache, X):
    """In order, and each window before the next one is read."""
    ours = ModuleFeaturizer(make_mlp, cache=cache).fit(X)
    expected = ours.transform(X)
    memory_cache().clear()
    parts = list(ours.road().stream(read_rows(X), resolve_cache(cache), runners(ours)))

    assert [i for part, _ in parts for i in part] == list(range(23))
    assert [len(rows) for _, rows in parts] == [5, 5, 5, 5, 3]
    assert relative_error(np.concatenate([rows for _, rows in parts]), expected) < 1e-6


def test_the_road_takes_maps_too(X):
    """With the pooling "none", rows keep the shape of the layer."""
    network = torch.nn.Sequential(torch.nn.Unflatten(1, (2, 4)), torch.nn.Linear(4, 3))
    ours = ModuleFeaturizer(network, layer="output", pooling="none", cache=None).fit(X)
    stream = ours.road().stream(read_rows(X), resolve_cache(None), runners(ours))

    assert [rows.shape[1:] for _, rows in stream] == [(2, 3)] * 5


def test_texts_are_cut_into_windows_too():
    """The last window holds what is left."""
    texts = [f"text {i % 7}" for i in range(12)]
    ours = PretrainedTextFeaturizer(layer=0, cache=None).fit(texts)
    rows = ours.transform(texts)

    assert relative_error(rows[7:], rows[:5]) < 1e-6
    assert (ours.counts_.known, ours.counts_.computed) == (5, 7)


def test_windows_hold_whole_batches(X, forwarded):
    """A batch is as large as it was asked to be, except the last."""
    ModuleFeaturizer(make_mlp, cache=None, batch_size=7).fit_transform(np.unique(X, axis=0))

    assert forwarded == [7, 7, 7]


# -- what is read, and when


@pytest.fixture
def reads(monkeypatch):
    """Collect the paths of files that are read."""
    seen: list[str] = []
    read = _contents.read_file
    monkeypatch.setattr(_contents, "read_file", lambda path: seen.append(path) or read(path))
    return seen


def test_a_file_is_read_once(files, reads):
    """What was read to know it is held until it is decoded."""
    images(cache=None).fit_transform(files)

    assert sorted(reads) == sorted(map(str, files))


def test_the_network_runs_before_the_last_file_is_read(files, reads, forwarded):
    """A window is computed before the next one is looked at."""
    files[11].unlink()
    ours = images(cache=None).fit(files)
    with pytest.raises(BadItemError, match=r"Item 11 of X \(.*11.png'\) does not exist"):
        ours.transform(files)

    assert sum(forwarded) == 10


def test_rows_of_windows_before_an_error_are_known_afterwards(files):
    """With a cache, what was computed is kept."""
    away = files[11].read_bytes()
    files[11].unlink()
    with pytest.raises(BadItemError):
        images().fit_transform(files)
    files[11].write_bytes(away)
    again = images()
    again.fit_transform(files)

    assert (again.counts_.known, again.counts_.computed) == (10, 2)


# -- bad items


@pytest.mark.parametrize("cache", ["memory", None])
def test_bad_items_are_told_wherever_they_stand(cache, X):
    """Those that cannot be read, those that make NaN, and the equals of both in far windows."""
    X[[1, 13]] = np.nan
    X[[2, 14, 20]] = 1e38
    network = torch.nn.Linear(8, 3)
    torch.nn.init.constant_(network.weight, 10.0)
    ours = ModuleFeaturizer(network, layer="output", on_error="nan", cache=cache)
    with pytest.warns(BadItemWarning, match="5 items"):
        rows = ours.fit_transform(X)

    assert np.flatnonzero(np.isnan(rows).any(axis=1)).tolist() == [1, 2, 13, 14, 20]
    assert list(ours.bad_items_) == [1, 2, 13, 14, 20]
    counts = ours.counts_
    assert (counts.asked, counts.known, counts.computed, counts.bad) == (23, 2, 16, 5)


# -- progress


def test_progress_over_windows_counts_all_rows(X, capsys):
    """What is known is not known before the end, so the bar counts every row."""
    ours = ModuleFeaturizer(make_mlp, verbose=True)
    ours.fit_transform(X)
    shown = capsys.readouterr().err

    assert "module/make_mlp: 23 rows requested\n" in shown
    assert "23/23" in shown


# -- the road as it is asked for


def test_the_road_says_what_it_reads_and_needs_a_fit(X):
    """It is as fit pinned it."""
    ours = ModuleFeaturizer(make_mlp, layer=[0, -1])
    with pytest.raises(ValueError, match="not fitted"):
        ours.road()
    road = ours.fit(X).road()

    assert [layer.name for layer, _ in road.outputs] == ours.layer_
    assert road.recipe == clone(ours).fit(X).road().recipe
