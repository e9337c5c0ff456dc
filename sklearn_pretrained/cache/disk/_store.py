"""Rows at rest in a file: the verbs of a store, none of which ever fails its caller."""

from __future__ import annotations

import functools
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...recipe import Bundle
from .._store import Patience, Rows
from . import _rows, _upkeep, _uses
from ._attempts import Attempts
from ._claims import DiskClaim, free, wait_for_others
from ._format import decode, encode, seal, unseal
from ._index import Index
from ._numbers import known_number, number, numbered

# Seconds after which hits are noted in the file, where no row is stored meanwhile.
COUNT = 1.0
# Keys in one statement.
_MANY = 256


class DiskStore(Attempts):
    """Rows in a file that threads, processes and runs share.

    Parameters
    ----------
    path : Path
    max_size : int or None
        Bytes that the file may take; the least recently used rows make room.
    """

    def __init__(self, path: Path, max_size: int | None = None) -> None:
        super().__init__(path)
        self.max_size = max_size
        self._counts = Counter(hits=0, misses=0, forwards=0)
        self._counted = -COUNT
        self._index, self._uses = Index(), _uses.Uses()

    # -- what is there

    def bundles(self, recipe: str) -> list[Bundle]:
        """List the bundles of a recipe, the newest first."""
        return self.attempt(lambda c: [bundle for _, bundle in numbered(c, recipe)]) or []

    def get(self, bundle: Bundle, digests: Sequence[bytes]) -> list[Rows | None]:
        """Return the rows; None for those that are not there, or no longer what was stored."""
        found: list[Rows | None] = []
        damaged: list[int] = []
        unnoted: list[int] = []
        for start in range(0, len(digests), _MANY):
            part = digests[start : start + _MANY]
            there = self.attempt(functools.partial(self._look, bundle, part))
            if there is None:
                break
            read, uses = there
            rows: list[Rows | None] = [None] * len(part)
            given = [part[one.place] for one in read]
            for one, row in zip(
                read, decode(bundle, given, [one.record for one in read]), strict=True
            ):
                rows[one.place] = rows[one.place] if row is None else row
            found += rows
            # Of the others, some are gone, and some digests begin as another does.
            doubtful = {one.id: part[one.place] for one in read if rows[one.place] is None}
            if doubtful:
                damaged += self.attempt(functools.partial(self._theirs, bundle, doubtful)) or ()
            unnoted += self._uses.outdated(uses)
        if damaged:
            self.warn("holds damaged rows, which are computed again")
            self.attempt(lambda c: _rows.drop(c, damaged), write=True)
        if unnoted:
            self.try_to_write(lambda c: _uses.note(c, unnoted))
        return found + [None] * (len(digests) - len(found))

    def _look(
        self, bundle: Bundle, digests: Sequence[bytes], connection: sqlite3.Connection
    ) -> tuple[list[_rows.Found], list[tuple[int, Any]]]:
        where = known_number(connection, bundle)
        if where is None:
            return [], []
        found = _rows.look(connection, self._index, where, digests)
        return found, _rows.used(connection, self._uses.unknown(one.id for one in found))

    @staticmethod
    def _theirs(
        bundle: Bundle, wanted: dict[int, bytes], connection: sqlite3.Connection
    ) -> list[int]:
        return _rows.theirs(connection, known_number(connection, bundle) or 0, wanted)

    # -- storing

    def put(
        self,
        bundle: Bundle,
        digests: Sequence[bytes],
        rows: Rows,
        ticket: tuple[int, bool] | None = None,
    ) -> bool:
        """Store rows, all or none, and give up the claims on them; tell whether it worked.

        A ticket comes with whether these are the last of its rows.
        """
        if self.is_paused("write"):
            return False
        began = time.monotonic()
        with self.faults("write"):
            records = dict(zip(digests, encode(bundle, digests, rows), strict=True))
            if self.attempt(lambda c: self._put(c, bundle, records, ticket), write=True):
                took = time.monotonic() - began
                # What others write, now and then, is in the way of some: the usual price is lower.
                self.price = min(took, 1.2 * self.price) if self.price else took
                return True
        return False

    def _put(
        self,
        connection: sqlite3.Connection,
        bundle: Bundle,
        records: dict[bytes, bytes],
        ticket: tuple[int, bool] | None,
    ) -> bool:
        where = number(connection, bundle)
        digests = list(records)
        self._insert(connection, where, records)
        if ticket is not None and ticket[1]:
            free(ticket[:1], connection)
        elif ticket is not None:
            beat = "UPDATE claimants SET beats = beats + 1 WHERE ticket = ?"
            connection.execute(beat, ticket[:1])
            connection.executemany(
                "DELETE FROM claims WHERE bundle = ? AND digest = ?",
                [(where, digest) for digest in sorted(digests)],
            )
        self._flush_counts(connection)
        return True

    def _insert(
        self, connection: sqlite3.Connection, where: int, records: dict[bytes, bytes]
    ) -> None:
        known = _rows.known(connection, self._index, where, list(records))
        fresh = {digest: record for digest, record in records.items() if digest not in known}
        if not fresh:
            return
        self._index.write_what_is_due(connection)
        if not _upkeep.make_room(connection, self.max_size, list(fresh.values())):
            self.warn(f"is too small for these rows (max_size={self.max_size})")
            return
        _rows.insert(connection, where, fresh, int(time.time()))

    # -- sharing the work

    def claim(self, wanted: Bundle, keep: Bundle, *, is_warm: bool) -> DiskClaim:
        """Prepare to claim rows."""
        return DiskClaim(self, self.put, wanted, keep, is_warm=is_warm)

    def wait(self, wanted: Bundle, missing: Sequence[bytes], patience: Patience) -> None:
        """Wait until another process or thread has computed rows, died, or seems stopped."""
        if wait_for_others(self, wanted, missing, patience):
            self.warn(
                "is used by a process that has not computed any of its claimed rows for some time "
                "and may have been stopped; others compute them too"
            )

    # -- facts

    def recall(self, recipe: str, name: str) -> bytes | None:
        """Return a fact about a recipe's rows, None where it is not known."""
        return self.attempt(lambda c: self._recall(c, recipe, name))

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:
        """Note a fact, unless it is known; return what is known."""

        def note(connection: sqlite3.Connection) -> bytes:
            known = self._recall(connection, recipe, name)
            if known is None:
                sealed = seal(recipe, name, value)
                connection.execute(
                    "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (recipe, name, sealed)
                )
            return value if known is None else known

        found = self.attempt(note, write=True)
        return value if found is None else found

    @staticmethod
    def _recall(connection: sqlite3.Connection, recipe: str, name: str) -> bytes | None:
        found = connection.execute(
            "SELECT value FROM facts WHERE recipe = ? AND name = ?", (recipe, name)
        ).fetchone()
        return unseal(recipe, name, found[0]) if found else None

    # -- statistics and upkeep

    def count(self, **more: int) -> None:
        """Add to the statistics, which reach the file with rows, or about once a second."""
        with self.file.lock:
            self._counts.update(more)
            late = time.monotonic() - self._counted > COUNT
        # Rows that are about to be stored take the counts along.
        if late and not (more.get("misses") or more.get("forwards")):
            self.try_to_write(self._flush_counts)

    def _flush_counts(self, connection: sqlite3.Connection) -> None:
        self._counted = time.monotonic()
        counts, self._counts = self._counts, Counter(dict.fromkeys(self._counts, 0))
        connection.executemany(
            "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n",
            counts.items(),
        )

    def stats(self) -> dict[str, int]:
        """Count rows, bytes, hits, misses and forwards."""
        with self.file.lock:
            found = {"rows": 0, "bytes": 0, **self._counts}

        def add(connection: sqlite3.Connection) -> None:
            (found["rows"],) = connection.execute("SELECT count(*) FROM items").fetchone()
            for name, n in connection.execute("SELECT name, n FROM counts"):
                if name in found:
                    found[name] += n
            found["bytes"] = self.path.stat().st_size

        if os.path.exists(self.path):  # noqa: PTH110  Path.exists raises where a folder is closed
            self.attempt(add)
        return found

    def verify(self) -> dict[str, int]:
        """Read all rows; remove the damaged ones."""
        right = damaged = 0
        with self.faults("read"):
            right, damaged = _upkeep.verify(self.file.transaction)
        return {"rows": right, "damaged": damaged}

    def prune(self, max_size: int) -> int:
        """Remove the least recently used rows; return how many."""

        def shrink(connection: sqlite3.Connection) -> int:
            removed = _upkeep.shrink(connection, max_size)
            _upkeep.give_back(connection)
            return removed

        return self.attempt(shrink, write=True) or 0

    def clear(self) -> None:
        """Remove all rows."""
        self._counts = Counter(dict.fromkeys(self._counts, 0))
        self.attempt(_upkeep.clear, write=True)
