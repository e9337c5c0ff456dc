"""The items of one X on the road → counts of rows, bad items, a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .cache import Work
from .inputs import BadItems, Items
from .reporting import Progress


class Tally:
    """Collects what one request reports.

    Parameters
    ----------
    items : Items
    raises : bool, default=True
        Whether an item that cannot be read is an error.
    shown : str or None, default=None
        Name of the progress bar; None for no bar.
    on_batch : callable, optional
        Called after each batch.
    """

    def __init__(
        self,
        items: Items,
        *,
        raises: bool = True,
        shown: str | None = None,
        on_batch: Callable[[], None] | None = None,
    ) -> None:
        self.bad = BadItems(items, raises=raises)
        self.work = Work()
        self.cut = 0  # items of which the network sees a part
        self._on_batch = on_batch
        self._progress = Progress(shown=shown is not None, name=shown or "", total=len(items))
        self.digests = self.bad.digests
        self.forecast, self.waiting = self._progress.forecast, self._progress.waiting
        self.note = self._progress.note

    def found_again(self, rows: NDArray[np.float32]) -> None:
        """Count rows that an earlier window had, which the cache was not asked for."""
        known = int(np.isfinite(rows).all(axis=1).sum())
        self.work.known += known
        self.work.bad -= known

    def done(self, n: int) -> None:
        """Count rows that went through the network."""
        self._progress.add(n)
        if self._on_batch is not None:
            self._on_batch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        self._progress.close(complete=kind is None)
