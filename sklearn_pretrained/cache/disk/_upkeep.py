"""A file that is open → the same with room, without damage, or empty; and what it holds."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ._format import decode, read_bundle

# Bytes that a row takes besides its record: its key and a claim, on pages that are half full.
_BESIDE = 192
_MANY = 256
_OLDEST = "SELECT bundle, digest, row FROM keys ORDER BY used, row"
_DELETE_KEY = "DELETE FROM keys WHERE bundle = ? AND digest = ?"


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
    """Remove the least recently used rows until the others fit into ``target`` bytes."""
    (rows,) = connection.execute("SELECT count(*) FROM keys").fetchone()
    removed = 0
    with contextlib.closing(connection.execute(_OLDEST)) as oldest:
        while (used := used_bytes(connection)) > target:
            some = max(16, -(-(used - target) * (rows - removed) // used))
            gone = oldest.fetchmany(some)
            if not gone:
                break
            connection.executemany("DELETE FROM rows WHERE id = ?", [key[2:] for key in gone])
            gone.sort(key=_in_the_tree)
            connection.executemany(_DELETE_KEY, [key[:2] for key in gone])
            removed += len(gone)
    return removed


def _in_the_tree(key: tuple[Any, ...]) -> bytes:
    """Give what keys that are neighbours on a page have in common; of a damaged one, nothing."""
    return key[1] if isinstance(key[1], bytes) else b""


def give_back(connection: sqlite3.Connection) -> None:
    """Cut free pages off the file."""
    free = _told(connection, "freelist_count")
    for _ in range(free):  # each call gives back one, whatever number it is told
        connection.execute("PRAGMA incremental_vacuum(1)")


def drop_keys(connection: sqlite3.Connection, number: int, digests: Iterable[object]) -> None:
    """Forget rows that are damaged.

    Their records stay until `verify`: a damaged key may lead to a record that is another's.
    """
    connection.executemany(_DELETE_KEY, [(number, digest) for digest in digests])


def clear(connection: sqlite3.Connection) -> None:
    """Forget everything but the claims of those who compute just now."""
    for table in ("keys", "rows", "counts", "facts"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
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
        numbered = connection.execute("SELECT id, recipe, outputs FROM bundles").fetchall()
    right = damaged = 0
    for number, recipe, outputs in numbered:
        bundle = read_bundle(recipe, outputs)
        last = b""
        while True:
            with transaction() as connection:
                there = connection.execute(
                    "SELECT k.digest, r.record FROM keys k LEFT JOIN rows r ON r.id = k.row "
                    "WHERE k.bundle = ? AND k.digest > ? ORDER BY k.digest LIMIT ?",
                    (number, last, _MANY),
                ).fetchall()
            if not there:
                break
            last = there[-1][0]
            digests = [digest for digest, _ in there]
            rows = decode(bundle, digests, [r for _, r in there]) if bundle else [None] * len(there)
            bad = [digest for digest, row in zip(digests, rows, strict=True) if row is None]
            right, damaged = right + len(there) - len(bad), damaged + len(bad)
            if bad:
                with transaction(write=True) as connection:
                    drop_keys(connection, number, bad)
    with transaction(write=True) as connection:
        damaged += connection.execute(
            "DELETE FROM keys WHERE bundle NOT IN (SELECT id FROM bundles)"
        ).rowcount
        connection.execute("DELETE FROM rows WHERE id NOT IN (SELECT row FROM keys)")
    return right, damaged
