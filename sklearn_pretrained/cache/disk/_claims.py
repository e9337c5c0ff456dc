"""Missing rows → the ones that this process may compute now, while others compute the rest."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..._recipe import Bundle
from .._store import Rows, covers
from ._owner import is_alive

if TYPE_CHECKING:
    from ._store import DiskStore

# Seconds for which a claim holds without a sign of life, where the owner cannot be seen: on
# another machine. An owner that is seen to live has ten times as long; one seen dead has none.
LEASE = 120.0
# A claim is small, so that processes share the work to the last batch; at first, when much is
# missing, it is larger, as a network runs better over many rows at a time.
FEWEST, SHARE, MOST = 64, 16, 1024
# Rows are stored in groups: at most this many rows or seconds are lost with a killed process.
GROUP, HOLD = 256, 1.0


class DiskClaim:
    """Rows that one thread of one process computes, and nobody else meanwhile."""

    def __init__(self, store: DiskStore, wanted: Bundle, keep: Bundle) -> None:
        self._store, self._wanted, self._bundle = store, wanted, keep
        self._ticket = secrets.token_hex(8)
        self._claimed: set[bytes] = set()
        self._digests: list[bytes] = []
        self._rows: list[Rows] = []
        self._since = 0.0

    def take(self, missing: Collection[bytes]) -> list[bytes]:
        """Claim a share of what is free; all of it where there are no claims for a fault."""
        store = self._store
        size = min(max(FEWEST, len(missing) // SHARE), MOST)
        mine: list[bytes] | None = None
        if not store.is_paused("write"):
            with store.faults("write"):
                # Most of the times that nothing is free, a look is enough.
                with store.file.transaction() as connection:
                    free = set(missing) - blocked(store, connection, self._wanted)
                if not free:
                    return []
                with store.file.transaction(write=True) as connection:
                    mine = self._take(connection, missing, size)
        return list(missing) if mine is None else mine

    def _take(
        self, connection: sqlite3.Connection, missing: Collection[bytes], size: int
    ) -> list[bytes]:
        taken = blocked(self._store, connection, self._wanted)
        mine = []
        for digest in missing:
            if digest not in taken:
                mine.append(digest)
                if len(mine) == size:
                    break
        self._claimed.update(mine)
        number = self._store.number(connection, self._bundle)
        owner, until = self._store.file.owner(), time.time() + LEASE
        connection.executemany(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)",
            [(number, digest, owner, self._ticket, until) for digest in mine],
        )
        self._since = time.monotonic()
        return mine

    def keep(self, digests: Sequence[bytes], rows: Rows) -> None:
        """Store rows that were computed, in groups."""
        self._digests += digests
        self._rows.append(rows)
        late = time.monotonic() - self._since > HOLD
        if len(self._digests) >= GROUP or late:
            self._flush()

    def _flush(self) -> None:
        digests, rows = self._digests, self._rows
        self._digests, self._rows = [], []
        self._since = time.monotonic()
        if digests and self._store.put(
            self._bundle, digests, np.concatenate(rows), ticket=self._ticket
        ):
            self._claimed.difference_update(digests)

    def release(self) -> None:
        """Store what is left, and give up the rest."""
        try:
            self._flush()
        finally:
            self._give_up()

    def _give_up(self) -> None:
        if not self._claimed or self._store.is_paused("write"):
            return
        with (
            self._store.faults("write"),
            self._store.file.transaction(write=True) as connection,
        ):
            connection.execute("DELETE FROM claims WHERE ticket = ?", (self._ticket,))


def blocked(store: DiskStore, connection: sqlite3.Connection, wanted: Bundle) -> set[bytes]:
    """List the rows that somebody alive computes, in bundles that hold what is wanted."""
    numbers = {
        number
        for number, bundle in store.numbered(connection, wanted.recipe)
        if covers(bundle, wanted)
    }
    found: set[bytes] = set()
    holds: dict[str, float] = {}
    now = time.time()
    for number, digest, owner, until in connection.execute(
        "SELECT bundle, digest, owner, until FROM claims"
    ):
        if number not in numbers or not isinstance(until, float):
            continue
        if owner not in holds:
            alive = is_alive(owner, store.file.beside)
            holds[owner] = {True: 9 * LEASE, False: -float("inf"), None: 0.0}[alive]
        # A clock that was set back must not make a claim last for ever.
        if now < until + holds[owner] and until < now + 2 * LEASE:
            found.add(digest)
    return found


def wait_for_others(store: DiskStore, wanted: Bundle, missing: Collection[bytes]) -> None:
    """Return when at least one of the rows is no longer computed by another."""
    pause = 0.002
    asked = set(missing)
    while not store.is_paused("write"):
        still: set[bytes] = set()
        with store.faults("write"), store.file.transaction() as connection:
            still = blocked(store, connection, wanted)
        if not asked <= still:
            return
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
