"""Rows at rest on disk: what was stored comes back, or is a miss; a fault never fails anyone."""

from __future__ import annotations

import gzip
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_pretrained.cache._cache import FeatureCache, MemoryCache
from sklearn_pretrained.cache._policy import RowCache
from sklearn_pretrained.cache.disk import DiskStore, _attempts, _file, _uses
from sklearn_pretrained.cache.disk._format import FORMAT
from sklearn_pretrained.exceptions import CacheWarning
from sklearn_pretrained.recipe._recipe import Bundle
from tests.rows import BUNDLE, digest_of, fetch, rows_of

DIGESTS = [digest_of(i) for i in range(300)]
WIDE = Bundle("wide", (("x", 30_000),))


def filled(path: Path) -> Path:
    """Make a file that holds the 300 rows, and that no connection has open."""
    store = DiskStore(path)
    store.put(BUNDLE, DIGESTS, rows_of(DIGESTS))
    store.file.close()
    return path


def wrong_and_missing(store: DiskStore) -> tuple[int, int]:
    found = store.get(BUNDLE, DIGESTS)
    wrong = sum(
        row is not None and row.tobytes() != right.tobytes()
        for row, right in zip(found, rows_of(DIGESTS), strict=True)
    )
    return wrong, sum(row is None for row in found)


def in_another_process(program: str, *arguments: object) -> None:
    program = "import sys; from tests.test_store import *; " + program
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", program, *map(str, arguments)]
    subprocess.run(command, check=True, timeout=120, cwd=root)


# -- what is stored comes back


def test_rows_come_back_to_the_bit_after_the_file_is_opened_again(tmp_path):
    """Whatever numbers they hold, also those that are no numbers."""
    bundle = Bundle("r", (("x", 5),))
    rows = np.array([[0.0, -0.0, np.nan, np.inf, 1e-42], [1, 2, 3, 4, 5]], np.float32)
    DiskStore(tmp_path / "rows").put(bundle, [b"a", b"b"], rows)
    found = DiskStore(tmp_path / "rows").get(bundle, [b"b", b"c", b"a"])

    assert found[1] is None
    assert found[0].tobytes() == rows[1].tobytes()
    assert found[2].tobytes() == rows[0].tobytes()


def test_the_file_is_what_its_documentation_says(tmp_path):
    """A SQLite file of 8 KiB pages with a mark and a number of its format, and no pickles."""
    connection = sqlite3.connect(filled(tmp_path / "rows"))
    numbers = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_size", "application_id", "user_version", "journal_mode")
    ]
    record = connection.execute("SELECT record FROM rows ORDER BY id").fetchone()[0]
    connection.close()

    assert numbers == [8192, 0x736B7072, FORMAT, "delete"]
    assert record[:-8] == rows_of(DIGESTS[:1]).astype("<f4").tobytes()


def test_a_row_that_is_stored_twice_is_there_once(tmp_path):
    """Processes that computed the same row do no harm."""
    store = DiskStore(filled(tmp_path / "rows"))
    store.put(BUNDLE, DIGESTS[:10], rows_of(DIGESTS[:10]))

    assert store.stats()["rows"] == 300


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_and_its_parent_both_go_on(tmp_path):
    """Neither harms the other's connection, and the child is an owner of its own."""
    cache = FeatureCache(tmp_path / "rows")
    fetch(cache, DIGESTS[:50])
    # In a process of its own: the threads of other libraries make a fork unsafe.
    in_another_process(
        """
cache = FeatureCache(sys.argv[1])
assert fetch(cache, DIGESTS[:60])[1] == DIGESTS[50:60]
pid = os.fork()
if pid == 0:
    out, seen = fetch(cache, DIGESTS[:100])
    os._exit(0 if seen == DIGESTS[60:100] and (out == rows_of(DIGESTS[:100])).all() else 1)
assert os.waitpid(pid, 0)[1] == 0
out, seen = fetch(cache, DIGESTS[:120])
assert seen == DIGESTS[100:120]
assert (out == rows_of(DIGESTS[:120])).all()
""".strip(),
        cache.path,
    )

    assert fetch(cache, DIGESTS[:120])[1] == []


