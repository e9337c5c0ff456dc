"""What the policy asks of a place where rows lie: rows by bundle and digest, and claims on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..recipe import Bundle

Rows = NDArray[np.float32]


class Patience(NamedTuple):
    """Seconds to wait for the next row of somebody who works, or is about to begin."""

    working: float
    starting: float


class Claim(Protocol):
    """Rows that one thread computes, so that nobody else does meanwhile."""

    def take(self, missing: Sequence[bytes], start: int, most: int) -> tuple[list[bytes], int]:
        """Claim the next rows that nobody else computes; tell up to which place it looked."""

    def keep(self, digests: Sequence[bytes], rows: Rows) -> None:
        """Store rows that were computed, and give up the claim on them."""

    def release(self) -> None:
        """Give up what is still claimed, whatever happens meanwhile."""


class Store(Protocol):
    """Few verbs, no policy."""

    def bundles(self, recipe: str) -> Sequence[Bundle]:
        """List the bundles of a recipe that rows were stored in, the newest first."""

    def get(self, bundle: Bundle, digests: Sequence[bytes]) -> Sequence[Rows | None]:
        """Return the rows, None for each that is not there."""

    def put(self, bundle: Bundle, digests: Sequence[bytes], rows: Rows) -> object:
        """Store rows."""

    def claim(self, wanted: Bundle, keep: Bundle, *, is_warm: bool) -> Claim:
        """Prepare to claim rows that hold the wanted outputs; a cold start takes its time."""

    def wait(self, wanted: Bundle, missing: Sequence[bytes], patience: Patience) -> None:
        """Return when others have computed rows or given them up, or seem to have stopped."""

    def count(self, **more: int) -> None:
        """Add to the statistics: hits, misses, forwards."""

    def recall(self, recipe: str, name: str) -> bytes | None:
        """Return a fact about a recipe's rows, None where it is not known."""

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:
        """Note a fact, unless it is known; return what is known."""


def covers(bundle: Bundle, wanted: Bundle) -> bool:
    """Tell whether a bundle's records hold all that is wanted."""
    return bundle.recipe == wanted.recipe and all(
        name in bundle.offsets for name, _ in wanted.outputs
    )
