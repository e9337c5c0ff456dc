"""Missing rows → the ones that this process may compute now, while others compute the rest."""

from __future__ import annotations

import functools
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...recipe import Bundle
from .._store import Patience, Rows, covers
from ._attempts import Attempts
from ._numbers import number, numbered
from ._owner import is_alive

Put = Callable[[Bundle, Sequence[bytes], Rows, tuple[int, bool]], bool]

# While others work on the same rows, a claim is at most this part of what is left, and at least
# so many rows, so that all finish together.
SHARE, FEWEST = 4, 8
# A batch is stored when storing costs no more than one part in so many of the time since the last
# one was, and in any case after so many seconds. A killed process wastes what it had not stored.
PARTS, HOLD = 20, 1.0


class DiskClaim:
    """Rows that one thread of one process computes, and nobody else meanwhile."""

    def __init__(
        self, attempts: Attempts, put: Put, wanted: Bundle, keep: Bundle, *, is_warm: bool
    ) -> None:
        self._attempts, self._put, self._wanted, self._bundle = attempts, put, wanted, keep
        self._ticket, self._is_warm = secrets.randbits(62), is_warm
        self._claimed: set[bytes] = set()
        self._kept: list[tuple[Sequence[bytes], Rows]] = []
        self._since = 0.0

    def take(self, missing: Sequence[bytes], start: int, most: int) -> tuple[list[bytes], int]:
        """Claim a share of what is free; all that is left where a fault allows no claims."""
        found = self._attempts.attempt(
            lambda connection: self._take(connection, missing, start, most), write=True
        )
        self._since = time.monotonic()
        return (list(missing[start:]), len(missing)) if found is None else found

    def _take(
        self, connection: sqlite3.Connection, missing: Sequence[bytes], start: int, most: int
    ) -> tuple[list[bytes], int]:
        holders, dead = claimants(connection, self._attempts.file.beside)
        free(dead, connection)
        if holders:
            most = max(FEWEST, min(most, (len(missing) - start) // SHARE))
        taken = {digest for digest, _ in claims(connection, self._wanted, holders)}
        mine: list[bytes] = []
        while start < len(missing) and len(mine) < most:
            if missing[start] not in taken:
                mine.append(missing[start])
            start += 1
        if mine:
            self._claimed.update(mine)
            where = number(connection, self._bundle)
            connection.execute(
                "INSERT INTO claimants VALUES (?, ?, ?)",
                (self._ticket, self._attempts.file.owner(), int(self._is_warm)),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)",
                [(where, digest, self._ticket) for digest in mine],
            )
        return mine, start

    def keep(self, digests: Sequence[bytes], rows: Rows) -> None:
        """Store rows that were computed, batch by batch unless that takes too long."""
        self._kept.append((list(digests), rows))  # at once, whatever interrupts
        if time.monotonic() - self._since >= min(PARTS * self._attempts.price, HOLD):
            self._flush()

    def _flush(self) -> None:
        kept, self._kept = self._kept, []
        digests = [digest for some, _ in kept for digest in some]
        if not digests:
            return
        left = self._claimed.difference(digests)
        ticket = (self._ticket, not left)
        if self._put(self._bundle, digests, np.concatenate([rows for _, rows in kept]), ticket):
            self._claimed = left
        self._since = time.monotonic()

    def release(self) -> None:
        """Store what is left, and give up the rest.

        Where that fails, the process's sign of life goes: a claim that cannot be deleted, and that
        nobody works on, must block nobody.
        """
        try:
            self._flush()
            if self._claimed:
                tickets = [self._ticket]
                given_up = self._attempts.attempt(functools.partial(free, tickets), write=True)
                self._claimed = set() if given_up else self._claimed
        finally:
            if self._claimed:
                self._attempts.file.disown()


def claimants(connection: sqlite3.Connection, beside: Path) -> tuple[dict[Any, Any], list[Any]]:
    """Return who computes, each ticket with a count of batches; and the tickets of the dead."""
    alive: dict[Any, bool] = {}
    holders: dict[Any, Any] = {}
    dead = []
    for ticket, owner, beats in connection.execute("SELECT ticket, owner, beats FROM claimants"):
        if owner not in alive:
            alive[owner] = is_alive(str(owner), beside) is not False
        if alive[owner]:
            holders[ticket] = beats
        else:
            dead.append(ticket)
    return holders, dead


def claims(
    connection: sqlite3.Connection, wanted: Bundle, holders: dict[Any, Any]
) -> list[tuple[bytes, Any]]:
    """List the rows, with the tickets, that are computed in bundles that hold what is wanted."""
    if not holders:
        return []
    numbers = {n for n, b in numbered(connection, wanted.recipe) if covers(b, wanted)}
    return [
        (digest, ticket)
        for bundle, digest, ticket in connection.execute(
            "SELECT bundle, digest, ticket FROM claims"
        )
        if bundle in numbers and ticket in holders
    ]


def free(tickets: Sequence[Any], connection: sqlite3.Connection) -> bool:
    """Delete claims; tell whether there were any."""
    for table in ("claims", "claimants") if tickets else ():
        connection.executemany(f"DELETE FROM {table} WHERE ticket = ?", [(t,) for t in tickets])  # noqa: S608
    return bool(tickets)


def wait_for_others(
    attempts: Attempts, wanted: Bundle, missing: Sequence[bytes], patience: Patience
) -> bool:
    """Return when one of those who compute the rows has finished, died, or seems to have stopped.

    Claims of who has stopped are deleted; the return value tells whether that happened. Signs of
    life are counted, and no clocks compared.
    """
    asked = set(missing)
    watched: dict[Any, tuple[Any, float]] = {}

    def look(connection: sqlite3.Connection) -> tuple[dict[Any, Any], set[Any]]:
        holders, _ = claimants(connection, attempts.file.beside)
        found = claims(connection, wanted, holders) if not watched else ()
        return holders, {ticket for digest, ticket in found if digest in asked}

    pause = 0.002
    while (found := attempts.attempt(look)) is not None:
        holders, theirs = found
        now = time.monotonic()
        watched = watched or {ticket: (holders[ticket], now) for ticket in theirs}
        if not watched or not watched.keys() <= holders.keys():
            return False
        for ticket, (beats, since) in watched.items():
            if beats != holders[ticket]:
                watched[ticket] = (holders[ticket], now)
            elif now - since > (patience.working if beats else patience.starting):
                return bool(attempts.attempt(functools.partial(free, [ticket]), write=True))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return False