def test_a_file_that_is_removed_or_replaced_is_opened_anew(tmp_path):
    """A cache may be deleted at any time."""
    cache = FeatureCache(tmp_path / "rows")
    fetch(cache, DIGESTS[:10])
    (tmp_path / "rows").unlink()
    assert fetch(cache, DIGESTS[:10])[1] == DIGESTS[:10]

    shutil.copy(filled(tmp_path / "others"), tmp_path / "copy")
    (tmp_path / "copy").replace(tmp_path / "rows")
    assert fetch(cache, DIGESTS)[1] == []


# -- damage


def test_a_damaged_record_is_a_miss_with_one_warning_and_then_mended(tmp_path):
    """The others are served; the damaged one is computed and stored again."""
    path = filled(tmp_path / "rows")
    connection = sqlite3.connect(path)
    with connection:
        ids = [id_ for (id_,) in connection.execute("SELECT id FROM items ORDER BY id")]
        damage = "UPDATE rows SET record = {} WHERE id = ?".format
        connection.execute(damage("zeroblob(2056)"), ids[6:7])
        connection.execute(damage("zeroblob(2056)"), ids[8:9])
        connection.execute(damage("'text'"), ids[19:20])
        connection.execute(damage("(SELECT record FROM rows ORDER BY id)"), ids[3:4])
        connection.execute("DELETE FROM rows WHERE id = ?", ids[30:31])
    connection.close()
    cache = FeatureCache(path)
    with pytest.warns(CacheWarning, match="holds damaged rows, which are computed again") as told:
        out, seen = fetch(cache, DIGESTS)

    assert len(told) == 1
    assert sorted(seen) == sorted(DIGESTS[i] for i in (3, 6, 8, 19, 30))
    np.testing.assert_array_equal(out, rows_of(DIGESTS))
    assert fetch(cache, DIGESTS)[1] == []


def test_no_flipped_byte_gives_a_wrong_row(tmp_path):
    """Nor an error, wherever it is; most cost a row or none, and some the file."""
    whole = filled(tmp_path / "whole").read_bytes()
    rng = np.random.default_rng(0)
    new = [digest_of(1000)]
    kept = 0
    for i, offset in enumerate([*range(100), *rng.integers(0, len(whole), 150)]):
        path = tmp_path / str(i) / "rows"
        path.parent.mkdir()
        harmed = bytearray(whole)
        harmed[offset] ^= 1 << rng.integers(8)
        path.write_bytes(harmed)
        store = DiskStore(path)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            wrong, missing = wrong_and_missing(store)
            kept += missing == 0
            store.put(BUNDLE, new, rows_of(new))
            again, _ = wrong_and_missing(store)
            (row,) = store.get(BUNDLE, new)
        store.file.close()
        assert (wrong, again) == (0, 0), offset
        assert row is None or row.tobytes() == rows_of(new).tobytes(), offset
        # A key that changed is another key: nothing tells that there was one.
        assert missing <= 1 or told, offset
        assert all(w.category is CacheWarning for w in told), offset
        shutil.rmtree(path.parent)

    assert kept > 100


@pytest.mark.parametrize("share", [0.02, 0.3, 0.62, 0.9])
def test_a_file_cut_short_gives_no_wrong_row_and_is_replaced(tmp_path, share):
    """What is left of it is kept beside, in case somebody wants to look."""
    path = filled(tmp_path / "rows")
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    cache = FeatureCache(path)
    with pytest.warns(CacheWarning, match="rows is damaged: .*; it is kept as rows.damaged-"):
        out, _ = fetch(cache, DIGESTS)

    np.testing.assert_array_equal(out, rows_of(DIGESTS))
    fetch(cache, DIGESTS)
    assert fetch(cache, DIGESTS)[1] == []
    assert len(list(tmp_path.glob("rows.damaged-????????"))) == 1


