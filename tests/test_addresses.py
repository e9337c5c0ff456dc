"""A cache at an address of fsspec: in memory, in files, and in a bucket of a local server."""

from __future__ import annotations

import pickle
import secrets
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import FeatureCache, ModuleFeaturizer, SharedFeatureCache, release
from sklearn_pretrained.cache import resolve_cache
from sklearn_pretrained.cache.segments import SegmentStore
from sklearn_pretrained.exceptions import CacheWarning, MissingExtraError
from tests.buckets import bucket
from tests.conftest import make_mlp
from tests.test_segments import BUNDLE, known, put

X = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)


class Renaming(LocalFileSystem):
    """A store, as of a server of files, that shows what is half written."""

    protocol = "renaming"


fsspec.register_implementation("renaming", Renaming, clobber=True)


@pytest.fixture(scope="module")
def s3():
    with pytest.MonkeyPatch.context() as patch, bucket(patch) as address:
        yield address


@pytest.fixture(params=["memory", "renaming", "s3"])
def address(request, tmp_path):
    if request.param == "memory":
        return f"memory://{secrets.token_hex(4)}/features"
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/{secrets.token_hex(4)}/features"
    return f"renaming://{tmp_path}/features"


def names(address):
    store, top = fsspec.url_to_fs(address)
    return sorted(one.rpartition("/")[2] for one in store.find(top))


def test_rows_come_back_from_an_address(address):
    """Bit for bit, from several files, and for another process's store."""
    store = SegmentStore(address)
    assert known(store, 3) == []
    put(store, 0, 1, 2)
    put(store, *range(3, 2000))

    assert known(store, 2001) == list(range(2000))
    assert known(SegmentStore(address), 5) == []  # nobody has looked yet
    other = SegmentStore(address)
    other.refresh()
    assert known(other, 2001) == list(range(2000))
    assert store.stats()["files"] == 2
    assert store.stats()["bytes"] > 2000 * 5 * 4
    assert not any(name.endswith(".tmp") for name in names(address))


def test_the_first_of_two_facts_stays_at_an_address(address):
    """And a damaged one is replaced."""
    first, second = SegmentStore(address), SegmentStore(address)
    assert first.recall("recipe", "canary") is None
    assert first.remember("recipe", "canary", b"first") == b"first"
    assert second.remember("recipe", "canary", b"second") == b"first"
    store, top = fsspec.url_to_fs(address)
    (place,) = store.find(f"{top}/facts")
    store.pipe_file(place, b"damaged")
    third = SegmentStore(address)

    assert third.recall("recipe", "canary") is None
    assert third.remember("recipe", "canary", b"third") == b"third"
    assert SegmentStore(address).recall("recipe", "canary") == b"third"


def test_a_search_at_an_address_forwards_nothing_the_second_time(address, forwarded):
    """It is a cache like any other: by its address, in clones and in pickles."""
    pipeline = make_pipeline(ModuleFeaturizer(make_mlp(), cache=address), LogisticRegression())
    search = GridSearchCV(pipeline, {"modulefeaturizer__layer": ["0", "2", "4"]}, cv=2)
    y = (X[:, 0] > 0).astype(int)
    search.fit(X, y)
    assert sum(forwarded) > 0
    release()
    forwarded.clear()

    search.fit(X, y)

    assert sum(forwarded) == 0
    cache = resolve_cache(address)
    assert cache == pickle.loads(pickle.dumps(cache)) == SharedFeatureCache(f"{address}/")
    assert repr(cache) == f"SharedFeatureCache({address!r})"


