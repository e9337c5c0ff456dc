"""X and a trunk → activations, computed once; then any of them, batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .._sklearn import rows_of
from ._aside import places, way
from ._aside import rows as rows_along
from ._lying import Copied, Floats, InCache, Lying
from ._network import padded
from ._room import cache_of, estimate, room_of, tell

_IN_MEMORY = 1 << 28
"""Bytes of activations that are held where the cache does not; of more, a file is read."""
_WINDOW = 256


class Activations:
    """What a trunk gave for each row of X, in float32; those of texts have lengths of their own.

    Parameters
    ----------
    trunk : featurizer
        With ``pooling="none"``.
    X : array-like of items
    n : int
        How many.
    below : str or None
        A layer that is kept in the cache besides, for other trunks.
    flip : bool
        Whether the mirror images of X follow X: row ``n + i`` is that of item ``i``.
    most : int
        Bytes that may lie in memory besides the cache.
    shown : bool
        Whether to say how many there will be.

    Attributes
    ----------
    usable : ndarray of bool
        Which items could be read.
    views : int
        Rows of each item.
    lengths : ndarray of int or None
        Tokens of each row; None where all rows have one shape.
    """

    def __init__(
        self,
        trunk: Any,
        X: Any,
        n: int,
        *,
        below: str | None = None,
        flip: bool = False,
        most: int = _IN_MEMORY,
        shown: bool = False,
    ) -> None:
        self.n, self._X = n, X
        # The mirror images have another canary, so a trunk of their own that nobody else has.
        self._trunks = [trunk, _twin(trunk, X)] if flip else [trunk]
        self._ways = [way(one, below, mirror=i > 0) for i, one in enumerate(self._trunks)]
        self.views = len(self._trunks)
        n_bytes = estimate(trunk, X, n) * self.views
        tell(trunk, n * self.views, n_bytes, shown=shown)
        cache = cache_of(trunk)
        # Half of it, since others keep rows there too.
        in_cache = n_bytes <= room_of(cache) / 2
        self._rows: Lying = InCache(cache, self._again) if in_cache else Copied(most)
        self.usable = np.ones(n, dtype=bool)
        self.lengths: NDArray[np.intp] | None = None
        lengths: list[int] = []
        for view in range(self.views):
            for start in range(0, n, _WINDOW):
                rows = self._compute(view, start, named=in_cache)
                if rows.dtype == object:
                    lengths += [len(row) for row in rows]
        if lengths:
            self.lengths = np.array(lengths)

    def _compute(self, view: int, start: int, *, named: bool) -> NDArray[Any]:
        """Compute a window of rows, and note where they lie."""
        part = self._part(range(start, min(start + _WINDOW, self.n)))
        trunk, road = self._trunks[view], self._ways[view]
        rows = rows_along(trunk, part, road)
        where = places(trunk, part, road) if named else [None] * len(rows)
        for i, (row, place) in enumerate(zip(rows, where, strict=True), start):
            # A row of NaN stands for an item that could not be read.
            self.usable[i] &= bool(np.isfinite(row).all())
            self._rows.add(row, place)
        return rows

    def _part(self, which: range) -> Any:
        return self._X if len(which) == self.n else rows_of(self._X, slice(which[0], which[-1] + 1))

    def _again(self, numbers: list[int]) -> list[Floats]:
        """Compute rows that the cache has lost."""
        found: dict[int, Floats] = {}
        for view in range(self.views):
            which = [number for number in numbers if number // self.n == view]
            if which:
                part = rows_of(self._X, np.array(which) % self.n)
                rows = rows_along(self._trunks[view], part, self._ways[view])
                found |= dict(zip(which, rows, strict=True))
        return [found[number] for number in numbers]

    def take(self, numbers: NDArray[np.intp]) -> tuple[Floats, list[int] | None]:
        """Return a copy of some rows, with zeros behind shorter ones, and their lengths."""
        rows = self._rows.take([int(i) for i in numbers])
        return padded(rows, is_ragged=self.lengths is not None)

    def close(self) -> None:
        """Give the room of a file back."""
        self._rows.close()


def _twin(trunk: Any, X: Any) -> Any:
    twin = clone(trunk).fit(X)
    twin._record_dtype = trunk._record_dtype
    return twin