def test_verify_counts_and_removes_what_is_damaged(tmp_path):
    """And says how many rows are right."""
    path = filled(tmp_path / "rows")
    assert FeatureCache(path).verify() == {"rows": 300, "damaged": 0}
    connection = sqlite3.connect(path)
    with connection:
        harm = (
            "UPDATE rows SET record = zeroblob(2056) WHERE id IN (SELECT {}(id) FROM rows)".format
        )
        connection.execute(harm("min"))
        connection.execute(harm("max"))
        connection.execute("DELETE FROM rows WHERE id = (SELECT min(id) + 5 FROM rows)")
        connection.execute("INSERT INTO bundles (recipe, outputs) VALUES ('r', '[[\"x\",1]')")
        connection.execute("INSERT INTO items VALUES (9998, 2, x'00'), (9999, 9, x'00')")
    connection.close()

    assert FeatureCache(path).verify() == {"rows": 297, "damaged": 5}
    assert FeatureCache(path).verify() == {"rows": 297, "damaged": 0}
    assert FeatureCache(path).stats()["rows"] == 297


# -- files that are not ours


def someone_elses(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE precious (x)")
    connection.commit()
    connection.close()


def of_the_future(path: Path) -> None:
    connection = sqlite3.connect(filled(path))
    connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"name,label\ncat,1\n" * 99), "is not a cache of features"),
        (lambda path: path.write_bytes(b"short"), "is not a cache of features"),
        (someone_elses, "is a database of another program"),
        (of_the_future, f"has format {FORMAT + 1}, written by a newer version"),
    ],
)
def test_a_file_that_is_not_ours_is_never_touched(tmp_path, make, says):
    """Rows are computed without it, and one warning says so."""
    path = tmp_path / "theirs"
    make(path)
    before = path.read_bytes()
    cache = FeatureCache(path)
    with pytest.warns(CacheWarning, match=says) as told:  # noqa: PT031
        for _ in range(2):
            out, seen = fetch(cache, DIGESTS)
            assert seen == DIGESTS

    assert len(told) == 1
    np.testing.assert_array_equal(out, rows_of(DIGESTS))
    assert path.read_bytes() == before


def test_two_formats_live_side_by_side(tmp_path):
    """A newer file in the same folder is left alone, while one's own is used."""
    of_the_future(tmp_path / "new")
    with pytest.warns(CacheWarning, match="which reads format"):
        fetch(FeatureCache(tmp_path / "new"), DIGESTS)
    filled(tmp_path / "ours")

    assert fetch(FeatureCache(tmp_path / "ours"), DIGESTS)[1] == []


# -- formats


def written_in(version: int, path: Path) -> Path:
    """Unpack a file that was written in some format."""
    fixtures = Path(__file__).parent / "fixtures"
    path.write_bytes(gzip.decompress((fixtures / f"cache_format_{version}.sqlite.gz").read_bytes()))
    return path


def test_files_with_pages_of_another_size_are_kept_within_a_size_too(tmp_path, monkeypatch):
    """The bytes that rows take are counted in the pages of the file."""
    monkeypatch.setattr(_file, "_NEW", ("page_size=65536", "auto_vacuum=INCREMENTAL"))
    fetch(FeatureCache(tmp_path / "rows"), [digest_of(i) for i in range(1000)])
    monkeypatch.undo()
    cache = FeatureCache(tmp_path / "rows", max_size=4 << 20)
    for start in range(1000, 3000, 100):
        fetch(cache, [digest_of(i) for i in range(start, start + 100)])
    before = cache.stats()
    removed = cache.prune(2 << 20)

    assert 2 << 20 < before["bytes"] <= 4 << 20
    assert cache.stats()["bytes"] <= 2 << 20
    assert before["rows"] - cache.stats()["rows"] == removed < before["rows"]
    assert fetch(cache, [digest_of(i) for i in range(2900, 3000)])[1] == []


