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

    def __init__(self, array: NDArray[Any], *, is_finite: bool = False) -> None:
        self._array = np.ascontiguousarray(array, dtype=np.float32)
        # Large numbers become infinite when they are rounded.
        self._is_finite = is_finite and array.dtype == np.float32

    def __len__(self) -> int:
        return len(self._array)

    def digest(self, i: int) -> bytes:
        """Hash the numbers, which must be finite."""
        self.check(i)
        return _digest.of_array(self._array[i], "row")

    def check(self, i: int) -> None:
        """Refuse a row that holds no numbers."""
        if not (self._is_finite or np.isfinite(self._array[i]).all()):
            raise BadItemError("contains NaN or infinity")

    def load(self, i: int) -> NDArray[np.float32]:
        """Return one row."""
        return self._array[i]


def read_rows(array: NDArray[Any], *, is_finite: bool = False) -> Rows:
    """Read the rows of a checked numeric array, which is known to be finite or not."""
    return Rows(array, is_finite=is_finite)