def test_files_at_an_address_are_merged_and_verified(address):
    """As in a folder."""
    cache = SharedFeatureCache(address)
    for i in range(5):
        put(cache._store, i, i + 1)
    assert cache.compact() == 4
    put(cache._store, 6)
    store, top = fsspec.url_to_fs(address)
    first = min(store.glob(f"{top}/*.parquet"))
    content = store.cat_file(first)
    store.pipe_file(first, content[: len(content) // 2])

    with pytest.warns(CacheWarning, match="holds a damaged file"):
        assert cache.verify() == {"rows": 1, "damaged": 1}
    assert any(name.endswith(".parquet.damaged") for name in names(address))
    assert known(SharedFeatureCache(address)._store, 7) == [6]


def test_a_chain_of_addresses(tmp_path):
    """Such as files of another store that are kept on this machine."""
    address = f"simplecache::memory://{secrets.token_hex(4)}/features"
    put(SegmentStore(address), 0, 1)
    other = SegmentStore(address)
    other.refresh()

    assert known(other, 2) == [0, 1]


def test_a_file_address_is_a_folder(tmp_path):
    """With all that a folder promises."""
    put(SegmentStore(f"file://{tmp_path}/features"), 0)

    assert known(SharedFeatureCache(tmp_path / "features")._store, 1) == []
    assert SharedFeatureCache(tmp_path / "features").stats()["rows"] == 1


def test_a_store_that_cannot_be_reached_fails_nothing(address, monkeypatch):
    """One warning for each kind of fault; what is there is found when it is back."""
    store, writer, reader = (SegmentStore(address) for _ in range(3))
    put(store, 0)
    store.files._groups.clear()
    asked = []

    def down(*_args, **_options):
        asked.append(1)
        raise RuntimeError("the line is dead")

    reached, _ = fsspec.url_to_fs(address)
    for verb in ("ls", "cat_file", "pipe_file"):
        monkeypatch.setattr(reached, verb, down)
    with pytest.warns(CacheWarning, match="cannot be read .*the line is dead"):
        assert known(store, 1) == []
    with pytest.warns(CacheWarning, match="takes no rows .*the line is dead"):
        assert not put(writer, 1)
    with pytest.warns(CacheWarning, match="cannot be read"):
        assert reader.remember("recipe", "canary", b"ours") == b"ours"
    # Each question may take seconds: for a while there is none.
    asked.clear()
    for one in (store, reader):
        assert one.bundles("recipe") in ([], [BUNDLE])
        assert known(one, 1) == []
        assert not put(one, 1)
        assert one.recall("recipe", "another") is None
    assert asked == []
    monkeypatch.undo()
    for one in (store, reader):
        one.refresh()
        assert known(one, 2) == [0]


def test_two_machines_on_one_bucket(s3):
    """Writers that also merge are killed: no row is wrong, none that was stored is lost."""
    address, n, root = f"{s3}/shared", 300, Path(__file__).parents[1]
    stored: set[int] = set()

    def start(seed):
        words = [sys.executable, "-m", "tests.writers", address, str(seed), str(n)]
        return subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE)

    def stop(writer):
        writer.kill()
        told = writer.communicate()[0]
        stored.update(int.from_bytes(told[i : i + 4], "big") for i in range(0, len(told), 4))

    writers = [start(seed) for seed in range(2)]
    reader = SegmentStore(address)
    for kill in range(3):
        while not known(reader, n):
            time.sleep(0.05)
            reader.refresh()
        time.sleep(0.5)
        stop(writers.pop(0))
        reader.refresh()
        there = known(reader, n)
        assert stored <= {*there}
        writers.append(start(kill + 2))
    for writer in writers:
        stop(writer)

    reader.refresh()
    assert stored <= {*known(reader, n)}
    assert stored
    assert SharedFeatureCache(address).verify()["damaged"] == 0


def test_what_is_missing_to_reach_a_store_is_named(monkeypatch):
    """When the cache is made, with what to install."""
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingExtraError, match=r"'gs://bucket/features' needs .*gcsfs"):
        SharedFeatureCache("gs://bucket/features/")
    with pytest.raises(ValueError, match=r"nowhere://features.*nowhere"):
        SharedFeatureCache("nowhere://features")
    with pytest.raises(ValueError, match="Pass SharedFeatureCache"):
        FeatureCache("memory://features")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"sklearn-pretrained\[fsspec\]"):
        SharedFeatureCache("memory://features")
