"""Rows at rest in a folder of immutable files: verbs of a store that never fail their caller.

Each writer makes files of its own, so writers need no lock: two that compute the same rows waste
work, and harm nothing. A file has its name once it is whole and on the disk.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...exceptions import CacheWarning
from ...process import ForkLock, warn
from ...recipe import Bundle
from .._store import Patience, Rows
from ..disk._format import seal, unseal
from ._address import locate
from ._files import Files
from ._format import arrow, to_table, unique_name, writing
from ._location import UnreachableError

# Seconds after which the folder is looked through for files that others wrote.
FRESH = 5.0
# Seconds of work that a killed process loses at most; fewer make more files.
HOLD = 10.0
# And a file is written no earlier than after so many times as long as writing one took.
PARTS = 20
# Seconds for which a disk that takes no file is left alone, and a store that cannot be reached:
# each question to that one may take seconds.
PAUSE = 30.0


class SegmentStore:
    """Rows in a folder or an address that processes and machines share.

    Parameters
    ----------
    folder : path or str
    hold : float or None, default=None
        Seconds for which rows are kept in memory before they are written; None means `HOLD`.
    """

    def __init__(self, folder: str | os.PathLike[str], hold: float | None = None) -> None:
        arrow()
        self.hold = HOLD if hold is None else hold
        self.location = locate(folder)
        self.files = Files(self.location, self.damaged)
        self.price = 0.0
        self._counts = Counter(hits=0, misses=0, forwards=0)
        self._looked = self._paused = self._away = -np.inf
        self._said: set[str] = set()
        self._facts: dict[tuple[str, str], bytes] = {}
        self._lock = ForkLock()

    # -- what is there

    def bundles(self, recipe: str) -> list[Bundle]:
        """List the bundles of a recipe, the newest first."""
        with self._lock():
            if time.monotonic() - self._looked > FRESH and not self._is_away():
                self.refresh()
            return self.files.bundles(recipe)

    def refresh(self) -> None:
        """Look now for files that others wrote or removed."""
        with self._lock():
            self._looked = time.monotonic()
            try:
                self.files.refresh()
                self._away = -np.inf
            except OSError as error:
                self._not_read(error)

    def get(self, bundle: Bundle, digests: Sequence[bytes]) -> list[Rows | None]:
        """Return the rows; None for those that are not there, or no longer what was stored."""
        with self._lock():
            if self._is_away():
                return [None] * len(digests)
            known = set(self.files.segments)
            try:
                found = self.files.get(bundle, digests)
                if known <= self.files.segments.keys():
                    return found
                # Somebody merged files meanwhile: the rows are in another one.
                self.refresh()
                missing = [i for i, row in enumerate(found) if row is None]
                again = self.files.get(bundle, [digests[i] for i in missing])
                for i, row in zip(missing, again, strict=True):
                    found[i] = row
            except OSError as error:
                self._not_read(error)
                return [None] * len(digests)
            return found

    # -- storing

    def put(self, bundle: Bundle, digests: Sequence[bytes], rows: Rows) -> bool:
        """Store rows in a file of their own; tell whether it worked."""
        began = time.monotonic()
        if self._is_away() or began - self._paused < PAUSE or not len(digests):
            return False
        name = unique_name()
        try:
            self.location.put(name, writing(to_table(bundle, digests, rows)))
        except OSError as error:
            self._paused = time.monotonic()
            self._warn(f"takes no rows ({error})")
            return False
        took = time.monotonic() - began
        self.price = min(took, 1.2 * self.price) if self.price else took
        with self._lock():
            self.files.meet(name)
        return True

    def claim(self, wanted: Bundle, keep: Bundle, *, is_warm: bool) -> SegmentClaim:  # noqa: ARG002
        """Prepare to compute rows; nobody else is told."""
        return SegmentClaim(self, keep)

    def wait(self, wanted: Bundle, missing: Sequence[bytes], patience: Patience) -> None:
        """Wait for nobody: what others compute is not known here."""

    # -- facts

    def recall(self, recipe: str, name: str) -> bytes | None:
        """Return a fact about a recipe's rows, None where it is not known."""
        if (recipe, name) not in self._facts:
            if self._is_away():
                return None
            try:
                found = unseal(recipe, name, self.location.read(_fact(recipe, name)))
            except UnreachableError as error:
                self._not_read(error)
                return None
            except OSError:
                found = None
            if found is None:
                return None
            self._facts[recipe, name] = found
        return self._facts[recipe, name]

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:
        """Note a fact, unless it is known; return what is known."""
        known = self.recall(recipe, name)
        if known is not None:
            return known
        place, sealed = _fact(recipe, name), seal(recipe, name, value)
        try:
            if not self._is_away() and not self.location.put_first(place, sealed):
                found = self.recall(recipe, name)
                if found is not None:
                    return found
                self.location.put(place, lambda file: file.write(sealed))  # that one is damaged
        except OSError as error:
            self._warn(f"takes no facts ({error})")
        self._facts[recipe, name] = value
        return value

    # -- statistics, and what went wrong

    def count(self, **more: int) -> None:
        """Add to the statistics, which are this process's."""
        with self._lock():
            self._counts.update(more)

    def stats(self) -> dict[str, int]:
        """Count rows, bytes and files of the folder, and hits, misses and forwards of ours."""
        with self._lock():
            self.refresh()
            there = list(self.files.segments.values())
            size = sum(self.location.size(s.name) for s in there)
            rows = sum(s.n_rows for s in there)
            return {"rows": rows, "bytes": size, "files": len(there), **self._counts}

    def damaged(self, name: str, why: str) -> None:
        """Say that a file is damaged."""
        self._warn(f"holds a damaged file, {name} ({why}), whose rows are computed again")

    def _not_read(self, error: OSError) -> None:
        if isinstance(error, UnreachableError):
            self._away = time.monotonic() + PAUSE
        self._warn(f"cannot be read ({error})")

    def _is_away(self) -> bool:
        return time.monotonic() < self._away

    def _warn(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            warn(f"The folder of features {self.location.name} {what}.", CacheWarning)


def _fact(recipe: str, name: str) -> str:
    hashed = hashlib.sha256(f"{recipe}\n{name}".encode()).hexdigest()
    return f"facts/{hashed[:32]}"


class SegmentClaim:
    """Rows that one thread computes, collected until it is worth a file."""

    def __init__(self, store: SegmentStore, bundle: Bundle) -> None:
        self._store, self._bundle = store, bundle
        self._kept: list[tuple[Sequence[bytes], Rows]] = []
        self._since = time.monotonic()

    def take(self, missing: Sequence[bytes], start: int, most: int) -> tuple[list[bytes], int]:  # noqa: ARG002
        """Take all that is missing."""
        return list(missing[start:]), len(missing)

    def keep(self, digests: Sequence[bytes], rows: Rows) -> None:
        """Collect rows, and write them when they are some seconds' work."""
        self._kept.append((list(digests), np.array(rows)))  # at once, whatever interrupts
        held = time.monotonic() - self._since
        if held >= max(self._store.hold, PARTS * self._store.price):
            self.release()

    def release(self) -> None:
        """Write what was collected."""
        kept, self._kept = self._kept, []
        digests = [digest for some, _ in kept for digest in some]
        if digests:
            self._store.put(self._bundle, digests, np.concatenate([rows for _, rows in kept]))
        self._since = time.monotonic()
