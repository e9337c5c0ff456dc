"""Rows at rest in a file: the verbs of a store, none of which ever fails its caller."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ..._recipe import Bundle
from ...exceptions import CacheWarning
from .._store import Rows
from . import _upkeep
from ._claims import LEASE, DiskClaim, wait_for_others
from ._file import CacheFile, SetAsideError, UnusableFileError
from ._format import decode, encode, outputs_json, read_bundle

# Seconds for which a store that had a fault is left alone.
PAUSE = 30.0
# Seconds after which a row that is read is noted as used: reading should seldom write.
TOUCH = 600
# Seconds after which hits are noted in the file, where no row is stored meanwhile.
COUNT = 1.0
# Keys in one statement.
_MANY = 256
_GET = """SELECT k.digest, k.used, r.record FROM keys k LEFT JOIN rows r ON r.id = k.row
    WHERE k.bundle = ? AND k.digest IN ({})"""


@functools.lru_cache(maxsize=16)
def disk_store(path: Path, max_size: int | None) -> DiskStore:
    """Return the store that all caches of one path share in this process."""
    return DiskStore(path, max_size)


class DiskStore:
    """Rows in a file that threads, processes and runs share.

    Parameters
    ----------
    path : Path
    max_size : int or None
        Bytes that the file may take; the least recently used rows make room.
    """

    def __init__(self, path: Path, max_size: int | None = None) -> None:
        self.path, self.max_size = path, max_size
        self.file = CacheFile(path)
        self._counts = {"hits": 0, "misses": 0, "forwards": 0}
        self._counted = -COUNT
        self._paused: dict[str, float] = {}
        self._warned: set[str] = set()

    # -- faults

    def is_paused(self, kind: str) -> bool:
        """Tell whether reading or writing is left alone for a while, after a fault."""
        return time.monotonic() < self._paused.get(kind, 0.0)

    @contextlib.contextmanager
    def faults(self, kind: str) -> Iterator[None]:
        """Turn whatever goes wrong with the file into one warning, and go on."""
        try:
            yield
        except CacheWarning:
            raise
        except SetAsideError as error:
            self._warn(f"is damaged: {error.__cause__}; {error}, and a fresh one begins")
        except UnusableFileError as error:
            self._pause("read", "write")
            self._warn(f"{error}; it is left as it is, and rows are computed without it")
        except Exception as error:
            self._pause(kind)
            verb = {"read": "read", "write": "written"}[kind]
            self._warn(f"cannot be {verb}: {error}; rows are computed without it")

    def _pause(self, *kinds: str) -> None:
        for kind in kinds:
            self._paused[kind] = time.monotonic() + PAUSE

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(f"The cache {self.path} {what}.", CacheWarning, stacklevel=4)

    # -- what is there

    def numbered(self, connection: sqlite3.Connection, recipe: str) -> Iterator[tuple[int, Bundle]]:
        """Yield the bundles of a recipe with their numbers in this file, the newest first."""
        for number, outputs in connection.execute(
            "SELECT id, outputs FROM bundles WHERE recipe = ? ORDER BY id DESC", (recipe,)
        ).fetchall():
            bundle = read_bundle(recipe, outputs)
            if bundle is not None:
                yield number, bundle

    def number(self, connection: sqlite3.Connection, bundle: Bundle) -> int:
        """Find a bundle's number in this file, or give it one."""
        key = (bundle.recipe, outputs_json(bundle))
        find = "SELECT id FROM bundles WHERE recipe = ? AND outputs = ?"
        found = connection.execute(find, key).fetchone()
        if found is None:
            connection.execute("INSERT INTO bundles (recipe, outputs) VALUES (?, ?)", key)
            found = connection.execute(find, key).fetchone()
        return int(found[0])

    def bundles(self, recipe: str) -> list[Bundle]:
        """List the bundles of a recipe, the newest first."""
        if not self.is_paused("read"):
            with self.faults("read"), self.file.transaction() as connection:
                return [bundle for _, bundle in self.numbered(connection, recipe)]
        return []

    def get(self, bundle: Bundle, digests: Sequence[bytes]) -> list[Rows | None]:
        """Return the rows; None for those that are not there, or no longer what was stored."""
        found: list[Rows | None] = []
        if not self.is_paused("read"):
            damaged: list[bytes] = []
            unnoted: list[bytes] = []
            with self.faults("read"):
                for start in range(0, len(digests), _MANY):
                    part = digests[start : start + _MANY]
                    found += self._get(bundle, part, damaged, unnoted)
            if damaged:
                self._drop(bundle, damaged)
            if unnoted and not self.is_paused("write"):
                with _best_effort():
                    self._note_use(bundle, unnoted)
        return found + [None] * (len(digests) - len(found))

    def _get(
        self,
        bundle: Bundle,
        digests: Sequence[bytes],
        damaged: list[bytes],
        unnoted: list[bytes],
    ) -> list[Rows | None]:
        marks = ",".join("?" * len(digests))
        with self.file.transaction() as connection:
            key = (bundle.recipe, outputs_json(bundle))
            number = connection.execute(
                "SELECT id FROM bundles WHERE recipe = ? AND outputs = ?", key
            ).fetchone()
            if number is None:
                return [None] * len(digests)
            there = connection.execute(_GET.format(marks), (*number, *digests)).fetchall()
        records = {digest: record for digest, _, record in there}
        rows = decode(bundle, digests, [records.get(digest) for digest in digests])
        damaged += [d for d, row in zip(digests, rows, strict=True) if row is None and d in records]
        old = time.time() - TOUCH
        unnoted += [d for d, used, _ in there if isinstance(used, int) and used < old]
        return rows

    def _drop(self, bundle: Bundle, digests: list[bytes]) -> None:
        self._warn("holds damaged rows, which are computed again")
        if not self.is_paused("write"):
            with self.faults("write"), self.file.transaction(write=True) as connection:
                _upkeep.drop_keys(connection, self.number(connection, bundle), digests)

    def _note_use(self, bundle: Bundle, digests: list[bytes]) -> None:
        with self.file.transaction(write=True) as connection:
            number, now = self.number(connection, bundle), int(time.time())
            connection.executemany(
                "UPDATE keys SET used = ? WHERE bundle = ? AND digest = ?",
                [(now, number, digest) for digest in digests],
            )

    # -- storing

    def put(
        self, bundle: Bundle, digests: Sequence[bytes], rows: Rows, ticket: str | None = None
    ) -> bool:
        """Store rows, all or none, and give up the claims on them; tell whether it worked."""
        if self.is_paused("write"):
            return False
        with self.faults("write"):
            records = dict(zip(digests, encode(bundle, digests, rows), strict=True))
            with self.file.transaction(write=True) as connection:
                number = self.number(connection, bundle)
                self._insert(connection, number, records)
                if connection.execute("SELECT EXISTS (SELECT 1 FROM claims)").fetchone()[0]:
                    connection.executemany(
                        "DELETE FROM claims WHERE bundle = ? AND digest = ?",
                        [(number, digest) for digest in digests],
                    )
                if ticket is not None:
                    connection.execute(
                        "UPDATE claims SET until = ? WHERE ticket = ?",
                        (time.time() + LEASE, ticket),
                    )
                self._flush_counts(connection)
            return True
        return False

    def _insert(
        self, connection: sqlite3.Connection, number: int, records: dict[bytes, bytes]
    ) -> None:
        digests = list(records)
        for start in range(0, len(digests), _MANY):
            part = digests[start : start + _MANY]
            marks = ",".join("?" * len(part))
            for (digest,) in connection.execute(
                f"SELECT digest FROM keys WHERE bundle = ? AND digest IN ({marks})",  # noqa: S608
                (number, *part),
            ):
                del records[digest]
        if not records:
            return
        if not _upkeep.make_room(connection, self.max_size, list(records.values())):
            self._warn(f"is too small for these rows (max_size={self.max_size})")
            return
        (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM rows").fetchone()
        now = int(time.time())
        connection.executemany(
            "INSERT INTO keys VALUES (?, ?, ?, ?)",
            [(number, digest, last + i, now) for i, digest in enumerate(records, 1)],
        )
        connection.executemany(
            "INSERT INTO rows VALUES (?, ?)",
            [(last + i, record) for i, record in enumerate(records.values(), 1)],
        )

    # -- sharing the work

    def claim(self, wanted: Bundle, keep: Bundle) -> DiskClaim:
        """Prepare to claim rows."""
        return DiskClaim(self, wanted, keep)

    def wait(self, wanted: Bundle, missing: Collection[bytes]) -> None:
        """Wait until another process or thread has computed a row, or died."""
        wait_for_others(self, wanted, missing)

    # -- statistics and upkeep

    def count(self, hits: int = 0, misses: int = 0, forwards: int = 0) -> None:
        """Add to the statistics, which reach the file with rows, or about once a second."""
        with self.file.lock:
            for name, more in (("hits", hits), ("misses", misses), ("forwards", forwards)):
                self._counts[name] += more
            late = time.monotonic() - self._counted > COUNT
        # Rows that are about to be stored take the counts along.
        if late and not (misses or forwards or self.is_paused("write")):
            with _best_effort(), self.file.transaction(write=True) as connection:
                self._flush_counts(connection)

    def _flush_counts(self, connection: sqlite3.Connection) -> None:
        self._counted = time.monotonic()
        counts, self._counts = self._counts, dict.fromkeys(self._counts, 0)
        connection.executemany(
            "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n",
            counts.items(),
        )

    def stats(self) -> dict[str, int]:
        """Count rows, bytes, hits, misses and forwards."""
        with self.file.lock:
            found = {"rows": 0, "bytes": 0, **self._counts}
        if self.path.exists():
            with self.faults("read"):
                with self.file.transaction() as connection:
                    (found["rows"],) = connection.execute("SELECT count(*) FROM keys").fetchone()
                    for name, n in connection.execute("SELECT name, n FROM counts"):
                        if name in found:
                            found[name] += n
                found["bytes"] = self.path.stat().st_size
        return found

    def verify(self) -> dict[str, int]:
        """Read all rows; remove the damaged ones."""
        right = damaged = 0
        with self.faults("read"):
            right, damaged = _upkeep.verify(self.file.transaction)
        return {"rows": right, "damaged": damaged}

    def prune(self, max_size: int) -> int:
        """Remove the least recently used rows; return how many."""
        removed = 0
        with self.faults("write"), self.file.transaction(write=True) as connection:
            removed = _upkeep.shrink(connection, max_size)
            _upkeep.give_back(connection)
        return removed

    def clear(self) -> None:
        """Remove all rows."""
        with self.faults("write"), self.file.transaction(write=True) as connection:
            self._counts = dict.fromkeys(self._counts, 0)
            _upkeep.clear(connection)


def _best_effort() -> contextlib.suppress:
    """Let what is only of use, and not needed, fail in silence: the file may be read-only."""
    return contextlib.suppress(sqlite3.Error, OSError, SetAsideError, UnusableFileError)