@pytest.mark.parametrize("version", range(1, FORMAT + 1))
def test_a_file_of_each_format_so_far_is_served_and_goes_on(tmp_path, version):
    """With all its rows and without a warning; it is of today's format afterwards."""
    cache = FeatureCache(written_in(version, tmp_path / "rows"))
    out, seen = fetch(cache, DIGESTS[:8])

    assert seen == DIGESTS[5:8]
    np.testing.assert_array_equal(out, rows_of(DIGESTS[:8]))
    assert cache.verify() == {"rows": 8, "damaged": 0}
    connection = sqlite3.connect(cache.path)
    assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    connection.close()
    assert [path.name for path in tmp_path.glob("*damaged*")] == []


def test_how_the_tables_are_written_does_not_count(tmp_path):
    """White space and case in SQL are nobody's damage; columns, types and keys are compared."""
    path = filled(tmp_path / "rows")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'INTEGER', ' integer  ')")
    connection.execute("CREATE TABLE notes (of TEXT)")
    connection.commit()
    connection.close()
    assert fetch(FeatureCache(path), DIGESTS)[1] == []

    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE uses RENAME COLUMN used TO abused")
    connection.close()
    with pytest.warns(CacheWarning, match="the tables are not those of its format"):
        assert fetch(RowCache(DiskStore(path)), DIGESTS)[1] == DIGESTS


def test_a_format_that_lacks_a_table_is_damaged(tmp_path):
    """What cannot be brought to today's format is set aside."""
    path = written_in(1, tmp_path / "rows")
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE claims")
    connection.close()
    with pytest.warns(CacheWarning, match=r"is damaged: .*; it is kept as rows.damaged-"):
        fetch(FeatureCache(path), DIGESTS[:8])


# -- names


