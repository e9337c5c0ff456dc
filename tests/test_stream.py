"""`stream`: the rows of `transform`, window by window, with memory for a window."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import IncrementalPCA
from sklearn.linear_model import SGDClassifier

from sklearn_pretrained import (
    FeatureCache,
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    _featurizer,
    memory_cache,
)
from sklearn_pretrained.exceptions import BadItemError, BadItemWarning, TruncationWarning
from sklearn_pretrained.inputs import _contents
from sklearn_pretrained.inputs._images import Images
from sklearn_pretrained.inputs._rows import Rows
from sklearn_pretrained.inputs._texts import Texts
from tests.conftest import make_mlp, relative_error

WINDOW = 5


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch):
    memory_cache().clear()
    for kind in (Images, Rows, Texts):
        monkeypatch.setattr(kind, "at_once", WINDOW)


@pytest.fixture(name="X")
def _numbers():
    return np.random.default_rng(0).normal(size=(23, 8)).astype(np.float32)


def images(**parameters):
    return PretrainedImageFeaturizer(layer=0, image_size=32, **parameters)


@pytest.mark.parametrize("cache", ["memory", None, "file"])
def test_rows_and_counts_are_those_of_transform(cache, X, tmp_path):
    """From every cache; positions say where each window's rows belong."""
    cache = FeatureCache(tmp_path / "rows.sqlite") if cache == "file" else cache
    ours = ModuleFeaturizer(make_mlp, cache=cache).fit(X)
    parts = list(ours.stream(X))
    streamed = np.concatenate([rows for _, rows in parts])

    assert [positions for positions, _ in parts] == [
        range(i, min(i + WINDOW, 23)) for i in range(0, 23, WINDOW)
    ]
    assert (ours.counts_.asked, ours.counts_.known, ours.counts_.computed) == (23, 0, 23)
    assert relative_error(streamed, ours.transform(X)) < 1e-6


def test_what_was_streamed_is_known(X, forwarded):
    """The cache is that of `transform`."""
    ours = ModuleFeaturizer(make_mlp).fit(X)
    for _ in ours.stream(X):
        pass
    ours.transform(X)

    assert sum(forwarded) == 23


def test_a_window_is_computed_when_it_is_asked_for(X, forwarded):
    """So a loop that stops early costs what it used, and counts it."""
    ours = ModuleFeaturizer(make_mlp, cache=None).fit(X)
    stream = ours.stream(X)
    assert sum(forwarded) == 0
    next(stream)
    stream.close()

    assert sum(forwarded) == WINDOW
    assert ours.counts_.computed == WINDOW


def test_parameters_that_were_changed_after_fit_are_refused_at_the_call(X):
    """Before any row, as `transform` does."""
    ours = ModuleFeaturizer(make_mlp).fit(X).set_params(layer=0)
    with pytest.raises(ValueError, match="layer"):
        ours.stream(X)


class Lazy:
    """A dataset that makes each picture when it is asked for, and knows how many are alive."""

    def __init__(self, n):
        self._n, self.alive, self.most = n, 0, 0
        self.asked = [0] * n

    def __len__(self):
        return self._n

    def __getitem__(self, i):
        if not 0 <= i < self._n:
            raise IndexError(i)
        self.asked[i] += 1
        picture = np.random.default_rng(i).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(picture, self._gone)
        return picture

    def _gone(self):
        self.alive -= 1


def test_no_more_than_a_window_of_items_is_alive():
    """However long X is; and each is asked for once."""
    X = Lazy(60)
    ours = images(cache=None, batch_size=5).fit(X)
    for positions, rows in ours.stream(X):
        assert max(X.asked[positions.stop :], default=0) == 0  # nothing is read ahead
        assert len(rows) == len(positions)

    gc.collect()
    assert X.asked == [1] * 60
    assert X.most <= WINDOW + 1  # the one that is being read


