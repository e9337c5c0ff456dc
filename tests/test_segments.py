"""A folder that machines share: immutable files, no locks; nothing half written is ever seen."""

from __future__ import annotations

import pickle
import random
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import (
    FeatureCache,
    ModuleFeaturizer,
    SharedFeatureCache,
    memory_cache,
    release,
)
from sklearn_pretrained.cache import _mounts, resolve_cache
from sklearn_pretrained.cache.segments import SegmentStore, _store
from sklearn_pretrained.cache.segments._format import to_table, unique_name, writing
from sklearn_pretrained.cache.segments._index import Index
from sklearn_pretrained.exceptions import CacheWarning
from sklearn_pretrained.recipe._recipe import Bundle
from tests.conftest import make_mlp

BUNDLE = Bundle("recipe", (("a:avg", 3), ("b:max", 2)))


def digest(i):
    return i.to_bytes(4, "big") * 8


def row(i):
    """Give the only right row of an item."""
    return np.random.default_rng(i).normal(size=BUNDLE.width).astype(np.float32)


def rows(*items):
    return np.stack([row(i) for i in items])


@pytest.fixture
def store(tmp_path):
    return SegmentStore(tmp_path / "features")


def put(store, *items):
    return store.put(BUNDLE, [digest(i) for i in items], rows(*items))


def known(store, n):
    """List the items of a store among the first n; what it gives must be right."""
    found = store.get(BUNDLE, [digest(i) for i in range(n)])
    for i, got in enumerate(found):
        assert got is None or np.array_equal(got, row(i))
    return [i for i, got in enumerate(found) if got is not None]


# -- a store


def test_rows_come_back_bit_for_bit(store):
    """From several files, in any order, and from another store on the folder."""
    put(store, 0, 1, 2)
    put(store, 5, 4)

    assert store.bundles("recipe") == [BUNDLE]
    assert store.bundles("another") == []
    assert known(store, 7) == [0, 1, 2, 4, 5]
    other = SegmentStore(store.location.path)
    assert other.bundles("recipe") == [BUNDLE]
    assert known(other, 7) == [0, 1, 2, 4, 5]


def test_rows_lie_beyond_one_group_of_a_file(store, monkeypatch):
    """Which are read one by one, and forgotten where there are many."""
    monkeypatch.setattr("sklearn_pretrained.cache.segments._files._HELD", 1 << 10)
    put(store, *range(3000))

    assert known(store, 3000) == list(range(3000))


def test_files_of_others_are_noticed(store, monkeypatch):
    """After a few seconds."""
    put(store, 0)
    other = SegmentStore(store.location.path)
    assert other.bundles("recipe")
    put(store, 1)
    assert known(other, 2) == [0]
    monkeypatch.setattr(_store, "FRESH", 0.0)
    other.bundles("recipe")

    assert known(other, 2) == [0, 1]


def test_a_folder_that_is_not_there_is_empty(store):
    """It is made when something is put into it."""
    assert store.bundles("recipe") == []
    assert known(store, 2) == []
    assert not store.location.path.exists()


