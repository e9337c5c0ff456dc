"""Digests → the file and the place in it where each row lies: 16 bytes a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class _Run(NamedTuple):
    """What digests begin with, sorted; and the file and the place of each row."""

    starts: NDArray[np.uint64]
    files: NDArray[np.uint32]
    rows: NDArray[np.uint32]

    def taken(self, where: NDArray[np.generic]) -> _Run:
        return _Run(self.starts[where], self.files[where], self.rows[where])


class Index:
    """Sorted runs of what digests begin with; a later file's row comes before an earlier one's.

    Runs are merged when they are of a size, so that there are few of them, and each row is moved
    seldom. Whoever reads the row compares the whole digest.
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def __len__(self) -> int:
        return sum(len(run.starts) for run in self._runs)

    @property
    def n_bytes(self) -> int:
        """Bytes that the index takes."""
        return sum(array.nbytes for run in self._runs for array in run)

    def add(self, file: int, digests: Sequence[bytes | None]) -> None:
        """Note the rows of a file; those without a digest cannot be found."""
        places = np.array([k for k, digest in enumerate(digests) if digest is not None], np.uint32)
        if not len(places):  # no item of the file could be read
            return
        starts = _starts([digest for digest in digests if digest is not None])
        run = _Run(starts, np.full(len(places), file, np.uint32), places)
        self._runs.append(run.taken(np.argsort(starts, kind="stable")))
        while len(self._runs) > 1 and len(self._runs[-2].starts) <= 2 * len(self._runs[-1].starts):
            self._runs.append(_merged(self._runs.pop(), self._runs.pop()))

    def drop(self, file: int) -> None:
        """Forget the rows of a file."""
        left = [run.taken(run.files != file) for run in self._runs]
        self._runs = [run for run in left if len(run.starts)]

    def find(self, digests: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the file and the place of each row, -1 where it is not known."""
        asked = _starts(digests)
        files = np.full(len(digests), -1, np.int64)
        rows = np.full(len(digests), -1, np.int64)
        for run in reversed(self._runs):
            unknown = np.flatnonzero(files < 0)
            places = np.searchsorted(run.starts, asked[unknown])
            places[places == len(run.starts)] = 0
            hit = run.starts[places] == asked[unknown]
            files[unknown[hit]] = run.files[places[hit]]
            rows[unknown[hit]] = run.rows[places[hit]]
        return files, rows


def _merged(later: _Run, earlier: _Run) -> _Run:
    """Sort two runs into one, column by column: an index of 10,000,000 rows fits in once more."""
    columns: list[list[Any]] = [[*pair] for pair in zip(later, earlier, strict=True)]
    del later, earlier
    order: Any = None
    merged = []
    while columns:
        column = np.concatenate(columns.pop(0))
        if order is None:
            order = np.argsort(column, kind="stable")
        merged.append(column[order])
    return _Run(*merged)


def _starts(digests: Sequence[bytes]) -> NDArray[np.uint64]:
    return np.frombuffer(b"".join(digest[:8] for digest in digests), "<u8").copy()
