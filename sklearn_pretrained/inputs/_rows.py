"""A numeric array → items: float32 rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import BadItemError
from . import _digest
from ._items import Items


class Rows(Items):
    """The rows of an array (N, ...), as float32."""

    at_once = 1 << 14

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = np.ascontiguousarray(array, dtype=np.float32)

    def __len__(self) -> int:
        return len(self._array)

    def digest(self, i: int) -> bytes:
        """Hash the numbers, which must be finite."""
        row = self._array[i]
        if not np.isfinite(row).all():
            raise BadItemError("contains NaN or infinity")
        return _digest.of_array(row, "row")

    def load(self, i: int) -> NDArray[np.float32]:
        """Return one row."""
        return self._array[i]


def read_rows(array: NDArray[Any]) -> Rows:
    """Read the rows of a checked numeric array."""
    return Rows(array)
