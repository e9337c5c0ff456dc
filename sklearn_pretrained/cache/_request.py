"""Items, what is asked of them, and what computes it → one request to a cache, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..recipe import Bundle
from ._store import Rows

# Yields positions with their rows: the bundle's, or the wanted outputs alone, where an item gives
# nothing usable for those that would only be kept.
Compute = Callable[[list[int], Bundle], Iterator[tuple[list[int], Rows]]]


def _tell_nobody(*_: Any) -> None:
    """Take a message for which there is no listener."""


@dataclass(frozen=True)
class Request:
    """Rows that a featurizer asks a cache for.

    Parameters
    ----------
    wanted : Bundle
        The outputs that each row holds.
    keep : Bundle
        The outputs to store for each row that is computed.
    digests : sequence of bytes or None
        Key of each item. None leaves that row unchanged.
    compute : callable
        Function of positions and a bundle that yields positions and rows, batch by batch.
    out : ndarray of shape (n, width)
        Array to fill.
    forecast : callable, optional
        Called with the number of requested, known and missing rows before any is computed.
    waiting : callable, optional
        Called with the number of rows that others are computing before waiting for them.
    """

    wanted: Bundle
    keep: Bundle
    digests: Sequence[bytes | None]
    compute: Compute
    out: Rows
    forecast: Callable[[int, int, int], None] = _tell_nobody
    waiting: Callable[[int], None] = _tell_nobody


@dataclass
class Work:
    """What one or several requests took.

    Parameters
    ----------
    asked : int
        Rows asked for.
    known : int
        Rows that were known, or are the same as another of this request.
    computed : int
        Rows that went through the network.
    bad : int
        Rows of items that could not be read.
    """

    asked: int = 0
    known: int = 0
    computed: int = 0
    bad: int = 0

    def add(self, other: Work) -> None:
        """Count another request too."""
        self.asked += other.asked
        self.known += other.known
        self.computed += other.computed
        self.bad += other.bad
