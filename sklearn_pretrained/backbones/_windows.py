"""A sample that is longer than the network reads → overlapping samples, and what counts of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Windows:
    """One sample, whose row is made of several that the network can read.

    Parameters
    ----------
    parts : sequence
        Samples as `Backbone.collate` takes them, in order.
    owned : sequence of (int, int)
        For each part its first position that counts, and the first that does not any more: what
        parts have in common counts in one of them.
    """

    parts: Sequence[Any]
    owned: Sequence[tuple[int, int]]
