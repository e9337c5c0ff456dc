"""Digests → which rows are known; the others are computed, once, and kept (policy, no bytes)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._recipe import Bundle
from ._pace import Pace
from ._store import Rows, Store, covers

# Yields positions with their rows: the bundle's, or the wanted outputs alone, where an item gives
# nothing usable for those that would only be kept.
Compute = Callable[[list[int], Bundle], Iterator[tuple[list[int], Rows]]]
Forecast = Callable[[int, int, int], None]
Columns = slice | NDArray[np.intp]
# A way to a row: bundles that together hold what is wanted, each with the columns to take from
# its record and the columns that they become.
Way = list[tuple[Bundle, Columns, Columns]]
# Rows that are read in one go, so that memory stays bounded.
_AT_ONCE = 1024
# Recipes whose pace is remembered.
_RECIPES = 64


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
    bad : int
        Rows of items that could not be read.
    """

    asked: int = 0
    known: int = 0
    computed: int = 0
    bad: int = 0

    def add(self, other: Work) -> None:
        """Count another request too."""
        self.asked += other.asked
        self.known += other.known
        self.computed += other.computed
        self.bad += other.bad


class Cache(Protocol):
    """What a featurizer needs of any cache.

    Attributes
    ----------
    lasting : bool
        Whether rows outlive this process, so that other versions may have computed them.
    """

    lasting: bool

    def fetch(
        self,
        wanted: Bundle,
        keep: Bundle,
        digests: Sequence[bytes | None],
        compute: Compute,
        out: Rows,
        *,
        forecast: Forecast | None = None,
        waiting: Callable[[int], None] | None = None,
    ) -> Work:
        """Fill ``out`` with the wanted outputs of each item, computing what is not known.

        Before it computes, it tells ``forecast`` how many rows are asked, known and missing; before
        it waits for rows that others compute, it tells ``waiting`` how many.
        """

    def recall(self, recipe: str, name: str) -> bytes | None:
        """Return a fact about a recipe's rows, None where it is not known."""

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:
        """Note a fact, unless it is known; return what is known."""


class _Places:
    """Where each distinct item's row goes; items that could not be read are left out."""

    def __init__(self, digests: Sequence[bytes | None], out: Rows) -> None:
        self.first: dict[bytes, int] = {}
        self._again: dict[bytes, list[int]] = {}
        self._digests, self._out = digests, out
        self._filled: set[bytes] = set()
        self.readable = 0
        for i, digest in enumerate(digests):
            if digest is None:
                continue
            self.readable += 1
            if self.first.setdefault(digest, i) != i:
                self._again.setdefault(digest, []).append(i)

    def fill(self, digest: bytes, row: Rows, into: Columns = slice(None)) -> None:
        """Write a row, or some columns of it, wherever the item occurs."""
        self._out[self.first[digest], into] = row
        for i in self._again.get(digest, ()):
            self._out[i, into] = row
        self._filled.add(digest)

    def work(self, computed: int = 0) -> Work:
        """Count what was done so far."""
        filled = len(self._filled) + sum(len(self._again.get(d, ())) for d in self._filled)
        asked = len(self._out)
        return Work(asked, filled - computed, computed, asked - filled)

    def where(self, digests: Sequence[bytes]) -> list[int]:
        """Return the position where each item occurs first."""
        return [self.first[digest] for digest in digests]

    def fill_at(self, positions: Sequence[int], rows: Rows) -> list[bytes]:
        """Write the rows of items by their positions; return their digests."""
        found: list[Any] = [self._digests[position] for position in positions]
        for digest, row in zip(found, rows, strict=True):
            self.fill(digest, row)
        return found


class NoCache:
    """Keeps nothing; equal items of one request are still computed once."""

    lasting = False

    def fetch(
        self,
        wanted: Bundle,
        keep: Bundle,  # noqa: ARG002
        digests: Sequence[bytes | None],
        compute: Compute,
        out: Rows,
        *,
        forecast: Forecast | None = None,
        waiting: Callable[[int], None] | None = None,  # noqa: ARG002
    ) -> Work:
        """Compute every distinct item."""
        places = _Places(digests, out)
        computed, n = 0, len(places.first)
        if forecast is not None:
            forecast(len(digests), places.readable - n, n)
        for positions, rows in compute(list(places.first.values()), wanted):
            computed += len(positions)
            places.fill_at(positions, rows)
        return places.work(computed)

    def recall(self, recipe: str, name: str) -> None:
        """Know nothing."""

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:  # noqa: ARG002
        """Note nothing."""
        return value