def test_what_else_lies_in_the_folder_is_left_alone(store):
    """Other tables, other files, and what is not whole yet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    put(store, 0)
    pq.write_table(pa.table({"x": [1]}), store.location.path / "theirs.parquet")
    (store.location.path / f".{unique_name()}.tmp").write_bytes(b"half")
    (store.location.path / "readme.txt").write_text("hello")
    other = SegmentStore(store.location.path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert other.bundles("recipe") == [BUNDLE]

    assert known(other, 2) == [0]


def test_a_damaged_file_is_named_and_skipped(store):
    """What it held is found in another file, or is not known."""
    put(store, 0, 1)
    first = next(store.location.path.glob("*.parquet"))
    put(store, 1, 2)
    content = bytearray(first.read_bytes())
    content[len(content) // 3] ^= 0xFF
    first.write_bytes(content[: len(content) // 2])
    other = SegmentStore(store.location.path)
    with pytest.warns(CacheWarning, match=f"damaged file, {first.name}"):
        other.bundles("recipe")

    assert known(other, 3) == [1, 2]


def test_no_flipped_byte_gives_a_wrong_row(store):
    """Each is told by a checksum, or does no harm."""
    put(store, *range(8))
    path = next(store.location.path.glob("*.parquet"))
    content = path.read_bytes()
    dice = random.Random(0)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        for _ in range(300):
            changed = bytearray(content)
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
            path.write_bytes(changed)
            other = SegmentStore(store.location.path)
            other.bundles("recipe")
            found.append(len(known(other, 8)))  # asserts that what is there is right

    assert set(found) == {0, 8}


def test_a_row_under_another_key_is_damage(store):
    """The checksum knows the digest, and the recipe."""
    table = to_table(BUNDLE, [digest(0)], rows(0))
    strayed = table.set_column(0, table.field(0), to_table(BUNDLE, [digest(1)], rows(1)).column(0))
    store.location.put(unique_name(), writing(strayed))
    store.bundles("recipe")
    with pytest.warns(CacheWarning, match="does not match its checksum"):
        assert known(store, 2) == []


def test_a_full_disk_is_left_alone_for_a_while(store, monkeypatch):
    """With one warning, and without an error."""

    def full(name, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.location, "put", full)
    with pytest.warns(CacheWarning, match="takes no rows.*No space left"):
        assert not put(store, 0)
    monkeypatch.undo()
    assert not put(store, 0)
    store._paused = -np.inf
    assert put(store, 0)


def test_the_first_of_two_facts_stays(store):
    """Whoever notes it, on whichever machine; a damaged one is replaced."""
    other = SegmentStore(store.location.path)
    assert store.recall("recipe", "canary") is None
    assert store.remember("recipe", "canary", b"first") == b"first"
    assert other.remember("recipe", "canary", b"second") == b"first"
    (place,) = (store.location.path / "facts").iterdir()
    place.write_bytes(b"damaged")
    third = SegmentStore(store.location.path)

    assert third.recall("recipe", "canary") is None
    assert third.remember("recipe", "canary", b"third") == b"third"
    assert SegmentStore(store.location.path).recall("recipe", "canary") == b"third"


def test_an_index_finds_every_row_at_16_bytes_each():
    """A later file's row comes first; those of a file that went are not found."""
    index, dice = Index(), np.random.default_rng(0)
    digests = [bytes(line) for line in dice.integers(0, 256, (5000, 32), dtype=np.uint8)]
    for file in range(50):
        index.add(file, [None, *digests[file * 100 : file * 100 + 100]])
    files, places = index.find([*digests, b"\0" * 32])
    assert index.n_bytes == 16 * 5000
    np.testing.assert_array_equal(files[:-1], np.arange(5000) // 100)
    np.testing.assert_array_equal(places[:-1], np.arange(5000) % 100 + 1)
    assert files[-1] == -1

    index.add(50, digests[:10])
    assert set(index.find(digests[:10])[0]) == {50}
    index.drop(50)
    assert set(index.find(digests[:10])[0]) == {0}


# -- upkeep


def test_small_files_are_merged_while_others_read(tmp_path):
    """No row is lost, and a reader that knew the old files finds the merged one."""
    cache = SharedFeatureCache(tmp_path)
    reader = SegmentStore(tmp_path)
    for i in range(10):
        put(cache._store, i, i + 1)
    reader.bundles("recipe")
    assert len(known(reader, 3)) == 3
    reader.files._groups.clear()

    assert cache.compact() == 9
    assert cache.stats()["rows"] == 11
    assert known(reader, 11) == list(range(11))
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_merged_files_have_a_size(tmp_path):
    """No larger than asked."""
    cache = SharedFeatureCache(tmp_path)
    for i in range(0, 12, 2):
        put(cache._store, i, i + 1)
    cache.compact(rows_per_file=4)

    assert cache.stats()["files"] == 3
    assert known(cache._store, 12) == list(range(12))


def test_verify_sets_damaged_files_aside(tmp_path):
    """Under another name, for whoever wants to look at them."""
    cache = SharedFeatureCache(tmp_path)
    put(cache._store, *range(5))
    path = next(tmp_path.glob("*.parquet"))
    put(cache._store, *range(5, 9))
    content = bytearray(path.read_bytes())
    at = content.find(rows(2)[0, :3].tobytes())
    content[at] ^= 1
    path.write_bytes(content)

    assert cache.verify() == {"rows": 4, "damaged": 1}
    assert known(cache._store, 9) == [5, 6, 7, 8]
    assert path.with_name(f"{path.name}.damaged").exists()


# -- featurizers


@pytest.fixture(name="X")
def _numbers():
    memory_cache().clear()
    return np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)


