"""Digests → which rows are known; the others are computed, once, and kept (policy, no bytes)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from ..recipe import Bundle
from ._pace import Pace
from ._places import Columns, Places
from ._request import Request, Work
from ._store import Claim, Rows, Store, covers

# A way to a row: bundles that together hold what is wanted, each with the columns to take from
# its record and the columns that they become.
Way = list[tuple[Bundle, Columns, Columns]]
# Rows that are read in one go, so that memory stays bounded.
_AT_ONCE = 1024
# Recipes whose pace is remembered.
_RECIPES = 64


def _nothing(_positions: list[int], _chosen: Bundle) -> Iterator[tuple[list[int], Rows]]:
    return iter(())


class Cache(Protocol):
    """What a featurizer needs of any cache.

    Attributes
    ----------
    lasting : bool
        Whether rows outlive this process, so that other versions may have computed them.
    """

    lasting: bool

    def fetch(self, request: Request) -> Work:
        """Fill the rows of a request, computing those that are not known."""

    def add(self, bundle: Bundle, digests: Sequence[bytes], rows: Rows) -> None:
        """Keep rows that were not asked of it."""

    def known(self, wanted: Bundle, digests: Sequence[bytes | None], out: Rows) -> None:
        """Fill ``out`` with the rows that are known; nothing is computed or waited for."""

    def recall(self, recipe: str, name: str) -> bytes | None:
        """Return a fact about a recipe's rows, None where it is not known."""

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:
        """Note a fact, unless it is known; return what is known."""


class RowCache:
    """Knows which rows a store holds, whatever bundle they were stored in.

    Parameters
    ----------
    store : Store
        Where the rows lie.
    keeps : bool, default=True
        Whether there is room for more than what is asked at present.
    """

    lasting = False

    def __init__(self, store: Store, *, keeps: bool = True) -> None:
        self.store, self._keeps = store, keeps
        self._paces: dict[str, Pace] = {}

    def fetch(self, request: Request) -> Work:
        """Serve known rows, compute the rest, and keep what they gave."""
        if not self._keeps:
            request = replace(request, keep=request.wanted)
        wanted, places, computed = request.wanted, Places(request), 0
        missing = self._serve(wanted, list(places.first), places)
        hits = len(places.first) - len(missing)
        self.store.count(hits=hits, misses=len(missing))
        request.forecast(len(request.out), hits + places.repeated, len(missing))
        while missing:
            theirs, more = self._compute_what_is_free(missing, request, places)
            computed += more
            if theirs:
                request.waiting(len(theirs))
                patience = self._pace(request.keep.recipe).patience(len(theirs))
                self.store.wait(wanted, theirs, patience)
            missing = self._serve(wanted, theirs, places)
        return places.work(computed)

    def add(self, bundle: Bundle, digests: Sequence[bytes], rows: Rows) -> None:
        """Keep rows that were not asked of it."""
        self.store.put(bundle, digests, rows)

    def known(self, wanted: Bundle, digests: Sequence[bytes | None], out: Rows) -> None:
        """Fill ``out`` with the rows that are known; nothing is computed or waited for."""
        places = Places(Request(wanted, wanted, digests, _nothing, out))
        self._serve(wanted, list(places.first), places)

    def recall(self, recipe: str, name: str) -> bytes | None:
        """Return a fact about a recipe's rows, None where it is not known."""
        return self.store.recall(recipe, name)

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:
        """Note a fact, unless it is known; return what is known."""
        return self.store.remember(recipe, name, value)

    def _compute_what_is_free(
        self, missing: list[bytes], request: Request, places: Places
    ) -> tuple[list[bytes], int]:
        """Compute, claim by claim, what nobody else does; return what others do."""
        wanted, keep = request.wanted, request.keep
        pace = self._pace(keep.recipe)
        theirs: list[bytes] = []
        start = computed = 0
        # Nobody waits while it holds a claim, so two that ask for each other's rows never lock.
        while start < len(missing):
            claim = self.store.claim(wanted, keep, is_warm=pace.is_warm)
            try:
                try:
                    mine, stop = claim.take(missing, start, pace.share())
                    if len(mine) < stop - start:
                        taken = set(mine)
                        theirs += [digest for digest in missing[start:stop] if digest not in taken]
                    start = stop
                    # What was stored between the look and the claim is known after all.
                    todo = self._serve(wanted, mine, places)
                    computed += self._compute(todo, claim, request, places)
                finally:
                    claim.release()
            finally:
                claim.release()  # an interrupt may have come before the first one began
        return theirs, computed

    def _compute(self, missing: list[bytes], claim: Claim, request: Request, places: Places) -> int:
        """Compute rows, and keep them batch by batch; return how many."""
        if not missing:
            return 0
        wanted, keep = request.wanted, request.keep
        columns = _columns(keep, wanted)
        batches = request.compute(places.where(missing), keep)
        computed = 0
        # Items that turn out bad give no row, and would give none again.
        for positions, rows in self._pace(keep.recipe).timed(batches):
            computed += len(positions)
            self.store.count(forwards=len(positions))
            whole = rows.shape[1] == keep.width
            found = places.fill_at(positions, rows[:, columns] if whole else rows)
            if whole:
                claim.keep(found, rows)
            else:
                self.store.put(wanted, found, rows)
        return computed

    def _pace(self, recipe: str) -> Pace:
        pace = self._paces.setdefault(recipe, Pace())
        if len(self._paces) > _RECIPES:
            self._paces.pop(next(iter(self._paces)), None)
        return pace

    def _serve(self, wanted: Bundle, asked: list[bytes], places: Places) -> list[bytes]:
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

    def _walk(self, way: Way, asked: list[bytes], places: Places) -> list[bytes]:
        if len(way) == 1:
            ((bundle, columns, _),) = way  # which become all columns that are wanted
            return places.fill_known(asked, self.store.get(bundle, asked), columns)
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
