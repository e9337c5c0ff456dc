"""A folder as the cache of one run, and what is told of its items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._tally import Tally
from ..cache import Request, Work
from ..cache._policy import RowCache
from ..recipe import Bundle, recipe_as
from ._bar import Bar


class Journal:
    """The folder as a cache: what is computed is there before the file that it belongs in."""

    lasting = True

    def __init__(self, rows: RowCache, dtype: str) -> None:
        self._rows, self._dtype = rows, dtype
        self.recall, self.remember = rows.recall, rows.remember
        self.known, self.add = rows.known, rows.add
        self.digests: list[bytes | None] = []

    def fetch(self, request: Request) -> Work:
        """Fill rows, rounded as they are stored."""
        self.digests, out = list(request.digests), request.out
        wanted, keep = self._named(request.wanted), self._named(request.keep)
        work = self._rows.fetch(replace(request, wanted=wanted, keep=keep))
        if self._dtype != "float32":
            limit = np.finfo(self._dtype).max
            fits = np.abs(out) <= limit
            out[fits] = out[fits].astype(self._dtype)
        return work

    def _named(self, bundle: Bundle) -> Bundle:
        return replace(bundle, recipe=recipe_as(bundle.recipe, self._dtype))


class Counting(Tally):
    """Tells the bar of each batch."""

    def __init__(self, items: Any, bar: Bar) -> None:
        super().__init__(items, raises=False)
        self._bar = bar

    def done(self, n: int) -> None:
        """Count rows that went through the network."""
        super().done(n)
        self._bar.add(n)