def test_a_file_under_several_names_is_one_cache(tmp_path, monkeypatch):
    """By a relative path, by links to it or to its folder: each row is computed once."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "rows")
    (tmp_path / "other").symlink_to(tmp_path / "folder")
    monkeypatch.chdir(tmp_path / "folder")
    names = ["rows", tmp_path / "link", tmp_path / "other" / "rows", "../folder/./rows"]
    caches = [FeatureCache(name) for name in names]
    assert fetch(caches[1], DIGESTS[:20])[1] == DIGESTS[:20]

    for cache in caches:
        assert fetch(cache, DIGESTS[:20])[1] == []
        assert cache._store is caches[0]._store
    assert len(list((tmp_path).rglob("*-owners"))) == 1


def test_a_file_with_hard_links_is_left_alone(tmp_path):
    """Each name would have its own journal, and a crash could cost the file."""
    path = filled(tmp_path / "rows")
    (tmp_path / "again").hardlink_to(path)
    before = path.read_bytes()
    with pytest.warns(CacheWarning, match="several hard links, .*: use symbolic links"):
        out, _ = fetch(FeatureCache(tmp_path / "again"), DIGESTS)

    np.testing.assert_array_equal(out, rows_of(DIGESTS))
    assert path.read_bytes() == before


# -- facts


@pytest.mark.parametrize("make", [MemoryCache, FeatureCache])
def test_a_fact_is_what_was_noted_first(tmp_path, make):
    """Of two processes that note it, both learn what the first one did."""
    cache = {
        MemoryCache: lambda: MemoryCache(1 << 20),
        FeatureCache: lambda: FeatureCache(tmp_path / "rows"),
    }[make]()
    assert cache.recall("recipe", "canary") is None
    assert cache.remember("recipe", "canary", b"one") == b"one"
    assert cache.remember("recipe", "canary", b"two") == b"one"
    assert cache.recall("recipe", "canary") == b"one"
    assert cache.recall("other", "canary") is None
    cache.clear()
    assert cache.recall("recipe", "canary") is None


def test_a_damaged_fact_is_unknown_and_noted_anew(tmp_path):
    """It has a checksum too."""
    cache = FeatureCache(tmp_path / "rows")
    cache.remember("recipe", "canary", b"one")
    with cache._store.file.transaction(write=True) as connection:
        connection.execute("UPDATE facts SET name = 'other'")

    assert cache.recall("recipe", "other") is None
    assert cache.remember("recipe", "other", b"two") == b"two"
    assert cache.recall("recipe", "other") == b"two"


# -- faults


def test_a_folder_holds_a_file_of_a_fixed_name(tmp_path):
    """As joblib.Memory takes a folder; one that appears later is left alone, with a warning."""
    assert FeatureCache(tmp_path).path == tmp_path / "features.sqlite"
    cache = FeatureCache(tmp_path / "later")
    (tmp_path / "later").mkdir()
    with pytest.warns(CacheWarning, match="is a folder"):
        out, _ = fetch(cache, DIGESTS[:5])

    np.testing.assert_array_equal(out, rows_of(DIGESTS[:5]))


def test_a_file_that_another_program_keeps_locked_costs_patience_once(tmp_path, monkeypatch):
    """Then rows are computed without it for a while, and with it again."""
    monkeypatch.setattr(_file, "PATIENCE", 0.1)
    monkeypatch.setattr(_attempts, "PAUSE", 3.0)
    path = filled(tmp_path / "rows")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    store = DiskStore(path)
    with pytest.warns(CacheWarning, match="cannot be read: database is locked"):
        assert wrong_and_missing(store) == (0, 300)
    started = time.monotonic()
    for _ in range(20):
        assert store.get(BUNDLE, DIGESTS) == [None] * 300
    assert time.monotonic() - started < 0.5

    other.execute("ROLLBACK")
    other.close()
    time.sleep(max(0.0, 3.1 - (time.monotonic() - started)))
    assert wrong_and_missing(store) == (0, 0)


@pytest.fixture
def small_disk(tmp_path):
    """Give a real file system of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("only root may mount a file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def check_a_full_disk(path: Path) -> None:
    """Store until nothing fits, and look at what is there."""
    cache = FeatureCache(path)
    digests = [digest_of(i) for i in range(200)]
    with pytest.warns(CacheWarning, match="written: (database or disk is full|disk I/O)"):  # noqa: PT031
        for start in range(0, 200, 10):
            part = digests[start : start + 10]
            np.testing.assert_array_equal(fetch(cache, part, WIDE)[0], rows_of(part, WIDE))
    kept = DiskStore(path).get(WIDE, digests)
    there = [row is not None for row in kept]
    assert 5 < sum(there) < 40
    # All that was stored before the first that did not fit.
    assert there == sorted(there, reverse=True)
    for digest, row in zip(digests, kept, strict=True):
        assert row is None or row.tobytes() == rows_of([digest], WIDE).tobytes()


def test_a_full_disk_costs_only_what_does_not_fit(small_disk):
    """No error, no wrong row, and all rows that were acknowledged are there."""
    check_a_full_disk(small_disk / "rows")

    assert shutil.disk_usage(small_disk).free < 2 << 20


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits here")
def test_a_limit_on_the_size_of_files_is_a_full_disk_too(tmp_path):
    """As a quota would be."""
    in_another_process(
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20)); "
        "check_a_full_disk(Path(sys.argv[1]))",
        tmp_path / "rows",
    )


def test_a_read_only_cache_is_read(small_disk):
    """What it lacks is computed and not kept, with one warning."""
    filled(small_disk / "rows")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    cache = FeatureCache(small_disk / "rows")
    assert fetch(cache, DIGESTS)[1] == []
    more = [*DIGESTS, digest_of(999)]
    with pytest.warns(CacheWarning, match="cannot be written: ") as told:  # noqa: PT031
        for _ in range(2):
            out, seen = fetch(cache, more)
            assert seen == more[-1:]

    assert len(told) == 1
    np.testing.assert_array_equal(out, rows_of(more))


# -- room


