"""A request → where each distinct item's row goes, and how many of them are filled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._request import Request, Work
from ._store import Rows

Columns = slice | NDArray[np.intp]


class Places:
    """Where each distinct item's row goes; items that could not be read are left out."""

    def __init__(self, request: Request) -> None:
        self.first: dict[bytes, int] = {}
        self._again: dict[bytes, list[int]] = {}
        self._digests, self._out = request.digests, request.out
        self._filled: set[bytes] = set()
        self.repeated = 0
        if self._all_differ():
            return
        readable = 0
        for i, digest in enumerate(self._digests):
            if digest is None:
                continue
            readable += 1
            if self.first.setdefault(digest, i) != i:
                self._again.setdefault(digest, []).append(i)
        self.repeated = readable - len(self.first)

    def _all_differ(self) -> bool:
        """Note where each item goes, if all are readable and none occurs twice."""
        first: dict[Any, int] = dict(zip(self._digests, range(len(self._digests)), strict=True))
        if len(first) < len(self._digests) or None in first:
            return False
        self.first = first
        return True

    def fill(self, digest: bytes, row: Rows, into: Columns = slice(None)) -> None:
        """Write a row, or some columns of it, wherever the item occurs."""
        self._out[self.first[digest], into] = row
        for i in self._again.get(digest, ()):
            self._out[i, into] = row
        self._filled.add(digest)

    def fill_known(
        self, digests: Sequence[bytes], rows: Sequence[Rows | None], taken: Columns
    ) -> list[bytes]:
        """Write columns of the rows that are known; return the digests of the others."""
        out, first, again, unknown = self._out, self.first, self._again, []
        for digest, row in zip(digests, rows, strict=True):
            if row is None:
                unknown.append(digest)
            elif digest in again:
                self.fill(digest, row[taken])
            else:
                out[first[digest]] = row[taken]
        self._filled.update(set(digests).difference(unknown) if unknown else digests)
        return unknown

    def work(self, computed: int = 0) -> Work:
        """Count what was done so far."""
        filled = len(self._filled)
        filled += sum(len(more) for digest, more in self._again.items() if digest in self._filled)
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