class RowCache:
    """Knows which rows a store holds, whatever bundle they were stored in.

    Parameters
    ----------
    store : Store
        Where the rows lie.
    """

    lasting = False

    def __init__(self, store: Store) -> None:
        self.store = store
        self._paces: dict[str, Pace] = {}

    def fetch(
        self,
        wanted: Bundle,
        keep: Bundle,
        digests: Sequence[bytes | None],
        compute: Compute,
        out: Rows,
        *,
        forecast: Forecast | None = None,
        waiting: Callable[[int], None] | None = None,
    ) -> Work:
        """Serve known rows, compute the rest, and keep what they gave."""
        places = _Places(digests, out)
        missing = self._serve(wanted, list(places.first), places)
        self.store.count(hits=len(places.first) - len(missing), misses=len(missing))
        if forecast is not None:
            forecast(len(digests), places.readable - len(missing), len(missing))
        computed = 0
        while missing:
            theirs, more = self._compute_what_is_free(missing, wanted, keep, places, compute)
            computed += more
            if theirs:
                if waiting is not None:
                    waiting(len(theirs))
                self.store.wait(wanted, theirs, self._pace(keep.recipe).patience(len(theirs)))
            missing = self._serve(wanted, theirs, places)
        return places.work(computed)

    def recall(self, recipe: str, name: str) -> bytes | None:
        """Return a fact about a recipe's rows, None where it is not known."""
        return self.store.recall(recipe, name)

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:
        """Note a fact, unless it is known; return what is known."""
        return self.store.remember(recipe, name, value)

    def _compute_what_is_free(
        self,
        missing: list[bytes],
        wanted: Bundle,
        keep: Bundle,
        places: _Places,
        compute: Compute,
    ) -> tuple[list[bytes], int]:
        """Compute, claim by claim, what nobody else does; return what others do."""
        pace = self._pace(keep.recipe)
        columns = _columns(keep, wanted)
        theirs: list[bytes] = []
        start = computed = 0
        # Nobody waits while it holds a claim, so two that ask for each other's rows never lock.
        while start < len(missing):
            claim = self.store.claim(wanted, keep, is_warm=pace.is_warm)
            try:
                mine, stop = claim.take(missing, start, pace.share())
                if len(mine) < stop - start:
                    taken = set(mine)
                    theirs += [digest for digest in missing[start:stop] if digest not in taken]
                start = stop
                # What was stored between the look and the claim is known after all.
                todo = self._serve(wanted, mine, places)
                if todo:
                    # Items that turn out bad give no row, and would give none again.
                    for positions, rows in pace.timed(compute(places.where(todo), keep)):
                        computed += len(positions)
                        self.store.count(forwards=len(positions))
                        whole = rows.shape[1] == keep.width
                        asked = rows[:, columns] if whole else rows
                        found = places.fill_at(positions, asked)
                        if whole:
                            claim.keep(found, rows)
                        else:
                            self.store.put(wanted, found, rows)
            finally:
                claim.release()
        return theirs, computed

    def _pace(self, recipe: str) -> Pace:
        pace = self._paces.setdefault(recipe, Pace())
        if len(self._paces) > _RECIPES:
            self._paces.pop(next(iter(self._paces)), None)
        return pace

    def _serve(self, wanted: Bundle, asked: list[bytes], places: _Places) -> list[bytes]:
        """Scatter the known rows; return the digests of the others."""
        ways = list(_ways(self.store.bundles(wanted.recipe), wanted)) if asked else []
        unknown = []
        for start in range(0, len(asked), _AT_ONCE):
            missing = asked[start : start + _AT_ONCE]
            for way in ways:
                if missing:
                    missing = self._walk(way, missing, places)
            unknown += missing
        return unknown

    def _walk(self, way: Way, asked: list[bytes], places: _Places) -> list[bytes]:
        records = [self.store.get(bundle, asked) for bundle, _, _ in way]
        rest = []
        for digest, parts in zip(asked, zip(*records, strict=True), strict=True):
            if any(part is None for part in parts):
                rest.append(digest)
                continue
            for (_, taken, into), part in zip(way, parts, strict=True):
                places.fill(digest, part[taken], into)
        return rest


def _columns(bundle: Bundle, wanted: Bundle, names: Collection[str] | None = None) -> Columns:
    """Find outputs' columns in a bundle's rows, in the order that they are wanted."""
    parts = [bundle.offsets[n] for n, _ in wanted.outputs if names is None or n in names]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.arange(part.start, part.stop) for part in parts])


def _ways(bundles: Sequence[Bundle], wanted: Bundle) -> Iterator[Way]:
    """Each bundle that holds all that is wanted, then several that do together."""
    lacking = {name for name, _ in wanted.outputs}
    together: Way = []
    for bundle in bundles:
        if covers(bundle, wanted):
            yield [(bundle, _columns(bundle, wanted), slice(None))]
        elif more := lacking & bundle.offsets.keys():
            together.append(
                (bundle, _columns(bundle, wanted, more), _columns(wanted, wanted, more))
            )
            lacking -= more
    if together and not lacking:
        yield together
