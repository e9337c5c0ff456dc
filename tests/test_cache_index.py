"""The index of a cache file: whatever was stored, pruned or damaged, and whoever looks."""

from __future__ import annotations

import gzip
import random
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from sklearn_pretrained import FeatureCache
from sklearn_pretrained.cache.disk import DiskStore, _blocks, _index
from sklearn_pretrained.recipe._recipe import Bundle
from tests.rows import digest_of, fetch, rows_of

NARROW = [Bundle("recipe", (("a", 3),)), Bundle("recipe", (("a", 3), ("b", 2)))]
FIXTURES = Path(__file__).parent / "fixtures"
DIGESTS = [digest_of(i) for i in range(400)]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Blocks of 128 numbers, and little patience with rows that are gone."""
    monkeypatch.setattr(_blocks, "BLOCK", 128)
    monkeypatch.setattr(_index, "BLOCK", 128)
    monkeypatch.setattr(_index, "_SLACK", 64)


def put(store: DiskStore, digests: list[bytes], bundle: Bundle = NARROW[0]) -> None:
    assert store.put(bundle, digests, rows_of(digests, bundle))


def there(store: DiskStore, digests: list[bytes], bundle: Bundle = NARROW[0]) -> set[bytes]:
    """Return the digests whose rows are found, each of which is the right one."""
    found = set()
    for digest, row in zip(digests, store.get(bundle, digests), strict=True):
        if row is not None:
            np.testing.assert_array_equal(row, rows_of([digest], bundle)[0])
            found.add(digest)
    return found


def in_the_file(store: DiskStore, number: int) -> set[bytes]:
    with store.file.transaction() as connection:
        lines = connection.execute("SELECT digest FROM items WHERE bundle = ?", (number,))
        return {digest for (digest,) in lines}


def test_everybody_finds_what_the_file_holds(tmp_path):
    """Two stores that take turns, and one that comes late, whatever was stored and removed."""
    dice = random.Random(0)
    stores = [DiskStore(tmp_path / "rows") for _ in range(2)]
    for bundle in NARROW:
        put(stores[0], DIGESTS[:1], bundle)
    for _ in range(150):
        store, bundle = dice.choice(stores), dice.choice(NARROW)
        what = dice.random()
        if what < 0.8:
            put(store, dice.sample(DIGESTS, dice.randrange(1, 40)), bundle)
        elif what < 0.9:
            store.prune(dice.randrange(3, 10) * 8192)
        elif what < 0.93:
            store.clear()
            for each in NARROW:
                put(store, DIGESTS[:1], each)
        else:
            assert store.verify()["damaged"] == 0
        late = DiskStore(tmp_path / "rows")
        for one in (dice.choice(stores), late):
            for number, each in enumerate(NARROW, 1):
                assert there(one, DIGESTS, each) == in_the_file(one, number)
        assert len(late._index) <= late.stats()["rows"] <= 2 * len(DIGESTS)
        late.file.close()


def test_blocks_say_what_the_table_says(tmp_path):
    """A file of many rows is opened by its blocks, and nearly nothing is read line by line."""
    store = DiskStore(tmp_path / "rows")
    for start in range(0, 400, 20):
        put(store, DIGESTS[start : start + 20])
    with sqlite3.connect(tmp_path / "rows") as connection:
        by_blocks, _ = _blocks.entries_since(connection, 0)
        blocks, last = connection.execute("SELECT count(*), max(id) FROM blocks").fetchone()
        (newest,) = connection.execute("SELECT max(id) FROM items").fetchone()
        connection.execute("DELETE FROM blocks")
        by_lines, _ = _blocks.entries_since(connection, 0)
    connection.close()

    assert blocks > 3
    assert newest - last < 300
    for column, expected in zip(by_blocks, by_lines, strict=True):
        np.testing.assert_array_equal(column, expected)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE blocks SET content = zeroblob(length(content)) WHERE id = {middle}",
        "UPDATE blocks SET content = 'text' WHERE id = {middle}",
        "UPDATE blocks SET content = x'' WHERE id = {middle}",
        "DELETE FROM blocks WHERE id = {middle}",
        "UPDATE blocks SET id = id + 1 WHERE id = {middle}",
    ],
)
@pytest.mark.parametrize("mends", ["verify", "the next rows"])
def test_a_damaged_block_is_passed_over(tmp_path, damage, mends):
    """The table of items says the same, and the blocks are written again."""
    store = DiskStore(tmp_path / "rows")
    for start in range(0, 400, 20):
        put(store, DIGESTS[start : start + 20])
    with store.file.transaction(write=True) as connection:
        ids = [id_ for (id_,) in connection.execute("SELECT id FROM blocks ORDER BY id")]
        connection.execute(damage.format(middle=ids[len(ids) // 2]))

    assert there(DiskStore(tmp_path / "rows"), DIGESTS) == {*DIGESTS}
    if mends == "verify":
        assert store.verify() == {"rows": 400, "damaged": 0}
    else:
        late = DiskStore(tmp_path / "rows")
        put(late, [digest_of(1000)])
        late.file.close()
    with store.file.transaction() as connection:
        last, covered = 0, 0
        for id_, content in connection.execute("SELECT id, content FROM blocks ORDER BY id"):
            after, part = _blocks._read(content)
            assert (after, part.ids[-1]) == (last, id_)
            last, covered = id_, covered + len(part.ids)
    assert covered == 400


def test_digests_that_begin_alike_are_told_apart(tmp_path):
    """The index knows eight bytes of each; the checksum of a row knows all of its digest."""
    alike = [b"the same" + digest for digest in DIGESTS[:9]]
    cache = FeatureCache(tmp_path / "rows")
    for start in range(0, 9, 3):
        assert fetch(cache, alike[: start + 3])[1] == alike[start : start + 3]
    out, seen = fetch(cache, alike)

    assert seen == []
    np.testing.assert_array_equal(out, rows_of(alike))
    assert fetch(FeatureCache(tmp_path / "rows"), [b"the same", *alike])[1] == [b"the same"]


def test_no_number_is_given_twice(tmp_path):
    """Who knew a row that is gone does not take another for it, also after all are gone."""
    store, other = DiskStore(tmp_path / "rows"), DiskStore(tmp_path / "rows")
    put(store, DIGESTS[:50])
    assert there(other, DIGESTS) == {*DIGESTS[:50]}
    store.clear()
    put(store, DIGESTS[50:90])
    assert there(other, DIGESTS) == {*DIGESTS[50:90]}
    store.prune(0)
    put(store, DIGESTS[90:95])
    assert there(other, DIGESTS) == {*DIGESTS[90:95]}
    assert other.stats()["rows"] == 5


def test_what_was_rolled_back_is_in_no_index(tmp_path, monkeypatch):
    """An interrupted write leaves nothing behind, and its numbers are free."""
    store = DiskStore(tmp_path / "rows")
    put(store, DIGESTS[:50])

    def interrupt(_connection):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "_flush_counts", interrupt)
        with pytest.raises(KeyboardInterrupt):
            put(store, DIGESTS[50:80])
    assert there(store, DIGESTS) == {*DIGESTS[:50]}
    put(DiskStore(tmp_path / "rows"), DIGESTS[80:110])
    assert there(store, DIGESTS) == {*DIGESTS[:50], *DIGESTS[80:110]}


def test_a_backup_that_is_copied_over_the_file_misleads_nobody(tmp_path):
    """Neither those who knew another history, nor those who come later."""
    path = tmp_path / "rows"
    store, other = DiskStore(path), DiskStore(path)
    put(store, DIGESTS[:20])
    backup = path.read_bytes()
    put(store, DIGESTS[20:80])
    assert there(store, DIGESTS) == {*DIGESTS[:80]}
    with path.open("r+b") as file:
        file.write(backup)
        file.truncate()
    for start in (100, 150, 200):  # SQLite sees another file by how often it was written
        put(other, DIGESTS[start : start + 50])

    expected = {*DIGESTS[:20], *DIGESTS[100:250]}
    assert there(store, DIGESTS) == expected
    put(store, DIGESTS[300:])
    for one in (store, other, DiskStore(path)):
        assert there(one, DIGESTS) == expected | {*DIGESTS[300:]}


def test_a_file_of_an_older_format_is_opened_by_blocks_too(tmp_path):
    """They are written when it is converted."""
    path = tmp_path / "rows"
    path.write_bytes(gzip.decompress((FIXTURES / "cache_format_2.sqlite.gz").read_bytes()))
    DiskStore(path).stats()
    with sqlite3.connect(path) as connection:
        last = _blocks.last_block(connection)
        (newest,) = connection.execute("SELECT max(id) FROM items").fetchone()
    connection.close()

    assert last == newest > 0
