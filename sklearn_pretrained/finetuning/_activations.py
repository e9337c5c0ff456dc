"""X and a trunk → activations, computed once, kept in memory or in a file; then any of them."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._sklearn import rows_of
from ._aside import rows as rows_by_way
from ._network import padded

Floats = NDArray[np.float32]
_IN_MEMORY = 1 << 30
"""Bytes of activations that are held; of more, a file is read batch by batch."""
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
    most : int
        Bytes that may lie in memory.
    shown : bool
        Whether to say how many there will be.

    Attributes
    ----------
    usable : ndarray of bool
        Which rows could be read.
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
        most: int = _IN_MEMORY,
        shown: bool = False,
    ) -> None:
        self._held: list[Floats] = []
        self._shapes: list[tuple[int, ...]] = []
        self._starts: list[int] = []
        self._file: Any = None
        self.usable = np.ones(n, dtype=bool)
        self.n_bytes = 0
        for start in range(0, n, _WINDOW):
            part = X if n <= _WINDOW else rows_of(X, slice(start, start + _WINDOW))
            rows = rows_by_way(trunk, part, below)
            if start == 0 and shown:
                size = sum(row.nbytes for row in rows) * n / len(rows) / 2**20
                print(  # noqa: T201  asked for
                    f"{trunk.model_}: {n:,} activations of {trunk.layer_} take {size:,.0f} MiB",
                    file=sys.stderr,
                )
            for i, row in enumerate(rows, start):
                # A row of NaN stands for an item that could not be read.
                self.usable[i] = np.isfinite(row).all()
                self._add(row, most)
        if self._file is not None:
            self._file.flush()
        is_ragged = rows.dtype == object
        self.lengths = np.array([shape[0] for shape in self._shapes]) if is_ragged else None

    def _add(self, row: Floats, most: int) -> None:
        self._shapes.append(row.shape)
        self._starts.append(self.n_bytes)
        self.n_bytes += row.nbytes
        if self._file is None and self.n_bytes <= most:
            self._held.append(row)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the object
            for held in self._held:
                self._file.write(np.ascontiguousarray(held).data)
            self._held = []
        self._file.write(np.ascontiguousarray(row).data)

    def take(self, indices: NDArray[np.intp]) -> tuple[Floats, list[int] | None]:
        """Return a copy of some rows, with zeros behind shorter ones, and their lengths."""
        rows = [self._one(int(i)) for i in indices]
        return padded(rows, is_ragged=self.lengths is not None)

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
