"""A bundle and digests → their records in a file; records → rows of the file, under new numbers."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ._blocks import GROUP
from ._index import Index

# Bytes of rows that are used together, and go together, if they were stored together.
_TOGETHER = 1 << 16
# Numbers in one statement.
_MANY = 256


class Found(NamedTuple):
    """A record that may be that of a digest: its place among the digests, its number, its bytes."""

    place: int
    id: int
    record: Any


def look(
    connection: sqlite3.Connection, index: Index, bundle: int, digests: Sequence[bytes]
) -> list[Found]:
    """Find what may be the records of some digests; a checksum tells whether it is."""
    index.refresh(connection)
    places, ids = index.find(bundle, digests)
    records = dict(_among(connection, "SELECT id, record FROM rows", ids))
    return [Found(k, id_, records.get(id_)) for k, id_ in zip(places, ids, strict=True)]


def theirs(connection: sqlite3.Connection, bundle: int, wanted: Mapping[int, bytes]) -> list[int]:
    """Keep the numbers that belong to their digests, as the file says."""
    lines = _among(connection, "SELECT id, bundle, digest FROM items", list(wanted))
    return [id_ for id_, b, digest in lines if (b, digest) == (bundle, wanted[id_])]


def known(
    connection: sqlite3.Connection, index: Index, bundle: int, digests: Sequence[bytes]
) -> set[bytes]:
    """Return the digests of which the file has a row."""
    index.refresh(connection)
    places, ids = index.find(bundle, digests)
    wanted = {id_: digests[k] for k, id_ in zip(places, ids, strict=True)}
    return {wanted[id_] for id_ in theirs(connection, bundle, wanted)}


def used(connection: sqlite3.Connection, groups: Collection[int]) -> list[tuple[int, Any]]:
    """Tell when groups of rows were last used."""
    return list(_among(connection, "SELECT id, used FROM uses", list(groups)))


def insert(
    connection: sqlite3.Connection, bundle: int, records: Mapping[bytes, bytes], now: int
) -> None:
    """Store records that are not there yet, at the end of each table."""
    per_group = max(1, min(1 << GROUP, _TOGETHER // max(map(len, records.values()))))
    first = _last_group(connection) + 1
    groups = -(-len(records) // per_group)
    ids = [(first + i // per_group << GROUP) + i % per_group for i in range(len(records))]
    connection.executemany(
        "INSERT INTO items VALUES (?, ?, ?)",
        [(id_, bundle, digest) for id_, digest in zip(ids, records, strict=True)],
    )
    connection.executemany(
        "INSERT INTO rows VALUES (?, ?)", zip(ids, records.values(), strict=True)
    )
    connection.executemany(
        "INSERT OR REPLACE INTO uses VALUES (?, ?)", [(first + k, now) for k in range(groups)]
    )
    connection.execute("INSERT OR REPLACE INTO counts VALUES ('groups', ?)", (first + groups - 1,))


def _last_group(connection: sqlite3.Connection) -> int:
    """Return the last group that was ever given, also if its rows are gone."""
    told = connection.execute(
        "SELECT n FROM counts WHERE name = 'groups' "
        "UNION ALL SELECT max(id) >> ? FROM items UNION ALL SELECT max(id) >> ? FROM rows",
        (GROUP, GROUP),
    )
    return max([0, *(n for (n,) in told if isinstance(n, int))])


def drop(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Forget rows that are damaged."""
    for table in ("items", "rows"):
        connection.executemany(f"DELETE FROM {table} WHERE id = ?", [(id_,) for id_ in ids])  # noqa: S608


def _among(
    connection: sqlite3.Connection, select: str, ids: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(ids), _MANY):
        part = ids[start : start + _MANY]
        marks = ",".join("?" * len(part))
        yield from connection.execute(f"{select} WHERE id IN ({marks})", part)
