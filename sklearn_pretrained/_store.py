"""Rows at rest: float32 records by bundle and digest (bytes, no policy)."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ._recipe import Bundle

Rows = NDArray[np.float32]
LIMIT_VARIABLE = "SKLEARN_PRETRAINED_MEMORY_CACHE"
_SHARE_OF_RAM, _MOST = 4, 4 << 30


class Store(Protocol):
    """Few verbs, no policy."""

    def bundles(self, recipe: str) -> Sequence[Bundle]:
        """List the bundles of a recipe that rows were stored in, the newest first."""

    def get(self, bundle: Bundle, digests: Sequence[bytes]) -> list[Rows | None]:
        """Return the rows, None for each that is not there."""

    def put(self, bundle: Bundle, digests: Sequence[bytes | None], rows: Rows) -> None:
        """Store rows."""

    def after_fork(self) -> None:
        """Let go of the locks that the parent may hold."""


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
            raise ValueError(f"{LIMIT_VARIABLE}={said!r} is no number of bytes.") from error
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
        # Bundles are numbered: hashing their many names for every row would cost more than a row.
        self._numbers: dict[Bundle, int] = {}
        self._rows: OrderedDict[tuple[int, bytes], Rows] = OrderedDict()
        self._counts: dict[int, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def bundles(self, recipe: str) -> list[Bundle]:
        """List the bundles that hold rows of a recipe."""
        with self._lock:
            return [
                bundle
                for bundle, number in reversed(self._numbers.items())
                if bundle.recipe == recipe and self._counts[number]
            ]

    def get(self, bundle: Bundle, digests: Sequence[bytes]) -> list[Rows | None]:
        """Return the rows, which the caller must not change."""
        with self._lock:
            number = self._numbers.get(bundle, -1)
            found = []
            for digest in digests:
                row = self._rows.get((number, digest))
                if row is not None:
                    self._rows.move_to_end((number, digest))
                found.append(row)
            return found

    def put(self, bundle: Bundle, digests: Sequence[bytes | None], rows: Rows) -> None:
        """Store copies of the rows."""
        with self._lock:
            number = self._numbers.setdefault(bundle, len(self._numbers))
            self._counts.setdefault(number, 0)
            for digest, row in zip(digests, rows, strict=True):
                if digest is None or row.nbytes > self.max_bytes:
                    continue
                key = (number, digest)
                if key not in self._rows:
                    self.n_bytes += row.nbytes
                    self._counts[number] += 1
                self._rows[key] = row.copy()
                self._rows.move_to_end(key)
            while self.n_bytes > self.max_bytes:
                (old, _), row = self._rows.popitem(last=False)
                self.n_bytes -= row.nbytes
                self._counts[old] -= 1

    def clear(self) -> None:
        """Forget all rows."""
        with self._lock:
            self._rows.clear()
            self._counts = dict.fromkeys(self._counts, 0)
            self.n_bytes = 0

    def after_fork(self) -> None:
        """Take a lock that nobody holds."""
        self._lock = threading.Lock()
