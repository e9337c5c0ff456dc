"""Rows of activations → where they lie while a tail is trained: in the cache, memory or a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..recipe import Bundle

Floats = NDArray[np.float32]
Place = tuple["Bundle", bytes]
"""What a row is called in a cache."""


class Lying(Protocol):
    """Rows by their numbers."""

    def add(self, row: Floats, place: Place | None) -> None:
        """Take the next row."""

    def take(self, numbers: Sequence[int]) -> list[Floats]:
        """Return some rows, which the caller must not change."""

    def close(self) -> None:
        """Give their room back."""


class Copied:
    """Rows of our own: in memory, and in a file once they are too many.

    Parameters
    ----------
    most : int
        Bytes that may lie in memory.
    """

    def __init__(self, most: int) -> None:
        self._most, self._n_bytes = most, 0
        self._held: list[Floats] = []
        self._shapes: list[tuple[int, ...]] = []
        self._starts: list[int] = []
        self._file: Any = None

    def add(self, row: Floats, place: Place | None) -> None:  # noqa: ARG002
        """Take the next row."""
        self._shapes.append(row.shape)
        self._starts.append(self._n_bytes)
        self._n_bytes += row.nbytes
        if self._file is None and self._n_bytes <= self._most:
            self._held.append(row)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  closed with the object
            for held in self._held:
                self._write(held)
            self._held = []
        self._write(row)

    def _write(self, row: Floats) -> None:
        data = np.ascontiguousarray(row).data.cast("B")
        while data:  # a disk that is nearly full takes a part
            data = data[self._file.write(data) :]

    def take(self, numbers: Sequence[int]) -> list[Floats]:
        """Return some rows, which the caller must not change."""
        return [self._one(i) for i in numbers]

    def _one(self, i: int) -> Floats:
        if self._file is None:
            return self._held[i]
        shape = self._shapes[i]
        data = os.pread(self._file.fileno(), 4 * int(np.prod(shape)), self._starts[i])
        return np.frombuffer(data, np.float32).reshape(shape)

    def close(self) -> None:
        """Give the file's room back."""
        if self._file is not None:
            self._file.close()


class InCache:
    """Rows that a cache keeps: no copy of them is made.

    Parameters
    ----------
    cache : Cache
    again : callable
        Computes rows that the cache has lost.
    """

    def __init__(self, cache: Any, again: Callable[[list[int]], Sequence[Floats]]) -> None:
        self._cache, self._again = cache, again
        self._places: list[Place | None] = []
        self._shapes: list[tuple[int, ...]] = []

    def add(self, row: Floats, place: Place | None) -> None:
        """Note what the next row is called."""
        self._shapes.append(row.shape)
        self._places.append(place)

    def take(self, numbers: Sequence[int]) -> list[Floats]:
        """Read some rows."""
        found: list[Any] = [None] * len(numbers)
        together: dict[Bundle, list[tuple[int, bytes]]] = {}
        for k, i in enumerate(numbers):
            place = self._places[i]
            if place is not None:
                together.setdefault(place[0], []).append((k, place[1]))
        for bundle, some in together.items():
            out: Floats = np.full((len(some), bundle.width), np.nan, np.float32)
            self._cache.known(bundle, [digest for _, digest in some], out)
            whole = np.isfinite(out[:, 0]) & np.isfinite(out[:, -1])
            for (k, _), row, is_there in zip(some, out, whole, strict=True):
                if is_there:
                    found[k] = row.reshape(self._shapes[numbers[k]])
        lost = [k for k, row in enumerate(found) if row is None]
        for k, row in zip(lost, self._again([numbers[k] for k in lost]), strict=True):
            found[k] = row
        return found

    def close(self) -> None:
        """Leave the rows to the cache."""
