"""Digests → which rows are known; the others are computed, once, and kept (policy, no bytes)."""

from __future__ import annotations

import functools
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ._recipe import Bundle
from ._store import MemoryStore, Store, default_memory

Rows = NDArray[np.float32]
Compute = Callable[[list[int], Bundle], Iterator[tuple[list[int], Rows]]]


@dataclass
class Work:
    """What one request took, or several.

    Parameters
    ----------
    asked : int
        Rows asked for.
    known : int
        Rows that were known, or are the same as another of this request.
    computed : int
        Rows that went through the network.
    """

    asked: int = 0
    known: int = 0
    computed: int = 0

    def add(self, other: Work) -> None:
        """Count another request too."""
        self.asked += other.asked
        self.known += other.known
        self.computed += other.computed


class Cache(Protocol):
    """What a featurizer needs of any cache."""

    def fetch(
        self,
        wanted: Bundle,
        keep: Bundle,
        digests: Sequence[bytes | None],
        compute: Compute,
        out: Rows,
    ) -> Work:
        """Fill ``out`` with the wanted outputs of each item, computing what is not known."""


def _places(digests: Sequence[bytes | None]) -> dict[bytes, list[int]]:
    """Group positions by content; items that could not be read are left out."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for i, digest in enumerate(digests):
        if digest is not None:
            places[digest].append(i)
    return places


def _columns(bundle: Bundle, wanted: Bundle) -> slice | NDArray[np.intp]:
    """Find the wanted outputs' columns in a bundle's rows."""
    parts = [bundle.offsets[name] for name, _ in wanted.outputs]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.arange(part.start, part.stop) for part in parts])


class NoCache:
    """Keeps nothing; equal items of one request are still computed once."""

    def fetch(
        self,
        wanted: Bundle,
        keep: Bundle,  # noqa: ARG002
        digests: Sequence[bytes | None],
        compute: Compute,
        out: Rows,
    ) -> Work:
        """Compute every distinct item."""
        places = _places(digests)
        computed = 0
        for positions, rows in compute([where[0] for where in places.values()], wanted):
            computed += len(positions)
            for position, row in zip(positions, rows, strict=True):
                out[places[digests[position]]] = row  # type: ignore[index]
        return Work(len(digests), len(digests) - computed, computed)


class RowCache:
    """Knows which rows a store holds, whatever bundle they were stored in.

    Parameters
    ----------
    store : Store
        Where the rows lie.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._locks: dict[str, Any] = defaultdict(threading.RLock)

    def fetch(
        self,
        wanted: Bundle,
        keep: Bundle,
        digests: Sequence[bytes | None],
        compute: Compute,
        out: Rows,
    ) -> Work:
        """Serve known rows, compute the rest, and keep what they gave."""
        places = _places(digests)
        # One request of a recipe at a time: two that ask for the same rows compute them once,
        # and their forwards could not have run side by side anyway.
        with self._locks[wanted.recipe]:
            missing = self._serve(wanted, places, out)
            computed = 0
            if missing:
                columns = _columns(keep, wanted)
                for positions, rows in compute([places[digest][0] for digest in missing], keep):
                    found = [digests[position] for position in positions]
                    self.store.put(keep, found, rows)
                    computed += len(positions)
                    for digest, row in zip(found, rows[:, columns], strict=True):
                        out[places[digest]] = row  # type: ignore[index]
        return Work(len(digests), len(digests) - computed, computed)

    def after_fork(self) -> None:
        """Take locks that nobody holds: a forked child has none of its parent's threads."""
        self._locks = defaultdict(threading.RLock)
        self.store.after_fork()

    def _serve(self, wanted: Bundle, places: dict[bytes, list[int]], out: Rows) -> list[bytes]:
        """Scatter the known rows; return the digests of the others."""
        missing = list(places)
        names = {name for name, _ in wanted.outputs}
        for bundle in self.store.bundles(wanted.recipe):
            if not missing:
                break
            if not names <= bundle.offsets.keys():
                continue
            columns = _columns(bundle, wanted)
            rest = []
            for digest, row in zip(missing, self.store.get(bundle, missing), strict=True):
                if row is None:
                    rest.append(digest)
                else:
                    out[places[digest]] = row[columns]
            missing = rest
        return missing


@functools.cache
def memory_cache() -> RowCache:
    """Return the cache that all featurizers of this process share."""
    cache = RowCache(MemoryStore(default_memory()))
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=cache.after_fork)
    return cache


def resolve_cache(cache: Any) -> Cache:
    """Turn a ``cache`` parameter into a cache."""
    if cache is None:
        return NoCache()
    if isinstance(cache, str) and cache == "memory":
        return memory_cache()
    if hasattr(cache, "fetch"):
        return cache
    raise ValueError(f"cache must be 'memory' or None, got {cache!r}.")
