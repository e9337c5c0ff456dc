"""All that decides a road, in words → what is read on it, and its recipe, worked out once.

A service asks for one row after another, and from one to the next nothing has changed. To state
what there is takes a tenth of the time that it takes to compare it with what was pinned.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..process import keep

if TYPE_CHECKING:
    from .._outputs import Output
    from ..layers import Plan


@dataclass(frozen=True)
class Way:
    """What follows from what was pinned and what is found.

    Parameters
    ----------
    plan : Plan
        The network's layers.
    outputs, kept : list of (Layer, str)
        What a row is made of, and what a forward keeps.
    recipe : str
        Fingerprint of all that decides a row.
    """

    plan: Plan
    outputs: list[Output]
    kept: list[Output]
    recipe: str


_ways: OrderedDict[tuple[type, str], Way] = OrderedDict()
_MOST = 64
keep(f"{__name__}._ways", "recipes of estimators", clear=_ways.clear, size=_ways.__len__)


def settled(stated: tuple[type, str], settle: Callable[[], Way]) -> Way:
    """Return what follows from what is stated; what raises an error is tried again each time.

    Parameters
    ----------
    stated : (type, str)
        The estimator's class, and all that decides what follows. Nothing else may be looked at.
    settle : callable
    """
    way = _ways.get(stated)
    if way is None:
        way = _ways[stated] = settle()
        while len(_ways) > _MOST:
            _ways.popitem(last=False)
    return way