def network():
    import torch

    torch.manual_seed(0)
    return make_mlp()


def test_a_slash_says_that_a_folder_is_shared(tmp_path, X):
    """So does what lies in it; another path is a file."""
    named = resolve_cache(f"{tmp_path}/features/")
    assert isinstance(named, SharedFeatureCache)
    put(named._store, 0)
    assert resolve_cache(tmp_path / "features") == named == pickle.loads(pickle.dumps(named))
    assert clone(named) is named
    assert isinstance(resolve_cache(str(tmp_path)), FeatureCache)
    assert resolve_cache(str(tmp_path / "features.sqlite")) == FeatureCache(tmp_path)


def test_a_file_is_not_a_folder(tmp_path):
    """The error says what to pass."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="pass FeatureCache"):
        SharedFeatureCache(tmp_path / "file")
    with pytest.raises(TypeError, match="folder must be a str"):
        SharedFeatureCache(3)


def test_a_search_after_a_search_forwards_nothing(tmp_path, X, forwarded):
    """Another process would find the rows of every layer."""
    cache = SharedFeatureCache(tmp_path)
    pipeline = make_pipeline(ModuleFeaturizer(network(), cache=cache), LogisticRegression())
    grid = {"modulefeaturizer__layer": ["0", "2", "4"]}
    y = (X[:, 0] > 0).astype(int)
    first = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert sum(forwarded) > 0
    release()
    forwarded.clear()
    second = GridSearchCV(pipeline, grid, cv=2).fit(X, y)

    assert sum(forwarded) == 0
    assert second.best_score_ == first.best_score_


PROGRAM = """
import sys, time
import numpy as np, torch
from sklearn_pretrained import ModuleFeaturizer
from sklearn_pretrained.cache.segments import _store
from sklearn_pretrained.running import _engine
_store.HOLD = 0.0
folder, pause = sys.argv[1], float(sys.argv[2])
whole = _engine.forward
done = 0
def slow(runner, reading, samples):
    global done
    done += len(samples)
    time.sleep(pause)
    return whole(runner, reading, samples)
_engine.forward = slow
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU())
X = np.random.default_rng(0).normal(size=(800, 8)).astype(np.float32)
ours = ModuleFeaturizer(network, layer="0", batch_size=4, cache=folder, keep_layers=None).fit(X)
rows = ours.transform(X)
expected = network[0](torch.from_numpy(X)).detach().numpy()
print(done, float(np.abs(rows - expected).max()))
"""


def started(folder, pause=0.0):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(pause)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_killed_writers_leave_whole_rows(tmp_path):
    """Who comes after them computes what is missing, and nothing is wrong."""
    folder = f"{tmp_path}/features/"
    left = []
    for _ in range(3):
        before = {*tmp_path.glob("features/*.parquet")}
        writer = started(folder, 0.1)
        while len({*tmp_path.glob("features/*.parquet")} - before) < 3:
            assert writer.poll() is None
            time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        left.append(SharedFeatureCache(folder).stats()["rows"])
        release()
    last, _ = started(folder).communicate(timeout=100)
    done, error = last.splitlines()[-1].split()

    assert 0 < left[0] < left[-1]
    assert float(error) < 1e-5
    # The first batch is checked: two of its items run alone, and one of them twice.
    assert 800 - left[-1] <= int(done) <= 800 - left[-1] + 3
    assert SharedFeatureCache(folder).verify()["damaged"] == 0


# -- network mounts


def test_a_cache_file_on_a_network_mount_is_warned_of(tmp_path, monkeypatch, X):
    """With the kind of mount, and what to use."""
    mounts = tmp_path / "mounts"
    share = tmp_path / "a share"
    escaped = str(share).replace(" ", "\\040")
    mounts.write_text(f"rootfs / ext4 rw 0 0\nhost:/x {escaped} nfs4 rw 0 0\n")
    monkeypatch.setattr(_mounts, "_MOUNTS", mounts)
    ours = ModuleFeaturizer(network(), cache=share / "rows.sqlite").fit(X)
    with pytest.warns(CacheWarning, match=r"network mount \(nfs4\).*SharedFeatureCache"):
        ours.transform(X)

    assert _mounts.network_mount(tmp_path) is None
    monkeypatch.setattr(_mounts, "_MOUNTS", tmp_path / "none")
    assert _mounts.network_mount(share) is None
