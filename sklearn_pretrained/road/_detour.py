"""What the cache has of a lower layer → rows of a road, without the forward that leads there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._outputs import Output, bundle, rounded
from ..cache import Work
from ._road import Road, Rows, Trip

_AT_ONCE = 64  # activations of a lower layer, which are large


@dataclass(frozen=True)
class Detour:
    """Another way to a row: from what an earlier forward kept of a lower layer.

    Parameters
    ----------
    start : (Layer, str)
        What was kept.
    rest : callable
        Makes the rows of a road's outputs of it; None where it cannot.
    computes : bool
        Whether what is not known of the start is computed and kept, so that all rows come by it.
    """

    start: Output
    rest: Callable[[Rows], Rows | None]
    computes: bool = False

    def __call__(
        self, road: Road, trip: Trip, window: range, digests: Sequence[bytes | None]
    ) -> None:
        """Give the cache the rows that follow from what is known of the lower layer."""
        asked = bundle(trip.recipe, road.outputs)
        for i in range(0, len(window), _AT_ONCE):
            some = digests[i : i + _AT_ONCE]
            known = np.full((len(some), asked.width), np.nan, dtype=np.float32)
            trip.cache.known(asked, some, known)
            ok: Any = np.isfinite(known).all(axis=1)
            first: dict[bytes, int] = {}
            for k, digest in enumerate(some):
                if digest is not None and not ok[k]:
                    first.setdefault(digest, k)
            unknown = [d if first.get(d or b"") == k else None for k, d in enumerate(some)]
            kept = self._below(road, trip, window[i : i + _AT_ONCE], unknown)
            there = {d: k for d, k in first.items() if np.isfinite(kept[k]).all()}
            rows = self.rest(kept[list(there.values())]) if there else None
            if rows is not None:
                trip.cache.add(asked, list(there), rounded(rows, road.dtype))

    def _below(
        self, road: Road, trip: Trip, window: range, digests: Sequence[bytes | None]
    ) -> Rows:
        """Return what is known of the lower layer; where the detour says so, compute the rest."""
        start = [self.start]
        below = bundle(trip.recipe, start)
        kept = np.full((len(window), below.width), np.nan, dtype=np.float32)
        if not self.computes:
            trip.cache.known(below, digests, kept)
            return kept
        lower = replace(road, outputs=start, kept=start, canary=None, detour=None)
        work = lower.through(trip, window, digests, kept)
        # They are asked for on the whole road, where what follows from them is known.
        trip.tally.work.add(Work(0, -work.computed, work.computed, 0))
        if work.computed:
            from ..running import Reading

            road.ready(trip.runners, Reading(tuple(road.outputs)))
        return kept
