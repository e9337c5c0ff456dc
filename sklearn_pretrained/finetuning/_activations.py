"""X and a trunk → activations, computed once, kept in memory or in a file; then any of them."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._sklearn import rows_of

_IN_MEMORY = 1 << 30
"""Bytes of activations that are held; of more, a file is read batch by batch."""
_WINDOW = 256


class Activations:
    """What a trunk gave for each row of X, in float32.

    Parameters
    ----------
    trunk : featurizer
        With ``pooling="none"``.
    X : array-like of items
    n : int
        How many.
    most : int
        Bytes that may lie in memory.
    shown : bool
        Whether to say how many there will be.
    """

    def __init__(
        self, trunk: Any, X: Any, n: int, *, most: int = _IN_MEMORY, shown: bool = False
    ) -> None:
        if shown:
            size = 4 * n * trunk.n_features_out_ / 2**20
            print(  # noqa: T201  asked for
                f"{trunk.model_}: {n:,} activations of {trunk.layer_} take {size:,.0f} MiB",
                file=sys.stderr,
            )
        self._rows: NDArray[np.float32] | None = None
        self._file: Any = None
        self.usable = np.ones(n, dtype=bool)
        for start in range(0, n, _WINDOW):
            part = X if n <= _WINDOW else rows_of(X, slice(start, start + _WINDOW))
            some = trunk.transform(part)
            if start == 0:
                self.shape = some.shape[1:]
                self._size = some[0].nbytes
                if n * self._size <= most:
                    self._rows = np.empty((n, *self.shape), np.float32)
                else:
                    self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the object
            # A row of NaN stands for an item that could not be read.
            self.usable[start : start + len(some)] = np.isfinite(some.reshape(len(some), -1)).all(1)
            if self._rows is not None:
                self._rows[start : start + len(some)] = some
            else:
                self._file.write(np.ascontiguousarray(some).data)
        if self._file is not None:
            self._file.flush()

    def take(self, indices: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return a copy of some rows."""
        if self._rows is not None:
            return self._rows[indices]
        found = np.empty((len(indices), *self.shape), np.float32)
        for row, i in zip(found, indices, strict=True):
            data = os.pread(self._file.fileno(), self._size, int(i) * self._size)
            row[...] = np.frombuffer(data, np.float32).reshape(self.shape)
        return found

    def close(self) -> None:
        """Give the file's room back."""
        if self._file is not None:
            self._file.close()
