"""Rows at rest in memory, the least recently used of which go first."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence

import numpy as np

from ..exceptions import CacheWarning
from ..process import hold_during_forks, warn
from ..recipe import Bundle
from ._store import Patience, Rows, covers

LIMIT_VARIABLE = "SKLEARN_PRETRAINED_MEMORY_CACHE"
_SHARE_OF_RAM, _MOST = 4, 4 << 30
# What Python adds to a row: its key, its digest, the array's own header.
OVERHEAD = 300


def default_memory() -> int:
    """Return the bytes that the memory cache may take.

    A quarter of the machine's memory and at most 4 GiB, or what the environment variable
    SKLEARN_PRETRAINED_MEMORY_CACHE says.
    """
    said = os.environ.get(LIMIT_VARIABLE)
    if said is not None:
        try:
            return int(said)
        except ValueError as error:
            raise ValueError(
                f"{LIMIT_VARIABLE}={said!r} is not a valid number of bytes."
            ) from error
    try:
        ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return _MOST // _SHARE_OF_RAM
    return min(ram // _SHARE_OF_RAM, _MOST)


class MemoryStore:
    """Rows in memory; the least recently used go first when it is full.

    Parameters
    ----------
    max_bytes : int
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self.counts = Counter(hits=0, misses=0, forwards=0)
        # Bundles are numbered: hashing their many names for every row would cost more than a row.
        self._numbers: dict[Bundle, int] = {}
        self._new_numbers = itertools.count()  # none is given twice, whatever interrupts
        self._rows: OrderedDict[tuple[int, bytes], Rows] = OrderedDict()
        self._sizes: dict[int, int] = {}
        self._claims: dict[Bundle, dict[bytes, _MemoryClaim]] = {}
        self._facts: dict[tuple[str, str], bytes] = {}
        self._changed = threading.Condition()
        hold_during_forks(self)

    def __len__(self) -> int:
        return len(self._rows)

    def bundles(self, recipe: str) -> list[Bundle]:
        """List the bundles that hold rows of a recipe."""
        with self._changed:
            return [
                bundle
                for bundle, number in reversed(self._numbers.items())
                if bundle.recipe == recipe and self._sizes.get(number)
            ]

    def get(self, bundle: Bundle, digests: Sequence[bytes]) -> list[Rows | None]:
        """Return the rows, which the caller must not change."""
        with self._changed:
            number, rows = self._numbers.get(bundle, -1), self._rows
            found = [rows.get((number, digest)) for digest in digests]
            for digest, row in zip(digests, found, strict=True):
                if row is not None:
                    rows.move_to_end((number, digest))
            return found

    def put(self, bundle: Bundle, digests: Sequence[bytes], rows: Rows) -> None:
        """Store copies of the rows."""
        with self._changed:
            number = self._numbers.get(bundle)
            if number is None:
                number = self._numbers[bundle] = next(self._new_numbers)
            self._sizes.setdefault(number, 0)
            rows = np.array(rows, bundle.dtype)
            size = bundle.width * rows.itemsize + OVERHEAD
            claimed = self._claims.get(bundle, {})
            for digest, row in zip(digests, rows, strict=True):
                claimed.pop(digest, None)
                if size > self.max_bytes:
                    continue
                key = (number, digest)
                if key not in self._rows:
                    self.n_bytes += size
                    self._sizes[number] += 1
                self._rows[key] = row.copy()
                self._rows.move_to_end(key)
            while self.n_bytes > self.max_bytes:
                (old, _), row = self._rows.popitem(last=False)
                self.n_bytes -= row.nbytes + OVERHEAD
                self._sizes[old] -= 1
            if not all(self._sizes.values()):
                self._forget_empty()
            self._changed.notify_all()

    def _forget_empty(self) -> None:
        """Forget the bundles, and facts of the recipes, of which no row is left."""
        self._sizes = {number: size for number, size in self._sizes.items() if size}
        self._numbers = {b: number for b, number in self._numbers.items() if number in self._sizes}
        recipes = {bundle.recipe for bundle in self._numbers}
        self._facts = {key: fact for key, fact in self._facts.items() if key[0] in recipes}

    def claim(self, wanted: Bundle, keep: Bundle, *, is_warm: bool) -> _MemoryClaim:
        """Prepare to claim rows."""
        return _MemoryClaim(self, wanted, keep, is_warm=is_warm)

    def wait(self, wanted: Bundle, missing: Sequence[bytes], patience: Patience) -> None:
        """Wait until no other thread computes any of the missing rows, or one seems to hang."""
        began, overdue = time.monotonic(), False
        with self._changed:
            for digest in missing:
                while (holder := self._holder(wanted, digest)) is not None:
                    limit = patience.working if holder.has_begun else patience.starting
                    left = max(began, holder.beat) + limit - time.monotonic()
                    if left > 0:
                        self._changed.wait(left)
                    else:
                        self._free(holder)
                        overdue = True
        if overdue:
            warn(
                "Another thread has not computed any of its claimed rows for some time; this "
                "thread computes them too.",
                CacheWarning,
            )

    def start(self, claim: _MemoryClaim, missing: Sequence[bytes]) -> None:
        """Give a claim all rows that no other has."""
        with self._changed:
            others = self._claimed(claim.wanted)
            claim.digests = [d for d in missing if not any(d in claimed for claimed in others)]
            mine = self._claims.setdefault(claim.bundle, {})
            mine.update(dict.fromkeys(claim.digests, claim))

    def end(self, claim: _MemoryClaim) -> None:
        """Free what a claim still holds."""
        with self._changed:
            self._free(claim)
            self._changed.notify_all()

    def _free(self, claim: _MemoryClaim) -> None:
        claimed = self._claims.get(claim.bundle, {})
        for digest in claim.digests:
            if claimed.get(digest) is claim:
                del claimed[digest]
        if not claimed:
            self._claims.pop(claim.bundle, None)

    def _holder(self, wanted: Bundle, digest: bytes) -> _MemoryClaim | None:
        found = (claimed.get(digest) for claimed in self._claimed(wanted))
        return next((claim for claim in found if claim is not None), None)

    def count(self, **more: int) -> None:
        """Add to the statistics."""
        with self._changed:
            self.counts.update(more)

    def clear(self) -> None:
        """Forget all rows."""
        with self._changed:
            self._rows.clear()
            self._sizes = dict.fromkeys(self._sizes, 0)
            self._forget_empty()
            self._facts.clear()
            self.n_bytes = 0

    def recall(self, recipe: str, name: str) -> bytes | None:
        """Return a fact, None where it is not known."""
        return self._facts.get((recipe, name))

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:
        """Note a fact, unless it is known; return what is known."""
        return self._facts.setdefault((recipe, name), value)

    def _claimed(self, wanted: Bundle) -> list[dict[bytes, _MemoryClaim]]:
        return [claimed for bundle, claimed in self._claims.items() if covers(bundle, wanted)]

    def before_fork(self) -> None:
        """Let no thread be in the middle of a change."""
        self._changed.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; a child has none of its parent's threads, so none of their claims."""
        if in_child:
            self._changed = threading.Condition()
            self._claims = {}
        else:
            self._changed.release()


class _MemoryClaim:
    """Rows that one thread computes."""

    def __init__(self, store: MemoryStore, wanted: Bundle, keep: Bundle, *, is_warm: bool) -> None:
        self.wanted, self.bundle = wanted, keep
        self.digests: list[bytes] = []
        self.has_begun, self.beat = is_warm, time.monotonic()
        self._store = store

    def take(self, missing: Sequence[bytes], start: int, most: int) -> tuple[list[bytes], int]:  # noqa: ARG002
        """Claim all that is free: a thread cannot die and leave the others waiting."""
        self._store.start(self, missing[start:])
        return self.digests, len(missing)

    def keep(self, digests: Sequence[bytes], rows: Rows) -> None:
        """Store rows, and give up the claim on them."""
        self.has_begun, self.beat = True, time.monotonic()
        self._store.put(self.bundle, digests, rows)

    def release(self) -> None:
        """Give up what is left, and wake the threads that wait for it."""
        self._store.end(self)
