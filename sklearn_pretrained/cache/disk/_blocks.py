"""The rows that a file has stored since one of them → what their digests begin with, as arrays.

To read a million lines of a table takes most of a second, so those of many rows lie in a block
each. Blocks only say again what the table of items says: a damaged one is passed over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

# Rows that are used together, and go together, have numbers that are equal but for these bits.
GROUP = 6
# A block is written when numbers have grown by so much, and holds at most so many rows.
BLOCK = 1 << 16
_CHECKSUM = 8
_LEAST = 32  # the block before, one row, and a checksum
# Spreads the numbers of bundles over those of digests.
_ODD = 0x9E3779B97F4A7C15
_LINES = "SELECT id, bundle, substr(digest, 1, 8) FROM items WHERE id > ? ORDER BY id"


class Entries(NamedTuple):
    """What stands for bundle and digest of each row, and the row's number."""

    starts: NDArray[np.uint64]
    ids: NDArray[np.int64]

    def taken(self, where: Any) -> Entries:
        """Return some of them, or all in another order."""
        return Entries(self.starts[where], self.ids[where])


def starts_of(bundles: Any, digests: Sequence[Any]) -> NDArray[np.uint64]:
    """Make numbers of bundles and of what digests begin with."""
    told = [
        digest[:8].ljust(8, b"\0") if isinstance(digest, bytes) else bytes(8) for digest in digests
    ]
    seeds = np.asarray(bundles, np.uint64) * np.uint64(_ODD)
    return np.frombuffer(b"".join(told), "<u8") ^ seeds


def joined(parts: Iterable[Entries]) -> Entries:
    """Put entries behind each other."""
    columns = list(zip(*parts, strict=True)) or [(), ()]
    return Entries(
        np.concatenate([np.empty(0, np.uint64), *columns[0]]),
        np.concatenate([np.empty(0, np.int64), *columns[1]]),
    )


def entries_since(connection: sqlite3.Connection, seen: int) -> tuple[Entries, bool]:
    """Read what the file has stored since a row's number, and tell whether blocks are right."""
    parts: list[Entries] = []
    last, are_right = seen, True
    for block, content in connection.execute(
        "SELECT id, content FROM blocks WHERE id > ? ORDER BY id", (seen,)
    ):
        after, part = _read(content)
        # Each says which one it follows, so that none can be missing.
        if part is None or after > last or part.ids[-1] != block:
            last, parts, are_right = seen, [], False
            break
        last = block
        parts.append(part)
    entries = joined([*parts, *_lines(connection, last)])
    return entries.taken(entries.ids > seen) if parts and seen else entries, are_right


def last_block(connection: sqlite3.Connection) -> int:
    """Return the number of the last row that is in a block."""
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM blocks").fetchone()
    return int(last)


def write_blocks(connection: sqlite3.Connection) -> None:
    """Write blocks of the rows that are in none, as the table of items says."""
    for part in _lines(connection, last_block(connection)):
        _write(connection, part)


def _write(connection: sqlite3.Connection, entries: Entries) -> None:
    after = last_block(connection)
    for at in range(0, len(entries.ids), BLOCK):
        part = entries.taken(slice(at, at + BLOCK))
        content = after.to_bytes(8, "little") + part.starts.tobytes() + part.ids.tobytes()
        after = int(part.ids[-1])
        connection.execute(
            "INSERT INTO blocks VALUES (?, ?)", (after, content + xxhash.xxh3_64_digest(content))
        )


def shrink_blocks(connection: sqlite3.Connection) -> None:
    """Take out of the blocks what the file has no longer."""
    blocks = connection.execute("SELECT content FROM blocks ORDER BY id").fetchall()
    parts = [part for _, part in (_read(content) for (content,) in blocks) if part is not None]
    if len(parts) < len(blocks):
        rebuild_blocks(connection)
        return
    alive = connection.execute("SELECT id FROM uses").fetchall()
    groups = np.array([group for (group,) in alive], np.int64)
    entries = joined(parts)
    connection.execute("DELETE FROM blocks")
    _write(connection, entries.taken(np.isin(entries.ids >> GROUP, groups)))


def rebuild_blocks(connection: sqlite3.Connection) -> None:
    """Write all blocks as the table of items says."""
    connection.execute("DELETE FROM blocks")
    write_blocks(connection)


def _lines(connection: sqlite3.Connection, last: int) -> Iterator[Entries]:
    """Read the table of items, some at a time."""
    found = connection.execute(_LINES, (last,))
    while lines := found.fetchmany(BLOCK):
        ids, bundles, digests = zip(*lines, strict=True)
        known = [bundle if isinstance(bundle, int) else 0 for bundle in bundles]
        yield Entries(starts_of(np.array(known, np.int64), digests), np.array(ids, np.int64))


def _read(content: Any) -> tuple[int, Entries | None]:
    """Return the block that one follows, and what is in it; None where it is damaged."""
    if not isinstance(content, bytes) or len(content) % 16 or len(content) < _LEAST:
        return 0, None
    if xxhash.xxh3_64_digest(memoryview(content)[:-_CHECKSUM]) != content[-_CHECKSUM:]:
        return 0, None
    n = len(content) // 16 - 1
    ids = np.frombuffer(content, "<i8", n, offset=8 + 8 * n)
    return int.from_bytes(content[:8], "little"), Entries(
        np.frombuffer(content, "<u8", n, offset=8), ids
    )
