"""Bundle and digests → the numbers of the rows that may be theirs: 16 bytes a row, in memory.

A tree of digests in the file would have a page of its own, among many, for each row that is stored
or looked up, since digests are in no order. Rows are stored in the order of their numbers instead,
and each process reads once what digests begin with, and then what was added.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._blocks import (
    BLOCK,
    Entries,
    entries_since,
    joined,
    last_block,
    rebuild_blocks,
    starts_of,
    write_blocks,
)

# Rows that are gone stay in the index until it has grown to twice its size, and by so many.
_SLACK = 1 << 16


class _Known(NamedTuple):
    """What was read of a file through one connection; replaced as a whole, whatever interrupts."""

    of: sqlite3.Connection | None = None
    runs: tuple[Entries, ...] = ()
    seen: int = 0
    at_first: int = 0
    last: Any = None
    """Bundle and digest of the last row that was seen: another one is another history."""
    are_blocks_right: bool = True


class Index:
    """Sorted runs of what digests begin with.

    Runs are merged when they are of a size, so that there are few of them, and each row is moved
    seldom.
    """

    def __init__(self) -> None:
        self._known = _Known()

    def __len__(self) -> int:
        return sum(len(run.ids) for run in self._known.runs)

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Read what was stored since the last look; inside a transaction, before it stores."""
        known = self._known
        (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM items").fetchone()
        # Somebody may have copied an older file over this one.
        is_another = known.of is not connection or _row(connection, known.seen) != known.last
        if is_another or len(self) > 2 * known.at_first + _SLACK:
            known = _Known(connection)
        if newest > known.seen:
            found, are_right = entries_since(connection, known.seen)
            runs = [*known.runs, found.taken(np.argsort(found.starts))]
            while len(runs) > 1 and len(runs[-2].ids) <= 2 * len(runs[-1].ids):
                runs.append(_merged(runs.pop(-2), runs.pop()))
            known = _Known(
                connection,
                tuple(runs),
                newest,
                known.at_first or len(found.ids),
                _row(connection, newest),
                known.are_blocks_right and are_right,
            )
        self._known = known

    def write_what_is_due(self, connection: sqlite3.Connection) -> None:
        """Write blocks, once many rows are in none or one is damaged; right behind a refresh."""
        if not self._known.are_blocks_right:
            rebuild_blocks(connection)
            self._known = _Known()  # the next look tells whether it was kept
        elif self._known.seen - last_block(connection) >= BLOCK:
            write_blocks(connection)

    def find(self, bundle: int, digests: Sequence[bytes]) -> tuple[list[int], list[int]]:
        """Return positions among the digests, and a number of a row for each.

        A row may be gone, and a digest may have several where another begins as it does.
        """
        asked = starts_of(np.array([bundle]), digests)
        order = np.argsort(asked)  # neighbours are looked up in the same place of memory
        asked = asked[order]
        positions: list[NDArray[np.int64]] = []
        ids: list[NDArray[np.int64]] = []
        for run in self._known.runs:
            at, of = np.searchsorted(run.starts, asked), np.arange(len(asked))
            while len(of):
                hit = run.starts[np.minimum(at, len(run.starts) - 1)] == asked[of]
                hit &= at < len(run.starts)
                at, of = at[hit], of[hit]
                positions.append(order[of])
                ids.append(run.ids[at])
                at = at + 1
        if not ids:
            return [], []
        return np.concatenate(positions).tolist(), np.concatenate(ids).tolist()


def _row(connection: sqlite3.Connection, number: int) -> Any:
    """Return bundle and digest of a row; None for one that is gone."""
    return connection.execute("SELECT bundle, digest FROM items WHERE id = ?", (number,)).fetchone()


def _merged(one: Entries, other: Entries) -> Entries:
    both = joined([one, other])
    # This sort looks for what is sorted already.
    return both.taken(np.argsort(both.starts, kind="stable"))
