"""How long batches took → how many rows to claim at once, and how long to wait for others'.

A claim saves work and guards nothing: a row that is computed twice is waste, and never wrong. So
whoever waits does so for about as long as he would need himself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from ._store import Patience, Rows

Batch = tuple[list[int], Rows]
# Rows of one claim: as many as take this many seconds, so that nobody waits long for the last.
_SECONDS = 2.0
_FIRST, _MOST = 64, 4096
# Seconds that anybody may let pass between two batches, at least: nobody's pace is even.
_LEAST = 2.0
# The same for one who has given no batch yet, and may be loading a network.
_STARTING = 20.0
# And where it is not known what a row costs.
_UNKNOWN = 10.0
# For how many batches' time to wait for the next.
_BATCHES = 3


class Pace:
    """What the rows of one recipe cost this process."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._batch = 1
        self.is_warm = False

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass batches on, and note how long each took; the very first may load a network."""
        began, together = time.monotonic(), 0
        for positions, rows in batches:
            if self.is_warm and positions:
                seconds = (time.monotonic() - began) / len(positions)
                known = self._seconds
                # What is computed at the same time arrives at once, and counts as one batch.
                at_once = known is not None and seconds < known / 4
                together = len(positions) + (together if at_once else 0)
                self._seconds = seconds if known is None else (2 * known + seconds) / 3
                self._batch = max(self._batch, together)
            self.is_warm = True
            yield positions, rows
            began = time.monotonic()

    def share(self) -> int:
        """How many rows to claim at once."""
        if self._seconds is None:
            return _FIRST
        return max(self._batch, min(_MOST, int(_SECONDS / max(self._seconds, 1e-9))))

    def patience(self, missing: int) -> Patience:
        """How long to wait for the next of some missing rows: while three batches would take."""
        if self._seconds is None:
            return Patience(_UNKNOWN, _STARTING)
        return Patience(
            max(_LEAST, self._seconds * min(missing, _BATCHES * self._batch)), _STARTING
        )
