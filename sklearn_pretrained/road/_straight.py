"""A request for one item → its row by the shortest way, where there is nothing to tell of it.

A service asks for one row at a time. What the long way does for many items, such as cutting them
into windows, and what it tells of them, takes longer than the row of a small network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .._outputs import rounded
from ..cache import NOWHERE, Cache, Request
from ..running import embed_one

if TYPE_CHECKING:
    from ..inputs import Items
    from ..recipe import Bundle
    from ..running import Runners
    from ._road import Road

Rows = NDArray[np.float32]


class _LongWayError(Exception):
    """There is something to tell."""


@dataclass(frozen=True)
class Straight:
    """The row of a request's only item.

    Parameters
    ----------
    rows : ndarray of shape (1, width)
        As a bundle holds it.
    computed : int
        Forwards that it took.
    """

    rows: Rows
    computed: int


def straight(road: Road, items: Items, cache: Cache, runners: Runners) -> Straight | None:
    """Return the row of the only item.

    None where the long way is to be gone: it says what is wrong, or knows what else there is to do.
    """
    if road.detour is not None or getattr(cache, "lasting", True):
        return None
    try:
        return _row(road, items, cache, runners)
    except Warning:  # which some filter makes an error; what is said once does not come again
        raise
    except Exception:  # whatever it is, it comes again
        return None


def _row(road: Road, items: Items, cache: Cache, runners: Runners) -> Straight:
    road.check_hooks()
    if road.canary is not None and not road.canary.has_passed:
        road.canary.recall()
    asked = road.asked
    if cache is NOWHERE:
        items.check(0)
        rows = _computed(road, items, runners, asked)
        road.check_hooks()
        return Straight(rows, 1)
    computed = 0

    def compute(positions: list[int], chosen: Bundle) -> Iterator[tuple[list[int], Rows]]:
        nonlocal computed
        computed = len(positions)
        rows = _computed(road, items, runners, chosen)
        road.check_hooks()  # before they are kept
        yield positions, rows

    out = np.empty((1, asked.width), dtype=np.float32)
    if cache.fetch(Request(asked, road.kept_with_it, [items.digest(0)], compute, out)).bad:
        raise _LongWayError
    road.check_hooks()
    return Straight(out, computed)


def _computed(road: Road, items: Items, runners: Runners, chosen: Bundle) -> Rows:
    reading = road.reading(chosen)
    (runner,) = road.ready(runners, reading)
    ((_, rows),) = embed_one(
        items,
        0,
        backbone=road.backbone,
        runner=runner,
        reading=reading,
        on_bad=_refuse,
        on_batch=_pass,
        batch_size=runners.batch_size,
    )
    return rounded(rows, road.dtype)


def _refuse(*_: Any) -> NoReturn:
    raise _LongWayError


def _pass(_n: int) -> None:
    """Tell nobody."""
