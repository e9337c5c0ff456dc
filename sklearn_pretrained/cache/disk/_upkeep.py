"""A file that is open → the same with room, without damage, or empty; and what it holds."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from ...recipe import Bundle
from ._blocks import GROUP, rebuild_blocks, shrink_blocks
from ._format import decode, read_bundle
from ._rows import drop

# Bytes that a row takes besides its record: its key and a claim, on pages that are half full.
_BESIDE = 192
_MANY = 256


class _Transaction(Protocol):
    def __call__(self, *, write: bool = False) -> AbstractContextManager[sqlite3.Connection]: ...


def used_bytes(connection: sqlite3.Connection) -> int:
    """Count the bytes of all pages but the free ones."""
    used = _told(connection, "page_count") - _told(connection, "freelist_count")
    return used * _told(connection, "page_size")


def _told(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def make_room(
    connection: sqlite3.Connection, max_size: int | None, records: Sequence[bytes]
) -> bool:
    """Let the least recently used rows go until some new ones fit; False where they never will."""
    if max_size is None:
        return True
    page = _told(connection, "page_size")
    # A record may be alone on a page that is half empty.
    need = sum(len(r) + min(len(r), page) + _BESIDE for r in records) + 4 * page
    if need > max_size - 8 * page:
        return False
    if used_bytes(connection) + need > max_size:
        # A tenth more than needed, so that not every row that is stored sorts all keys.
        shrink(connection, max(0, max_size * 9 // 10 - need))
        if _told(connection, "page_count") * page > max_size:
            give_back(connection)
    return True


def shrink(connection: sqlite3.Connection, target: int) -> int:
    """Remove the least recently used rows until the others fit into ``target`` bytes.

    Rows that were stored together go together.
    """
    (left,) = connection.execute("SELECT count(*) FROM uses").fetchone()
    removed = 0
    with contextlib.closing(connection.execute("SELECT id FROM uses ORDER BY used, id")) as oldest:
        while (used := used_bytes(connection)) > target:
            groups = oldest.fetchmany(max(1, -(-(used - target) * left // used)))
            if not groups:
                break
            left -= len(groups)
            within = [(group << GROUP, (group + 1 << GROUP) - 1) for (group,) in groups]
            connection.executemany("DELETE FROM rows WHERE id BETWEEN ? AND ?", within)
            removed += connection.executemany(
                "DELETE FROM items WHERE id BETWEEN ? AND ?", within
            ).rowcount
            connection.executemany("DELETE FROM uses WHERE id = ?", groups)
    if removed:
        shrink_blocks(connection)
    return removed


def give_back(connection: sqlite3.Connection) -> None:
    """Cut free pages off the file."""
    free = _told(connection, "freelist_count")
    for _ in range(free):  # each call gives back one, whatever number it is told
        connection.execute("PRAGMA incremental_vacuum(1)")


def clear(connection: sqlite3.Connection) -> None:
    """Forget everything but the claims of those who compute just now."""
    for table in ("items", "blocks", "uses", "rows", "facts"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
    # The last number stays: none is given twice.
    connection.execute("DELETE FROM counts WHERE name <> 'groups'")
    connection.execute("DELETE FROM bundles WHERE id NOT IN (SELECT bundle FROM claims)")
    give_back(connection)


def verify(transaction: _Transaction) -> tuple[int, int]:
    """Read every row; remove the damaged ones. Return how many are right, and how many were not.

    The file is read in short transactions, so that others go on meanwhile.
    """
    with transaction() as connection:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            damage = sqlite3.DatabaseError(found)
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
        bundles = {
            number: read_bundle(recipe, outputs)
            for number, recipe, outputs in connection.execute("SELECT * FROM bundles")
        }
    right = damaged = last = 0
    while True:
        with transaction() as connection:
            there = connection.execute(
                "SELECT i.id, i.bundle, i.digest, r.record FROM items i "
                "LEFT JOIN rows r ON r.id = i.id WHERE i.id > ? ORDER BY i.id LIMIT ?",
                (last, _MANY),
            ).fetchall()
        if not there:
            break
        last = there[-1][0]
        bad = [id_ for id_, *rest in there if not _is_right(bundles, *rest)]
        right, damaged = right + len(there) - len(bad), damaged + len(bad)
        if bad:
            with transaction(write=True) as connection:
                drop(connection, bad)
    with transaction(write=True) as connection:
        connection.execute("DELETE FROM rows WHERE id NOT IN (SELECT id FROM items)")
        connection.execute(f"INSERT OR IGNORE INTO uses SELECT id >> {GROUP}, 0 FROM items")  # noqa: S608
        rebuild_blocks(connection)
    return right, damaged


def _is_right(
    bundles: dict[int, Bundle | None], number: object, digest: object, record: object
) -> bool:
    bundle = bundles.get(number) if isinstance(number, int) else None
    if bundle is None or not isinstance(digest, bytes):
        return False
    return decode(bundle, [digest], [record])[0] is not None