def test_no_file_is_read_twice(patches, tmp_path, monkeypatch):
    """Neither to know it nor to decode it."""
    paths = [tmp_path / f"{i}.png" for i in range(12)]
    for path, patch in zip(paths, patches, strict=False):
        Image.fromarray(patch).save(path)
    seen: list[str] = []
    read = _contents.read_file
    monkeypatch.setattr(_contents, "read_file", lambda path: seen.append(path) or read(path))
    for _ in images(cache=None).fit(paths).stream(paths):
        pass

    assert sorted(seen) == sorted(map(str, paths))


# -- what cannot be read


def test_items_that_cannot_be_read_are_known_with_their_window_and_warned_of_once(patches):
    """By their positions in X; rows are NaN, and an equal item is named as well."""
    X = [*patches[:12]]
    X[3], X[7], X[8] = b"no picture", b"nor this", b"nor this"
    ours = images(on_error="nan", cache=None).fit(X)
    with pytest.warns(BadItemWarning, match="3 items of X") as told:
        found = [(rows, sorted(ours.bad_items_)) for _, rows in ours.stream(X)]
    parts = [rows for rows, _ in found]

    assert [bad for _, bad in found] == [[3], [3, 7, 8], [3, 7, 8]]
    assert len(told) == 1
    assert np.flatnonzero(np.isnan(np.concatenate(parts)).any(axis=1)).tolist() == [3, 7, 8]
    assert (ours.counts_.asked, ours.counts_.computed, ours.counts_.bad) == (12, 9, 3)


def test_an_item_that_cannot_be_read_is_an_error_when_its_window_comes(patches):
    """Rows before it were given."""
    X = [*patches[:7], None]
    stream = images(cache=None).fit(X).stream(X)
    next(stream)
    with pytest.raises(BadItemError, match="Item 7 of X"):
        next(stream)


def test_what_is_remembered_of_items_does_not_grow_with_x(X, monkeypatch):
    """Digests are forgotten with their window."""
    ours = ModuleFeaturizer(make_mlp, cache=None).fit(X)
    tallies, whole = [], _featurizer.Tally

    def tally(*args, **options):
        tallies.append(whole(*args, **options))
        return tallies[-1]

    monkeypatch.setattr(_featurizer, "Tally", tally)

    assert [len(tallies[0].bad._digests) for _ in ours.stream(X)] == [0] * 5


# -- texts


def test_texts_that_are_cut_are_counted_over_all_windows():
    """And warned of once, after the last."""
    texts = ["one two three four five six seven", "short"] * 6
    ours = PretrainedTextFeaturizer(layer=0, max_length=5, cache=None).fit(texts)
    with pytest.warns(TruncationWarning, match="6 texts"):
        list(ours.stream(texts))
    list(ours.stream(texts))


def test_rows_of_tokens_are_streamed_too():
    """An array for each text; what cannot be read is named by its place in X."""
    texts = [f"text {'and more ' * (i % 3)}" for i in range(12)]
    texts[7] = None
    ours = PretrainedTextFeaturizer(layer=0, pooling="none", on_error="nan", cache=None)
    ours.fit(texts)
    with pytest.warns(BadItemWarning):
        parts = list(ours.stream(texts))
    assert list(ours.bad_items_) == [7]
    with pytest.warns(BadItemWarning):
        expected = ours.transform(texts)

    for positions, rows in parts:
        for i, row in zip(positions, rows, strict=True):
            np.testing.assert_allclose(row, expected[i], atol=1e-5)


# -- heads that learn piece by piece, and arrays on disk


def test_heads_learn_window_by_window(X, tmp_path):
    """`partial_fit` sees every row; a memory-mapped array holds them all."""
    y = (X[:, 0] > 0).astype(int)
    ours = ModuleFeaturizer(make_mlp).fit(X)
    head, axes = SGDClassifier(random_state=0), IncrementalPCA(2)
    on_disk = np.lib.format.open_memmap(
        tmp_path / "rows.npy", "w+", np.float32, (23, ours.n_features_out_)
    )
    for positions, rows in ours.stream(X):
        head.partial_fit(rows, y[positions], classes=[0, 1])
        if len(rows) == WINDOW:
            axes.partial_fit(rows)
        on_disk[positions] = rows

    assert head.t_ == 24
    assert axes.n_samples_seen_ == 20
    np.testing.assert_array_equal(on_disk, ours.transform(X))