def test_a_cache_stays_within_its_size_and_the_least_recently_used_rows_go(tmp_path, monkeypatch):
    """Rows that are read now and then stay."""
    monkeypatch.setattr(_uses, "TOUCH", -1)
    clock = [1_800_000_000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    cache = FeatureCache(tmp_path / "rows", max_size=4 << 20)
    digests = [digest_of(i) for i in range(3000)]
    for start in range(0, 3000, 100):
        clock[0] += 1
        fetch(cache, digests[start : start + 100])
        fetch(cache, digests[:50])
        assert cache.stats()["bytes"] <= 4 << 20

    assert 800 < cache.stats()["rows"] < 2000
    assert fetch(cache, digests[:50] + digests[-300:])[1] == []
    assert fetch(cache, digests[100:200])[1] == digests[100:200]


def test_prune_makes_the_file_smaller(tmp_path):
    """It says how many rows went; the last ones stored are there."""
    cache = FeatureCache(tmp_path / "rows")
    digests = [digest_of(i) for i in range(3000)]
    for start in range(0, 3000, 100):
        fetch(cache, digests[start : start + 100])
    before = cache.stats()
    removed = cache.prune(2 << 20)
    after = cache.stats()

    assert before["bytes"] > 6 << 20
    assert after["bytes"] <= 2 << 20
    assert before["rows"] - after["rows"] == removed > 0
    assert fetch(cache, digests[-100:])[1] == []
    with pytest.raises(ValueError, match=r"has no max_size\. Pass one"):
        cache.prune()


def test_rows_that_never_fit_are_not_kept(tmp_path):
    """A warning names the size, and a size that holds nothing is refused."""
    cache = FeatureCache(tmp_path / "rows", max_size=1 << 20)
    with pytest.warns(CacheWarning, match=r"too small for these rows \(max_size=1048576\)"):
        fetch(cache, DIGESTS[:10], WIDE)
    with pytest.raises(ValueError, match="max_size=1000 is too small: pass at least 1048576"):
        FeatureCache(tmp_path / "rows", max_size=1000)


# -- what users hold


def test_statistics_are_those_of_all_processes_since_the_file_was_made(tmp_path):
    """Hits, misses and forwards are distinct rows, counted once for each request."""
    nothing = {"rows": 0, "hits": 0, "misses": 0, "forwards": 0}
    cache = FeatureCache(tmp_path / "rows")
    assert cache.stats() == {**nothing, "bytes": 0}
    assert not cache.path.exists()
    fetch(cache, DIGESTS[:30] * 2)
    in_another_process("fetch(FeatureCache(sys.argv[1]), DIGESTS[:40])", cache.path)
    found = cache.stats()

    assert found.pop("bytes") == cache.path.stat().st_size
    assert found == {"rows": 40, "hits": 30, "misses": 40, "forwards": 40}
    cache.clear()
    assert {**cache.stats(), "bytes": 0} == {**nothing, "bytes": 0}
    assert fetch(cache, DIGESTS[:5])[1] == DIGESTS[:5]


def test_a_cache_is_its_path(tmp_path, monkeypatch):
    """Clones are the same object, pickles are small, and a relative path stays where it was."""
    monkeypatch.chdir(tmp_path)
    cache = FeatureCache("rows", max_size=1 << 30)
    fetch(cache, DIGESTS)
    data = pickle.dumps(cache)
    monkeypatch.chdir(tmp_path.parent)
    opened = pickle.loads(data)

    assert clone(cache) is cache
    assert opened == cache
    assert hash(opened) == hash(cache)
    assert opened != FeatureCache("rows")
    assert len(data) < 400
    assert repr(opened) == f"FeatureCache({str(tmp_path / 'rows')!r}, max_size=1073741824)"
    assert fetch(opened, DIGESTS)[1] == []
    assert FeatureCache("~/rows").path == Path.home() / "rows"
    with pytest.raises(TypeError, match="path must be a str or a Path, got int 3"):
        FeatureCache(3)
